#include "qkv/nn/chunked_attention.h"

#include "qkv/core/threads.h"
#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/matmul.h"
#include "qkv/ops/norm.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace qkv {
namespace {

// What masked scores and a token's own become; f16 ends at 65,504.
float hidden_score(DType type) { return type == DType::f16 ? -6e4F : -1e9F; }
float own_score(DType type) { return type == DType::f16 ? -1e4F : -1e5F; }
constexpr float norm_eps = 1e-6F;
constexpr size_t bucket_slot = 0;

// x [B,T,H,K] with zeros up to `length` positions, as rows [B length H, K].
Tensor rows_of(const Tensor& x, int64_t length) {
  Tensor all = contiguous(x);
  if (x.size(1) < length)
    all = concat({all, Tensor::zeros({x.size(0), length - x.size(1), x.size(2), x.size(3)}, x.dtype(), x.device())}, 1);
  return reshape(all, {x.size(0) * length * x.size(2), x.size(3)});
}

}  // namespace

ChunkedAttention::ChunkedAttention(int64_t width, const ChunkedAttentionSpec& chunked_attention_spec)
    : spec(chunked_attention_spec),
      in(width, (spec.hashes > 0 ? 2 : 3) * spec.heads * spec.head_dim, false),
      out(spec.heads * spec.head_dim, width, false, Role::residual_matrix) {}

// The buckets of q [B,T,H,K], i32 [B,T,H,rounds].
Tensor ChunkedAttention::hashed(const Tensor& q, int64_t layer, const Context& context) const {
  const NoGrad no_grad;
  const int64_t B = q.size(0), T = q.size(1), H = spec.heads, K = spec.head_dim;
  const int64_t turns = std::accumulate(spec.buckets.begin(), spec.buckets.end(), int64_t{0}) / 2;
  const int64_t columns = spec.hashes * turns;
  Tensor rotations = context.rotations;
  if (!rotations) {
    Random draw(spec.seed ? RandomKey{*spec.seed} : context.dropout_key(layer, 4).on_host());
    std::vector<float> values;
    for (int64_t i = 0; i < H * K * columns; ++i) values.push_back(static_cast<float>(draw.normal()));
    rotations = Tensor::from({H, K, columns}, values, q.device());
  }
  check(rotations.numel() == H * K * columns, "chunked_attention", "expected {} x {} x {} rotations, got {}", H, K,
        columns, rotations.shape());
  const Tensor by_head = cast(q.detach(), DType::f32).transpose(1, 2);
  const Tensor each =
      concat(std::vector<Tensor>(static_cast<size_t>(B), rotations.on(q.device()).view({1, H, K, columns})), 0);
  const std::vector<float> turned = matmul(contiguous(by_head), each).to_vector<float>();  // [B,H,T,columns]
  std::vector<int32_t> buckets;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t h = 0; h < H; ++h)
        for (int64_t round = 0; round < spec.hashes; ++round) {
          const float* x = turned.data() + ((b * H + h) * T + t) * columns + round * turns;
          int64_t bucket = 0, product = 1;
          for (const int64_t factor : spec.buckets) {
            const int64_t half = factor / 2;
            const int64_t high = std::max_element(x, x + half) - x, low = std::min_element(x, x + half) - x;
            bucket += product * (x[high] >= -x[low] ? high : half + low);
            product *= factor;
            x += half;
          }
          buckets.push_back(static_cast<int32_t>(bucket));
        }
  return Tensor::from({B, T, H, spec.hashes}, buckets);
}

// Positions 0 .. length - 1 sorted by bucket, equal ones in their order; those not shown, or not `known`, last.
std::vector<int32_t> ChunkedAttention::order_of(const std::vector<int32_t>& buckets, const std::vector<uint8_t>& shown,
                                                int64_t row, int64_t head, int64_t round, int64_t known,
                                                int64_t length) const {
  const auto bucket = [&](int32_t t) {
    if (t >= known || (!shown.empty() && shown[static_cast<size_t>(row * length + t)] == 0))
      return std::numeric_limits<int32_t>::max();
    return buckets[static_cast<size_t>(((row * known + t) * spec.heads + head) * spec.hashes + round)];
  };
  std::vector<int32_t> order(static_cast<size_t>(length));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return bucket(a) < bucket(b); });
  return order;
}

