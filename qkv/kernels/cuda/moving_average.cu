#include "qkv/kernels/cuda/channels.h"
#include "qkv/kernels/cuda/column_sums.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

// What a thread needs of its channel.
template <int lanes, int held>
struct Weights {
  float decay[held], in[held], out[held];

  __device__ Weights(const MovingAverage& a, const Channel<lanes, held>& channel) {
#pragma unroll
    for (int i = 0; i < held; ++i) {
      const bool has = channel.has(i);
      decay[i] = has ? a.decay[channel.parameter(i)] : 0;
      in[i] = has ? a.in[channel.parameter(i)] : 0;
      out[i] = has ? a.out[channel.parameter(i)] : 0;
    }
  }
};

// The place of step i in the channel's sequence.
template <int lanes, int held>
__device__ inline int64_t place_of(const MovingAverage& a, const Channel<lanes, held>& channel, int64_t i) {
  return (channel.b * a.time + (a.reversed ? a.time - 1 - i : i)) * a.width + channel.d;
}

template <typename T, int lanes, int held>
__device__ inline float number_at(const Channel<lanes, held>& channel, const void* x, int64_t place) {
  return channel.there() ? to_float(static_cast<const T*>(x)[place]) : 0;
}

template <typename T, int lanes, int held>
__global__ void __launch_bounds__(channel_block) average(MovingAverage a) {
  const Channel<lanes, held> channel(a.width, a.states);
  const Weights<lanes, held> w(a, channel);
  float h[held];
#pragma unroll
  for (int i = 0; i < held; ++i)
    h[i] = a.before != nullptr && channel.has(i) ? a.before[channel.kept(i, channel.b)] : 0;
  T* const y = static_cast<T*>(a.y);
  for (int64_t step = 0; step < a.time; ++step) {
    const int64_t place = place_of(a, channel, step);
    const float x = number_at<T>(channel, a.x, place);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < held; ++i) {
      h[i] = w.decay[i] * h[i] + w.in[i] * x;
      sum += w.out[i] * h[i];
    }
    sum = channel.sum(sum);
    if (channel.there() && channel.lane == 0) y[place] = from_float<T>(a.add ? to_float(y[place]) + sum : sum);
  }
  if (a.after == nullptr) return;
#pragma unroll
  for (int i = 0; i < held; ++i)
    if (channel.has(i)) a.after[channel.kept(i, channel.b)] = h[i];
}

// The states before each chunk of steps: [batch, chunks, states, width].
template <typename T, int lanes, int held>
__global__ void __launch_bounds__(channel_block) keep_chunks(MovingAverage a, int64_t chunks, float* kept) {
  const Channel<lanes, held> channel(a.width, a.states);
  const Weights<lanes, held> w(a, channel);
  float h[held] = {};
  for (int64_t step = 0; step < a.time; ++step) {
    const float x = number_at<T>(channel, a.x, place_of(a, channel, step));
#pragma unroll
    for (int i = 0; i < held; ++i) {
      if (step % channel.chunk == 0 && channel.has(i))
        kept[channel.kept(i, channel.b * chunks + step / channel.chunk)] = h[i];
      h[i] = w.decay[i] * h[i] + w.in[i] * x;
    }
  }
}

// Gradients of decay, in and out go to partials [batch, 3, width, states].
template <typename T, int lanes, int held>
__global__ void __launch_bounds__(channel_block)
    average_back(MovingAverageBackward a, const float* kept, int64_t chunks, float* partials) {
  constexpr int chunk = Channel<lanes, held>::chunk, threads = channel_block;
  const MovingAverage& f = a.forward;
  const Channel<lanes, held> channel(f.width, f.states);
  const Weights<lanes, held> w(f, channel);
  float* const before = dynamic_shared<float>() + threadIdx.x;  // the states before each step of the chunk
  T* const dx = static_cast<T*>(a.dx);
  float g[held] = {}, ddecay[held] = {}, din[held] = {}, dout[held] = {};
  for (int64_t which = chunks - 1; which >= 0; --which) {
    const int64_t begin = which * chunk;
    const int count = static_cast<int>(begin + chunk < f.time ? chunk : f.time - begin);
    float h[held];
#pragma unroll
    for (int i = 0; i < held; ++i) h[i] = channel.has(i) ? kept[channel.kept(i, channel.b * chunks + which)] : 0;
    for (int at = 0; at < count; ++at) {
      const float x = number_at<T>(channel, f.x, place_of(f, channel, begin + at));
#pragma unroll
      for (int i = 0; i < held; ++i) {
        before[(at * held + i) * threads] = h[i];
        h[i] = w.decay[i] * h[i] + w.in[i] * x;
      }
    }
    for (int at = count - 1; at >= 0; --at) {
      const int64_t place = place_of(f, channel, begin + at);
      const float x = number_at<T>(channel, f.x, place), dy = number_at<T>(channel, a.dy, place);
      float sum = 0;
#pragma unroll
      for (int i = 0; i < held; ++i) {
        const float last = before[(at * held + i) * threads];
        g[i] += w.out[i] * dy;
        dout[i] += (w.decay[i] * last + w.in[i] * x) * dy;
        din[i] += g[i] * x;
        ddecay[i] += g[i] * last;
        sum += g[i] * w.in[i];
        g[i] *= w.decay[i];
      }
      sum = channel.sum(sum);
      if (channel.there() && channel.lane == 0) dx[place] = from_float<T>(f.add ? to_float(dx[place]) + sum : sum);
    }
  }
  const int64_t parameters = f.width * f.states;
  float* out = partials + channel.b * 3 * parameters;
#pragma unroll
  for (int i = 0; i < held; ++i) {
    if (!channel.has(i)) continue;
    out[channel.parameter(i)] = ddecay[i];
    out[parameters + channel.parameter(i)] = din[i];
    out[2 * parameters + channel.parameter(i)] = dout[i];
  }
}

}  // namespace

void moving_average(const MovingAverage& a) {
  with_lanes("moving_average", a.states, [&](auto lanes, auto held) {
    with_type(a.type, [&]<typename T>(T) {
      launch("moving_average", average<T, lanes.value, held.value>, grid_of_channels<lanes.value>(a.width, a.batch),
             channel_block, 0, a);
    });
  });
}

void moving_average_backward(const MovingAverageBackward& a) {
  constexpr const char* op = "moving_average_backward";
  const MovingAverage& f = a.forward;
  const int64_t parameters = f.width * f.states;
  const Scratch<float> partials(f.batch * 3 * parameters);
  with_lanes(op, f.states, [&](auto lanes, auto held) {
    constexpr int chunk = Channel<lanes.value, held.value>::chunk;
    const Grid grid = grid_of_channels<lanes.value>(f.width, f.batch);
    const int64_t chunks = (f.time + chunk - 1) / chunk;
    const Scratch<float> kept(f.batch * chunks * parameters);
    with_type(f.type, [&]<typename T>(T) {
      launch(op, keep_chunks<T, lanes.value, held.value>, grid, channel_block, 0, f, chunks, kept.data());
      launch(op, average_back<T, lanes.value, held.value>, grid, channel_block,
             size_t{1} * chunk * held.value * channel_block * sizeof(float), a, kept.data(), chunks, partials.data());
    });
  });
  float* const out[] = {a.ddecay, a.din, a.dout};
  for (int i = 0; i < 3; ++i)
    add_partial_sums(op, {partials.data() + i * parameters, f.batch, 3 * parameters}, parameters, out[i], false);
}

}  // namespace qkv::kernels::cuda_set
