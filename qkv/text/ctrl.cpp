#include "qkv/text/ctrl.h"

#include "qkv/core/error.h"
#include "qkv/text/bpe.h"
#include "qkv/text/token_files.h"

#include <algorithm>
#include <cctype>
#include <memory>

namespace qkv {
namespace {

constexpr std::string_view continues = "@@";
constexpr std::string_view word_end = "</w>";

// A token as the merges spell it: "hel@@" is "hel", "lo" is "lo</w>".
std::string symbol_of(const std::string& token) {
  if (token.size() > continues.size() && token.ends_with(continues))
    return token.substr(0, token.size() - continues.size());
  return token + std::string(word_end);
}

// Byte-pair encoding in the merges' spelling; some of its symbols are steps on the way and no tokens.
class CtrlModel : public TokenModel {
 public:
  CtrlModel(const JsonCursor& vocab, const JsonCursor& description, const std::string& unknown)
      : TokenModel(Vocabulary::parse(vocab)), symbols_(Bpe::parse(description, false)) {
    unknown_ = vocabulary_.find(unknown);
  }
  void tokenize(std::string_view piece, std::vector<ModelToken>& out) const override {
    const size_t begin = out.size();
    symbols_->tokenize(piece, out);
    for (size_t i = begin; i < out.size(); ++i)
      if (!vocabulary_.has(out[i].id)) {
        if (unknown_ == Vocabulary::none)
          throw Error("tokenizer", fmt::format("'{}' has no token, and there is none for unknown text", piece));
        out[i].id = unknown_;
      }
  }
  std::string_view name() const override { return "BPE"; }

 private:
  std::unique_ptr<Bpe> symbols_;
};

class CtrlDecoder : public Decoder {
 public:
  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token + " ";
    const std::string joint = std::string(continues) + " ";
    for (size_t at = text.find(joint); at != std::string::npos; at = text.find(joint, at)) text.erase(at, joint.size());
    const size_t begin = text.find_first_not_of(" \n\t\r");
    if (begin == std::string::npos) return {""};
    return {text.substr(begin, text.find_last_not_of(" \n\t\r") + 1 - begin)};
  }
};

}  // namespace

bool has_ctrl_form(const Json& vocab) {
  return vocab.is_object() && std::any_of(vocab.items().begin(), vocab.items().end(), [](const auto& item) {
           // GPT-2 has tokens such as "@@@@" too.
           const std::string& token = item.key();
           return token.size() > continues.size() && token.ends_with(continues) &&
                  std::isalnum(static_cast<unsigned char>(token[token.size() - continues.size() - 1])) != 0;
         });
}

Tokenizer::Pipeline::Parts ctrl_parts(const fs::path& vocab_path, const fs::path& merges_path, Json config) {
  Draft draft(read_json(vocab_path), vocab_path.string());
  default_role(config, draft, "unk_token", "<unk>");
  add_tokens(draft, config, vocab_path.parent_path());
  const std::string unknown = content_of(config.value("unk_token", Json("<unk>")));

  Json symbols = Json::object();
  int64_t next = draft.next_id;
  for (const auto& [token, id] : draft.vocab.items()) symbols[symbol_of(token)] = id;
  const auto add_step = [&](const std::string& symbol) {
    if (!symbols.contains(symbol)) symbols[symbol] = next++;
  };
  Json merges = Json::array();
  for (const std::string& line : read_lines(merges_path)) {
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t first = line.find(' ');
    const size_t second = first == std::string::npos ? first : line.find(' ', first + 1);
    if (first == std::string::npos || first == 0 || first + 1 == std::min(second, line.size()))
      throw Error(merges_path.string(), fmt::format("'{}' is not two symbols and a count", line.substr(0, 80)));
    const std::string left = line.substr(0, first);
    const std::string right = line.substr(first + 1, second == std::string::npos ? second : second - first - 1);
    for (const std::string& symbol : {left, right, left + right}) add_step(symbol);
    merges.push_back({left, right});
  }
  const Json description = {{"vocab", symbols},
                            {"merges", merges},
                            {"end_of_word_suffix", word_end},
                            {"unk_token", draft.has(unknown) ? Json(symbol_of(unknown)) : Json()}};

  Tokenizer::Pipeline::Parts parts;
  parts.description["added_tokens"] = draft.added;
  const std::string where = vocab_path.string();
  // A word, and the line's end with it.
  const Json words = {
      {"type", "Split"}, {"pattern", {{"Regex", "\\S+\\n?"}}}, {"behavior", "Removed"}, {"invert", true}};
  parts.pre_tokenizer = PreTokenizer::parse(JsonCursor(words, where), nullptr);
  parts.model = std::make_unique<CtrlModel>(JsonCursor(draft.vocab, where),
                                            JsonCursor(description, merges_path.string()), unknown);
  parts.decoder = std::make_unique<CtrlDecoder>();
  for (const fs::path& path : {vocab_path, merges_path})
    parts.files.emplace_back(path.filename().string(), read_file(path));
  parts.config = std::move(config);
  if (!parts.config.contains("tokenizer_class")) parts.config["tokenizer_class"] = "CTRLTokenizer";
  return parts;
}

}  // namespace qkv
