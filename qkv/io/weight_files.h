// The names that a checkpoint's files take, by format.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace qkv {

enum class WeightFormat : uint8_t { safetensors, torch };

struct WeightFiles {
  WeightFormat format;
  std::string_view stem, suffix;

  std::string single() const { return std::string(stem) + std::string(suffix); }
  std::string index() const { return single() + ".index.json"; }
  // "model-00001-of-00003.safetensors", or what an interrupted save left of any of them.
  bool is_part(std::string_view name) const {
    return (name.starts_with(std::string(stem) + "-") && name.ends_with(suffix)) ||
           (name.starts_with(stem) && name.ends_with(".partial"));
  }
};

// Those that a directory is searched for, the preferred first, as transformers does.
inline constexpr std::array<WeightFiles, 2> weight_files = {{
    {WeightFormat::safetensors, "model", ".safetensors"},
    {WeightFormat::torch, "pytorch_model", ".bin"},
}};

}  // namespace qkv
