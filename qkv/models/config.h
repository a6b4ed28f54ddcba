// Reading a Hugging Face config.json: typed, bounded, with messages that name the file and the key.
#pragma once

#include "qkv/core/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

class Config {
 public:
  Config(Json json, std::string where);  // throws Error unless json is an object
  // DIRECTORY/config.json or what an original release has in its place (bert_config.json), under today's keys.
  static Config read(const std::filesystem::path& directory);

  const Json& json() const { return json_; }
  const std::string& where() const { return where_; }

  bool has(const char* key) const;  // present and not null

  // A size: a whole number in [1, 2^31). The first form throws when the key is missing, naming it.
  int64_t size(const char* key) const;
  int64_t size(const char* key, int64_t fallback) const;
  int64_t integer(const char* key, int64_t fallback, int64_t lowest, int64_t highest) const;
  double number(const char* key, double fallback) const;     // finite
  double positive(const char* key, double fallback) const;   // finite and > 0
  float probability(const char* key, float fallback) const;  // [0, 1)
  bool flag(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  std::vector<std::string> texts(const char* key, const std::vector<std::string>& fallback) const;  // a list
  Config object(const char* key) const;             // a nested object; empty when missing or null
  std::vector<int64_t> ids(const char* key) const;  // a token id or a list of them; empty when null

  [[noreturn]] void fail(const std::string& key, const std::string& what, const std::string& hint = "") const;

 private:
  const Json* find(const char* key) const;
  Json json_;
  std::string where_;
};

}  // namespace qkv
