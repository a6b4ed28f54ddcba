#include "qkv/serve/token_text.h"

namespace qkv {

// The second of two equal tokens has its own space.
std::string token_text(const Tokenizer& tokenizer, int32_t id, bool begins) {
  const std::string once = tokenizer.decode(std::vector<int32_t>{id});
  if (begins) return once;
  const std::string twice = tokenizer.decode(std::vector<int32_t>{id, id});
  return twice.size() >= once.size() ? twice.substr(once.size()) : once;
}

}  // namespace qkv
