#include "qkv/core/error.h"
#include "qkv/io/gguf_tokenizer.h"
#include "qkv/io/gguf_tokens.h"
#include "qkv/text/gap.h"
#include "qkv/text/precompiled.h"
#include "qkv/text/token_model.h"

#include <unordered_map>

namespace qkv {
namespace {

// Tokens by id with their types; rows without one get a token that no text has.
struct Tokens {
  Json texts = Json::array(), types = Json::array();
};

Tokens tokens_of(const Tokenizer& tokenizer, const Json& json, int64_t vocab) {
  std::unordered_map<int64_t, bool> added;
  for (const Json& token : json["added_tokens"]) added[token["id"]] = token.value("special", false);
  Tokens tokens;
  const std::optional<int32_t> unknown = tokenizer.special().unk;
  for (int64_t id = 0; id < vocab; ++id) {
    const std::string text = tokenizer.token(static_cast<int32_t>(id));
    const auto found = added.find(id);
    tokens.texts.push_back(text.empty() ? fmt::format("[PAD{}]", id) : text);
    tokens.types.push_back(text.empty()                ? unused_token
                           : unknown && *unknown == id ? unknown_token
                           : found == added.end()      ? normal_token
                           : found->second             ? control_token
                                                       : user_token);
  }
  return tokens;
}

std::string merge_text(const Json& merge) {
  return merge.is_string() ? merge.get<std::string>() : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
}

void put_byte_level(GgufMetadata& metadata, const Json& json) {
  // Where nothing is merged, tokens are bytes wherever text is cut.
  const bool bytes = json["model"]["merges"].empty();
  const std::string pre = bytes ? "gpt-2" : name_of_pre_tokenizer(json["pre_tokenizer"]);
  if (pre.empty())
    throw Error("gguf", "llama.cpp has no name for this tokenizer's way of cutting text into words",
                "the model can be kept in its Hugging Face form");
  Json merges = Json::array();
  for (const Json& merge : json["model"]["merges"]) merges.push_back(merge_text(merge));
  metadata["tokenizer.ggml.model"] = GgufValue::of_string("gpt2");
  metadata["tokenizer.ggml.pre"] = GgufValue::of_string(pre);
  metadata["tokenizer.ggml.merges"] = GgufValue::of_array(GgufType::string, merges);
}

// Scores in the order of the merges: a token's is the rank of the first merge that makes it.
void put_sentencepiece(GgufMetadata& metadata, const Json& json, Tokens& tokens) {
  std::unordered_map<std::string, double> scores;
  double rank = 0;
  for (const Json& merge : json["model"]["merges"]) {
    std::string text = merge_text(merge);
    text.erase(text.find(' '), 1);
    scores.emplace(std::move(text), -(rank++));
  }
  Json list = Json::array();
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    const std::string text = tokens.texts[id];
    const auto found = scores.find(text);
    // Single characters stand behind what is merged from them.
    list.push_back(tokens.types[id] != normal_token ? 0 : found != scores.end() ? found->second : -rank - 1);
    if (text.size() == 6 && text.starts_with("<0x") && text.ends_with(">")) tokens.types[id] = byte_token_type;
  }
  const std::string whole = json["normalizer"].dump() + json["pre_tokenizer"].dump();
  const bool prefix =
      whole.find("\"Prepend\"") != std::string::npos ||
      (whole.find("\"Metaspace\"") != std::string::npos && whole.find("\"never\"") == std::string::npos);
  metadata["tokenizer.ggml.model"] = GgufValue::of_string("llama");
  metadata["tokenizer.ggml.pre"] = GgufValue::of_string("default");
  metadata["tokenizer.ggml.scores"] = GgufValue::of_array(GgufType::f32, list);
  metadata["tokenizer.ggml.add_space_prefix"] = GgufValue::of_bool(prefix);
}

[[noreturn]] void refuse_unigram(const std::string& what) {
  throw Error("gguf", fmt::format("llama.cpp has no name for this unigram tokenizer's {}", what),
              "the model can be kept in its Hugging Face form");
}

// What T5's tokenizers do to a text before it is cut into pieces.
struct Preparation {
  std::string charsmap;                // compiled
  bool prefix = true;                  // a space before the text
  bool joins = false, strips = false;  // runs of spaces, and spaces at the end
};

Preparation preparation_of(const Json& normalizer, const Json& pre_tokenizer) {
  const std::string marker(space_marker);
  Preparation preparation;
  const auto steps = [](const Json& whole, const char* list) {
    if (whole.is_null()) return Json::array();
    return whole["type"] == "Sequence" ? whole[list] : Json::array({whole});
  };
  for (const Json& step : steps(normalizer, "normalizers")) {
    const bool replaces = step["type"] == "Replace" && step["pattern"] == Json{{"Regex", " {2,}"}} &&
                          (step["content"] == " " || step["content"] == marker);
    const bool first = !preparation.joins && !preparation.strips && preparation.charsmap.empty();
    if (step["type"] == "Precompiled" && first) {
      decode_base64(step["precompiled_charsmap"].get_ref<const std::string&>(), preparation.charsmap);
    } else if (step["type"] == "Strip" && step.value("strip_right", true)) {
      preparation.strips = true;
    } else if (replaces) {
      preparation.joins = true;
    } else {
      refuse_unigram(fmt::format("normalizer {}", step["type"].dump()));
    }
  }
  bool marks = false;
  for (const Json& step : steps(pre_tokenizer, "pretokenizers")) {
    if (step["type"] == "WhitespaceSplit" && !marks) {
      preparation.joins = preparation.strips = true;
    } else if (step["type"] == "Metaspace" && step.value("replacement", marker) == marker) {
      marks = true;
      const bool prefix = step.value("add_prefix_space", true);
      preparation.prefix = step.value("prepend_scheme", prefix ? "always" : "never") != "never";
    } else {
      refuse_unigram(fmt::format("pre-tokenizer {}", step["type"].dump()));
    }
  }
  if (!marks) refuse_unigram("way of marking spaces");
  if (preparation.joins != preparation.strips) refuse_unigram("treatment of spaces at the end of a text");
  return preparation;
}

void put_unigram(GgufMetadata& metadata, const Tokenizer& tokenizer, const Json& json, const Tokens& tokens) {
  const Json& model = json["model"];
  if (model.value("byte_fallback", false)) refuse_unigram("falling back to bytes");
  if (model["unk_id"].is_null()) refuse_unigram("lack of a token for what is unknown");
  const Preparation preparation = preparation_of(json["normalizer"], json["pre_tokenizer"]);
  // The token that ends every text is the end, whether or not a configuration says so.
  const std::vector<int32_t> framed = tokenizer.frame({}).ids;
  if (framed.size() > 1 || (!framed.empty() && framed[0] != tokenizer.special().eos.value_or(framed[0])))
    refuse_unigram("special tokens around a text");
  if (!framed.empty()) metadata["tokenizer.ggml.eos_token_id"] = GgufValue::of_u32(static_cast<uint64_t>(framed[0]));
  metadata["tokenizer.ggml.add_eos_token"] = GgufValue::of_bool(!framed.empty());
  // What is no piece has the scores that llama.cpp's converter gives it.
  constexpr double added = -1000, unused = -10000;
  Json scores = Json::array();
  for (size_t id = 0; id < tokens.texts.size(); ++id)
    scores.push_back(id < model["vocab"].size()         ? model["vocab"][id][1].get<double>()
                     : tokens.types[id] == unused_token ? unused
                                                        : added);
  metadata["tokenizer.ggml.model"] = GgufValue::of_string("t5");
  metadata["tokenizer.ggml.pre"] = GgufValue::of_string("default");
  metadata["tokenizer.ggml.scores"] = GgufValue::of_array(GgufType::f32, scores);
  metadata["tokenizer.ggml.add_space_prefix"] = GgufValue::of_bool(preparation.prefix);
  metadata["tokenizer.ggml.remove_extra_whitespaces"] = GgufValue::of_bool(preparation.joins);
  if (preparation.charsmap.empty()) return;
  Json bytes = Json::array();
  for (const char byte : preparation.charsmap) bytes.push_back(static_cast<uint8_t>(byte));
  metadata["tokenizer.ggml.precompiled_charsmap"] = GgufValue::of_array(GgufType::u8, bytes);
}

void put_words(GgufMetadata& metadata, Tokens& tokens) {
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    if (tokens.types[id] != normal_token) continue;
    const std::string text = tokens.texts[id];
    tokens.texts[id] = text.starts_with("##") && text.size() > 2 ? text.substr(2) : "\xE2\x96\x81" + text;
  }
  metadata["tokenizer.ggml.model"] = GgufValue::of_string("bert");
  metadata["tokenizer.ggml.pre"] = GgufValue::of_string("default");
  metadata["tokenizer.ggml.token_type_count"] = GgufValue::of_u32(2);
}

