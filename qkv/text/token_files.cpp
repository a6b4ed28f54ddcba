#include "qkv/text/token_files.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr uint64_t largest_config = uint64_t{64} << 20;

constexpr uint64_t largest_template = uint64_t{1} << 20;
constexpr const char* chat_template_file = "chat_template.jinja";

constexpr const char* roles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                 "pad_token", "cls_token", "mask_token"};

Json read_optional(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = read_json(path, largest_config);
  if (!json.is_object()) throw Error(path.string(), "expected an object");
  return json;
}

// The tokenizer class of a model that says no more than what it is.
std::string class_of_model(const Json& model_type) {
  constexpr std::pair<std::string_view, const char*> classes[] = {{"albert", "AlbertTokenizer"},
                                                                  {"ctrl", "CTRLTokenizer"},
                                                                  {"llama", "LlamaTokenizer"},
                                                                  {"marian", "MarianTokenizer"},
                                                                  {"mistral", "LlamaTokenizer"},
                                                                  {"mixtral", "LlamaTokenizer"},
                                                                  {"mt5", "T5Tokenizer"},
                                                                  {"openai-gpt", "OpenAIGPTTokenizer"},
                                                                  {"t5", "T5Tokenizer"},
                                                                  {"transfo-xl", "TransfoXLTokenizer"},
                                                                  {"xlm-roberta", "XLMRobertaTokenizer"},
                                                                  {"xlnet", "XLNetTokenizer"}};
  for (const auto& [type, name] : classes)
    if (model_type.is_string() && model_type.get_ref<const std::string&>() == type) return name;
  return "";
}

}  // namespace

Json read_tokenizer_config(const fs::path& directory) {
  Json config = read_optional(directory / "tokenizer_config.json");
  const Json map = read_optional(directory / "special_tokens_map.json");
  for (const auto& [key, value] : map.items())
    if (!config.contains(key) || config[key].is_null()) config[key] = value;
  // A template in a file of its own stands before the one in the configuration.
  if (fs::exists(directory / chat_template_file))
    config["chat_template"] = read_file(directory / chat_template_file, largest_template);
  if (content_of(config.value("tokenizer_class", Json())).empty()) {
    const std::string name = class_of_model(read_optional(directory / "config.json").value("model_type", Json()));
    if (!name.empty()) config["tokenizer_class"] = name;
  }
  return config;
}

std::string tokenizer_class(const Json& config) {
  std::string name = content_of(config.value("tokenizer_class", Json()));
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
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

std::string content_of(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  return token.is_object() && token.contains("content") && token["content"].is_string()
             ? token["content"].get<std::string>()
             : "";
}

Draft::Draft(Json vocabulary, const std::string& where) : vocab(std::move(vocabulary)) {
  if (!vocab.is_object()) throw Error(where, "expected an object from tokens to ids");
  for (const auto& [token, id] : vocab.items())
    if (id.is_number_integer()) next_id = std::max(next_id, id.get<int64_t>() + 1);
}

void Draft::add(const std::string& content, bool special, bool lstrip, std::optional<int64_t> at) {
  for (const Json& entry : added)
    if (entry["content"] == content) return;
  const Json id = has(content) ? vocab[content] : Json(at.value_or(next_id));
  if (id.is_number_integer()) next_id = std::max(next_id, id.get<int64_t>() + 1);
  added.push_back(
      {{"id", id}, {"content", content}, {"special", special}, {"normalized", !special}, {"lstrip", lstrip}});
}

Json Draft::id_of(const std::string& content) const {
  for (const Json& entry : added)
    if (entry["content"] == content) return entry["id"];
  return has(content) ? vocab[content] : Json();
}

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

}  // namespace qkv
