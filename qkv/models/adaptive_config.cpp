#include "qkv/models/adaptive_config.h"

namespace qkv {

AdaptiveSpec adaptive_spec(const Config& c, bool predicts) {
  AdaptiveSpec spec{.cutoffs = c.ids("cutoffs"),
                    .width = c.size("d_embed", c.size("d_model")),
                    .division = c.size("div_val", 1),
                    .predicts = predicts};
  int64_t before = 0;
  for (const int64_t cutoff : spec.cutoffs) {
    if (cutoff <= before || cutoff >= c.size("vocab_size")) c.fail("cutoffs", "must increase, within the vocabulary");
    before = cutoff;
  }
  const Json tied = c.has("tie_projs") ? c.json()["tie_projs"] : Json::array();
  if (!tied.is_array()) c.fail("tie_projs", "must be a list");
  for (int64_t i = 0; i < spec.ranges(); ++i) {
    const size_t at = static_cast<size_t>(i);
    spec.own.push_back(at >= tied.size() || tied[at] != true);
    if (spec.width_of(i) < 1) c.fail("div_val", "leaves no width for the last words");
  }
  return spec;
}

}  // namespace qkv
