#include "qkv/generate/grammar/token_texts.h"

#include "qkv/text/byte_level.h"
#include "qkv/text/unicode.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr std::string_view unreadable = "\xEF\xBF\xBD";

// The bytes of a token that alone is no text: what the vocabulary's spelling says, if decoding agrees.
std::optional<std::string> bytes_of(const Tokenizer& tokenizer, int32_t id, std::string_view once,
                                    std::string_view twice) {
  const std::string spelled = tokenizer.token(id);
  const int byte = byte_of_token(spelled);
  const std::optional<std::string> bytes =
      byte >= 0 ? std::string(1, static_cast<char>(byte)) : chars_to_bytes(spelled);
  if (!bytes || lossy_utf8(*bytes) != once || lossy_utf8(*bytes + *bytes) != twice) return {};
  return bytes;
}

}  // namespace

TokenTexts::TokenTexts(const Tokenizer& tokenizer) {
  Texts first;
  const auto add = [](Texts& texts, std::string_view text) {
    texts.bytes += text;
    texts.ends.push_back(static_cast<uint32_t>(texts.bytes.size()));
  };
  for (int32_t id = 0; id < static_cast<int32_t>(tokenizer.vocab_size()); ++id) {
    std::string once, later;
    if (!tokenizer.is_special(id)) {
      once = tokenizer.decode(std::vector<int32_t>{id});
      const std::string twice = tokenizer.decode(std::vector<int32_t>{id, id});
      if (once.find(unreadable) != std::string::npos) {
        once = later = bytes_of(tokenizer, id, once, twice).value_or("");
      } else if (twice.size() < once.size()) {
        once.clear();
      } else {
        later = twice.substr(once.size());
      }
    }
    add(first, once);
    add(later_, later);
  }
  plant(later_);
  if (first.bytes == later_.bytes && first.ends == later_.ends) return;
  plant(first);
  first_ = std::move(first);
}

std::string_view TokenTexts::text(const Texts& texts, size_t id) {
  const size_t begin = id == 0 ? 0 : texts.ends[id - 1];
  return std::string_view(texts.bytes).substr(begin, texts.ends[id] - begin);
}

std::string_view TokenTexts::text(int32_t id, bool begins) const {
  const Texts& texts = of(begins);
  return id >= 0 && static_cast<size_t>(id) < texts.ends.size() ? text(texts, static_cast<size_t>(id))
                                                                : std::string_view();
}

void TokenTexts::plant(Texts& texts) {
  std::vector<std::pair<std::string_view, int32_t>> sorted;
  for (size_t id = 0; id < texts.ends.size(); ++id) {
    const std::string_view own = text(texts, id);
    // A token without a text could follow for ever.
    if (!own.empty()) sorted.emplace_back(own, static_cast<int32_t>(id));
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<Node>& nodes = texts.tree.nodes;
  std::vector<size_t> path;  // nodes of the text before
  const auto close = [&](size_t length) {
    for (; path.size() > length; path.pop_back()) nodes[path.back()].end = static_cast<int32_t>(nodes.size());
  };
  std::string_view before;
  for (const auto& [own, id] : sorted) {
    const auto common =
        static_cast<size_t>(std::mismatch(own.begin(), own.end(), before.begin(), before.end()).first - own.begin());
    close(common);
    while (path.size() < own.size()) {
      const auto byte = static_cast<uint8_t>(own[path.size()]);
      path.push_back(nodes.size());
      nodes.push_back({.byte = byte, .tokens = static_cast<int32_t>(texts.tree.ids.size())});
    }
    texts.tree.ids.push_back(id);
    before = own;
  }
  close(0);
  const auto size = static_cast<int32_t>(nodes.size());
  nodes.push_back({.end = size + 1, .tokens = static_cast<int32_t>(texts.tree.ids.size())});
  nodes.shrink_to_fit();
}

}  // namespace qkv
