// What a Tokenizer holds.
#pragma once

#include "qkv/text/added_tokens.h"
#include "qkv/text/decoder.h"
#include "qkv/text/normalizer.h"
#include "qkv/text/post_processor.h"
#include "qkv/text/pre_tokenizer.h"
#include "qkv/text/token_model.h"
#include "qkv/text/tokenizer.h"
#include "qkv/text/word_cache.h"

#include <memory>
#include <mutex>
#include <vector>

namespace qkv {

// What one thread needs while it encodes.
struct Workspace {
  WordCache cache;
  std::vector<ModelToken> tokens;
  std::vector<int32_t> ids;
  std::string word;
};

struct Tokenizer::Pipeline {
  // What a pipeline is put together from.
  struct Parts {
    std::unique_ptr<Normalizer> normalizer;
    std::unique_ptr<PreTokenizer> pre_tokenizer;
    std::unique_ptr<TokenModel> model;
    std::unique_ptr<Decoder> decoder;
    Json description = Json::object();  // tokenizer.json without the model
    Json config = Json::object();
    Json roles = Json::object();  // special tokens, as in `config`, that the model itself names
    // The files that the model came from, where it is not part of a tokenizer.json: names and contents.
    std::vector<std::pair<std::string, std::string>> files;
    bool pieces_are_bytes = false;
  };
  static Parts parse(const Json& tokenizer, const MakeModel& model, const Json& config, const std::string& where);
  Pipeline(Parts parts, const std::string& where);

  // The input as pieces that the model takes. Throws for invalid UTF-8.
  Pieces split(std::string_view text, bool tracked) const;

  // The tokens of one text without the post-processor's, with offsets in code points.
  Encoding encode(std::string_view text) const;

  // Appends the ids of one text without the post-processor's.
  void encode_ids(std::string_view text, std::vector<int32_t>& out) const;

  void add_word(std::string_view word, const char* readable, Workspace& workspace, std::vector<int32_t>& out) const;
  void encode_scanned(std::string_view text, Workspace& workspace, std::vector<int32_t>& out) const;
  void encode_pieces(std::string_view text, Workspace& workspace, std::vector<int32_t>& out) const;
  void encode_bert(std::string_view text, Workspace& workspace, std::vector<int32_t>& out) const;

  std::string_view token(int64_t id) const;

  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  std::unique_ptr<Decoder> decoder;
  PostProcessor post_processor;
  AddedTokens added;
  SpecialTokens special;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  int64_t id_end = 0;
  Json description;  // tokenizer.json without the model and the added tokens
  Json config;
  std::vector<std::pair<std::string, std::string>> files;

  // The ways to encode ids that need no pieces, and whether one applies.
  enum class Shortcut { none, scanner, bert } shortcut = Shortcut::none;
  Pattern scanner = Pattern::other;
  bool marker_cuts = false;  // the model lets pieces be cut before space markers

  // Lends workspaces, so that the words stay known from call to call.
  class Lease {
   public:
    explicit Lease(const Pipeline& pipeline);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace& operator*() { return *workspace_; }

   private:
    const Pipeline& pipeline_;
    std::unique_ptr<Workspace> workspace_;
  };

 private:
  void read_special_tokens(const Json& named, const std::string& where);

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace qkv