// T positions, padded to `length`.
ChunkedAttention::Plan ChunkedAttention::plan_for_all(const Tensor& buckets, const std::vector<uint8_t>& shown,
                                                      int64_t B, int64_t T, int64_t length) const {
  const bool cut = length > spec.chunk;
  Plan plan;
  plan.rounds = cut && spec.hashes > 0 ? spec.hashes : 1;
  plan.length = cut ? spec.chunk : length;
  plan.chunks = plan.rounds * length / plan.length;
  const int64_t before = cut ? spec.before : 0, after = cut ? spec.after : 0;
  plan.window = plan.length * (1 + before + after);
  plan.places.resize(static_cast<size_t>(B * T * spec.heads * plan.rounds));
  const std::vector<int32_t> chosen = buckets ? buckets.to_vector<int32_t>() : std::vector<int32_t>();
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < spec.heads; ++h) {
      const size_t first = plan.queries.size();
      for (int64_t round = 0; round < plan.rounds; ++round) {
        std::vector<int32_t> order(static_cast<size_t>(length));
        std::iota(order.begin(), order.end(), 0);
        if (cut && spec.hashes > 0) order = order_of(chosen, shown, b, h, round, T, length);
        for (const int32_t t : order) {
          if (t < T)
            plan.places[static_cast<size_t>(((b * T + t) * spec.heads + h) * plan.rounds + round)] =
                static_cast<int32_t>(plan.queries.size());
          plan.queries.push_back(t);
        }
      }
      for (int64_t chunk = 0; chunk < plan.chunks; ++chunk)
        for (int64_t other = chunk - before; other <= chunk + after; ++other) {
          const int64_t round_the_end = (other % plan.chunks + plan.chunks) % plan.chunks;
          const auto begin = plan.queries.begin() + static_cast<ptrdiff_t>(first) + round_the_end * plan.length;
          plan.keys.insert(plan.keys.end(), begin, begin + plan.length);
        }
    }
  return plan;
}

// Of a plan for `known` positions, what the last of them needs.
ChunkedAttention::Plan ChunkedAttention::newest_of(const Plan& all, int64_t B, int64_t known) const {
  Plan plan{.rounds = all.rounds, .chunks = all.rounds, .length = 1, .window = all.window};
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < spec.heads; ++h)
      for (int64_t round = 0; round < plan.rounds; ++round) {
        const int64_t token = (b * known + known - 1) * spec.heads + h;
        const int64_t chunk = all.places[static_cast<size_t>(token * plan.rounds + round)] / all.length;
        plan.places.push_back(static_cast<int32_t>(plan.queries.size()));
        plan.queries.push_back(0);
        const auto keys = all.keys.begin() + static_cast<ptrdiff_t>(chunk * plan.window);
        plan.keys.insert(plan.keys.end(), keys, keys + plan.window);
      }
  return plan;
}

Tensor ChunkedAttention::attend(const Plan& plan, const Tensor& q, const Tensor& k, const Tensor& v,
                                const std::vector<uint8_t>& shown, int64_t first_query, int64_t layer,
                                const Context& context) const {
  const int64_t B = q.size(0), T = q.size(1), H = spec.heads, K = spec.head_dim;
  const int64_t S = shown.empty() ? k.size(1) : std::ssize(shown) / B;
  const int64_t queries = first_query > 0 ? 1 : S;
  const int64_t pairs = B * H * plan.chunks;
  const auto gather = [&](const Tensor& x, const std::vector<int32_t>& positions, int64_t each, int64_t length) {
    std::vector<int32_t> rows;
    for (size_t i = 0; i < positions.size(); ++i) {
      const int64_t head = static_cast<int64_t>(i) / (plan.chunks * each);
      rows.push_back(static_cast<int32_t>((head / H * length + positions[i]) * H + head % H));
    }
    return embedding(Tensor::from({pairs, each}, rows), rows_of(x, length), x.dtype());
  };
  Tensor scores =
      matmul_transposed(gather(q, plan.queries, plan.length, queries), gather(k, plan.keys, plan.window, S));
  // Scores that the order, the padding or the token itself hides are replaced.
  const Tensor kept = Tensor::empty(scores.shape(), DType::f32), replaced = Tensor::empty(scores.shape(), DType::f32);
  const float own = own_score(scores.dtype()), masked = hidden_score(scores.dtype());
  parallel_for(pairs, 1, [&](int64_t begin, int64_t end) {
    float* keeps = kept.data<float>() + begin * plan.length * plan.window;
    float* values = replaced.data<float>() + begin * plan.length * plan.window;
    for (int64_t pair = begin; pair < end; ++pair)
      for (int64_t l = 0; l < plan.length; ++l) {
        const int64_t t = first_query + plan.queries[static_cast<size_t>(pair * plan.length + l)];
        for (int64_t w = 0; w < plan.window; ++w) {
          const int64_t s = plan.keys[static_cast<size_t>(pair * plan.window + w)];
          const bool hidden = (spec.causal && s > t) ||
                              (!shown.empty() && shown[static_cast<size_t>(pair / (H * plan.chunks) * S + s)] == 0);
          const float value = spec.hashes > 0 && s == t ? own : hidden ? masked : 0.0F;
          *keeps++ = value == 0 ? 1.0F : 0.0F;
          *values++ = value;
        }
      }
  });
  const auto beside = [&](const Tensor& x) { return cast(x.to(scores.device()), scores.dtype()); };
  scores = add(multiply(scores, beside(kept)), beside(replaced));
  if (context.wants(layer, "attn.hook_pattern"))
    context.tap(layer, "attn.hook_pattern", softmax(reshape(scores, {B, H, plan.chunks, plan.length, plan.window})));

  // A token's rows of all rounds stand side by side for the softmax, and go back to their chunks.
  const int64_t count = pairs * plan.length;
  Tensor p = reshape(scores, {count, plan.window});
  if (plan.rounds > 1) {
    const Tensor places = Tensor::from({B * T * H, plan.rounds}, plan.places);
    // Rows of padding belong to no token: they read the first token's, and nobody reads them.
    std::vector<int32_t> back(static_cast<size_t>(count), 0);
    for (size_t i = 0; i < plan.places.size(); ++i) back[static_cast<size_t>(plan.places[i])] = static_cast<int32_t>(i);
    const Tensor together = reshape(embedding(places, p, p.dtype()), {B * T * H, plan.rounds * plan.window});
    p = embedding(Tensor::from({count}, back), reshape(softmax(together), {B * T * H * plan.rounds, plan.window}),
                  p.dtype());
  } else {
    p = softmax(p);
  }
  p = dropout(p, context.training ? spec.dropout : 0, context.dropout_key(layer, 0));
  const Tensor z =
      reshape(matmul(reshape(p, {pairs, plan.length, plan.window}), gather(v, plan.keys, plan.window, S)), {count, K});
  Tensor total;
  for (int64_t round = 0; round < plan.rounds; ++round) {
    std::vector<int32_t> places;
    for (int64_t i = 0; i < B * T * H; ++i) places.push_back(plan.places[static_cast<size_t>(i * plan.rounds + round)]);
    const Tensor part = embedding(Tensor::from({B, T, H}, places), z, z.dtype());
    total = total ? add(total, part) : part;
  }
  return total;
}

