#include "qkv/io/gguf_mixes.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <charconv>

namespace qkv {
namespace {

using Layers = GgufMix::Layers;

constexpr GgufMix mixes[] = {
    {"f32", 0, DType::f32, DType::f32, {}, {}, {}, {}},
    {"f16", 1, DType::f16, DType::f16, {}, {}, {}, {}},
    {"bf16", 32, DType::bf16, DType::bf16, {}, {}, {}, {}},
    {"q8_0", 7, DType::q8_0, DType::q8_0, {}, {}, {}, {}},
    {"q4_0", 2, DType::q4_0, DType::q6_k, {}, {}, {}, {}},
    {"q4_1", 3, DType::q4_1, DType::q6_k, {}, {}, {}, {}},
    {"q5_0", 8, DType::q5_0, DType::q6_k, {}, {}, {}, {}},
    {"q5_1", 9, DType::q5_1, DType::q6_k, {}, {}, {}, {}},
    {"iq4_nl",
     25,
     DType::iq4_nl,
     DType::q6_k,
     GgufMix::Better{DType::q5_k, Layers::first_four},
     GgufMix::Better{DType::q5_k, Layers::first_eighth},
     {},
     {}},
    {"q2_k",
     10,
     DType::q2_k,
     DType::q6_k,
     GgufMix::Better{DType::q3_k, Layers::all},
     GgufMix::Better{DType::q3_k, Layers::all},
     {},
     DType::q3_k},
    {"q3_k_m", 12, DType::q3_k, DType::q6_k, GgufMix::Better{DType::q4_k, Layers::all},
     GgufMix::Better{DType::q4_k, Layers::some}, DType::q4_k, DType::q4_k},
    {"q4_k_s",
     14,
     DType::q4_k,
     DType::q6_k,
     GgufMix::Better{DType::q5_k, Layers::first_four},
     GgufMix::Better{DType::q5_k, Layers::first_eighth},
     {},
     {}},
    {"q4_k_m",
     15,
     DType::q4_k,
     DType::q6_k,
     GgufMix::Better{DType::q6_k, Layers::some},
     GgufMix::Better{DType::q6_k, Layers::some},
     DType::q5_k,
     {}},
    {"q5_k_s", 16, DType::q5_k, DType::q6_k, {}, {}, {}, {}},
    {"q5_k_m",
     17,
     DType::q5_k,
     DType::q6_k,
     GgufMix::Better{DType::q6_k, Layers::some},
     GgufMix::Better{DType::q6_k, Layers::some},
     DType::q6_k,
     {}},
    {"q6_k", 18, DType::q6_k, DType::q6_k, {}, {}, {}, {}},
};

bool among(Layers layers, int64_t layer, int64_t count) {
  switch (layers) {
    case Layers::all:
      return true;
    case Layers::some:
      return layer < count / 8 || layer >= 7 * count / 8 || (layer - count / 8) % 3 == 2;
    case Layers::first_eighth:
      return layer < count / 8;
    case Layers::first_four:
      return layer < 4;
  }
  return false;
}

// What stands in for blocks of 256 numbers where rows cannot be cut into them.
DType of_shorter_blocks(DType type) {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
      return DType::iq4_nl;
    case DType::q4_k:
      return DType::q5_0;
    case DType::q5_k:
      return DType::q5_1;
    case DType::q6_k:
      return DType::q8_0;
    default:
      return type;
  }
}

DType wanted_type(const GgufMix& mix, const Spec& spec, bool tied, std::string_view name) {
  if (name == "output.weight" || (tied && name == "token_embd.weight")) return mix.output;
  if (!name.starts_with("blk.")) return mix.type;
  int64_t layer = 0;
  std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  const auto is = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  const std::optional<GgufMix::Better>& better = is(".attn_v.") ? mix.values : mix.down;
  if ((is(".attn_v.") || is(".ffn_down.")) && better && among(better->layers, layer, spec.layers()))
    return better->type;
  if (is(".attn_qkv.") && mix.fused) return *mix.fused;
  if (is(".attn_output.") && mix.attended) return *mix.attended;
  return mix.type;
}

}  // namespace

std::span<const GgufMix> gguf_mixes() { return mixes; }

const GgufMix& gguf_mix(std::string_view name) {
  std::string known;
  for (const GgufMix& mix : mixes) {
    if (mix.name == name) return mix;
    known += (known.empty() ? "" : ", ") + std::string(mix.name);
  }
  throw Error("--type", fmt::format("'{}' is not known", name), "one of " + known);
}

DType mix_type(const GgufMix& mix, const Spec& spec, bool tied, std::string_view name, const Shape& shape) {
  DType type = wanted_type(mix, spec, tied, name);
  if (shape[-1] % block_length(type) != 0) type = of_shorter_blocks(type);
  return shape[-1] % block_length(type) == 0 ? type : DType::f16;
}

}  // namespace qkv
