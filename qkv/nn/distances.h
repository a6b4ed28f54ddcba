// The vectors for distances between tokens that relative attention uses, learned or sinusoidal, for a whole stack.
#pragma once

#include "qkv/nn/norm.h"
#include "qkv/nn/relative.h"

#include <optional>

namespace qkv {

struct DistancesSpec {
  // Learned: a row for each distance, query - key, from -reach to reach - 1; those beyond take the last one. With
  // `buckets`, distances up to half of reach have a row of their own, and those up to `longest` share the others by
  // their logarithm (He et al. 2020, arXiv 2006.03654). 0 = sinusoidal: sines, then cosines, as Vaswani et al. 2017.
  int64_t reach = 0;
  bool buckets = false;
  int64_t longest = 0;
  std::optional<NormSpec> norm;  // of the learned rows
  int64_t clamp = 0;             // sinusoidal: distances beyond count as this; 0 = none
};

// The bucket of a distance, in (-reach, reach); distances of longest - 1 and more take the last.
int64_t log_bucket(int64_t distance, int64_t reach, int64_t longest);

struct Distances {
  DistancesSpec spec;
  Tensor table;  // [2 reach, D]; undefined where sinusoidal
  Norm norm;

  Distances() = default;
  Distances(int64_t width, const DistancesSpec& distances_spec);
  // The rows that T tokens at the end of S keys need, and where each pair finds its own. `causal`: later keys need
  // none. `next`: also those of a query behind the last token, which is row T of the places.
  RelativeInputs operator()(int64_t T, int64_t S, bool causal, bool next, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  int64_t row_of(int64_t distance) const;  // rows descend with the distance
  Tensor sinusoids(int64_t highest, int64_t lowest) const;
  int64_t width_ = 0;
  mutable Tensor made_;  // sinusoids of distances from made_reach_ down to -made_reach_
  mutable int64_t made_reach_ = 0;
  mutable Tensor places_;  // of the last pass
  mutable int64_t places_first_ = 0;
};

}  // namespace qkv
