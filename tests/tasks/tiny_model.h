// A golden model with a tokenizer of words w5, w6, ... up to its vocabulary, in a directory of its own.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/json.h"
#include "qkv/core/random.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string>

namespace qkv {

class TinyModel {
 public:
  // `changes` go into config.json.
  explicit TinyModel(const std::string& name, const Json& changes = Json::object())
      : path(fs::temp_directory_path() / fmt::format("qkv-tasks-{}-{}", name, ::getpid())) {
    const fs::path golden = fs::path(QKV_SOURCE_DIR) / "tests/golden/models" / name;
    fs::remove_all(path);
    fs::create_directories(path);
    Json config = read_json(golden / "config.json");
    const auto size = config["vocab_size"].get<int>();
    config.update(changes);
    write_file(path / "config.json", config.dump());
    fs::copy(golden / "model.safetensors", path / "model.safetensors");
    if (config["model_type"] != "gpt2") {
      std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
      for (int i = 5; i < size; ++i) words += fmt::format("w{}\n", i);
      write_file(path / "vocab.txt", words);
      return;
    }
    Json vocabulary = {{"<unk>", 0}};
    for (int i = 1; i < size; ++i) vocabulary["w" + std::to_string(i)] = i;
    const Json tokenizer = {{"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<unk>"}}},
                            {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                            {"normalizer", nullptr},
                            {"post_processor", nullptr},
                            {"decoder", nullptr},
                            {"added_tokens", Json::array()}};
    write_file(path / "tokenizer.json", tokenizer.dump());
  }
  TinyModel(const TinyModel&) = delete;
  ~TinyModel() { fs::remove_all(path); }

  fs::path path;
};

// Random words of the tiny models' vocabularies.
inline std::string random_words(Random& random, int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += (i > 0 ? " w" : "w") + std::to_string(5 + static_cast<int>(random.uniform() * 90));
  return text;
}

inline std::vector<std::string> random_texts(int count, int longest, uint64_t seed = 1) {
  Random random{RandomKey{seed}};
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i)
    texts.push_back(random_words(random, 1 + static_cast<int>(random.uniform() * longest)));
  return texts;
}

}  // namespace qkv
