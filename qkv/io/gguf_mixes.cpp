#include "qkv/io/gguf_mixes.h"

#include "qkv/core/error.h"
#include "qkv/io/gguf_architectures.h"

#include <charconv>

namespace qkv {
namespace {

constexpr GgufMix mixes[] = {
    {"f32", 0, DType::f32, DType::f32},         {"f16", 1, DType::f16, DType::f16},
    {"bf16", 32, DType::bf16, DType::bf16},     {"q8_0", 7, DType::q8_0, DType::q8_0},
    {"q4_0", 2, DType::q4_0, DType::q6_k},      {"q4_1", 3, DType::q4_1, DType::q6_k},
    {"q5_0", 8, DType::q5_0, DType::q6_k},      {"q5_1", 9, DType::q5_1, DType::q6_k},
    {"iq4_nl", 25, DType::iq4_nl, DType::q6_k}, {"q2_k", 10, DType::q2_k, DType::q6_k},
    {"q3_k_m", 12, DType::q3_k, DType::q6_k},   {"q4_k_s", 14, DType::q4_k, DType::q6_k},
    {"q4_k_m", 15, DType::q4_k, DType::q6_k},   {"q5_k_s", 16, DType::q5_k, DType::q6_k},
    {"q5_k_m", 17, DType::q5_k, DType::q6_k},   {"q6_k", 18, DType::q6_k, DType::q6_k},
};

enum class Part : uint8_t { values, down, attended };  // values: or queries, keys and values in one
enum class Layers : uint8_t {
  all,
  some,  // the first and the last eighth, and every third between
  first_two,
  first_four,
  first_eighth,
  first_sixteenth,
};
// Models of a few key heads for many query heads have small values; Falcon's layers are treated otherwise than others'.
enum class Models : uint8_t { any, grouped, falcon, others };

struct Rule {
  std::string_view mix;
  Part part;
  Layers layers;
  DType type;
  Models models = Models::any;
};

// The first that applies.
constexpr Rule mix_rules[] = {
    {"q2_k", Part::values, Layers::all, DType::q4_k, Models::grouped},
    {"q2_k", Part::values, Layers::all, DType::q3_k},
    {"q2_k", Part::down, Layers::all, DType::q3_k},
    {"q2_k", Part::attended, Layers::all, DType::q3_k, Models::others},
    {"q3_k_m", Part::values, Layers::first_two, DType::q5_k},
    {"q3_k_m", Part::values, Layers::all, DType::q4_k},
    {"q3_k_m", Part::down, Layers::first_sixteenth, DType::q5_k},
    {"q3_k_m", Part::down, Layers::all, DType::q4_k, Models::others},
    {"q3_k_m", Part::down, Layers::some, DType::q4_k, Models::falcon},
    {"q3_k_m", Part::attended, Layers::all, DType::q4_k, Models::others},
    {"q4_k_s", Part::values, Layers::first_four, DType::q5_k},
    {"q4_k_s", Part::down, Layers::first_eighth, DType::q5_k, Models::others},
    {"q4_k_m", Part::values, Layers::some, DType::q6_k},
    {"q4_k_m", Part::down, Layers::some, DType::q6_k, Models::others},
    {"q4_k_m", Part::down, Layers::first_sixteenth, DType::q6_k, Models::falcon},
    {"q4_k_m", Part::down, Layers::some, DType::q5_k, Models::falcon},
    {"q5_k_m", Part::values, Layers::some, DType::q6_k},
    {"q5_k_m", Part::down, Layers::some, DType::q6_k},
    {"iq4_nl", Part::values, Layers::all, DType::q5_k, Models::grouped},
    {"iq4_nl", Part::down, Layers::first_eighth, DType::q5_k, Models::others},
};

bool among(Layers layers, int64_t layer, int64_t count) {
  switch (layers) {
    case Layers::all:
      return true;
    case Layers::some:
      return layer < count / 8 || layer >= 7 * count / 8 || (layer - count / 8) % 3 == 2;
    case Layers::first_two:
      return layer < 2;
    case Layers::first_four:
      return layer < 4;
    case Layers::first_eighth:
      return layer < count / 8;
    case Layers::first_sixteenth:
      return layer < count / 16;
  }
  return false;
}

bool is_of(Part part, std::string_view name) {
  const auto has = [&](std::string_view text) { return name.find(text) != std::string_view::npos; };
  switch (part) {
    case Part::values:
      return has("attn_v.") || has(".attn_qkv.");  // also those of the encoder's output
    case Part::down:
      return has(".ffn_down.");
    case Part::attended:
      return has(".attn_output.");
  }
  return false;
}

bool is_among(Models models, const Spec& spec, bool falcon) {
  const AttentionSpec& attention = spec.stack.block.attention;
  switch (models) {
    case Models::any:
      return true;
    case Models::grouped:
      return attention.heads / attention.kv_heads >= 4;
    case Models::falcon:
      return falcon;
    case Models::others:
      return !falcon;
  }
  return false;
}

// What stands in for blocks of 256 numbers where rows cannot be cut into them.
DType of_shorter_blocks(DType type) {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
      return DType::q4_0;
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

DType wanted_type(const GgufMix& mix, const Spec& spec, std::string_view name) {
  const bool falcon = gguf_architecture_of(spec).falcon_mix;
  if (name == "output.weight" || (spec.heads.tied && name == "token_embd.weight"))
    return falcon && mix.output == DType::q6_k ? DType::q8_0 : mix.output;
  // An encoder-decoder's stacks count their layers each for itself; llama.cpp counts on from one to the other.
  const size_t at = name.find("blk.");
  if (at == std::string_view::npos) return mix.type;
  const StackSpec& stack = name.starts_with("enc.") && spec.encoder ? spec.encoder->stack : spec.stack;
  int64_t layer = 0;
  std::from_chars(name.data() + at + 4, name.data() + name.size(), layer);
  for (const Rule& rule : mix_rules)
    if (rule.mix == mix.name && is_of(rule.part, name) && among(rule.layers, layer, stack.layers) &&
        is_among(rule.models, spec, falcon))
      return rule.type;
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

DType mix_type(const GgufMix& mix, const Spec& spec, std::string_view name, const Shape& shape) {
  DType type = wanted_type(mix, spec, name);
  if (shape[-1] % block_length(type) != 0) type = of_shorter_blocks(type);
  return shape[-1] % block_length(type) == 0 ? type : DType::f16;
}

}  // namespace qkv
