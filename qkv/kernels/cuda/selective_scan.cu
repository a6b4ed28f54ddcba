#include "qkv/kernels/cuda/channels.h"
#include "qkv/kernels/cuda/column_sums.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

// A step's inputs for a thread; zeros where it has no channel or no state.
template <typename T, int lanes, int held>
struct Step {
  float x = 0, delta = 0;
  float b[held], c[held];

  __device__ Step(const SelectiveScan& a, const Channel<lanes, held>& channel, int64_t t) {
    const int64_t row = channel.b * a.time + t;
    if (channel.there()) {
      x = to_float(static_cast<const T*>(a.x)[row * a.width + channel.d]);
      delta = to_float(static_cast<const T*>(a.delta)[row * a.width + channel.d]);
    }
#pragma unroll
    for (int i = 0; i < held; ++i) {
      const bool has = channel.has(i);
      b[i] = has ? to_float(static_cast<const T*>(a.b)[row * a.ld + channel.state(i)]) : 0;
      c[i] = has ? to_float(static_cast<const T*>(a.c)[row * a.ld + channel.state(i)]) : 0;
    }
  }
};

template <int lanes, int held>
__device__ inline void read_rates(const SelectiveScan& a, const Channel<lanes, held>& channel, float (&rate)[held]) {
#pragma unroll
  for (int i = 0; i < held; ++i) rate[i] = channel.has(i) ? -expf(a.log_a[channel.parameter(i)]) : 0;
}

template <typename T, int lanes, int held>
__global__ void __launch_bounds__(channel_block) scan(SelectiveScan a) {
  const Channel<lanes, held> channel(a.width, a.states);
  float rate[held], h[held];
  read_rates(a, channel, rate);
#pragma unroll
  for (int i = 0; i < held; ++i)
    h[i] = a.before != nullptr && channel.has(i) ? a.before[channel.kept(i, channel.b)] : 0;
  const float skip = channel.there() ? a.skip[channel.d] : 0;
  for (int64_t t = 0; t < a.time; ++t) {
    const Step<T, lanes, held> step(a, channel, t);
    float y = 0;
#pragma unroll
    for (int i = 0; i < held; ++i) {
      h[i] = expf(step.delta * rate[i]) * h[i] + step.delta * step.b[i] * step.x;
      y += step.c[i] * h[i];
    }
    y = channel.sum(y) + skip * step.x;
    if (channel.there() && channel.lane == 0)
      static_cast<T*>(a.y)[(channel.b * a.time + t) * a.width + channel.d] = from_float<T>(y);
  }
  if (a.after == nullptr) return;
#pragma unroll
  for (int i = 0; i < held; ++i)
    if (channel.has(i)) a.after[channel.kept(i, channel.b)] = h[i];
}

// The states before each chunk: [batch, chunks, states, width].
template <typename T, int lanes, int held>
__global__ void __launch_bounds__(channel_block) keep_chunks(SelectiveScan a, int64_t chunks, float* kept) {
  const Channel<lanes, held> channel(a.width, a.states);
  float rate[held], h[held] = {};
  read_rates(a, channel, rate);
  for (int64_t t = 0; t < a.time; ++t) {
    const Step<T, lanes, held> step(a, channel, t);
#pragma unroll
    for (int i = 0; i < held; ++i) {
      if (t % channel.chunk == 0 && channel.has(i))
        kept[channel.kept(i, channel.b * chunks + t / channel.chunk)] = h[i];
      h[i] = expf(step.delta * rate[i]) * h[i] + step.delta * step.b[i] * step.x;
    }
  }
}

// What blocks leave to be added: gradients of b and c, [channels' blocks, 2, batch, time, states], and of log_a and
// skip, [batch, width states + width].
struct ScanPartials {
  const float* kept;  // of keep_chunks()
  int64_t chunks;
  float* of_inputs;
  float* of_parameters;
};

