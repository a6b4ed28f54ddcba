#include "qkv/io/gguf_tokenizer.h"

#include "qkv/core/error.h"
#include "qkv/io/gguf_tokens.h"
#include "qkv/text/bpe.h"
#include "qkv/text/charsmap.h"
#include "qkv/text/layout_sentencepiece.h"
#include "qkv/text/token_files.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace qkv {
namespace {

class Reader {
 public:
  explicit Reader(const Gguf& file) : file_(file) {
    tokens_ = list("tokens", GgufType::string).strings();
    if (tokens_.empty())
      throw NoTokenizer(file.where(), "has no tokenizer",
                        "it holds a model alone: convert the model again, with its tokenizer");
    types_ = list("token_type", GgufType::i32).numbers<int32_t>();
    if (types_.empty()) types_.assign(tokens_.size(), normal_token);
    if (types_.size() != tokens_.size())
      fail("token_type", fmt::format("has {} entries for {} tokens", types_.size(), tokens_.size()));
    if (std::any_of(tokens_.begin(), tokens_.end(), [](std::string_view token) { return token.empty(); }))
      fail("tokens", "has an empty one");
    for (const auto& [theirs, ours] : gguf_roles) {
      const Json id = single(fmt::format("{}_token_id", theirs));
      if (id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < std::ssize(tokens_))
        config_[std::string(ours) + "_token"] = tokens_[id.get<size_t>()];
    }
    for (const char* flag : {"add_bos_token", "add_eos_token"})
      if (const Json value = single(flag); value.is_boolean()) config_[flag] = value;
    const auto chat = file.metadata().find("tokenizer.chat_template");
    if (chat != file.metadata().end() && chat->second.value.is_string()) config_["chat_template"] = chat->second.value;
  }

  Tokenizer read() {
    const Json model = single("model");
    const std::pair<const char*, Tokenizer (Reader::*)()> kinds[] = {{"gpt2", &Reader::byte_level},
                                                                     {"llama", &Reader::sentencepiece},
                                                                     {"t5", &Reader::unigram},
                                                                     {"bert", &Reader::words}};
    for (const auto& [name, reader] : kinds)
      if (model == name) return (this->*reader)();
    throw Error(file_.where(), fmt::format("has a tokenizer of the kind {}, which is not supported", model.dump()),
                "supported: gpt2, llama, t5, bert");
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw Error(tensor_place(file_.where(), "tokenizer.ggml." + key), what,
                "the file is damaged: fetch it again, or convert the model again");
  }

  const Json& single(const std::string& key) const {
    static const Json absent;
    const auto found = file_.metadata().find("tokenizer.ggml." + key);
    return found == file_.metadata().end() ? absent : found->second.value;
  }

  const GgufList& list(const std::string& key, GgufType item) const {
    static const GgufList absent;
    const auto found = file_.metadata().find("tokenizer.ggml." + key);
    if (found == file_.metadata().end()) return absent;
    const GgufList& list = found->second.list;
    if (found->second.type != GgufType::array || list.item != item) fail(key, "is not the list it should be");
    return list;
  }

  void refuse_twins() const {
    std::unordered_set<std::string_view> seen;
    for (const std::string_view token : tokens_)
      if (!seen.insert(token).second) fail_of_twins(token);
  }
  [[noreturn]] void fail_of_twins(std::string_view token) const {
    fail("tokens", fmt::format("has '{}' twice", token));
  }

  // Tokens that stand for themselves wherever they are in a text.
  Json added() const {
    Json tokens = Json::array();
    for (size_t id = 0; id < tokens_.size(); ++id)
      if (types_[id] == control_token || types_[id] == user_token || types_[id] == unknown_token)
        tokens.push_back({{"id", id},
                          {"content", tokens_[id]},
                          {"single_word", false},
                          {"lstrip", false},
                          {"rstrip", false},
                          {"normalized", false},
                          {"special", types_[id] != user_token}});
    return tokens;
  }

  Json added_decoder() const {
    Json tokens = Json::object();
    for (const Json& one : added()) tokens[std::to_string(one["id"].get<size_t>())] = one;
    return tokens;
  }

  const Json& id_of(const char* role) const { return single(fmt::format("{}_token_id", role)); }

