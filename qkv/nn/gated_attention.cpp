#include "qkv/nn/gated_attention.h"

#include "qkv/core/error.h"
#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/matmul.h"
#include "qkv/ops/moving_average.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

// Its exponential is 0, and all of a row may have it; f16 ends at 65,504.
float masked_score(DType type) { return type == DType::f16 ? -3e4F : -1e30F; }
constexpr size_t average_slot = 0;
constexpr int weight_site = 0, average_site = 1, value_site = 4, result_site = 7;  // of dropout

Tensor ones_like(const Tensor& x) {
  return Tensor::from(x.shape(), std::vector<float>(static_cast<size_t>(x.numel()), 1.0F), x.device());
}

// Rows of zeros behind dimension 1, up to `length`.
Tensor lengthened(const Tensor& x, int64_t length) {
  if (x.size(1) == length) return x;
  Shape rest = x.shape();
  rest.set(1, length - x.size(1));
  return concat({x, Tensor::zeros(rest, x.dtype(), x.device())}, 1);
}

// Whether query t of `queries`, which stand behind keys - queries others, sees key s by order alone.
bool in_order(int64_t t, int64_t s, int64_t queries, int64_t keys) { return s <= t + keys - queries; }

}  // namespace

GatedAttention::GatedAttention(int64_t model_width, const GatedAttentionSpec& gated_attention_spec)
    : spec(gated_attention_spec),
      values(model_width, spec.value, true),
      gates(model_width, 2 * model_width + spec.shared + spec.value, true),
      out(spec.value, model_width, true, Role::residual_matrix) {
  const int64_t channels = spec.both_ways ? 2 * model_width : model_width;
  for (Tensor* one : {&damping, &decay, &expansion}) *one = Tensor::empty({channels, spec.averages, 1});
  projection = Tensor::empty({channels, spec.averages});
  average_skip = Tensor::empty({model_width});
  query_key_weight = Tensor::empty({2, spec.shared});
  query_key_bias = Tensor::empty({2, spec.shared});
  if (spec.rotary_bias) {
    rotary_query = Tensor::empty({1, spec.shared});
    rotary_key = Tensor::empty({1, spec.shared});
  } else {
    distances = Tensor::empty({spec.distances});
  }
}

Tensor GatedAttention::average(const Tensor& x, const Tensor& mask, int64_t layer, const Context& context) const {
  const Shape shape = projection.shape();
  const Tensor share = activate(reshape(damping, shape), Activation::sigmoid);
  const Tensor kept = subtract(ones_like(share), multiply(share, activate(reshape(decay, shape), Activation::sigmoid)));
  const Tensor in = multiply(share, reshape(expansion, shape));
  const Tensor result = scale(projection, 1 / std::sqrt(static_cast<float>(spec.averages)));
  Tensor state;
  if (context.cache != nullptr) {
    state = context.cache->state(layer, average_slot);
    if (!state) state = Tensor::zeros({x.size(0), spec.averages, x.size(2)}, DType::f32, x.device());
  }
  const Tensor averaged = moving_average(mask ? mask_positions(x, mask) : x, kept, in, result, state);
  if (state) context.cache->set_state(layer, average_slot, state);
  return activate(add(averaged, multiply(x, cast(average_skip, x.dtype()))), Activation::silu);
}

