// What stands between q . k and the softmax: scale, cap, bias and slopes, and which keys a query sees. Every kernel of
// attention asks here.
#pragma once

#include "qkv/core/random.h"
#include "qkv/kernels/cuda/launch.h"
#include "qkv/kernels/kernels.h"

#include <cmath>

namespace qkv::kernels {

inline constexpr float unseen = -INFINITY;

// exp x for x <= 0; 0 for -inf.
__device__ inline float exp_of(float x) {
  constexpr float log2_e = 1.4426950408889634F;
  return exp2f(x * log2_e);
}

// The scores of head h in row b of the batch.
class Scores {
 public:
  __device__ Scores(const Attention& a, int b, int h)
      : a_(a),
        queries_(static_cast<int>(a.queries)),
        keys_(static_cast<int>(a.key_count == nullptr ? a.keys : a.key_count[b])),
        shift_(keys_ - queries_),
        window_(static_cast<int>(a.window)),
        always_(static_cast<int>(a.always)),
        slope_(a.slopes == nullptr ? 0 : a.slopes[h]),
        mask_(a.key_mask == nullptr ? nullptr : a.key_mask + b * a.keys),
        bias_(a.bias == nullptr ? nullptr : a.bias + b * a.bias_batch_stride + h * a.bias_head_stride),
        first_(static_cast<uint32_t>((b * a.heads + h) * a.queries * a.keys)),
        dropped_(static_cast<uint32_t>(a.dropout * 0x1p32F)),
        mask_key_(a.dropout == 0 ? 0 : a.dropout_key()) {}

  // Whether any query of [t, t + rows) may see a key of [s, s + columns), before the mask is asked.
  __device__ bool any_seen(int t, int rows, int s, int columns) const {
    const int first = t + shift_, last = min(t + rows, queries_) - 1 + shift_;
    if (a_.causal && s > last) return false;
    if (window_ == 0 || s < always_) return true;
    return s + columns - 1 > first - window_ && (a_.causal || s < last + window_);
  }

  // Whether all of them see all of those, and a score is scale q . k and no more, without dropout.
  __device__ bool plain(int t, int rows, int s, int columns) const {
    const int first = t + shift_, last = t + rows - 1 + shift_;
    return bias_ == nullptr && a_.slopes == nullptr && mask_ == nullptr && a_.softcap == 0 && a_.dropout == 0 &&
           t + rows <= queries_ && s + columns <= keys_ && (!a_.causal || s + columns - 1 <= first) &&
           (window_ == 0 || (s > last - window_ && s + columns - 1 < first + window_));
  }

  __device__ bool sees(int t, int s) const {
    const int position = t + shift_;
    if (t >= queries_ || s >= keys_ || (a_.causal && s > position)) return false;
    if (window_ > 0 && s >= always_ && (s <= position - window_ || s >= position + window_)) return false;
    return mask_ == nullptr || mask_[s] != 0;
  }

  // The score of query t and key s, whose product is `dot`; `unseen` where it does not see the key. cap_slope receives
  // the derivative by the score before its cap. is_plain: what plain() says of a tile around them.
  template <bool is_plain>
  __device__ float score(float dot, int t, int s, float& cap_slope) const {
    cap_slope = 1;
    float score = a_.scale * dot;
    if constexpr (is_plain) return score;
    if (!sees(t, s)) return unseen;
    if (a_.softcap > 0) {
      const float capped = tanhf(score / a_.softcap);
      score = a_.softcap * capped;
      cap_slope = 1 - capped * capped;
    }
    if (bias_ != nullptr) score += bias_[t * a_.bias_query_stride + s * a_.bias_key_stride];
    return score + slope_ * static_cast<float>(s - t - shift_);
  }
  template <bool is_plain = false>
  __device__ float score(float dot, int t, int s) const {
    float cap_slope;
    return score<is_plain>(dot, t, s, cap_slope);
  }

  // What dropout multiplies a probability with.
  __device__ float kept(int t, int s) const {
    if (a_.dropout == 0) return 1;
    const uint32_t index = first_ + static_cast<uint32_t>(t) * static_cast<uint32_t>(keys_) + static_cast<uint32_t>(s);
    return dropout_hash(mask_key_, index) < dropped_ ? 0 : 1 / (1 - a_.dropout);
  }

 private:
  const Attention& a_;
  int queries_, keys_, shift_, window_, always_;
  float slope_;
  const uint8_t* mask_;
  const float* bias_;
  uint32_t first_, dropped_, mask_key_;
};

}  // namespace qkv::kernels
