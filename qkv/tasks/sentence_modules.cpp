#include "qkv/tasks/sentence_modules.h"

#include "qkv/core/error.h"
#include "qkv/models/config.h"

#include <array>

namespace qkv {
namespace {

constexpr std::array<std::pair<std::string_view, Pooling>, 4> poolings = {
    {{"mean", Pooling::mean}, {"cls", Pooling::cls}, {"last", Pooling::last}, {"max", Pooling::max}}};

Config config_at(const fs::path& path) { return {read_json(path, uint64_t{16} << 20), path.string()}; }

// Newer files name the mode; older ones have a flag for each.
Pooling pooling_of(const Config& config) {
  constexpr std::array<std::pair<const char*, std::string_view>, 6> flags = {{
      {"pooling_mode_mean_tokens", "mean"},
      {"pooling_mode_cls_token", "cls"},
      {"pooling_mode_lasttoken", "lasttoken"},
      {"pooling_mode_max_tokens", "max"},
      {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
      {"pooling_mode_weightedmean_tokens", "weightedmean"},
  }};
  std::string mode = config.text("pooling_mode", "");
  int set = 0;
  for (const auto& [flag, name] : flags)
    if (config.flag(flag, false)) {
      mode = name;
      ++set;
    }
  if (set > 1) config.fail("pooling_mode", "is several at once, which is not supported");
  if (mode == "lasttoken") return Pooling::last;
  for (const auto& [name, pooling] : poolings)
    if (name == mode) return pooling;
  config.fail("pooling_mode", fmt::format("'{}' is not supported", mode), "mean, cls, lasttoken or max");
}

}  // namespace

Pooling pooling_named(std::string_view name) {
  for (const auto& [known, pooling] : poolings)
    if (known == name) return pooling;
  throw Error("pooling", fmt::format("'{}' is not known", name), "mean, cls, last or max");
}

SentenceModules SentenceModules::read(const fs::path& directory) {
  SentenceModules modules{.model = directory};
  if (const fs::path path = directory / "modules.json"; fs::exists(path)) {
    const Json list = read_json(path, uint64_t{1} << 20);
    if (!list.is_array()) throw Error(path.string(), "is not a list of modules");
    for (const Json& entry : list) {
      const Config module(entry, path.string());
      const std::string type = module.text("type", "");
      const std::string kind = type.substr(type.rfind('.') + 1);
      const fs::path folder = fs::path(module.text("path", "")).relative_path();
      const fs::path place = folder.empty() ? directory : directory / folder;
      if (kind == "Transformer") {
        modules.model = place;
      } else if (kind == "Pooling") {
        modules.pooling = pooling_of(config_at(place / "config.json"));
      } else if (kind == "Normalize") {
        modules.normalise = true;
      } else {
        throw Error(path.string(), fmt::format("module '{}' is not supported", kind),
                    "Transformer, Pooling and Normalize are");
      }
    }
  }
  if (const fs::path path = modules.model / "sentence_bert_config.json"; fs::exists(path))
    modules.max_length = config_at(path).integer("max_seq_length", 0, 0, int64_t{1} << 31);
  if (const fs::path path = directory / "config_sentence_transformers.json"; fs::exists(path)) {
    const Config config = config_at(path);
    if (config.has("default_prompt_name"))
      modules.prompt = config.object("prompts").text(config.text("default_prompt_name", "").c_str(), "");
  }
  return modules;
}

}  // namespace qkv
