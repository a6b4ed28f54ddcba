#include "qkv/data/segments.h"

#include "qkv/core/error.h"

#include <algorithm>

namespace qkv {

Segments::Segments(const TokenStream& stream, int64_t capacity, int64_t shortest)
    : stream_(stream), capacity_(capacity) {
  for (int64_t d = 0; d < stream_.documents(); ++d) {
    const auto [begin, end] = stream_.document(d);
    const int64_t rest = (end - begin) % capacity_;
    firsts_.push_back(firsts_.back() + (end - begin) / capacity_ + (rest >= shortest ? 1 : 0));
  }
  if (count() == 0)
    throw Error(stream_.name(), fmt::format("has {} tokens, too few for a row", stream_.size()), "use a longer text");
}

Segments::Segment Segments::operator[](int64_t item) const {
  const int64_t document = std::upper_bound(firsts_.begin(), firsts_.end(), item) - firsts_.begin() - 1;
  const auto [document_begin, document_end] = stream_.document(document);
  const int64_t begin = document_begin + (item - firsts_[static_cast<size_t>(document)]) * capacity_;
  return {document, begin, std::min(begin + capacity_, document_end)};
}

std::vector<int32_t> tokens_of(const TokenStream& stream, int64_t begin, int64_t end) {
  std::vector<int32_t> ids(static_cast<size_t>(end - begin));
  stream.read(begin, ids);
  return ids;
}

}  // namespace qkv