// f32 [queries, keys]: what the distance s - t adds to a score.
Tensor GatedAttention::distance_bias(int64_t queries, int64_t keys) const {
  if (!spec.rotary_bias && keys > spec.positions)
    throw Error("input", fmt::format("{} tokens do not fit the model's {} positions", keys, spec.positions),
                "shorten the text, or train with a longer context");
  Tensor by_distance = distances;
  const int64_t longest = spec.rotary_bias ? keys : spec.positions;  // row longest - 1 is distance 0
  if (spec.rotary_bias) {
    // Both vectors are turned by their position, so their product depends on the distance alone: it is that of the
    // query's vector, not turned, with the key's turned by the distance.
    const int64_t half = spec.shared / 2;
    std::vector<float> cosine, sine;
    for (int64_t distance = 1 - longest; distance < longest; ++distance)
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(distance) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
        cosine.push_back(static_cast<float>(std::cos(angle)));
        sine.push_back(static_cast<float>(std::sin(angle)));
      }
    const Shape table{2 * longest - 1, half};
    const std::vector<Tensor> q = split(rotary_query, 1, {half, half}), k = split(rotary_key, 1, {half, half});
    const Tensor even = add(multiply(q[0], k[0]), multiply(q[1], k[1]));
    const Tensor odd = subtract(multiply(q[1], k[0]), multiply(q[0], k[1]));
    by_distance = add(matmul_transposed(Tensor::from(table, cosine, even.device()), even),
                      matmul_transposed(Tensor::from(table, sine, odd.device()), odd));
  }
  std::vector<int32_t> places;
  for (int64_t t = 0; t < queries; ++t)
    for (int64_t s = 0; s < keys; ++s) places.push_back(static_cast<int32_t>(s - (t + keys - queries) + longest - 1));
  const Tensor table = reshape(by_distance, {by_distance.numel(), 1});
  return reshape(embedding(Tensor::from({queries, keys}, places), table, DType::f32), {queries, keys});
}

// q [B,C,T,shared], k [B,C,S,shared], mask u8 [B,C,S] or undefined -> [B,C,T,S].
Tensor GatedAttention::weights(const Tensor& q, const Tensor& k, const Tensor& mask) const {
  const int64_t B = q.size(0), C = q.size(1), T = q.size(2), S = k.size(2);
  const std::vector<uint8_t> shown = mask ? mask.to_vector<uint8_t>() : std::vector<uint8_t>();
  const auto sees = [&](int64_t row, int64_t t, int64_t s) {
    return (!spec.causal || in_order(t, s, T, S)) && (shown.empty() || shown[static_cast<size_t>(row * S + s)] != 0);
  };
  const Tensor bias = cast(distance_bias(T, S), q.dtype());
  // What each score is multiplied by, or added to it, for the mask's sake.
  const bool hides = spec.causal || mask;
  const float masked = masked_score(q.dtype());
  std::vector<float> factors;
  for (int64_t row = 0; hides && row < B * C; ++row)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t s = 0; s < S; ++s)
        factors.push_back(spec.pointwise ? (sees(row, t, s) ? 1.0F : 0.0F) : (sees(row, t, s) ? 0.0F : masked));
  const Tensor hiding = hides ? cast(Tensor::from({B, C, T, S}, factors, q.device()), q.dtype()) : Tensor();
  if (!spec.pointwise) {
    const Tensor scores = add(matmul_transposed(scale(q, 1 / std::sqrt(static_cast<float>(spec.shared))), k), bias);
    return softmax(hides ? add(scores, hiding) : scores);
  }
  // Scores are means over the keys that there are: by order alone where it is causal.
  std::vector<float> shares;
  for (int64_t row = 0; row < B * C; ++row)
    for (int64_t t = 0; t < T; ++t) {
      int64_t seen = spec.causal ? t + S - T + 1 : 0;
      for (int64_t s = 0; s < S && !spec.causal; ++s) seen += sees(row, t, s) ? 1 : 0;
      shares.insert(shares.end(), static_cast<size_t>(spec.shared), 1 / static_cast<float>(std::max<int64_t>(1, seen)));
    }
  const Tensor means = multiply(q, cast(Tensor::from(q.shape(), shares, q.device()), q.dtype()));
  const Tensor result = activate(add(matmul_transposed(means, k), bias), *spec.pointwise);
  return hides ? multiply(result, hiding) : result;
}

