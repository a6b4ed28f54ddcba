// Normalizers: the first step of a tokenizer, text to text.
#pragma once

#include "qkv/text/aligned_text.h"
#include "qkv/text/json_cursor.h"
#include "qkv/text/regex.h"

#include <memory>
#include <vector>

namespace qkv {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void normalize(AlignedText& text) const = 0;

  // From the "normalizer" of a tokenizer.json; nullptr for null. Throws Error for a type that is not supported.
  static std::unique_ptr<Normalizer> parse(const JsonCursor& json);
};

// BERT's: cleans controls, spaces ideographs, strips accents, lowercases; each optional.
class BertNormalizer : public Normalizer {
 public:
  struct Options {
    bool clean_text = true;
    bool handle_chinese_chars = true;
    bool strip_accents = true;
    bool lowercase = true;
  };
  explicit BertNormalizer(Options options) : options_(options) {}
  void normalize(AlignedText& text) const override;
  const Options& options() const { return options_; }

 private:
  Options options_;
};

// The parts that more than one normalizer is made of.
void lowercase(AlignedText& text);  // the full mapping of each character, without context
void drop_class(AlignedText& text, uint8_t char_class);
void replace_matches(AlignedText& text, const Regex& regex, std::string_view content);
void prepend(AlignedText& text, std::string_view prefix);  // shares the origin of the first character; not for ""

// The pattern of a "Replace" or "Split": {"String": ...} or {"Regex": ...}.
Regex parse_pattern(const JsonCursor& json);

}  // namespace qkv
