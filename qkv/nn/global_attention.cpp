#include "qkv/nn/global_attention.h"

#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {
namespace {

// Rows of x [B,T,..] at `rows` among its B T: [B, G, width].
Tensor picked(const Tensor& x, const Tensor& rows, int64_t width) {
  return embedding(rows, reshape(x, {x.numel() / width, width}), x.dtype());
}

}  // namespace

GlobalTokens global_tokens(const Tensor& global, const Tensor& shown) {
  if (!global) return {};
  const int64_t B = global.size(0);
  const int64_t T = global.size(1);
  const uint8_t* seen = shown ? shown.data<uint8_t>() : nullptr;
  std::vector<std::vector<int32_t>> found(static_cast<size_t>(B));
  size_t most = 0;
  for (int64_t i = 0; i < B * T; ++i)
    if (global.data<uint8_t>()[i] != 0 && (seen == nullptr || seen[i] != 0))
      found[static_cast<size_t>(i / T)].push_back(static_cast<int32_t>(i));
  for (const auto& row : found) most = std::max(most, row.size());
  if (most == 0) return {};
  const int64_t G = static_cast<int64_t>(most);
  std::vector<int32_t> rows;
  std::vector<uint8_t> mask;
  std::vector<int32_t> sources;
  for (int64_t b = 0; b < B; ++b) {
    const std::vector<int32_t>& here = found[static_cast<size_t>(b)];
    for (size_t g = 0; g < most; ++g) {
      rows.push_back(g < here.size() ? here[g] : static_cast<int32_t>(b * T));
      mask.push_back(g < here.size() ? 1 : 0);
    }
    size_t next = 0;
    for (int64_t t = 0; t < T; ++t) {
      const int64_t i = b * T + t;
      const bool is_global = next < here.size() && here[next] == i;
      mask.push_back(!is_global && (seen == nullptr || seen[i] != 0) ? 1 : 0);
      sources.push_back(static_cast<int32_t>(is_global ? B * T + b * G + static_cast<int64_t>(next) : i));
      next += is_global ? 1 : 0;
    }
  }
  return {Tensor::from({B, G}, rows), Tensor::from({B, G + T}, mask), Tensor::from({B, T}, sources)};
}

GlobalAttention::GlobalAttention(int64_t width, int64_t heads, int64_t head_dim, bool bias)
    : query(width, heads * head_dim, bias), key_value(width, 2 * heads * head_dim, bias) {}

Tensor GlobalAttention::operator()(const Tensor& x, const Tensor& q, const Tensor& k, const Tensor& v,
                                   AttentionOptions options, const GlobalTokens& tokens, int64_t layer,
                                   const Context& context) const {
  const int64_t B = q.size(0);
  const int64_t T = q.size(1);
  const int64_t H = q.size(2);
  const int64_t K = q.size(3);
  const int64_t G = tokens.rows.size(1);
  AttentionOptions whole{.scale = options.scale,
                         .key_mask = options.key_mask,
                         .dropout = options.dropout,
                         .key = context.dropout_key(layer, 5)};
  // Global keys stand first, and every query sees them.
  const auto with_global = [&](const Tensor& y) {
    return concat({reshape(picked(y, tokens.rows, H * K), {B, G, H, K}), y}, 1);
  };
  options.key_mask = tokens.mask;
  options.always = G;
  const Tensor keys = with_global(k);
  if (context.wants(layer, "attn.hook_pattern"))
    context.tap(layer, "attn.hook_pattern", attention_pattern(q, keys, options));
  const Tensor local = attention(q, keys, with_global(v), options);

  const Tensor asking = reshape(query(picked(x, tokens.rows, x.size(2))), {B, G, H, K});
  const std::vector<Tensor> asked = split(reshape(key_value(x), {B, T, 2 * H, K}), 2, {H, H});
  if (context.wants(layer, "attn.hook_global_pattern"))
    context.tap(layer, "attn.hook_global_pattern", attention_pattern(asking, asked[0], whole));
  const Tensor global = attention(asking, asked[0], asked[1], whole);
  const Tensor all = concat({reshape(local, {B * T, H * K}), reshape(global, {B * G, H * K})}, 0);
  return reshape(embedding(tokens.sources, all, all.dtype()), {B, T, H, K});
}

void GlobalAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  query.visit(prefix + ".query", visitor);
  key_value.visit(prefix + ".key_value", visitor);
}

}  // namespace qkv
