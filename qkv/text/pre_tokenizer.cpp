#include "qkv/text/pre_tokenizer.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/normalizer.h"

#include <unicode/uscript.h>

#include <utility>

namespace qkv {
namespace {

template <typename Function>
class SimplePreTokenizer : public PreTokenizer {
 public:
  explicit SimplePreTokenizer(Function function) : function_(std::move(function)) {}
  void split(Pieces& pieces) const override { function_(pieces); }

 private:
  Function function_;
};

template <typename Function>
std::unique_ptr<PreTokenizer> simple_pre_tokenizer(Function function) {
  return std::make_unique<SimplePreTokenizer<Function>>(std::move(function));
}

class Sequence : public PreTokenizer {
 public:
  void add(std::unique_ptr<PreTokenizer> part) { parts_.push_back(std::move(part)); }
  bool empty() const { return parts_.empty(); }
  void split(Pieces& pieces) const override {
    for (const auto& part : parts_) part->split(pieces);
  }
  Pattern scanner() const override { return parts_.size() == 1 ? parts_[0]->scanner() : Pattern::other; }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

class ScannerSplit : public PreTokenizer {
 public:
  explicit ScannerSplit(Pattern pattern) : pattern_(pattern), scanner_(pattern) {}

  void split(Pieces& pieces) const override {
    std::vector<Piece> out;
    const char* const base = pieces.text.text.data();
    for (const Piece& piece : pieces.pieces) {
      if (piece.added_token >= 0) {
        out.push_back(piece);
        continue;
      }
      for (const char *p = base + piece.begin, *end = base + piece.end; p < end;) {
        const char* const next = scanner_.next(p, end);
        out.push_back({static_cast<uint32_t>(p - base), static_cast<uint32_t>(next - base)});
        p = next;
      }
    }
    pieces.pieces = std::move(out);
  }
  Pattern scanner() const override { return pattern_; }