  Tokenizer byte_level() {
    const std::string pre = single("pre").is_string() ? single("pre").get<std::string>() : "";
    const Json pre_tokenizer = pre_tokenizer_named(pre);
    if (pre_tokenizer.is_null()) fail("pre", fmt::format("is '{}', which is not known", pre));
    const bool llama3 = pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
    const Json plain = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    Json post = plain;
    post["trim_offsets"] = false;
    if (config_.value("add_bos_token", Json(llama3)) == true && config_.contains("bos_token")) {
      const std::string bos = config_["bos_token"];
      const Json start = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
      const auto text = [](const char* which) { return Json{{"Sequence", {{"id", which}, {"type_id", 0}}}}; };
      post = {{"type", "TemplateProcessing"},
              {"single", {start, text("A")}},
              {"pair", {start, text("A"), start, text("B")}},
              {"special_tokens", {{bos, {{"id", bos}, {"ids", {id_of("bos")}}, {"tokens", {bos}}}}}}};
    }
    const auto model = [&](bool pieces_are_bytes) {
      Vocabulary vocabulary;
      vocabulary.reserve(std::ssize(tokens_));
      std::unordered_set<std::string_view> others;
      const auto of_text = [&](size_t id) { return types_[id] == normal_token || types_[id] == byte_token_type; };
      for (size_t id = 0; id < tokens_.size(); ++id)
        if (of_text(id)) vocabulary.add(tokens_[id], static_cast<int64_t>(id), file_.where());
      for (size_t id = 0; id < tokens_.size(); ++id)
        if (!of_text(id) && (vocabulary.find(tokens_[id]) != Vocabulary::none || !others.insert(tokens_[id]).second))
          fail_of_twins(tokens_[id]);
      if (vocabulary.size() == 0) fail("tokens", "has no token that stands for text");
      Bpe::MergeTexts merges;
      for (const std::string_view merge : list("merges", GgufType::string).strings()) {
        const auto halves = Bpe::split_merge(merge);
        if (!halves) fail("merges", fmt::format("'{}' is not two tokens with a space between", merge));
        merges.push_back(*halves);
      }
      return std::make_unique<Bpe>(std::move(vocabulary), merges, tensor_place(file_.where(), "tokenizer.ggml.merges"),
                                   Bpe::Settings{.pieces_are_bytes = pieces_are_bytes, .ignore_merges = llama3});
    };
    return Tokenizer::with_model({{"added_tokens", added()},
                                  {"normalizer", nullptr},
                                  {"pre_tokenizer", pre_tokenizer},
                                  {"post_processor", post},
                                  {"decoder", plain}},
                                 model, config(), file_.where());
  }

  // The first `count` tokens as SentencePiece's model has them.
  SentencePieceFile piece_file(size_t count) const {
    const std::vector<float> scores = list("scores", GgufType::f32).numbers<float>();
    if (scores.size() != tokens_.size())
      fail("scores", fmt::format("has {} entries for {} tokens", scores.size(), tokens_.size()));
    SentencePieceFile pieces;
    pieces.add_dummy_prefix = single("add_space_prefix") != false;
    pieces.unk_id = -1;
    for (size_t id = 0; id < count; ++id) {
      const float score = scores[id];
      const int type = types_[id];
      if (!std::isfinite(score)) fail("scores", "has a number that is not finite");
      if (type == unknown_token && pieces.unk_id < 0) pieces.unk_id = static_cast<int64_t>(id);
      const bool known = type >= normal_token && type <= byte_token_type;
      pieces.pieces.push_back({std::string(tokens_[id]), score,
                               known ? static_cast<SentencePieceFile::Type>(type) : SentencePieceFile::unused});
    }
    if (pieces.unk_id < 0) fail("token_type", "names no token for what is unknown");
    return pieces;
  }

  Tokenizer sentencepiece() {
    refuse_twins();
    SentencePieceFile pieces = piece_file(tokens_.size());
    pieces.algorithm = SentencePieceFile::bpe;
    pieces.byte_fallback = true;
    config_["tokenizer_class"] = "LlamaTokenizer";
    config_["added_tokens_decoder"] = added_decoder();
    Json tokenizer = *sentencepiece_as_json(pieces, fs::path(file_.where()) / "tokenizer.model", config_);
    return made(std::move(tokenizer));
  }