template <typename T, int lanes, int held>
__global__ void __launch_bounds__(channel_block) scan_back(SelectiveScanBackward a, ScanPartials partials) {
  constexpr int chunk = Channel<lanes, held>::chunk, threads = channel_block;
  const SelectiveScan& f = a.forward;
  const Channel<lanes, held> channel(f.width, f.states);
  // First the states before each position of the chunk; then, in their place, what a channel adds to dc. Beside it, to
  // db.
  float* const to_c = dynamic_shared<float>() + threadIdx.x;
  float* const to_b = to_c + chunk * held * threads;
  float rate[held], g[held] = {}, dlog_a[held] = {}, dskip = 0;
  read_rates(f, channel, rate);
  const float skip = channel.there() ? f.skip[channel.d] : 0;
  const int64_t inputs = f.batch * f.time * f.states;
  for (int64_t which = partials.chunks - 1; which >= 0; --which) {
    const int64_t begin = which * chunk;
    const int count = static_cast<int>(begin + chunk < f.time ? chunk : f.time - begin);
    float h[held];
#pragma unroll
    for (int i = 0; i < held; ++i)
      h[i] = channel.has(i) ? partials.kept[channel.kept(i, channel.b * partials.chunks + which)] : 0;
    for (int at = 0; at < count; ++at) {
      const Step<T, lanes, held> step(f, channel, begin + at);
#pragma unroll
      for (int i = 0; i < held; ++i) {
        to_c[(at * held + i) * threads] = h[i];
        h[i] = expf(step.delta * rate[i]) * h[i] + step.delta * step.b[i] * step.x;
      }
    }
    for (int at = count - 1; at >= 0; --at) {
      const Step<T, lanes, held> step(f, channel, begin + at);
      const int64_t place = (channel.b * f.time + begin + at) * f.width + channel.d;
      const float dy = channel.there() ? to_float(static_cast<const T*>(a.dy)[place]) : 0;
      float dx = 0, ddelta = 0;
#pragma unroll
      for (int i = 0; i < held; ++i) {
        float& slot = to_c[(at * held + i) * threads];
        const float before = slot, decay = expf(step.delta * rate[i]);
        const float now = decay * before + step.delta * step.b[i] * step.x;
        g[i] += step.c[i] * dy;
        slot = now * dy;
        to_b[(at * held + i) * threads] = g[i] * step.delta * step.x;
        dx += g[i] * step.delta * step.b[i];
        const float dexponent = g[i] * decay * before;
        ddelta += dexponent * rate[i] + g[i] * step.b[i] * step.x;
        dlog_a[i] += dexponent * step.delta * rate[i];
        g[i] *= decay;
      }
      dx = channel.sum(dx) + skip * dy;
      ddelta = channel.sum(ddelta);
      dskip += step.x * dy;
      if (channel.there() && channel.lane == 0) {
        static_cast<T*>(a.dx)[place] = from_float<T>(dx);
        static_cast<T*>(a.ddelta)[place] = from_float<T>(ddelta);
      }
    }
    __syncthreads();
    // Over the block's channels, whose threads of a state are `lanes` apart.
    for (int64_t i = threadIdx.x; i < count * f.states; i += threads) {
      const int at = static_cast<int>(i / f.states), n = static_cast<int>(i % f.states);
      const float* from = dynamic_shared<float>() + (at * held + n / lanes) * threads + n % lanes;
      float db = 0, dc = 0;
      for (int c = 0; c < channel.of_block; ++c) {
        dc += from[c * lanes];
        db += from[chunk * held * threads + c * lanes];
      }
      float* out = partials.of_inputs + 2 * inputs * blockIdx.y + (channel.b * f.time + begin) * f.states + i;
      out[0] = db;
      out[inputs] = dc;
    }
    __syncthreads();
  }
  float* out = partials.of_parameters + channel.b * f.width * (f.states + 1);
#pragma unroll
  for (int i = 0; i < held; ++i)
    if (channel.has(i)) out[channel.parameter(i)] = dlog_a[i];
  if (channel.there() && channel.lane == 0) out[f.width * f.states + channel.d] = dskip;
}

}  // namespace

void selective_scan(const SelectiveScan& a) {
  with_lanes("selective_scan", a.states, [&](auto lanes, auto held) {
    with_type(a.type, [&]<typename T>(T) {
      launch("selective_scan", scan<T, lanes.value, held.value>, grid_of_channels<lanes.value>(a.width, a.batch),
             channel_block, 0, a);
    });
  });
}

void selective_scan_backward(const SelectiveScanBackward& a) {
  constexpr const char* op = "selective_scan_backward";
  const SelectiveScan& f = a.forward;
  with_lanes(op, f.states, [&](auto lanes, auto held) {
    constexpr int chunk = Channel<lanes.value, held.value>::chunk;
    const Grid grid = grid_of_channels<lanes.value>(f.width, f.batch);
    const int64_t chunks = (f.time + chunk - 1) / chunk, inputs = f.batch * f.time * f.states;
    const int64_t rates = f.width * f.states, parameters = rates + f.width;
    const Scratch<float> kept(f.batch * chunks * rates);
    const int64_t sums = grid.y;  // each block of channels has its own
    const Scratch<float> of_inputs(sums * 2 * inputs), of_parameters(f.batch * parameters);
    with_type(f.type, [&]<typename T>(T) {
      launch(op, keep_chunks<T, lanes.value, held.value>, grid, channel_block, 0, f, chunks, kept.data());
      launch(op, scan_back<T, lanes.value, held.value>, grid, channel_block,
             size_t{2} * chunk * held.value * channel_block * sizeof(float), a,
             ScanPartials{kept.data(), chunks, of_inputs.data(), of_parameters.data()});
    });
    add_partial_sums(op, {of_inputs.data(), sums, 2 * inputs}, inputs, a.db, false);
    add_partial_sums(op, {of_inputs.data() + inputs, sums, 2 * inputs}, inputs, a.dc, false);
    add_partial_sums(op, {of_parameters.data(), f.batch, parameters}, rates, a.dlog_a, a.accumulate_log_a);
    add_partial_sums(op, {of_parameters.data() + rates, f.batch, parameters}, f.width, a.dskip, a.accumulate_skip);
  });
}

}  // namespace qkv::kernels::cuda_set
