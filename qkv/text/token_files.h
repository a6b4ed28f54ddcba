// The files that a tokenizer's vocabulary may be spread over, and what they mean together.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/json.h"

#include <optional>
#include <string>
#include <vector>

namespace qkv {

// tokenizer_config.json, completed from special_tokens_map.json and chat_template.jinja; and where it names no
// tokenizer_class, with the one that the "model_type" of config.json tells.
Json read_tokenizer_config(const fs::path& directory);

// The tokenizer_class without the "Fast" that tells the reference library's two implementations apart.
std::string tokenizer_class(const Json& config);

// The lines of UTF-8 text, without their ends.
std::vector<std::string> read_lines(const fs::path& path);

// A token as configurations write it: a string, or an object with "content"; "" for anything else.
std::string content_of(const Json& token);

// A tokenizer.json in the making.
struct Draft {
  Json vocab;
  Json added = Json::array();
  int64_t next_id = 0;

  // Throws Error naming `where` when the vocabulary is not an object from tokens to ids.
  Draft(Json vocabulary, const std::string& where);

  bool has(const std::string& token) const { return vocab.contains(token); }

  // An added token, once; its id is the vocabulary's, else `at`, else the next free one.
  void add(const std::string& content, bool special, bool lstrip = false, std::optional<int64_t> at = std::nullopt);

  // Null for what is not there.
  Json id_of(const std::string& content) const;
};

// The special tokens that the configuration names, and the files' own added tokens.
void add_tokens(Draft& draft, const Json& config, const fs::path& directory);

// Names the token for a role where the configuration does not and the vocabulary has it.
void default_role(Json& config, const Draft& draft, const char* role, const char* token);

// Readers of the older layouts, each into what a tokenizer.json would say.
Json read_bpe_files(const fs::path& vocab_path, const fs::path& merges_path, Json& config);
Json read_word_files(const fs::path& vocab_path, Json& config);
// BERT's from its vocabulary; `path` is its file, for messages and for the files beside it.
Json words_as_json(Json vocab, const fs::path& path, Json& config);
// Words are what stands between spaces, lowercased when the configuration says lower_case. The library's own tokenizer
// also cuts off punctuation, by Moses' rules; the texts that such models are trained on are cut already.
Json read_transfo_xl_files(const fs::path& path, Json& config);

}  // namespace qkv