Tensor GatedAttention::attend(Tensor q, Tensor k, Tensor v, int64_t layer, const Context& context) const {
  const int64_t B = q.size(0), T = q.size(1);
  Tensor mask = context.key_mask;
  if (context.cache != nullptr) {
    const int64_t before = context.cache->length();
    const auto one_head = [](const Tensor& x) { return reshape(x, {x.size(0), x.size(1), 1, x.size(2)}); };
    const KeyValueCache::View all = context.cache->append(layer, one_head(k), one_head(v));
    // A new token sees only its own chunk.
    const int64_t first = spec.chunk > 0 && before > 0 ? before / spec.chunk * spec.chunk : 0;
    const auto seen = [&](const Tensor& x) {
      return reshape(x.narrow(1, first, x.size(1) - first), {B, x.size(1) - first, x.size(3)});
    };
    k = seen(all.keys);
    v = seen(all.values);
    if (mask) mask = contiguous(mask.narrow(1, first, mask.size(1) - first));
  }
  const int64_t S = k.size(1);
  int64_t chunks = 1;
  if (spec.chunk > 0 && T > spec.chunk) {
    chunks = (T + spec.chunk - 1) / spec.chunk;
    const int64_t length = chunks * spec.chunk;
    if (length > S && !mask) mask = Tensor::from({B, S}, std::vector<uint8_t>(static_cast<size_t>(B * S), 1));
    q = lengthened(q, length);
    k = lengthened(k, length);
    v = lengthened(v, length);
    if (mask) mask = lengthened(mask, length);
  }
  const auto cut = [&](const Tensor& x) { return reshape(x, {B, chunks, x.size(1) / chunks, x.size(2)}); };
  if (mask) mask = contiguous(mask).view({B, chunks, mask.size(1) / chunks});
  const Tensor pattern = context.tap(layer, "attn.hook_pattern", weights(cut(q), cut(k), mask));
  const bool training = context.training;
  v = dropout(v, training ? spec.value_dropout : 0, context.dropout_key(layer, value_site));
  const Tensor kept = dropout(pattern, training ? spec.attention_dropout : 0, context.dropout_key(layer, weight_site));
  const Tensor all = reshape(matmul(kept, cut(v)), {B, q.size(1), spec.value});
  return all.size(1) == T ? all : split(all, 1, {T, all.size(1) - T})[0];
}

Tensor GatedAttention::operator()(const Tensor& x, const Tensor& input, int64_t layer, const Context& context) const {
  const int64_t D = x.size(2);
  const Tensor mask = context.new_positions_mask(x.size(1));
  const float rate = context.training ? spec.dropout : 0;
  const Tensor averaged = context.tap(layer, "mixer.hook_average", average(x, mask, layer, context));
  const std::vector<Tensor> parts = split(gates(dropout(averaged, rate, context.dropout_key(layer, average_site))), 2,
                                          {D, spec.shared + spec.value, D});
  const Tensor update = activate(contiguous(parts[0]), Activation::sigmoid);
  const std::vector<Tensor> gated =
      split(activate(contiguous(parts[1]), Activation::silu), 2, {spec.shared, spec.value});
  const auto turned = [&](int64_t which) {
    const auto row = [&](const Tensor& table) { return cast(select(table, 0, which), x.dtype()); };
    return add(multiply(contiguous(gated[0]), row(query_key_weight)), row(query_key_bias));
  };
  const Tensor q = context.tap(layer, "attn.hook_q", turned(0));
  const Tensor k = context.tap(layer, "attn.hook_k", turned(1));
  const Tensor v = context.tap(layer, "attn.hook_v", activate(values(x), spec.activation));
  const Tensor z = context.tap(layer, "attn.hook_z", attend(q, k, v, layer, context));
  const Tensor candidate = activate(add(contiguous(parts[2]), out(multiply(z, contiguous(gated[1])))), spec.activation);
  return multiply(update, subtract(dropout(candidate, rate, context.dropout_key(layer, result_site)), input));
}

void GatedAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + ".damping", damping, Role::average_rate);
  visitor(prefix + ".decay", decay, Role::average_rate);
  visitor(prefix + ".expansion", expansion, Role::average_input);
  visitor(prefix + ".projection", projection, Role::average_output);
  visitor(prefix + ".average_skip", average_skip, Role::average_output);
  values.visit(prefix + ".values", visitor);
  gates.visit(prefix + ".gates", visitor);
  out.visit(prefix + ".out", visitor);
  visitor(prefix + ".query_key.weight", query_key_weight, Role::vector);
  visitor(prefix + ".query_key.bias", query_key_bias, Role::bias);
  if (spec.rotary_bias) {
    visitor(prefix + ".rotary_query", rotary_query, Role::vector);
    visitor(prefix + ".rotary_key", rotary_key, Role::vector);
  } else {
    visitor(prefix + ".distances", distances, Role::vector);
  }
}

}  // namespace qkv
