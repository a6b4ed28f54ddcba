// Finding a tokenizer's files. The older layouts are turned into what a tokenizer.json would say.
#include "qkv/core/error.h"
#include "qkv/text/scanner.h"
#include "qkv/text/tokenizer.h"
#include "qkv/text/unicode.h"
#include "qkv/text/vocabulary.h"

namespace qkv {
namespace {

constexpr uint64_t largest_config = uint64_t{64} << 20;

Json read_optional(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = read_json(path, largest_config);
  if (!json.is_object()) throw Error(path.string(), "expected an object");
  return json;
}

// tokenizer_config.json, completed from special_tokens_map.json.
Json read_config(const fs::path& directory) {
  Json config = read_optional(directory / "tokenizer_config.json");
  const Json map = read_optional(directory / "special_tokens_map.json");
  for (const auto& [key, value] : map.items())
    if (!config.contains(key) || config[key].is_null()) config[key] = value;
  return config;
}

std::vector<std::string> read_lines(const fs::path& path) {
  const std::string text = read_file(path);
  require_utf8(text, path.string());
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const bool carriage_return = end > begin && text[end - 1] == '\r';
    lines.push_back(text.substr(begin, end - begin - carriage_return));
    begin = end + 1;
  }
  return lines;
}

// A tokenizer.json in the making.
struct Draft {
  Json vocab;
  Json added = Json::array();
  int64_t next_id = 0;

  explicit Draft(Json vocabulary, const std::string& where) : vocab(std::move(vocabulary)) {
    if (!vocab.is_object()) throw Error(where, "expected an object from tokens to ids");
    for (const auto& [token, id] : vocab.items())
      if (id.is_number_integer()) next_id = std::max(next_id, id.get<int64_t>() + 1);
  }

  bool has(const std::string& token) const { return vocab.contains(token); }

  void add(const std::string& content, bool special, bool lstrip = false, std::optional<int64_t> at = std::nullopt) {
    for (const Json& entry : added)
      if (entry["content"] == content) return;
    const Json id = has(content) ? vocab[content] : Json(at.value_or(next_id));
    if (id.is_number_integer()) next_id = std::max(next_id, id.get<int64_t>() + 1);
    added.push_back(
        {{"id", id}, {"content", content}, {"special", special}, {"normalized", !special}, {"lstrip", lstrip}});
  }

  Json id_of(const std::string& content) const {
    for (const Json& entry : added)
      if (entry["content"] == content) return entry["id"];
    return has(content) ? vocab[content] : Json();
  }
};

constexpr const char* roles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                 "pad_token", "cls_token", "mask_token"};

std::string content_of(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  return token.is_object() && token.contains("content") && token["content"].is_string()
             ? token["content"].get<std::string>()
             : "";
}

// The special tokens that the configuration names, and the files' own added tokens.
void add_tokens(Draft& draft, const Json& config, const fs::path& directory) {
  const Json added_decoder = config.value("added_tokens_decoder", Json::object());
  for (const auto& [id, token] : added_decoder.items()) {
    if (content_of(token).empty() || id.empty() || id.size() > 8 ||
        id.find_first_not_of("0123456789") != std::string::npos)
      throw Error((directory / "tokenizer_config.json").string(),
                  "added_tokens_decoder expects ids and tokens, got " + id);
    draft.add(content_of(token), token.is_object() && token.value("special", Json()) == true,
              token.is_object() && token.value("lstrip", Json()) == true, std::stoll(id));
  }
  const Json added = read_optional(directory / "added_tokens.json");
  for (const auto& [token, id] : added.items()) {
    if (!id.is_number_integer())
      throw Error((directory / "added_tokens.json").string(), "expected ids, got " + id.dump());
    draft.add(token, false, false, id.get<int64_t>());
  }
  for (const char* role : roles) {
    const Json token = config.value(role, Json());
    if (!content_of(token).empty())
      draft.add(content_of(token), true,
                std::string_view(role) == "mask_token" &&
                    (token.is_string() ? draft.has("<s>") : token.value("lstrip", Json()) == true));
  }
}

void default_role(Json& config, const Draft& draft, const char* role, const char* token) {
  if (!config.contains(role) && draft.has(token)) config[role] = token;
}

Json merges_of(const fs::path& path) {
  Json merges = Json::array();
  for (std::string& line : read_lines(path))
    if (!line.empty() && !(merges.empty() && line.starts_with("#version"))) merges.push_back(std::move(line));
  return merges;
}

// `class_name` without the "Fast" that tells the reference library's two implementations apart.
std::string tokenizer_class(const Json& config) {
  std::string name = content_of(config.value("tokenizer_class", Json()));
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
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

Json load_bpe(const fs::path& vocab_path, const fs::path& merges_path, Json& config) {
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

Json load_word_piece(const fs::path& path, Json& config) {
  Json vocab = Json::object();
  int64_t id = 0;
  for (std::string& line : read_lines(path)) {
    if (vocab.contains(line))
      throw Error(path.string(), fmt::format("line {}: token '{}' is there twice", id + 1, line));
    vocab[std::move(line)] = id++;
  }
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

// The form that save() writes, whatever the layout that was read.
Json completed(Json tokenizer) {
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"})
    if (!tokenizer.contains(key)) tokenizer[key] = nullptr;
  return tokenizer;
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& path) {
  if (!fs::exists(path)) throw Error(path.string(), "does not exist");
  const bool is_directory = fs::is_directory(path);
  const fs::path directory = is_directory ? path : path.parent_path();
  const auto present = [&](const char* name) {
    return is_directory ? fs::exists(directory / name) : path.filename() == name;
  };
  Json config = read_config(directory);
  if (present("tokenizer.json") ||
      (!is_directory && path.extension() == ".json" && !present("vocab.json") && !present("encoder.json"))) {
    const fs::path file = is_directory ? directory / "tokenizer.json" : path;
    return from_json(read_json(file), config, file.string());
  }
  const std::pair<const char*, const char*> layouts[] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};
  for (const auto& [vocab, merges] : layouts) {
    if (!present(vocab)) continue;
    if (!fs::exists(directory / merges))
      throw Error((directory / vocab).string(), fmt::format("stands without its {}", merges), "fetch both files");
    Json tokenizer = completed(load_bpe(directory / vocab, directory / merges, config));
    return from_json(tokenizer, config, fmt::format("{} with {}", (directory / vocab).string(), merges));
  }
  if (present("vocab.txt")) {
    Json tokenizer = completed(load_word_piece(directory / "vocab.txt", config));
    return from_json(tokenizer, config, (directory / "vocab.txt").string());
  }
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm"})
    if (present(name))
      throw Error((directory / name).string(), "SentencePiece models are not supported yet",
                  "supported: tokenizer.json, vocab.json + merges.txt, vocab.txt");
  throw Error(path.string(), "has no tokenizer", "expected tokenizer.json, vocab.json + merges.txt, or vocab.txt");
}

}  // namespace qkv
