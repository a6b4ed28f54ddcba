#include "qkv/models/chunked_config.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace qkv {
namespace {

std::vector<int64_t> buckets_of(const Config& c, int64_t chunk, int64_t positions) {
  if (c.has("num_buckets")) {
    const std::vector<int64_t> factors = c.ids("num_buckets");
    double product = factors.empty() ? 0 : 1;
    for (const int64_t factor : factors) product *= factor > 0 && factor % 2 == 0 ? static_cast<double>(factor) : 0;
    if (product < 2 || product > 0x1p24) c.fail("num_buckets", "is not an even number, or too large");
    return factors;
  }
  const int64_t chunks = std::max<int64_t>(1, positions / chunk);
  const int64_t power = std::bit_width(static_cast<uint64_t>(2 * chunks)) - 1;
  const int64_t root = static_cast<int64_t>(std::sqrt(static_cast<double>(chunks)));
  if (int64_t{1} << power <= 2 * std::max(root, chunk)) return {int64_t{1} << power};
  return {int64_t{1} << power / 2, int64_t{1} << (power - power / 2)};
}

}  // namespace

void set_chunked_attention(const Config& c, StackSpec& stack) {
  const std::vector<std::string> kinds = c.texts("attn_layers", {"local", "lsh", "local", "lsh", "local", "lsh"});
  const bool hashed = std::count(kinds.begin(), kinds.end(), "lsh") > 0;
  const bool local = std::count(kinds.begin(), kinds.end(), "local") > 0;
  for (const std::string& kind : kinds)
    if (kind != "lsh" && kind != "local") c.fail("attn_layers", "names \"" + kind + "\"", "local or lsh");
  if (kinds.empty()) c.fail("attn_layers", "names no layer");
  // Texts must be cut evenly by every layer.
  constexpr int64_t longest_chunk = int64_t{1} << 20;
  const int64_t hash_chunk = c.integer("lsh_attn_chunk_length", 64, 1, longest_chunk);
  const int64_t local_chunk = c.integer("local_attn_chunk_length", 64, 1, longest_chunk);
  const ChunkedAttentionSpec attention{
      .heads = c.size("num_attention_heads", 12),
      .head_dim = c.size("attention_head_size", 64),
      .causal = c.flag("is_decoder", false),
      .multiple = std::lcm(hashed ? hash_chunk : 1, local ? local_chunk : 1),
      .shortest = std::min(hashed ? hash_chunk : longest_chunk, local ? local_chunk : longest_chunk)};
  stack.layers = std::ssize(kinds);
  stack.block.chunked_attention = attention;
  stack.vary([&](int64_t i, BlockSpec& block) {
    const bool hashes = kinds[static_cast<size_t>(i)] == "lsh";
    const std::string kind = hashes ? "lsh_" : "local_";
    ChunkedAttentionSpec& a = *block.chunked_attention;
    a.chunk = hashes ? hash_chunk : local_chunk;
    a.before = c.integer((kind + "num_chunks_before").c_str(), 1, 0, 1024);
    a.after = c.integer((kind + "num_chunks_after").c_str(), 0, 0, 1024);
    a.dropout = c.probability((kind + "attention_probs_dropout_prob").c_str(), hashes ? 0 : 0.05F);
    if (!hashes) return;
    a.hashes = c.integer("num_hashes", 1, 1, 64);
    a.buckets = buckets_of(c, hash_chunk, c.size("max_position_embeddings", 4096));
    if (c.has("hash_seed")) a.seed = static_cast<uint64_t>(c.integer("hash_seed", 0, 0, int64_t{1} << 62));
  });
}

void set_axial_positions(const Config& c, EmbeddingsSpec& embeddings, int64_t width) {
  if (!c.flag("axial_pos_embds", true)) return;
  const auto pair = [&](const char* key, std::vector<int64_t> fallback) {
    std::vector<int64_t> sizes = c.has(key) ? c.ids(key) : std::move(fallback);
    constexpr int64_t largest = int64_t{1} << 20;
    for (const int64_t size : sizes)
      if (sizes.size() != 2 || size < 1 || size > largest) c.fail(key, "is not a pair of sizes");
    if (sizes.empty()) c.fail(key, "is not a pair of sizes");
    return sizes;
  };
  const std::vector<int64_t> shape = pair("axial_pos_shape", {64, 64});
  const std::vector<int64_t> widths = pair("axial_pos_embds_dim", {64, 192});
  if (widths[0] + widths[1] != width) c.fail("axial_pos_embds_dim", "does not add up to hidden_size");
  embeddings.position_kind = EmbeddingsSpec::Positions::axial;
  embeddings.positions = shape[0] * shape[1];
  embeddings.axial_columns = shape[1];
  embeddings.axial_width = widths[0];
}

}  // namespace qkv
