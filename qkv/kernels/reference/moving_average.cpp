#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <vector>

namespace qkv::kernels::reference_set {
namespace {

// The place of step i of sequence b in channel d.
int64_t place(const MovingAverage& a, int64_t b, int64_t i, int64_t d) {
  return (b * a.time + (a.reversed ? a.time - 1 - i : i)) * a.width + d;
}

// Steps' inputs, and the state of dimension n before each of them and after the last.
struct Series {
  std::vector<double> x, h;

  Series(const MovingAverage& a, int64_t b, int64_t d, int64_t n) {
    double last = a.before == nullptr ? 0 : a.before[(b * a.states + n) * a.width + d];
    h.push_back(last);
    for (int64_t i = 0; i < a.time; ++i) {
      x.push_back(load(a.x, a.type, place(a, b, i, d)));
      last = a.decay[d * a.states + n] * last + a.in[d * a.states + n] * x.back();
      h.push_back(last);
    }
  }
};

}  // namespace

void moving_average(const MovingAverage& a) {
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t d = 0; d < a.width; ++d) {
      std::vector<double> y;
      for (int64_t i = 0; i < a.time; ++i) y.push_back(a.add ? load(a.y, a.type, place(a, b, i, d)) : 0);
      for (int64_t n = 0; n < a.states; ++n) {
        const Series series(a, b, d, n);
        for (size_t i = 0; i < y.size(); ++i) y[i] += a.out[d * a.states + n] * series.h[i + 1];
        if (a.after != nullptr) a.after[(b * a.states + n) * a.width + d] = static_cast<float>(series.h.back());
      }
      for (int64_t i = 0; i < a.time; ++i) store(a.y, a.type, place(a, b, i, d), y[static_cast<size_t>(i)]);
    }
}

void moving_average_backward(const MovingAverageBackward& a) {
  const MovingAverage& f = a.forward;
  for (int64_t d = 0; d < f.width; ++d) {
    std::vector<std::vector<double>> dx(static_cast<size_t>(f.batch));
    for (int64_t b = 0; b < f.batch; ++b)
      for (int64_t i = 0; i < f.time; ++i)
        dx[static_cast<size_t>(b)].push_back(f.add ? load(a.dx, f.type, place(f, b, i, d)) : 0);
    for (int64_t n = 0; n < f.states; ++n) {
      const int64_t slot = d * f.states + n;
      double ddecay = 0, din = 0, dout = 0;
      for (int64_t b = 0; b < f.batch; ++b) {
        const Series series(f, b, d, n);
        double g = 0;  // of h after step i
        for (int64_t i = f.time - 1; i >= 0; --i) {
          const size_t at = static_cast<size_t>(i);
          const double dy = load(a.dy, f.type, place(f, b, i, d));
          g += f.out[slot] * dy;
          dout += series.h[at + 1] * dy;
          din += g * series.x[at];
          ddecay += g * series.h[at];
          dx[static_cast<size_t>(b)][at] += g * f.in[slot];
          g *= f.decay[slot];
        }
      }
      a.ddecay[slot] = static_cast<float>(ddecay);
      a.din[slot] = static_cast<float>(din);
      a.dout[slot] = static_cast<float>(dout);
    }
    for (int64_t b = 0; b < f.batch; ++b)
      for (int64_t i = 0; i < f.time; ++i)
        store(a.dx, f.type, place(f, b, i, d), dx[static_cast<size_t>(b)][static_cast<size_t>(i)]);
  }
}

}  // namespace qkv::kernels::reference_set
