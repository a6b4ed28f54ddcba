#include "qkv/nn/distances.h"

#include "qkv/ops/embedding.h"

#include <algorithm>
#include <cmath>

namespace qkv {

int64_t log_bucket(int64_t distance, int64_t reach, int64_t longest) {
  const int64_t middle = reach / 2;
  const int64_t size = std::abs(distance);
  if (size <= middle) return distance;
  // In f32, as the reference rounds: a bucket's border is where the ceiling jumps.
  const float share = std::log(static_cast<float>(size) / static_cast<float>(middle)) /
                      std::log(static_cast<float>(static_cast<double>(longest - 1) / static_cast<double>(middle)));
  const int64_t bucket = static_cast<int64_t>(std::ceil(share * static_cast<float>(middle - 1))) + middle;
  return distance < 0 ? -bucket : bucket;
}

Distances::Distances(int64_t width, const DistancesSpec& distances_spec) : spec(distances_spec), width_(width) {
  if (spec.reach > 0) table = Tensor::empty({2 * spec.reach, width});
  if (spec.norm) norm = Norm(width, *spec.norm);
}

int64_t Distances::row_of(int64_t distance) const {
  if (spec.reach == 0) return spec.clamp > 0 ? std::clamp(distance, -spec.clamp, spec.clamp) : distance;
  const int64_t bucket = spec.buckets ? log_bucket(distance, spec.reach, spec.longest) : distance;
  return std::clamp(bucket + spec.reach, int64_t{0}, 2 * spec.reach - 1);
}

Tensor Distances::sinusoids(int64_t highest, int64_t lowest) const {
  const int64_t reach = std::max(std::abs(highest), std::abs(lowest));
  if (!made_ || made_reach_ < reach) {
    made_reach_ = std::max(reach, 2 * made_reach_);
    const int64_t half = width_ / 2;
    std::vector<float> values;
    values.reserve(static_cast<size_t>((2 * made_reach_ + 1) * width_));
    for (int64_t distance = made_reach_; distance >= -made_reach_; --distance)
      for (int64_t i = 0; i < width_; ++i) {
        const double frequency = std::pow(10000.0, -2.0 * static_cast<double>(i % half) / static_cast<double>(width_));
        const double angle = static_cast<double>(distance) * frequency;
        values.push_back(static_cast<float>(i < half ? std::sin(angle) : std::cos(angle)));
      }
    made_ = Tensor::from({2 * made_reach_ + 1, width_}, values);
  }
  return made_.narrow(0, made_reach_ - highest, highest - lowest + 1);
}

RelativeInputs Distances::operator()(int64_t T, int64_t S, bool causal, bool next, const Context& context) const {
  // Distances run from the first key seen by the last query to the last key seen by the first query.
  const int64_t rows_of_places = next ? T + 1 : T;
  const int64_t highest = next ? S : S - 1;
  const int64_t lowest = causal ? 0 : 1 - T;
  const int64_t top = row_of(highest);
  const int64_t bottom = row_of(lowest);
  if (!places_ || places_.size(1) != rows_of_places || places_.size(2) != S || places_first_ != top) {
    std::vector<int32_t> places;
    places.reserve(static_cast<size_t>(rows_of_places * S));
    for (int64_t t = 0; t < rows_of_places; ++t)
      for (int64_t s = 0; s < S; ++s)
        places.push_back(static_cast<int32_t>(top - row_of(std::max(lowest, S - T + t - s))));
    places_ = Tensor::from({1, rows_of_places, S}, places);
    places_first_ = top;
  }
  if (spec.reach == 0)
    return {.table = [made = sinusoids(top, bottom)] { return made; }, .places = places_, .segments = {}};
  std::vector<int32_t> rows;
  for (int64_t row = top; row >= bottom; --row) rows.push_back(static_cast<int32_t>(row));
  const Tensor used = Tensor::from({std::ssize(rows)}, rows);
  const auto make = [this, used, compute = context.compute] {
    const Tensor vectors = embedding(used, table, compute);
    return spec.norm ? norm(vectors) : vectors;
  };
  return {.table = make, .places = places_, .segments = {}};
}

void Distances::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (table) visitor(prefix + ".table", table, Role::embedding);
  if (spec.norm) norm.visit(prefix + ".norm", visitor);
}

}  // namespace qkv
