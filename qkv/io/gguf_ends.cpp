#include "qkv/io/gguf_ends.h"

#include "qkv/core/notice.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace qkv {
namespace {

std::string key_of(const char* role) { return fmt::format("tokenizer.ggml.{}_token_id", role); }

void add_new(std::vector<int64_t>& ends, int64_t id, int64_t vocab) {
  if (id >= 0 && id < vocab && std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
}

}  // namespace

std::vector<int64_t> ends_of(const fs::path& model, const Config& config, int64_t vocab) {
  std::vector<int64_t> said = config.ids("eos_token_id");
  if (const fs::path file = model / "generation_config.json"; fs::exists(file))
    if (const Config generation(read_json(file), file.string()); generation.has("eos_token_id"))
      said = generation.ids("eos_token_id");
  std::vector<int64_t> ends;
  for (const int64_t id : said) add_new(ends, id, vocab);
  return ends;
}

void put_ends(GgufMetadata& metadata, std::vector<int64_t> ends, const std::function<std::string(int64_t)>& token) {
  const auto put = [&](const char* role, int64_t id) {
    metadata[key_of(role)] = GgufValue::of_u32(static_cast<uint64_t>(id));
  };
  if (ends.empty()) return;
  if (metadata.count(key_of("eos")) == 0) put("eos", ends.front());
  std::erase(ends, metadata.at(key_of("eos")).value.get<int64_t>());
  std::stable_partition(ends.begin(), ends.end(), [&](int64_t id) { return token(id) != "<|eom_id|>"; });
  if (!ends.empty()) put(token(ends[0]) == "<|eom_id|>" ? "eom" : "eot", ends[0]);
  if (ends.size() > 1) put("eom", ends[1]);
  if (ends.size() > 2)
    notice("eos_token_id", fmt::format("{} tokens end a text, and GGUF names three: {} are left out", ends.size() + 1,
                                       ends.size() - 2));
}

Json said_ends(const std::function<const GgufValue*(const std::string& key)>& find, int64_t vocab) {
  std::vector<int64_t> ends;
  for (const char* role : {"eos", "eot", "eom"})
    if (const GgufValue* found = find(key_of(role)); found != nullptr && found->value.is_number_unsigned())
      add_new(ends, static_cast<int64_t>(std::min<uint64_t>(found->value.get<uint64_t>(), INT64_MAX)), vocab);
  if (ends.empty()) return {};
  return ends.size() == 1 ? Json(ends[0]) : Json(ends);
}

}  // namespace qkv
