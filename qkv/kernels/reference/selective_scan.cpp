#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>
#include <vector>

namespace qkv::kernels::reference_set {
namespace {

// One channel of one sequence: its inputs by position, and the states h[t + 1][n] that follow from them (h[0]: before).
struct Channel {
  std::vector<double> x, delta, a;
  std::vector<std::vector<double>> b, c, decay, h;

  Channel(const SelectiveScan& s, int64_t row, int64_t d) {
    std::vector<double> last;
    for (int64_t n = 0; n < s.states; ++n) {
      a.push_back(-std::exp(static_cast<double>(s.log_a[d * s.states + n])));
      last.push_back(s.before == nullptr ? 0 : s.before[(row * s.states + n) * s.width + d]);
    }
    h.push_back(last);
    for (int64_t t = 0; t < s.time; ++t) {
      const int64_t place = row * s.time + t;
      x.push_back(load(s.x, s.type, place * s.width + d));
      delta.push_back(load(s.delta, s.type, place * s.width + d));
      b.emplace_back();
      c.emplace_back();
      decay.emplace_back();
      for (int64_t n = 0; n < s.states; ++n) {
        const size_t i = static_cast<size_t>(n);
        b.back().push_back(load(s.b, s.type, place * s.ld + n));
        c.back().push_back(load(s.c, s.type, place * s.ld + n));
        decay.back().push_back(std::exp(delta.back() * a[i]));
        last[i] = decay.back()[i] * last[i] + delta.back() * b.back()[i] * x.back();
      }
      h.push_back(last);
    }
  }
};

void add_or_set(float& out, double value, bool add) { out = static_cast<float>(add ? out + value : value); }

}  // namespace

void selective_scan(const SelectiveScan& s) {
  for (int64_t row = 0; row < s.batch; ++row)
    for (int64_t d = 0; d < s.width; ++d) {
      const Channel channel(s, row, d);
      for (int64_t t = 0; t < s.time; ++t) {
        const size_t at = static_cast<size_t>(t);
        double y = s.skip[d] * channel.x[at];
        for (size_t n = 0; n < static_cast<size_t>(s.states); ++n) y += channel.c[at][n] * channel.h[at + 1][n];
        store(s.y, s.type, (row * s.time + t) * s.width + d, y);
      }
      for (int64_t n = 0; n < s.states && s.after != nullptr; ++n)
        s.after[(row * s.states + n) * s.width + d] = static_cast<float>(channel.h.back()[static_cast<size_t>(n)]);
    }
}

void selective_scan_backward(const SelectiveScanBackward& s) {
  const SelectiveScan& f = s.forward;
  const size_t states = static_cast<size_t>(f.states);
  std::vector<double> db(static_cast<size_t>(f.batch * f.time * f.states)), dc(db.size());
  for (int64_t d = 0; d < f.width; ++d) {
    std::vector<double> dlog_a(states);
    double dskip = 0;
    for (int64_t row = 0; row < f.batch; ++row) {
      const Channel channel(f, row, d);
      std::vector<double> g(states);  // of h at the position
      for (int64_t t = f.time - 1; t >= 0; --t) {
        const size_t at = static_cast<size_t>(t);
        const int64_t place = row * f.time + t;
        const double dy = load(s.dy, f.type, place * f.width + d);
        const double x = channel.x[at], delta = channel.delta[at];
        double dx = f.skip[d] * dy;
        double ddelta = 0;
        dskip += x * dy;
        for (size_t n = 0; n < states; ++n) {
          const size_t slot = static_cast<size_t>(place) * states + n;
          g[n] += channel.c[at][n] * dy;
          dc[slot] += channel.h[at + 1][n] * dy;
          db[slot] += g[n] * delta * x;
          dx += g[n] * delta * channel.b[at][n];
          const double dexponent = g[n] * channel.decay[at][n] * channel.h[at][n];
          ddelta += dexponent * channel.a[n] + g[n] * channel.b[at][n] * x;
          dlog_a[n] += dexponent * delta * channel.a[n];
          g[n] *= channel.decay[at][n];
        }
        store(s.dx, f.type, place * f.width + d, dx);
        store(s.ddelta, f.type, place * f.width + d, ddelta);
      }
    }
    for (size_t n = 0; n < states; ++n)
      add_or_set(s.dlog_a[static_cast<size_t>(d) * states + n], dlog_a[n], s.accumulate_log_a);
    add_or_set(s.dskip[d], dskip, s.accumulate_skip);
  }
  for (size_t i = 0; i < db.size(); ++i) {
    s.db[i] = static_cast<float>(db[i]);
    s.dc[i] = static_cast<float>(dc[i]);
  }
}

}  // namespace qkv::kernels::reference_set
