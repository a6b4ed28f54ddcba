#include "qkv/models/disentangled_config.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

// "pos_att_type": a list, or names joined by "|".
bool position_type(const Config& c, const std::string& name) {
  if (!c.has("pos_att_type")) return false;
  const Json& value = c.json()["pos_att_type"];
  return value.is_array() ? std::find(value.begin(), value.end(), Json(name)) != value.end()
                          : c.text("pos_att_type", "").find(name) != std::string::npos;
}

}  // namespace

void set_disentangled_positions(const Config& c, StackSpec& stack) {
  AttentionSpec& attention = stack.block.attention;
  RelativeSpec relative{.to_position = position_type(c, "c2p"),
                        .from_position = position_type(c, "p2c"),
                        .shared = c.flag("share_att_key", false),
                        .bias = true,
                        .dropout = stack.block.dropout};
  const int terms = 1 + (relative.to_position ? 1 : 0) + (relative.from_position ? 1 : 0);
  attention.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(attention.head_dim * terms)));
  if (!c.flag("relative_attention", false)) return;
  if (terms == 1) c.fail("pos_att_type", "names neither c2p nor p2c, but relative_attention is true");
  int64_t longest = c.integer("max_relative_positions", -1, -1, 1 << 20);
  if (longest < 1) longest = stack.max_positions;
  const int64_t buckets = c.integer("position_buckets", -1, -1, 1 << 20);
  if (buckets > 0 && (buckets < 4 || longest <= buckets))
    c.fail("position_buckets", "must be at least 4 and less than the longest relative position");
  attention.relative = relative;
  stack.distances = DistancesSpec{.reach = buckets > 0 ? buckets : longest, .buckets = buckets > 0, .longest = longest};
  if (c.text("norm_rel_ebd", "none").find("layer_norm") != std::string::npos) stack.distances->norm = stack.block.norm;
}

}  // namespace qkv
