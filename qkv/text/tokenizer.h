// Text to token ids and back, as the Hugging Face library does it.
//
//   const Tokenizer tokenizer = Tokenizer::load("models/gpt2");
//   std::vector<int32_t> ids = tokenizer.encode_ids("Hello, world!");
//   std::string text = tokenizer.decode(ids);
//
// A tokenizer is a pipeline: added tokens are cut out, a normalizer rewrites the text, a pre-tokenizer cuts it into
// pieces, a model cuts those into tokens, and a post-processor adds [CLS] and the like. A Tokenizer is a cheap handle
// to an immutable pipeline: copy it freely, use it from many threads.
#pragma once

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/core/json.h"
#include "qkv/text/truncation.h"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

class TokenModel;

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<std::string> tokens;                   // as the vocabulary spells them
  std::vector<std::pair<int32_t, int32_t>> offsets;  // [begin, end) in code points of the input; special tokens: 0, 0
  std::vector<int32_t> type_ids;                     // which of the two texts, for BERT's segment embedding
  std::vector<int32_t>
      words;  // which piece of the pre-tokenizer's a token is part of, counted in each text; special: -1
  std::vector<int32_t> attention_mask;  // 1, and 0 for padding
  std::vector<Encoding> overflowing;    // what truncation cut off, in parts as long as this
};

struct EncodeOptions {
  bool add_special_tokens = true;
  std::optional<Truncation> truncation = {};  // what the tokenizer's file says is not done unless it is put here
  std::optional<Padding> padding = {};
};

// The ids of one text or two with the special tokens that a model expects around them.
struct FramedIds {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;
  int64_t first_at = 0;   // where the first text's ids begin
  int64_t second_at = 0;  // and the second's
};

// Ids of the tokens with a role, where the tokenizer has them.
struct SpecialTokens {
  std::optional<int32_t> bos, eos, unk, sep, pad, cls, mask;
};

// Where a model stands alone.
class NoTokenizer : public Error {
 public:
  using Error::Error;
};

class Tokenizer {
 public:
  // A directory, or a file in one: tokenizer.json; or vocab.json (or encoder.json) with merges.txt (or vocab.bpe);
  // or vocab.txt (Transformer-XL also: vocab.pkl or vocab.bin, read as data); or a SentencePiece model (spiece.model,
  // tokenizer.model, ...; of Marian source.spm, and target.spm by name, with vocab.json); with tokenizer_config.json
  // and special_tokens_map.json where they are. A SentencePiece model of a class that has a Hugging Face form (T5,
  // ALBERT, XLNet, XLM-RoBERTa, Llama) behaves as that; else as SentencePiece itself. Throws NoTokenizer when there is
  // none, Error when a kind is not supported, or when the content is inconsistent.
  static Tokenizer load(const fs::path& path);

  // From the content of tokenizer.json and of tokenizer_config.json (null: none). `where` is for error messages.
  static Tokenizer from_json(const Json& tokenizer, const Json& config, const std::string& where);
  // The same with a model that is not in JSON. `pieces_are_bytes`: the pre-tokenizer is such that it gets plain bytes.
  using MakeModel = std::function<std::unique_ptr<TokenModel>(bool pieces_are_bytes)>;
  static Tokenizer with_model(const Json& tokenizer, const MakeModel& model, const Json& config,
                              const std::string& where);

  // These throw Error for text that is not valid UTF-8, naming the first invalid byte's position, and for text of 2 GiB
  // and more.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;

  // Texts, or pairs of them, padded together when the options say so. In parallel.
  struct Text {
    std::string first;
    std::optional<std::string> second = {};
  };
  std::vector<Encoding> encode_together(std::span<const Text> texts, const EncodeOptions& options = {}) const;

  // What tokenizer.json says under "truncation" and "padding".
  const std::optional<Truncation>& truncation() const;
  const std::optional<Padding>& padding() const;

  // The ids alone, an order of magnitude faster: words seen before are looked up.
  std::vector<int32_t> encode_ids(std::string_view text, const EncodeOptions& options = {}) const;
  std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string> texts,
                                                 const EncodeOptions& options = {}) const;

  // Puts [CLS], [SEP] and the like around ids that were encoded without them (and perhaps cut since), as encode() and
  // encode_pair() do.
  FramedIds frame(std::span<const int32_t> first, std::optional<std::span<const int32_t>> second = {}) const;
  // How many ids frame() adds.
  int64_t special_count(bool pair) const;

  // Ids without a token are left out, as are, with skip_special, the added tokens that are special. Bytes that are
  // not valid UTF-8 come out as U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  // The text that tokens, as the vocabulary spells them, become: what decode() does with its ids' tokens.
  std::string join(std::vector<std::string> tokens) const;

  // One more than the largest id: the rows that an embedding needs.
  int64_t vocab_size() const;
  // The token's text as the vocabulary spells it ("" for an id without one).
  std::string token(int32_t id) const;
  std::optional<int32_t> id(std::string_view token) const;
  bool is_special(int32_t id) const;
  const SpecialTokens& special() const;
  // "BPE", "Unigram", "WordPiece" or "WordLevel".
  std::string kind() const;
  // The most tokens that tokenizer_config.json says the model takes; nothing when it does not say.
  std::optional<int64_t> max_length() const;
  // tokenizer_config.json as loaded (chat_template and all), or an empty object.
  const Json& config() const;

  // Writes tokenizer.json (or the SentencePiece files) and tokenizer_config.json, which the Hugging Face libraries
  // load.
  void save(const fs::path& directory) const;

  // The content of that tokenizer.json.
  std::string to_json() const;

  // What it is made of; internal.
  struct Pipeline;

 private:
  static Tokenizer load_sentencepiece(const fs::path& path, Json config);
  Encoding encode_texts(std::initializer_list<std::string_view> texts, const EncodeOptions& options) const;
  Encoding with_special_tokens(std::span<const Encoding* const> parts, bool add_special_tokens) const;
  explicit Tokenizer(std::shared_ptr<const Pipeline> pipeline) : pipeline_(std::move(pipeline)) {}

  std::shared_ptr<const Pipeline> pipeline_;
};

// Text from ids that come one at a time, for generation. The pieces that it gives out are whole characters, and
// together they are what decode() makes of all ids, but where bytes break a character that was given out.
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  std::string push(int32_t id);  // the text that has become certain; "" while a character is incomplete
  std::string finish();          // what is left

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::vector<int32_t> window_;  // the ids of the last text given out, then those not yet given out
  size_t given_ = 0;             // ids of the window whose text was given out
  std::string given_text_;
};

}  // namespace qkv
