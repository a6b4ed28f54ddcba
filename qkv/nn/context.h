// What a forward pass carries along: everything that is neither a parameter nor the activations.
#pragma once

#include "qkv/nn/cache.h"
#include "qkv/nn/paged_cache.h"
#include "qkv/nn/past.h"
#include "qkv/nn/streams.h"
#include "qkv/nn/taps.h"
#include "qkv/ops/step_key.h"

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct Routing;  // what a router of experts did (nn/experts.h)

struct Context {
  DType compute = DType::f32;  // f32, bf16 or, on GPUs, f16: the dtype of activations
  bool training = false;       // dropout on
  bool checkpoint = false;     // recompute each block in the backward pass instead of keeping its intermediates
  float label_smoothing = 0;   // of language-model losses
  StepKey key;                 // of this step: dropout draws from its children
  Tensor positions;            // i32 [B, T]
  Tensor key_mask;             // u8 [B, S], 0 = padding; undefined = none
  Tensor global;               // u8 [B, T]: 1 = a global token; undefined = none
  Streams streams;             // of models that read a text in another order than its own
  Tensor memory;               // for cross-attention: the encoder's output [M, S', D]
  Tensor memory_mask;          // u8 [M, S'], 0 = padding; undefined = none
  KeyValueCache* cache = nullptr;
  PagedCache* pages = nullptr;  // in its place: rows of many sequences side by side, [1, N], laid out there
  bool rereads = false;         // the cache does not keep the last token, which is read again with the next
  bool unmasked = false;  // a decoder sees all its input, what follows and padding too: only to compare with others
  Past* past = nullptr;   // of a stack that remembers segments; renewed by its pass. null = nothing is remembered
  Tensor rotations;       // f32 [H, K, rounds, half the buckets]: of hashed attention; undefined: drawn from its seed
  const Taps* taps = nullptr;
  std::string_view part;                    // "encoder." before the names of taps, in an encoder beside a decoder
  std::vector<Routing>* routing = nullptr;  // routers of experts report here; null = nobody asks

  // Shows `value` to whoever listens at this point, of a layer or of none; returns it, or what the listener put in its
  // place. Names are put together only when somebody listens.
  Tensor tap(std::string_view point, const Tensor& value) const {
    return taps == nullptr ? value : see(std::string(part) + std::string(point), value);
  }
  Tensor tap(int64_t layer, std::string_view point, const Tensor& value) const {
    return taps == nullptr ? value : see(block_name(layer, point), value);
  }
  bool wants(int64_t layer, std::string_view point) const {
    return taps != nullptr && taps->wants(block_name(layer, point));
  }

  // The padding mask of the last `count` positions, those that are new where there is a cache; undefined: none.
  Tensor new_positions_mask(int64_t count) const {
    return key_mask ? key_mask.narrow(1, key_mask.size(1) - count, count) : Tensor();
  }

  // The key of place `site` (0..7) in a layer, for dropout; layer -1 is the embeddings.
  StepKey dropout_key(int64_t layer, int site) const {
    return key.child(static_cast<uint64_t>((layer + 1) * 8 + site));
  }

 private:
  Tensor see(const std::string& name, const Tensor& value) const {
    return taps->wants(name) ? taps->see(name, value) : value;
  }
  std::string block_name(int64_t layer, std::string_view point) const {
    return std::string(part) + "blocks." + std::to_string(layer) + "." + std::string(point);
  }
};

}  // namespace qkv
