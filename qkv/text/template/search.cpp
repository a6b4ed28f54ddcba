#include "qkv/text/template/search.h"

#include <cstring>

namespace qkv::jinja {

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string::npos;
  if (part.empty()) return from;
  // The C library's is the two-way algorithm (Crochemore and Perrin 1991).
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found == nullptr ? std::string::npos : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t rfind_text(std::string_view text, std::string_view part) {
  const std::string backwards(text.rbegin(), text.rend());
  const size_t at = find_text(backwards, std::string(part.rbegin(), part.rend()));
  return at == std::string::npos ? at : text.size() - at - part.size();
}

}  // namespace qkv::jinja
