#include "qkv/serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace qkv {

std::string quoted_label(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text + '"';
}

MetricText::MetricText(std::string& out, const std::string& name, const std::string& kind, const std::string& help)
    : out_(out), name_(name) {
  out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
}

void MetricText::add(const std::string& labels, double value) {
  out_ += labels.empty() ? fmt::format("{} {}\n", name_, value) : fmt::format("{}{{{}}} {}\n", name_, labels, value);
}

void Metrics::answered(const std::string& route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
  ++buckets_[static_cast<size_t>(bucket)];
  seconds_ += seconds;
}

std::string Metrics::text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  MetricText requests(out, "qkv_http_requests_total", "counter", "Requests answered; 499: the client had left.");
  for (const auto& [key, count] : requests_)
    requests.add(fmt::format("path={},status=\"{}\"", quoted_label(key.first), key.second), static_cast<double>(count));
  const std::string name = "qkv_http_request_seconds";
  out += fmt::format("# HELP {} From a request's arrival to its answer's end.\n# TYPE {} histogram\n", name, name);
  int64_t count = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    count += buckets_[i];
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf",
                       count);
  }
  out += fmt::format("{}_sum {}\n{}_count {}\n", name, seconds_, name, count);
  return out;
}

}  // namespace qkv
