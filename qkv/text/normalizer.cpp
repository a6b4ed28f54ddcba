#include "qkv/text/normalizer.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/precompiled.h"
#include "qkv/text/unicode_normalization.h"

#include <unicode/uchar.h>
#include <unicode/ustring.h>

namespace qkv {

void lowercase(AlignedText& text) {
  if (!text.tracked && is_ascii(text.text)) {
    for (char& c : text.text)
      if (c >= 'A' && c <= 'Z') c |= 0x20;
    return;
  }
  for (Rewrite rewrite(text); !rewrite.done();) {
    const char32_t c = rewrite.peek();
    if (c < 0x80) {
      rewrite.replace(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    } else if (c == 0x130) {  // İ is the one character whose mapping is two: i and a dot above
      rewrite.replace(U'i');
      rewrite.insert(0x307);
    } else {
      rewrite.replace(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
    }
  }
}

void drop_class(AlignedText& text, uint8_t char_class) {
  const CharClasses classes;
  for (Rewrite rewrite(text); !rewrite.done();) {
    if (classes(rewrite.peek()) & char_class) {
      rewrite.drop();
    } else {
      rewrite.keep();
    }
  }
}

void replace_matches(AlignedText& text, const Regex& regex, std::string_view content) {
  std::vector<Regex::Match> matches;
  regex.for_each_match(text.text, [&](Regex::Match match) { matches.push_back(match); });
  if (matches.empty()) return;
  const std::vector<char32_t> chars = code_points(content);
  Rewrite rewrite(text);
  for (const auto& match : matches) {
    while (rewrite.position() < match.begin) rewrite.keep();
    while (rewrite.position() < match.end) rewrite.drop();
    for (const char32_t c : chars) rewrite.insert(c);
  }
  while (!rewrite.done()) rewrite.keep();
}

void prepend(AlignedText& text, std::string_view prefix) {
  if (text.text.empty() || prefix.empty()) return;
  text.text.insert(0, prefix);
  if (text.tracked) text.origin.insert(text.origin.begin(), prefix.size(), text.origin[0]);
}

void BertNormalizer::normalize(AlignedText& text) const {
  if (options_.clean_text) {
    const CharClasses classes;
    for (Rewrite rewrite(text); !rewrite.done();) {
      const char32_t c = rewrite.peek();
      if (classes(c) & control_or_null) {
        rewrite.drop();
      } else {
        rewrite.replace(classes(c) & white_space ? U' ' : c);
      }
    }
  }
  const bool plain = is_ascii(text.text);
  if (options_.handle_chinese_chars && !plain) {
    for (Rewrite rewrite(text); !rewrite.done();) {
      const char32_t c = rewrite.peek();
      if (!is_cjk(c)) {
        rewrite.keep();
        continue;
      }
      rewrite.replace(U' ');
      rewrite.insert(c);
      rewrite.insert(U' ');
    }
  }
  if (options_.strip_accents && !plain) {
    normalize_unicode(text, NormalizationForm::nfd);
    drop_class(text, nonspacing_mark);
  }
  if (options_.lowercase) lowercase(text);
}

Regex parse_pattern(const JsonCursor& json) {
  if (json.json().is_string()) return Regex::literal(json.string());
  if (!json["String"].is_null()) return Regex::literal(json["String"].string());
  return Regex(json["Regex"].string(), json["Regex"].where());
}

namespace {

template <typename Function>
class SimpleNormalizer : public Normalizer {
 public:
  explicit SimpleNormalizer(Function function) : function_(std::move(function)) {}
  void normalize(AlignedText& text) const override { function_(text); }

 private:
  Function function_;
};

template <typename Function>
std::unique_ptr<Normalizer> simple_normalizer(Function function) {
  return std::make_unique<SimpleNormalizer<Function>>(std::move(function));
}

void strip(AlignedText& text, bool left, bool right) {
  const CharClasses classes;
  const std::vector<char32_t> chars = code_points(text.text);
  size_t begin = 0, end = chars.size();
  while (left && begin < end && classes(chars[begin]) & white_space) ++begin;
  while (right && end > begin && classes(chars[end - 1]) & white_space) --end;
  size_t i = 0;
  for (Rewrite rewrite(text); !rewrite.done(); ++i) {
    if (i >= begin && i < end) {
      rewrite.keep();
    } else {
      rewrite.drop();
    }
  }
}

void to_byte_chars(AlignedText& text) {
  for (Rewrite rewrite(text); !rewrite.done();) {
    const std::string bytes = utf8(rewrite.peek());
    rewrite.replace(byte_to_char(static_cast<uint8_t>(bytes[0])));
    for (size_t i = 1; i < bytes.size(); ++i) rewrite.insert(byte_to_char(static_cast<uint8_t>(bytes[i])));
  }
}

// SentencePiece's Nmt rule: controls go, odd spaces become spaces.
void nmt(AlignedText& text) {
  const auto goes = [](char32_t c) {
    return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  };
  const auto is_space = [](char32_t c) {
    return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
           c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  };
  for (Rewrite rewrite(text); !rewrite.done();) {
    const char32_t c = rewrite.peek();
    if (goes(c)) {
      rewrite.drop();
    } else {
      rewrite.replace(is_space(c) ? U' ' : c);
    }
  }
}

// A literal that is replaced without tracking needs no regular expression.
class ReplaceNormalizer : public Normalizer {
 public:
  explicit ReplaceNormalizer(const JsonCursor& json)
      : regex_(parse_pattern(json["pattern"])), content_(json["content"].string()) {
    const JsonCursor pattern = json["pattern"];
    if (pattern.json().is_string()) {
      literal_ = pattern.string();
    } else if (!pattern["String"].is_null()) {
      literal_ = pattern["String"].string();
    }
  }

  void normalize(AlignedText& text) const override {
    if (text.tracked || literal_.empty()) return replace_matches(text, regex_, content_);
    size_t at = text.text.find(literal_);
    if (at == std::string::npos) return;
    std::string fresh;
    fresh.reserve(text.text.size() + text.text.size() / 2);
    size_t done = 0;
    for (; at != std::string::npos; at = text.text.find(literal_, done)) {
      fresh.append(text.text, done, at - done);
      fresh += content_;
      done = at + literal_.size();
    }
    fresh.append(text.text, done);
    text.text = std::move(fresh);
  }

 private:
  Regex regex_;
  std::string content_;
  std::string literal_;
};

std::unique_ptr<Normalizer> parse_sequence_normalizer(const JsonCursor& list) {
  std::vector<std::shared_ptr<Normalizer>> parts;
  for (size_t i = 0; i < list.array_size(); ++i)
    if (std::shared_ptr<Normalizer> part = Normalizer::parse(list.at(i))) parts.push_back(std::move(part));
  return simple_normalizer([parts](AlignedText& text) {
    for (const auto& part : parts) part->normalize(text);
  });
}

std::unique_ptr<Normalizer> parse_bert(const JsonCursor& json) {
  BertNormalizer::Options options;
  options.clean_text = json["clean_text"].boolean_or(true);
  options.handle_chinese_chars = json["handle_chinese_chars"].boolean_or(true);
  options.lowercase = json["lowercase"].boolean_or(true);
  options.strip_accents = json["strip_accents"].boolean_or(options.lowercase);
  return std::make_unique<BertNormalizer>(options);
}

std::unique_ptr<Normalizer> parse_precompiled(const JsonCursor& json) {
  const JsonCursor encoded = json["precompiled_charsmap"];
  std::string blob;
  if (!decode_base64(encoded.string(), blob)) encoded.fail("is not base64");
  return simple_normalizer([map = std::make_shared<const Charsmap>(blob, encoded.where())](AlignedText& text) {
    apply_by_grapheme(*map, text);
  });
}

}  // namespace

std::unique_ptr<Normalizer> Normalizer::parse(const JsonCursor& json) {
  if (json.is_null()) return nullptr;
  const std::string_view type = json["type"].string();
  if (type == "Sequence") return parse_sequence_normalizer(json["normalizers"]);
  if (type == "BertNormalizer") return parse_bert(json);
  if (type == "Lowercase") return simple_normalizer(lowercase);
  if (type == "StripAccents") return simple_normalizer([](AlignedText& text) { drop_class(text, mark); });
  if (type == "Nmt") return simple_normalizer(nmt);
  if (type == "ByteLevel") return simple_normalizer(to_byte_chars);
  if (type == "Precompiled") return parse_precompiled(json);
  if (const auto form = normalization_form(type))
    return simple_normalizer([f = *form](AlignedText& text) { normalize_unicode(text, f); });
  if (type == "Strip") {
    const bool left = json["strip_left"].boolean_or(true), right = json["strip_right"].boolean_or(true);
    return simple_normalizer([left, right](AlignedText& text) { strip(text, left, right); });
  }
  if (type == "Prepend")
    return simple_normalizer(
        [prefix = std::string(json["prepend"].string())](AlignedText& text) { prepend(text, prefix); });
  if (type == "Replace") return std::make_unique<ReplaceNormalizer>(json);
  json.fail(fmt::format("normalizer '{}' is not supported", type),
            "supported: BertNormalizer, Lowercase, StripAccents, Strip, Prepend, Replace, NFC, NFD, NFKC, NFKD, Nmt, "
            "ByteLevel, Precompiled, Sequence");
}

}  // namespace qkv