  // The rules by which characters are rewritten, as SentencePiece compiles them.
  std::string character_map() const {
    const auto found = file_.metadata().find("tokenizer.ggml.precompiled_charsmap");
    if (found == file_.metadata().end()) return "";
    const GgufValue& said = found->second;
    if (said.type != GgufType::array || (said.list.item != GgufType::u8 && said.list.item != GgufType::i8))
      fail("precompiled_charsmap", "is not the list of bytes it should be");
    const Charsmap checked(said.list.bytes, tensor_place(file_.where(), "tokenizer.ggml.precompiled_charsmap"));
    return said.list.bytes;
  }

  // What was added behind the last piece, and rows without a token, are no part of the unigram model.
  Tokenizer unigram() {
    refuse_twins();
    size_t count = tokens_.size();
    while (count > 0 && types_[count - 1] != normal_token) --count;
    if (count == 0) fail("token_type", "has no token that stands for text");
    SentencePieceFile pieces = piece_file(count);
    pieces.charsmap = character_map();
    config_["tokenizer_class"] = "T5Tokenizer";
    config_["added_tokens_decoder"] = added_decoder();
    config_["extra_ids"] = 0;  // those that are there are among the added
    Json tokenizer = *sentencepiece_as_json(pieces, fs::path(file_.where()) / "spiece.model", config_);
    // T5's own are special, and all are found before a text is rewritten; llama.cpp's converter calls them the user's.
    int64_t extra = 0;
    for (Json& token : tokenizer["added_tokens"]) {
      const bool own = token["content"].get_ref<const std::string&>().starts_with("<extra_id_");
      token["normalized"] = false;
      if (own) token["special"] = true;
      extra += own;
    }
    config_["extra_ids"] = extra;
    if (!pieces.add_dummy_prefix)
      for (const char* part : {"pre_tokenizer", "decoder"}) tokenizer[part]["prepend_scheme"] = "never";
    if (single("remove_extra_whitespaces") == false) {
      std::erase_if(tokenizer["normalizer"]["normalizers"].get_ref<Json::array_t&>(),
                    [](const Json& step) { return step["type"] != "Precompiled"; });
    }
    if (single("add_eos_token") == false || !config_.contains("eos_token")) tokenizer["post_processor"] = nullptr;
    return made(std::move(tokenizer));
  }

  // A word's beginning has a marker before it; what continues a word does not.
  Tokenizer words() {
    refuse_twins();
    constexpr std::string_view marker = "\xE2\x96\x81";
    Json vocab = Json::object();
    for (size_t id = 0; id < tokens_.size(); ++id) {
      const std::string token(tokens_[id]);
      const bool plain = types_[id] != normal_token;
      std::string ours = plain ? token : token.starts_with(marker) ? token.substr(marker.size()) : "##" + token;
      if (vocab.contains(ours)) fail("tokens", fmt::format("has '{}' twice", ours));
      vocab[std::move(ours)] = id;
    }
    config_["tokenizer_class"] = "BertTokenizer";
    return made(words_as_json(std::move(vocab), fs::path(file_.where()) / "vocab.txt", config_));
  }

  Tokenizer made(Json tokenizer) const {
    for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"})
      if (!tokenizer.contains(key)) tokenizer[key] = nullptr;
    return Tokenizer::from_json(tokenizer, config(), file_.where());
  }

  Json config() const {
    Json config = config_;
    config.erase("added_tokens_decoder");
    for (const auto& [theirs, ours] :
         {std::pair{"fim_pre", "prefix_token"}, {"fim_suf", "suffix_token"}, {"fim_mid", "middle_token"}})
      if (const Json& id = id_of(theirs); id.is_number_unsigned() && id.get<uint64_t>() < tokens_.size())
        config[ours] = tokens_[id.get<size_t>()];
    return config;
  }

  const Gguf& file_;
  std::vector<std::string_view> tokens_;  // in the file's metadata
  std::vector<int32_t> types_;
  Json config_ = Json::object();
};

}  // namespace

Tokenizer gguf_tokenizer(const Gguf& file) { return Reader(file).read(); }

}  // namespace qkv
