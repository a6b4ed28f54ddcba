#define PCRE2_CODE_UNIT_WIDTH 8
#include "qkv/text/regex.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <pcre2.h>

namespace qkv {

struct Regex::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

namespace {

constexpr size_t longest_pattern = 1 << 16;

// Oniguruma's \w; and what its table of the first 256 characters, which it asks outside of classes, has besides.
constexpr std::string_view word_class = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view latin_numbers = R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";

// Spells the classes whose meaning differs between Oniguruma and PCRE2.
std::string translate(std::string_view pattern, std::string_view where) {
  std::string out;
  int in_class = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      switch (escaped) {
        case 's':
          out += "\\p{White_Space}";
          break;
        case 'S':
          out += "\\P{White_Space}";
          break;
        case 'w':
          out += in_class ? std::string(word_class) : fmt::format("[{}{}]", word_class, latin_numbers);
          break;
        case 'W':
          if (in_class) throw Error(where, "has \\W inside a character class, which is not supported");
          out += fmt::format("[^{}{}]", word_class, latin_numbers);
          break;
        case 'h':
          out += in_class ? "0-9a-fA-F" : "[0-9a-fA-F]";
          break;
        default:
          out += {'\\', escaped};
      }
      continue;
    }
    if (c == '[') {
      in_class = 1;
      out += c;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += "\\]", ++i;
      continue;
    }
    if (c == ']') in_class = 0;
    out += c;
  }
  return out;
}

std::string message(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// Scratch space of the matcher, one a thread.
struct Scratch {
  static constexpr size_t first_stack = 32 << 10, largest_stack = 8 << 20;
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(first_stack, largest_stack, nullptr);
  Scratch() { pcre2_jit_stack_assign(context, nullptr, stack); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
};

}  // namespace

Regex::Regex(std::string_view pattern, std::string_view where) : pattern_(pattern) {
  if (pattern.size() > longest_pattern) throw Error(where, "is a regular expression of more than 64 KiB");
  // \C could match half a character. ^ and $ are a line's ends, as in Ruby.
  constexpr uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  const std::string translated = translate(pattern, where);
  int error = 0;
  PCRE2_SIZE position = 0;
  auto compiled = std::make_shared<Compiled>();
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &error,
                                 &position, nullptr);
  if (compiled->code == nullptr)
    throw Error(where, fmt::format("is not a regular expression that PCRE2 knows: {} at {} in {}", message(error),
                                   position, translated));
  // Without the JIT (an architecture it lacks) the interpreter matches the same.
  pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE);
  compiled_ = compiled;
}

Regex Regex::literal(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    const bool plain = (c & 0x80) || std::isalnum(static_cast<unsigned char>(c));
    if (!plain) pattern += '\\';
    pattern += c;
  }
  return Regex(pattern, "literal pattern");
}

bool Regex::find(std::string_view text, size_t from, Match& match) const {
  thread_local Scratch scratch;
  const int code = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                               PCRE2_NO_UTF_CHECK, scratch.data, scratch.context);
  if (code == PCRE2_ERROR_NOMATCH) return false;
  if (code < 0) throw Error(pattern_, "failed to match: " + message(code), "use a simpler pattern, or shorter texts");
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.data);
  if (ends[0] < from || ends[1] < ends[0])
    throw Error(pattern_, "moves the match's start with \\K, which is not supported");
  match = {ends[0], ends[1]};
  return true;
}

size_t Regex::after(std::string_view text, size_t position) {
  return position < text.size() ? position + utf8_length(text[position]) : position + 1;
}

}  // namespace qkv