void put_roles(GgufMetadata& metadata, const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  const std::pair<const char*, std::optional<int32_t>> roles[] = {
      {"bos", special.bos},       {"eos", special.eos}, {"unknown", special.unk}, {"padding", special.pad},
      {"seperator", special.sep}, {"cls", special.cls}, {"mask", special.mask}};
  for (const auto& [role, id] : roles)
    if (id) metadata[fmt::format("tokenizer.ggml.{}_token_id", role)] = GgufValue::of_u32(static_cast<uint64_t>(*id));
  if (const auto gap = gap_tokens(tokenizer)) {
    metadata["tokenizer.ggml.fim_pre_token_id"] = GgufValue::of_u32(static_cast<uint64_t>(gap->prefix));
    metadata["tokenizer.ggml.fim_suf_token_id"] = GgufValue::of_u32(static_cast<uint64_t>(gap->suffix));
    metadata["tokenizer.ggml.fim_mid_token_id"] = GgufValue::of_u32(static_cast<uint64_t>(gap->middle));
  }
  const std::vector<int32_t> framed = tokenizer.frame({}).ids;
  metadata["tokenizer.ggml.add_bos_token"] =
      GgufValue::of_bool(special.bos && !framed.empty() && framed.front() == *special.bos);
  metadata["tokenizer.ggml.add_eos_token"] =
      GgufValue::of_bool(special.eos && !framed.empty() && framed.back() == *special.eos);
  const Json chat = tokenizer.config().value("chat_template", Json());
  if (chat.is_string()) metadata["tokenizer.chat_template"] = GgufValue::of_string(chat);
}

}  // namespace

GgufMetadata gguf_tokenizer_metadata(const Tokenizer& tokenizer, int64_t vocab) {
  const Json json = Json::parse(tokenizer.to_json());
  GgufMetadata metadata;
  put_roles(metadata, tokenizer);
  Tokens tokens = tokens_of(tokenizer, json, vocab);
  const std::string kind = json["model"].value("type", "");
  if (kind == "BPE" && json["model"].value("byte_fallback", false)) {
    put_sentencepiece(metadata, json, tokens);
  } else if (kind == "BPE") {
    put_byte_level(metadata, json);
  } else if (kind == "WordPiece") {
    put_words(metadata, tokens);
  } else if (kind == "Unigram") {
    put_unigram(metadata, tokenizer, json, tokens);
  } else {
    throw Error("gguf", fmt::format("tokenizers of the kind {} are not written", tokenizer.kind()),
                "BPE, WordPiece and unigram models are; the model can be kept in its Hugging Face form");
  }
  metadata["tokenizer.ggml.tokens"] = GgufValue::of_array(GgufType::string, tokens.texts);
  metadata["tokenizer.ggml.token_type"] = GgufValue::of_array(GgufType::i32, tokens.types);
  return metadata;
}

}  // namespace qkv
