#include "qkv/models/config.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/models/family.h"
#include "qkv/models/historical_config.h"

#include <cmath>
#include <limits>

namespace qkv {

Config::Config(Json json, std::string where) : json_(std::move(json)), where_(std::move(where)) {
  if (!json_.is_object()) throw Error(where_, "is not a JSON object");
}

Config Config::read(const fs::path& directory) {
  constexpr uint64_t max_size = uint64_t{16} << 20;
  if (!fs::is_directory(directory))
    throw Error(directory.string(), "is not a directory",
                "name a Hugging Face model directory (with config.json and model.safetensors)");
  const fs::path path = directory / "config.json";
  if (fs::exists(path)) return {with_todays_keys(read_json(path, max_size), path.string()), path.string()};
  // An original release: the file's name tells the family.
  for (const Family* family : all_families()) {
    const TensorflowLayout& release = family->tensorflow;
    const fs::path original = directory / release.config_file;
    if (release.config_file.empty() || !fs::exists(original)) continue;
    Json json = read_json(original, max_size);
    if (json.is_object()) json.update({{"model_type", family->type}, {"architectures", {release.architecture}}}, false);
    return {with_todays_keys(std::move(json), original.string()), original.string()};
  }
  throw Error(directory.string(), "has no config.json",
              "name a Hugging Face model directory, or train a model first: qkv train --help");
}

void Config::fail(const std::string& key, const std::string& what, const std::string& hint) const {
  throw Error(where_, fmt::format("\"{}\" {}", key, what), hint);
}

const Json* Config::find(const char* key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

bool Config::has(const char* key) const { return find(key) != nullptr; }

int64_t Config::integer(const char* key, int64_t fallback, int64_t lowest, int64_t highest) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const bool whole = value->is_number_integer() ||
                     (value->is_number_float() && std::floor(value->get<double>()) == value->get<double>());
  if (!whole) fail(key, fmt::format("must be a whole number, not {}", value->dump()));
  const double number = value->get<double>();
  if (number < static_cast<double>(lowest) || number > static_cast<double>(highest))
    fail(key, fmt::format("is {}, outside [{}, {}]", value->dump(), lowest, highest));
  return value->get<int64_t>();
}

int64_t Config::size(const char* key) const {
  if (!has(key))
    fail(key, "is missing", "this file does not describe the architecture it names, or it is damaged: fetch it again");
  return size(key, 0);
}

int64_t Config::size(const char* key, int64_t fallback) const {
  return integer(key, fallback, 1, std::numeric_limits<int32_t>::max());
}

double Config::number(const char* key, double fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    fail(key, fmt::format("must be a finite number, not {}", value->dump()));
  return value->get<double>();
}

double Config::positive(const char* key, double fallback) const {
  const double value = number(key, fallback);
  if (value <= 0) fail(key, fmt::format("must be above zero, not {}", value));
  return value;
}

float Config::probability(const char* key, float fallback) const {
  const double value = number(key, fallback);
  if (value < 0 || value >= 1) fail(key, fmt::format("must be a probability in [0, 1), not {}", value));
  return static_cast<float>(value);
}

bool Config::flag(const char* key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail(key, fmt::format("must be true or false, not {}", value->dump()));
  return value->get<bool>();
}

std::string Config::text(const char* key, const std::string& fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) fail(key, fmt::format("must be a string, not {}", value->dump()));
  return value->get<std::string>();
}

Config Config::object(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {Json::object(), where_};
  if (!value->is_object()) fail(key, fmt::format("must be an object, not {}", value->dump()));
  return {*value, where_ + ": " + key};
}

std::vector<std::string> Config::texts(const char* key, const std::vector<std::string>& fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  std::vector<std::string> texts;
  for (const Json& text : *value) {
    if (!value->is_array() || !text.is_string())
      fail(key, fmt::format("must be a list of texts, not {}", value->dump()));
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::vector<int64_t> Config::ids(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  std::vector<int64_t> ids;
  for (const Json& id : value->is_array() ? *value : Json::array({*value})) {
    if (!id.is_number_integer()) fail(key, fmt::format("must be a token id or a list of them, not {}", value->dump()));
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

}  // namespace qkv