Tensor ChunkedAttention::operator()(const Tensor& x, int64_t layer, const Context& context, Tensor& buckets) const {
  const int64_t B = x.size(0), T = x.size(1), H = spec.heads, K = spec.head_dim;
  const bool hashes = spec.hashes > 0;
  const int64_t before = context.cache == nullptr ? 0 : context.cache->length();
  check(before == 0 || T == 1, "chunked_attention", "behind a cache, expected one position, got {}", T);
  const std::vector<Tensor> parts = split(reshape(in(x), {B, T, (hashes ? 2 : 3) * H, K}), 2,
                                          hashes ? std::vector<int64_t>{H, H} : std::vector<int64_t>{H, H, H});
  const Tensor q = context.tap(layer, "attn.hook_q", contiguous(parts[0]));
  const Tensor ones = Tensor::from({K}, std::vector<float>(static_cast<size_t>(K), 1.0F), q.device());
  Tensor k = context.tap(layer, "attn.hook_k",
                         scale(hashes ? rms_norm(q, ones, norm_eps) : parts[1], 1 / std::sqrt(static_cast<float>(K))));
  Tensor v = context.tap(layer, "attn.hook_v", contiguous(parts.back()));
  const int64_t total = before + T;
  const bool padded = total > spec.shortest && total % spec.multiple != 0;
  const int64_t length = padded ? (total + spec.multiple - 1) / spec.multiple * spec.multiple : total;
  if (hashes && !buckets && (context.cache != nullptr || length > spec.chunk)) buckets = hashed(q, layer, context);
  Tensor known = buckets;
  if (context.cache != nullptr) {
    const KeyValueCache::View all = context.cache->append(layer, k, v);
    k = all.keys;
    v = all.values;
    if (hashes) {
      const Tensor earlier = context.cache->state(layer, bucket_slot);
      if (earlier) known = concat({earlier, buckets}, 1);
      context.cache->set_state(layer, bucket_slot, known);
    }
  }
  // Which of the padded positions there are; empty: all.
  std::vector<uint8_t> shown;
  if (context.key_mask || padded) {
    const std::vector<uint8_t> given = context.key_mask ? context.key_mask.to_vector<uint8_t>() : shown;
    for (int64_t b = 0; b < B; ++b)
      for (int64_t t = 0; t < length; ++t)
        shown.push_back(t >= total ? 0 : given.empty() ? 1 : given[static_cast<size_t>(b * total + t)]);
  }
  const Plan all = plan_for_all(known, shown, B, total, length);
  const Plan plan = before > 0 ? newest_of(all, B, total) : all;
  const Tensor z = context.tap(layer, "attn.hook_z", attend(plan, q, k, v, shown, before, layer, context));
  return out(reshape(z, {B, T, H * K}));
}

void ChunkedAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  in.visit(prefix + (spec.hashes > 0 ? ".hashed" : ".local"), visitor);
  out.visit(prefix + ".out", visitor);
}

}  // namespace qkv
