#include "qkv/data/token_stream.h"

#include "qkv/core/error.h"
#include "qkv/data/fingerprint.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace qkv {
namespace {

constexpr uint32_t version = 1;
constexpr std::string_view magic = "qkv-toks";
constexpr std::string_view footer_magic = "qkv-tail";
constexpr uint64_t header_bytes = 16;
constexpr size_t flush_bytes = size_t{1} << 20;

struct Footer {
  uint64_t count;      // tokens
  uint64_t documents;  // begins, without the end
  int64_t vocabulary;
  int64_t end_of_text;  // -1: none
  TokenFileKey key;
  uint64_t checksum;  // of the header, the begins and the fields above
  char magic[8];
};
static_assert(sizeof(Footer) == 64);

std::string header_of(bool wide) {
  const uint32_t fields[2] = {version, wide ? 4U : 2U};
  std::string header(magic);
  header.append(reinterpret_cast<const char*>(fields), sizeof fields);
  return header;
}

uint64_t checksum_of(bool wide, std::span<const uint64_t> begins, const Footer& footer) {
  Fingerprint sum;
  sum.add(header_of(wide)).add(std::string_view(reinterpret_cast<const char*>(begins.data()), begins.size_bytes()));
  sum.add(footer.count).add(footer.documents).add(footer.vocabulary).add(footer.end_of_text);
  return sum.add(footer.key.tokenizer).add(footer.key.sources).value();
}

bool needs_wide(int64_t vocabulary) { return vocabulary > 65536; }

uint64_t padded(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

struct TokenStream::File {
  explicit File(const fs::path& path) : mapped(path) {
    const std::string_view bytes = mapped.text();
    const auto damaged = [&](std::string_view what) {
      throw Error(path.string(), fmt::format("is a damaged token cache: {}", what), "delete it; it is built again");
    };
    if (bytes.size() < header_bytes + sizeof(Footer) || !bytes.starts_with(magic)) damaged("it lacks the mark");
    std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
    if (std::string_view(footer.magic, sizeof footer.magic) != footer_magic) damaged("its end is missing");
    if (footer.vocabulary <= 0 || footer.vocabulary > int64_t{1} << 31) damaged("its vocabulary is out of range");
    wide = needs_wide(footer.vocabulary);
    if (!bytes.starts_with(header_of(wide))) damaged("its version is another");
    // Each count is bounded before it is multiplied.
    if (footer.count > bytes.size() || footer.documents >= bytes.size()) damaged("its counts are out of range");
    const uint64_t tokens = padded(footer.count * (wide ? 4 : 2));
    if (header_bytes + tokens + 8 * (footer.documents + 1) + sizeof footer != bytes.size())
      damaged("its length is not what its counts make");
    data = mapped.bytes().data() + header_bytes;
    begins = {reinterpret_cast<const uint64_t*>(data + tokens), footer.documents + 1};
    if (checksum_of(wide, begins, footer) != footer.checksum) damaged("its checksum is wrong");
    if (begins.front() != 0 || begins.back() != footer.count || !std::is_sorted(begins.begin(), begins.end()))
      damaged("its documents are out of order");
  }

  MappedFile mapped;
  Footer footer{};
  bool wide = false;
  const uint8_t* data = nullptr;
  std::span<const uint64_t> begins;  // of the documents, and the end
};

TokenStream::TokenStream(const fs::path& path) : file_(std::make_shared<const File>(path)), name_(path.string()) {
  end_ = static_cast<int64_t>(file_->footer.count);
  last_document_ = static_cast<int64_t>(file_->footer.documents);
}

int64_t TokenStream::vocabulary() const { return file_->footer.vocabulary; }
const TokenFileKey& TokenStream::key() const { return file_->footer.key; }

void TokenStream::read(int64_t begin, std::span<int32_t> out) const {
  if (begin < 0 || begin + std::ssize(out) > size())
    throw Error(name_, fmt::format("tokens [{}, {}) of {}", begin, begin + std::ssize(out), size()), "",
                Error::Kind::internal);
  uint32_t largest = 0;
  const auto copy = [&](const auto* from) {
    for (size_t i = 0; i < out.size(); ++i) {
      largest = std::max<uint32_t>(largest, from[i]);
      out[i] = static_cast<int32_t>(from[i]);
    }
  };
  if (file_->wide) {
    copy(reinterpret_cast<const uint32_t*>(file_->data) + begin_ + begin);
  } else {
    copy(reinterpret_cast<const uint16_t*>(file_->data) + begin_ + begin);
  }
  if (!out.empty() && largest >= vocabulary())
    throw Error(file_->mapped.path().string(),
                fmt::format("is a damaged token cache: token {} in a vocabulary of {}", largest, vocabulary()),
                "delete it; it is built again");
}

std::pair<int64_t, int64_t> TokenStream::document(int64_t index) const {
  const size_t at = static_cast<size_t>(first_document_ + index);
  const bool joined = file_->footer.end_of_text >= 0 && at + 1 < file_->footer.documents;
  const int64_t begin = static_cast<int64_t>(file_->begins[at]);
  const int64_t end = static_cast<int64_t>(file_->begins[at + 1]) - (joined ? 1 : 0);
  return {std::clamp(begin, begin_, end_) - begin_, std::clamp(end, begin_, end_) - begin_};
}

std::pair<TokenStream, TokenStream> TokenStream::split(double fraction) const {
  if (!(fraction > 0 && fraction < 1))
    throw Error(name_, fmt::format("a validation fraction of {} was asked for", fraction), "name one between 0 and 1");
  // nanoGPT's arithmetic, so that the parts are the same as its own.
  const int64_t kept = static_cast<int64_t>(static_cast<double>(size()) * (1 - fraction));
  const auto first = file_->begins.begin() + first_document_ + 1;
  const auto last = file_->begins.begin() + last_document_;
  const auto distance = [&](auto it) { return std::abs(static_cast<int64_t>(*it) - begin_ - kept); };
  int64_t cut = kept;
  if (first < last) {
    auto nearest = std::lower_bound(first, last, static_cast<uint64_t>(begin_ + kept));
    if (nearest == last || (nearest != first && distance(nearest - 1) <= distance(nearest))) --nearest;
    if (distance(nearest) * 2 <= size() - kept) cut = static_cast<int64_t>(*nearest) - begin_;
  }
  return {part(0, cut, " (training part)"), part(cut, size(), " (validation part)")};
}

TokenStream TokenStream::part(int64_t begin, int64_t end, const std::string& suffix) const {
  TokenStream result = *this;
  result.name_ += suffix;
  result.begin_ = begin_ + begin;
  result.end_ = begin_ + end;
  const auto& begins = file_->begins;
  const auto reach = [&](int64_t token) { return static_cast<uint64_t>(token); };
  // The first document that ends behind `begin`, and the first that begins at `end` or later.
  result.first_document_ =
      std::upper_bound(begins.begin() + 1, begins.end(), reach(result.begin_)) - begins.begin() - 1;
  result.last_document_ = std::lower_bound(begins.begin(), begins.end() - 1, reach(result.end_)) - begins.begin();
  result.last_document_ = std::max(result.last_document_, result.first_document_);
  return result;
}

TokenFileWriter::TokenFileWriter(const fs::path& path, int64_t vocabulary, int64_t end_of_text)
    : path_(path), file_(path), vocabulary_(vocabulary), end_of_text_(end_of_text), wide_(needs_wide(vocabulary)) {
  if (vocabulary <= 0 || vocabulary > int64_t{1} << 31 || end_of_text >= vocabulary)
    throw Error("token cache", fmt::format("a vocabulary of {} with end-of-text {}", vocabulary, end_of_text), "",
                Error::Kind::internal);
  buffer_ = header_of(wide_);
}

void TokenFileWriter::add(std::span<const int32_t> tokens) {
  if (tokens.empty()) return;
  if (between_documents_) {
    if (!begins_.empty() && end_of_text_ >= 0) put(static_cast<int32_t>(end_of_text_));
    begins_.push_back(count_);
    between_documents_ = false;
  }
  for (const int32_t token : tokens) put(token);
}

void TokenFileWriter::put(int32_t token) {
  if (token < 0 || token >= vocabulary_)
    throw Error("tokenizer", fmt::format("gave token {} with a vocabulary of {}", token, vocabulary_),
                "the tokenizer's files do not belong together");
  buffer_.append(reinterpret_cast<const char*>(&token), wide_ ? 4 : 2);
  ++count_;
  if (buffer_.size() >= flush_bytes) {
    file_.write(buffer_);
    buffer_.clear();
  }
}

void TokenFileWriter::commit(TokenFileKey key) {
  Footer footer{count_, begins_.size(), vocabulary_, end_of_text_, key, 0, {}};
  std::memcpy(footer.magic, footer_magic.data(), sizeof footer.magic);
  begins_.push_back(count_);
  footer.checksum = checksum_of(wide_, begins_, footer);
  const uint64_t token_bytes = count_ * (wide_ ? 4 : 2);
  buffer_.append(padded(token_bytes) - token_bytes, '\0');
  file_.write(buffer_);
  file_.write(begins_.data(), begins_.size() * sizeof begins_[0]);
  file_.write(&footer, sizeof footer);
  file_.commit();
}

}  // namespace qkv
