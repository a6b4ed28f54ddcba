#include "qkv/text/decoder.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/normalizer.h"
#include "qkv/text/unicode.h"

#include <optional>

namespace qkv {
namespace {

using Strings = std::vector<std::string>;

template <typename Function>
class SimpleDecoder : public Decoder {
 public:
  explicit SimpleDecoder(Function function) : function_(std::move(function)) {}
  Strings decode(Strings tokens) const override { return function_(std::move(tokens)); }

 private:
  Function function_;
};

template <typename Function>
std::unique_ptr<Decoder> simple_decoder(Function function) {
  return std::make_unique<SimpleDecoder<Function>>(std::move(function));
}

std::string join(const Strings& strings) {
  std::string out;
  for (const std::string& s : strings) out += s;
  return out;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

Strings from_byte_level(Strings tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += chars_to_bytes(token).value_or(token);
  return {lossy_utf8(bytes)};
}

// The spaces that English writes no space before.
void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> rules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : rules) replace_all(text, from, to);
}

std::unique_ptr<Decoder> parse_word_piece(const JsonCursor& json) {
  return simple_decoder(
      [prefix = json["prefix"].string_or("##"), cleanup = json["cleanup"].boolean_or(true)](Strings tokens) {
        for (size_t i = 0; i < tokens.size(); ++i) {
          if (i > 0) {
            if (tokens[i].starts_with(prefix)) {
              tokens[i].erase(0, prefix.size());
            } else {
              tokens[i].insert(tokens[i].begin(), ' ');
            }
          }
          if (cleanup) clean_up(tokens[i]);
        }
        return tokens;
      });
}

std::unique_ptr<Decoder> parse_metaspace_decoder(const JsonCursor& json) {
  const bool legacy_prefix = json["add_prefix_space"].boolean_or(true);
  const bool prepends = json["prepend_scheme"].string_or(legacy_prefix ? "always" : "never") != "never";
  return simple_decoder([marker = std::string(json["replacement"].string()), prepends](Strings tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], marker, i == 0 && prepends ? "" : " ");
    return tokens;
  });
}

// "<0xE4>" tokens in a row become the text of their bytes, or one U+FFFD each where that is not valid.
Strings from_byte_tokens(Strings tokens) {
  Strings out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    const bool valid = invalid_utf8(bytes) == std::string_view::npos;
    if (valid) out.push_back(bytes);
    for (size_t i = 0; !valid && i < bytes.size(); ++i) out.push_back(utf8(replacement_character));
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const int byte = byte_of_token(token); byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  return out;
}

std::unique_ptr<Decoder> parse_strip(const JsonCursor& json) {
  const int64_t start = json["start"].integer_or(0), stop = json["stop"].integer_or(0);
  return simple_decoder([content = std::string(json["content"].string()), start, stop](Strings tokens) {
    for (std::string& token : tokens) {
      for (int64_t i = 0; i < start && !content.empty() && token.starts_with(content); ++i)
        token.erase(0, content.size());
      for (int64_t i = 0; i < stop && !content.empty() && token.ends_with(content); ++i)
        token.resize(token.size() - content.size());
    }
    return tokens;
  });
}

// Connectionist temporal classification: repeated tokens count once, blanks not at all.
std::unique_ptr<Decoder> parse_ctc(const JsonCursor& json) {
  return simple_decoder([blank = json["pad_token"].string_or("<pad>"),
                         delimiter = json["word_delimiter_token"].string_or("|"),
                         cleanup = json["cleanup"].boolean_or(true)](Strings tokens) {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      replace_all(token, blank, "");
      if (!cleanup) continue;
      clean_up(token);
      replace_all(token, delimiter, " ");
    }
    return tokens;
  });
}

std::unique_ptr<Decoder> parse_sequence_decoder(const JsonCursor& list) {
  std::vector<std::shared_ptr<Decoder>> parts;
  for (size_t i = 0; i < list.array_size(); ++i)
    if (std::shared_ptr<Decoder> part = Decoder::parse(list.at(i))) parts.push_back(std::move(part));
  return simple_decoder([parts](Strings tokens) {
    for (const auto& part : parts) tokens = part->decode(std::move(tokens));
    return tokens;
  });
}

}  // namespace

std::unique_ptr<Decoder> Decoder::parse(const JsonCursor& json) {
  if (json.is_null()) return nullptr;
  const std::string_view type = json["type"].string();
  if (type == "Sequence") return parse_sequence_decoder(json["decoders"]);
  if (type == "ByteLevel") return simple_decoder(from_byte_level);
  if (type == "WordPiece") return parse_word_piece(json);
  if (type == "Metaspace") return parse_metaspace_decoder(json);
  if (type == "ByteFallback") return simple_decoder(from_byte_tokens);
  if (type == "Fuse") return simple_decoder([](Strings tokens) { return Strings{join(tokens)}; });
  if (type == "CTC") return parse_ctc(json);
  if (type == "Strip") return parse_strip(json);
  if (type == "Replace")
    return simple_decoder(
        [regex = parse_pattern(json["pattern"]), content = std::string(json["content"].string())](Strings tokens) {
          for (std::string& token : tokens) {
            AlignedText text{std::move(token), {}, false};
            replace_matches(text, regex, content);
            token = std::move(text.text);
          }
          return tokens;
        });
  if (type == "BPEDecoder")
    return simple_decoder([suffix = json["suffix"].string_or("</w>")](Strings tokens) {
      for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix, i + 1 == tokens.size() ? "" : " ");
      return tokens;
    });
  json.fail(
      fmt::format("decoder '{}' is not supported", type),
      "supported: ByteLevel, WordPiece, BPEDecoder, Metaspace, ByteFallback, Fuse, Strip, Replace, CTC, Sequence");
}

}  // namespace qkv
