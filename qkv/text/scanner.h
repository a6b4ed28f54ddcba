// Hand-written scanners for the pre-tokenization patterns of the common byte-level models. A scanner finds the same
// pieces as the regular expression, several times faster.
#pragma once

#include "qkv/text/unicode.h"

#include <cstdint>
#include <string_view>

namespace qkv {

enum class Pattern : uint8_t {
  other,   // no scanner: use the regular expression
  gpt2,    // GPT-2, RoBERTa, and every ByteLevel pre-tokenizer with use_regex
  llama3,  // Llama 3 and cl100k: contractions in any case, numbers in groups of three digits
  qwen2,   // the same with single digits
};

extern const std::string_view gpt2_pattern;

// The scanner for a pattern as tokenizer files write it.
Pattern known_pattern(std::string_view regex);

class Scanner {
 public:
  explicit Scanner(Pattern pattern) : pattern_(pattern) {}

  // The end of the piece that begins at `p`, p < end. Valid UTF-8 only.
  const char* next(const char* p, const char* end) const {
    return pattern_ == Pattern::gpt2 ? next_gpt2(p, end) : next_llama3(p, end);
  }

  const char* next_gpt2(const char* p, const char* end) const;
  const char* next_llama3(const char* p, const char* end) const;

 private:
  struct Char {
    uint8_t classes;
    const char* after;
  };
  Char char_at(const char* p) const {
    const char32_t c = next_code_point(p);
    return {classes_(c), p};
  }
  const char* run(const char* p, const char* end, uint8_t wanted, int most = -1) const;
  const char* run_of_others(const char* p, const char* end) const;
  const char* white_space_run(const char* p, const char* end) const;

  Pattern pattern_;
  CharClasses classes_;
};

}  // namespace qkv
