#include "qkv/models/rotary_config.h"

#include <map>

namespace qkv {

RotarySpec rotary_spec(const Config& config, int64_t head_dim, int64_t max_positions, double partial) {
  using Scaling = RotarySpec::Scaling;
  static const std::map<std::string, Scaling> kinds = {{"default", Scaling::none},
                                                       {"linear", Scaling::linear},
                                                       {"dynamic", Scaling::dynamic},
                                                       {"llama3", Scaling::llama3},
                                                       {"yarn", Scaling::yarn}};
  const bool newer = config.has("rope_parameters");
  const Config scaling = config.object(newer ? "rope_parameters" : "rope_scaling");
  const std::string kind = scaling.text("rope_type", scaling.text("type", "default"));
  const auto found = kinds.find(kind);
  if (found == kinds.end())
    scaling.fail("rope_type", "'" + kind + "' is not supported", "one of default, linear, dynamic, llama3, yarn");
  RotarySpec spec;
  const double share = newer && scaling.has("partial_rotary_factor")
                           ? scaling.positive("partial_rotary_factor", 1)
                           : config.positive("partial_rotary_factor", config.positive("rotary_pct", partial));
  spec.dim = static_cast<int64_t>(static_cast<double>(head_dim) * share);
  spec.base = newer && scaling.has("rope_theta")
                  ? scaling.positive("rope_theta", 10000)
                  : config.positive("rope_theta", config.positive("rotary_emb_base", 10000));
  spec.scaling = found->second;
  spec.factor = scaling.positive("factor", 1);
  spec.original_positions =
      scaling.size("original_max_position_embeddings", config.size("original_max_position_embeddings", max_positions));
  spec.low_freq_factor = scaling.positive("low_freq_factor", 1);
  spec.high_freq_factor = scaling.positive("high_freq_factor", 4);
  spec.beta_fast = scaling.positive("beta_fast", 32);
  spec.beta_slow = scaling.positive("beta_slow", 1);
  if (scaling.has("attention_factor")) spec.attention_factor = scaling.positive("attention_factor", 1);
  if (scaling.has("mscale")) spec.mscale = scaling.positive("mscale", 1);
  if (scaling.has("mscale_all_dim")) spec.mscale_all_dim = scaling.positive("mscale_all_dim", 1);
  spec.truncate = scaling.flag("truncate", true);
  return spec;
}

}  // namespace qkv
