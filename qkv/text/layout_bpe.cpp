// vocab.json and merges.txt: GPT, GPT-2, RoBERTa and their kin.
#include "qkv/core/error.h"
#include "qkv/text/token_files.h"

#include <algorithm>

namespace qkv {
namespace {

Json merges_of(const fs::path& path) {
  Json merges = Json::array();
  for (std::string& line : read_lines(path))
    if (!line.empty() && !(merges.empty() && line.starts_with("#version"))) merges.push_back(std::move(line));
  return merges;
}

bool any_token_ends_a_word(const Json& vocab) {
  return std::any_of(vocab.items().begin(), vocab.items().end(),
                     [](const auto& item) { return item.key().ends_with("</w>"); });
}

// GPT (1): lowercased words, with "</w>" at their ends.
Json gpt1(const Draft& draft, const Json& merges) {
  return {{"normalizer", {{"type", "BertNormalizer"}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"decoder", {{"type", "BPEDecoder"}, {"suffix", "</w>"}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", draft.has("<unk>") ? Json("<unk>") : Json()},
            {"end_of_word_suffix", "</w>"},
            {"vocab", draft.vocab},
            {"merges", merges}}}};
}

Json gpt2(const Draft& draft, const Json& merges, const Json& config) {
  const bool prefix = config.value("add_prefix_space", Json()) == true;
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", true}, {"use_regex", true}};
  Json post = byte_level;
  post["trim_offsets"] = false;
  return {{"pre_tokenizer", byte_level},
          {"post_processor", post},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", draft.vocab}, {"merges", merges}}}};
}

}  // namespace

Json read_bpe_files(const fs::path& vocab_path, const fs::path& merges_path, Json& config) {
  const fs::path directory = vocab_path.parent_path();
  Draft draft(read_json(vocab_path), vocab_path.string());
  const std::string name = tokenizer_class(config);
  if (name == "OpenAIGPTTokenizer" || (name.empty() && any_token_ends_a_word(draft.vocab))) {
    default_role(config, draft, "unk_token", "<unk>");
    add_tokens(draft, config, directory);
    Json tokenizer = gpt1(draft, merges_of(merges_path));
    tokenizer["added_tokens"] = draft.added;
    return tokenizer;
  }
  const bool roberta = name == "RobertaTokenizer" || name == "BartTokenizer" || name == "LongformerTokenizer" ||
                       (name.empty() && draft.has("<s>") && draft.has("</s>") && draft.has("<mask>"));
  if (roberta) {
    for (const char* role : {"bos_token", "cls_token"}) default_role(config, draft, role, "<s>");
    for (const char* role : {"eos_token", "sep_token"}) default_role(config, draft, role, "</s>");
    default_role(config, draft, "unk_token", "<unk>");
    default_role(config, draft, "pad_token", "<pad>");
    default_role(config, draft, "mask_token", "<mask>");
  } else {
    for (const char* role : {"bos_token", "eos_token", "unk_token"}) default_role(config, draft, role, "<|endoftext|>");
  }
  add_tokens(draft, config, directory);
  Json tokenizer = gpt2(draft, merges_of(merges_path), config);
  tokenizer["added_tokens"] = draft.added;
  if (roberta) {
    const std::string cls = content_of(config.value("cls_token", Json("<s>")));
    const std::string sep = content_of(config.value("sep_token", Json("</s>")));
    tokenizer["post_processor"] = {{"type", "RobertaProcessing"},
                                   {"cls", {cls, draft.id_of(cls)}},
                                   {"sep", {sep, draft.id_of(sep)}},
                                   {"trim_offsets", true},
                                   {"add_prefix_space", config.value("add_prefix_space", Json()) == true}};
  }
  return tokenizer;
}

}  // namespace qkv
