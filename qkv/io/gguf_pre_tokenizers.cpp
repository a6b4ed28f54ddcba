#include "qkv/io/gguf_tokens.h"

#include <vector>

namespace qkv {
namespace {

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json split(const char* pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json sequence(Json steps) { return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}; }

struct Named {
  std::vector<const char*> names;  // the first is written
  Json pre_tokenizer;
};

// As in llama.cpp's src/llama-vocab.cpp.
const std::vector<Named>& table() {
  static const std::vector<Named> known = {
      {{"gpt-2", "mpt", "olmo", "phi-2", "jina-es", "jina-de", "gigachat", "roberta-bpe", "default", ""},
       byte_level(true)},
      {{"llama-bpe", "llama3", "llama-v3"},
       sequence(
           {split(
                R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
            byte_level(false)})},
      {{"qwen2", "stablelm2", "deepseek-r1-qwen", "megrez"},
       sequence(
           {split(
                R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
            byte_level(false)})},
      {{"bloom", "gpt3-finnish"}, sequence({split(R"( ?[^(\s|[.,!?…。，、।۔،])]+)"), byte_level(false)})},
      {{"falcon"},
       sequence({{{"type", "Punctuation"}, {"behavior", "Contiguous"}},
                 byte_level(true),
                 {{"type", "Digits"}, {"individual_digits", false}},
                 split("[0-9][0-9][0-9]")})}};
  return known;
}

// What makes a difference to the words: offsets and prefixes aside.
Json essence(const Json& step) {
  Json rest = step;
  if (!rest.is_object()) return rest;
  for (const char* key : {"trim_offsets", "add_prefix_space"}) rest.erase(key);
  if (rest.contains("pretokenizers"))
    for (Json& one : rest["pretokenizers"]) one = essence(one);
  return rest;
}

}  // namespace

Json pre_tokenizer_named(std::string_view name) {
  for (const Named& one : table())
    for (const char* known : one.names)
      if (name == known) return one.pre_tokenizer;
  return {};
}

std::string name_of_pre_tokenizer(const Json& pre_tokenizer) {
  for (const Named& one : table())
    if (essence(one.pre_tokenizer) == essence(pre_tokenizer)) return one.names.front();
  return "";
}

}  // namespace qkv
