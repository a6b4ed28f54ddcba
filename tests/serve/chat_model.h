// A golden model to chat with: its tokens are the printable characters, and token 0 ends a text.
#pragma once

#include "tests/serve/asked.h"

namespace qkv {

inline constexpr int chat_space = 1;  // the token of a space

// Gives the model's directory such a tokenizer, and a template that writes a role as its first letter.
inline fs::path with_chat_template(const fs::path& path) {
  Json vocabulary = {{"<end>", 0}, {"\u0120", chat_space}};
  for (int c = 33; c < 127; ++c) vocabulary[std::string(1, static_cast<char>(c))] = c - 31;
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  const Json tokenizer = {{"version", "1.0"},
                          {"added_tokens",
                           {{{"id", 0},
                             {"content", "<end>"},
                             {"special", true},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false}}}},
                          {"normalizer", nullptr},
                          {"pre_tokenizer", byte_level},
                          {"post_processor", nullptr},
                          {"decoder", byte_level},
                          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
  write_file(path / "tokenizer.json", tokenizer.dump());
  const Json config = {
      {"eos_token", "<end>"},
      {"chat_template",
       "{% for m in messages %}{% if m.role == 'bad' %}{{ raise_exception('no such role') }}{% endif %}"
       "{{ m.role[0] }}{{ m.content }}{% endfor %}{% if tools %}{{ tools[0].function.name }}{% endif %}>"}};
  write_file(path / "tokenizer_config.json", config.dump());
  return path;
}

}  // namespace qkv
