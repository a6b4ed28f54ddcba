// Counts of what the server does, in Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace qkv {

class Metrics {
 public:
  // A request was answered. `route` is the pattern of its path, so that paths cannot fill the memory.
  void answered(const std::string& route, int status, double seconds);

  std::string text() const;

 private:
  static constexpr std::array<double, 9> bounds{0.005, 0.02, 0.1, 0.5, 1, 2, 5, 20, 60};  // seconds
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  std::array<int64_t, bounds.size() + 1> buckets_{};
  double seconds_ = 0;
};

// One metric with its values: add() a line for each set of labels.
class MetricText {
 public:
  MetricText(std::string& out, const std::string& name, const std::string& kind, const std::string& help);
  // `labels`: `model="gpt2"`, or "".
  void add(const std::string& labels, double value);

 private:
  std::string& out_;
  std::string name_;
};

// A label's value with quotes around it.
std::string quoted_label(const std::string& value);

}  // namespace qkv