 private:
  Pattern pattern_;
  Scanner scanner_;
};

// Every character of the class is a match of its own.
FindMatches each_of(uint8_t char_class) {
  return
      [char_class, classes = CharClasses()](std::string_view text, const std::function<void(size_t, size_t)>& found) {
        const char* const begin = text.data();
        for (const char *p = begin, *end = p + text.size(); p < end;) {
          const char* const start = p;
          if (classes(next_code_point(p)) & char_class) found(start - begin, p - begin);
        }
      };
}

FindMatches each_char(char32_t wanted) {
  return [bytes = utf8(wanted)](std::string_view text, const std::function<void(size_t, size_t)>& found) {
    for (size_t at = text.find(bytes); at != std::string_view::npos; at = text.find(bytes, at + bytes.size()))
      found(at, at + bytes.size());
  };
}

FindMatches each_match(Regex regex) {
  return [regex = std::move(regex)](std::string_view text, const std::function<void(size_t, size_t)>& found) {
    regex.for_each_match(text, [&](Regex::Match match) { found(match.begin, match.end); });
  };
}

SplitBehavior parse_behavior(const JsonCursor& json) {
  const std::string_view name = json.string();
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  json.fail(fmt::format("has no behavior '{}'", name),
            "use Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

char32_t parse_char(const JsonCursor& json) {
  const std::vector<char32_t> chars = code_points(json.string());
  if (chars.size() != 1) json.fail("expected one character");
  return chars[0];
}

std::unique_ptr<PreTokenizer> splitter(SplitBehavior behavior, FindMatches find, bool invert = false) {
  return simple_pre_tokenizer(
      [behavior, invert, find = std::move(find)](Pieces& pieces) { split_pieces(pieces, behavior, invert, find); });
}

std::unique_ptr<PreTokenizer> parse_split(const JsonCursor& json) {
  const SplitBehavior behavior = parse_behavior(json["behavior"]);
  const bool invert = json["invert"].boolean_or(false);
  const JsonCursor pattern = json["pattern"];
  if (!pattern.json().is_string() && pattern["Regex"].json().is_string() && !invert &&
      behavior == SplitBehavior::isolated) {
    const Pattern known = known_pattern(pattern["Regex"].string());
    if (known != Pattern::other) return std::make_unique<ScannerSplit>(known);
  }
  return splitter(behavior, each_match(parse_pattern(pattern)), invert);
}

// \w+|[^\w\s]+ with the \w of Unicode Technical Standard 18.
constexpr std::string_view whitespace_pattern =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}\s]+)";

std::unique_ptr<PreTokenizer> bert() {
  auto sequence = std::make_unique<Sequence>();
  sequence->add(splitter(SplitBehavior::removed, each_of(white_space)));
  sequence->add(splitter(SplitBehavior::isolated, each_of(punctuation)));
  return sequence;
}

// A cut wherever the script changes; kana count as ideographs. Spaces, and what is newer than the reference library's
// table of Unicode 9, have no script; at a piece's start they go.
std::unique_ptr<PreTokenizer> unicode_scripts() {
  constexpr int32_t any = -1;
  const auto script_of = [](char32_t c) -> int32_t {
    constexpr int table_age = 9;
    if (c == U' ' || unicode_age(c) > table_age) return any;
    if (c == 0x589 || c == 0x61C) return USCRIPT_COMMON;  // which that table did not yet count as Armenian and Arabic
    UErrorCode status = U_ZERO_ERROR;
    const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
    if (U_FAILURE(status) || script == USCRIPT_UNKNOWN) return any;
    const bool ideograph = c == 0x30FC || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA;
    return ideograph ? USCRIPT_HAN : script;
  };
  return simple_pre_tokenizer([script_of](Pieces& pieces) {
    std::vector<Piece> out;
    for (const Piece& piece : pieces.pieces) {
      if (piece.added_token >= 0) {
        out.push_back(piece);
        continue;
      }
      const char* const base = pieces.text.text.data();
      int32_t last = any;
      bool begun = false;
      for (const char *p = base + piece.begin, *end = base + piece.end; p < end;) {
        const auto at = static_cast<uint32_t>(p - base);
        const int32_t script = script_of(next_code_point(p));
        if (script != any && (!begun || script != last)) {
          if (begun) out.back().end = at;
          out.push_back({at, piece.end});
          begun = true;
        }
        if (script != any) last = script;
      }
    }
    pieces.pieces = std::move(out);
  });
}

std::unique_ptr<PreTokenizer> parse_fixed_length(const JsonCursor& json) {
  const int64_t length = json["length"].integer_or(5);
  if (length < 1) json["length"].fail("must be at least 1");
  return simple_pre_tokenizer([length](Pieces& pieces) {
    std::vector<Piece> out;
    for (const Piece& piece : pieces.pieces) {
      if (piece.added_token >= 0) {
        out.push_back(piece);
        continue;
      }
      for (uint32_t begin = piece.begin; begin < piece.end;) {
        uint32_t end = begin;
        for (int64_t i = 0; i < length && end < piece.end; ++i) end += utf8_length(pieces.text.text[end]);
        out.push_back({begin, end});
        begin = end;
      }
    }
    pieces.pieces = std::move(out);
  });
}

// A marker for every space, one before the text, and a cut before every marker.
std::unique_ptr<PreTokenizer> parse_metaspace_pre_tokenizer(const JsonCursor& json) {
  const char32_t replacement = parse_char(json["replacement"]);
  const bool legacy_prefix = json["add_prefix_space"].boolean_or(true);
  const std::string scheme = json["prepend_scheme"].string_or(legacy_prefix ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never")
    json["prepend_scheme"].fail(fmt::format("has no scheme '{}'", scheme), "use always, first or never");
  auto sequence = std::make_unique<Sequence>();
  sequence->add(simple_pre_tokenizer([marker = utf8(replacement), scheme, space = Regex::literal(" ")](Pieces& pieces) {
    rewrite_pieces(pieces, [&](AlignedText& text, bool first) {
      replace_matches(text, space, marker);
      const bool wanted = scheme == "always" || (scheme == "first" && first);
      if (wanted && !text.text.starts_with(marker)) prepend(text, marker);
    });
  }));
  if (json["split"].boolean_or(true)) sequence->add(splitter(SplitBehavior::merged_with_next, each_char(replacement)));
  return sequence;
}

std::unique_ptr<PreTokenizer> parse_byte_level(const JsonCursor& json, bool* bytes_at_end) {
  auto sequence = std::make_unique<Sequence>();
  if (json["add_prefix_space"].boolean_or(true))
    sequence->add(simple_pre_tokenizer([](Pieces& pieces) {
      rewrite_pieces(pieces, [](AlignedText& text, bool) {
        if (!text.text.starts_with(' ')) prepend(text, " ");
      });
    }));
  if (json["use_regex"].boolean_or(true)) sequence->add(std::make_unique<ScannerSplit>(Pattern::gpt2));
  if (bytes_at_end != nullptr) {
    *bytes_at_end = true;
    return sequence->empty() ? nullptr : std::move(sequence);
  }
  const Json step = {{"type", "ByteLevel"}};
  std::shared_ptr<Normalizer> to_chars = Normalizer::parse({step, "ByteLevel"});
  sequence->add(simple_pre_tokenizer([to_chars](Pieces& pieces) {
    rewrite_pieces(pieces, [&](AlignedText& text, bool) { to_chars->normalize(text); });
  }));
  return sequence;
}

std::unique_ptr<PreTokenizer> parse_sequence_pre_tokenizer(const JsonCursor& list, bool* bytes_at_end) {
  auto sequence = std::make_unique<Sequence>();
  for (size_t i = 0; i < list.array_size(); ++i) {
    const bool last = i + 1 == list.array_size();
    if (auto part = PreTokenizer::parse(list.at(i), last ? bytes_at_end : nullptr)) sequence->add(std::move(part));
  }
  return sequence;
}

}  // namespace

std::unique_ptr<PreTokenizer> PreTokenizer::parse(const JsonCursor& json, bool* bytes_at_end) {
  if (json.is_null()) return nullptr;
  const std::string_view type = json["type"].string();
  if (type == "Sequence") return parse_sequence_pre_tokenizer(json["pretokenizers"], bytes_at_end);
  if (type == "ByteLevel") return parse_byte_level(json, bytes_at_end);
  if (type == "BertPreTokenizer") return bert();
  if (type == "Split") return parse_split(json);
  if (type == "Metaspace") return parse_metaspace_pre_tokenizer(json);
  if (type == "Whitespace")
    return splitter(SplitBehavior::removed, each_match(Regex(whitespace_pattern, "Whitespace")), true);
  if (type == "WhitespaceSplit") return splitter(SplitBehavior::removed, each_of(white_space));
  if (type == "CharDelimiterSplit") return splitter(SplitBehavior::removed, each_char(parse_char(json["delimiter"])));
  if (type == "UnicodeScripts") return unicode_scripts();
  if (type == "FixedLength") return parse_fixed_length(json);
  if (type == "Punctuation") {
    const bool given = !json["behavior"].is_null();
    return splitter(given ? parse_behavior(json["behavior"]) : SplitBehavior::isolated, each_of(punctuation));
  }
  if (type == "Digits") {
    const bool single = json["individual_digits"].boolean_or(false);
    return splitter(single ? SplitBehavior::isolated : SplitBehavior::contiguous, each_of(number));
  }
  json.fail(
      fmt::format("pre-tokenizer '{}' is not supported", type),
      "supported: ByteLevel, Split, BertPreTokenizer, Metaspace, Whitespace, WhitespaceSplit, CharDelimiterSplit, "
      "Punctuation, Digits, UnicodeScripts, FixedLength, Sequence");
}

}  // namespace qkv
