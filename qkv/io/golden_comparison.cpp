#include "qkv/io/golden_comparison.h"

#include "qkv/ops/shape.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

// The index of element i's (row, position) pair.
size_t position_of(size_t i, const Shape& shape, int position_dim) {
  size_t rest = i;
  size_t row = 0;
  size_t position = 0;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    const size_t index = rest % static_cast<size_t>(shape[d]);
    rest /= static_cast<size_t>(shape[d]);
    if (d == position_dim) position = index;
    if (d == 0) row = index;
  }
  return row * static_cast<size_t>(shape[position_dim]) + position;
}

}  // namespace

void GoldenComparison::add(const std::string& name, const Tensor& result, const std::vector<uint8_t>& visible,
                           int position_dim) {
  if (!golden_.contains(name)) return;
  compared_.insert(name);
  const Tensor expected = golden_.get(name);
  // Some results are written with rows and positions in one dimension.
  if (result.rank() != expected.rank() && result.numel() == expected.numel())
    return add(name, reshape(result, expected.shape()), visible, 0);
  if (result.shape() != expected.shape()) {
    results_.push_back(
        {name, 1, 0, fmt::format("shape {}, expected {}", to_string(result.shape()), to_string(expected.shape()))});
    return;
  }
  const std::vector<double> got = result.to_vector<double>();
  const std::vector<double> want = expected.to_vector<double>();
  double largest = 0;
  double difference = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!visible.empty() && position_dim == 0 && visible[i / (want.size() / visible.size())] == 0) continue;
    if (!visible.empty() && position_dim > 0 && visible[position_of(i, expected.shape(), position_dim)] == 0) continue;
    largest = std::max(largest, std::abs(want[i]));
    const double d = std::abs(got[i] - want[i]);
    difference = std::isnan(d) ? d : std::max(difference, d);
    if (std::isnan(difference)) break;
  }
  report(name, difference, largest, tolerance_);
}

void GoldenComparison::add_gradients(const std::map<std::string, Tensor>& gradients, double tolerance) {
  double largest_of_all = 0;
  for (const std::string& name : golden_.names())
    if (name.starts_with("grad."))
      for (const double g : golden_.get(name).to_vector<double>())
        largest_of_all = std::max(largest_of_all, std::abs(g));
  for (const std::string& name : golden_.names()) {
    if (!name.starts_with("grad.")) continue;
    const std::vector<double> want = golden_.get(name).to_vector<double>();
    const auto found = gradients.find(name.substr(5));
    // A parameter that the loss does not reach has a golden gradient of zeros and none here.
    const std::vector<double> got =
        found == gradients.end() ? std::vector<double>(want.size(), 0.0) : found->second.to_vector<double>();
    double largest = 1e-3 * largest_of_all;
    double difference = got.size() == want.size() ? 0 : INFINITY;
    for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
      largest = std::max(largest, std::abs(want[i]));
      difference = std::max(difference, std::abs(got[i] - want[i]));
    }
    report(name, difference, largest, tolerance);
  }
}

void GoldenComparison::require(const std::string& name) {
  if (golden_.contains(name) && compared_.count(name) == 0) results_.push_back({name, 1, 0, "not computed"});
}

void GoldenComparison::report(const std::string& name, double difference, double largest, double tolerance) {
  const double error = largest > 0 ? difference / largest : difference;
  results_.push_back({name, std::isnan(error) ? INFINITY : error, tolerance, ""});
}

}  // namespace qkv
