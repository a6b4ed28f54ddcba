// vocab.txt, a token a line: BERT and its kin.
#include "qkv/core/error.h"
#include "qkv/text/token_files.h"

namespace qkv {

Json read_word_files(const fs::path& path, Json& config) {
  Json vocab = Json::object();
  int64_t id = 0;
  for (std::string& line : read_lines(path)) {
    if (vocab.contains(line))
      throw Error(path.string(), fmt::format("line {}: token '{}' is there twice", id + 1, line));
    vocab[std::move(line)] = id++;
  }
  return words_as_json(std::move(vocab), path, config);
}

Json words_as_json(Json vocab, const fs::path& path, Json& config) {
  Draft draft(std::move(vocab), path.string());
  const std::pair<const char*, const char*> defaults[] = {{"unk_token", "[UNK]"},
                                                          {"cls_token", "[CLS]"},
                                                          {"sep_token", "[SEP]"},
                                                          {"pad_token", "[PAD]"},
                                                          {"mask_token", "[MASK]"}};
  for (const auto& [role, token] : defaults) default_role(config, draft, role, token);
  add_tokens(draft, config, path.parent_path());
  Json tokenizer = {{"added_tokens", draft.added},
                    {"normalizer",
                     {{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"handle_chinese_chars", config.value("tokenize_chinese_chars", Json(true))},
                      {"strip_accents", config.value("strip_accents", Json())},
                      {"lowercase", config.value("do_lower_case", Json(true))}}},
                    {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                    {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
                    {"model",
                     {{"type", "WordPiece"},
                      {"unk_token", content_of(config.value("unk_token", Json("[UNK]")))},
                      {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", 100},
                      {"vocab", draft.vocab}}}};
  const std::string cls = content_of(config.value("cls_token", Json())),
                    sep = content_of(config.value("sep_token", Json()));
  if (!cls.empty() && !sep.empty())
    tokenizer["post_processor"] = {
        {"type", "BertProcessing"}, {"cls", {cls, draft.id_of(cls)}}, {"sep", {sep, draft.id_of(sep)}}};
  return tokenizer;
}

}  // namespace qkv
