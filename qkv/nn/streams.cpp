#include "qkv/nn/streams.h"

#include "qkv/nn/relative.h"
#include "qkv/ops/check.h"

namespace qkv {
namespace {

// Calls visit(b, row, position) for the tokens and then the queries of each row of the batch.
template <typename Visit>
void for_each_row(const Streams& streams, int64_t B, int64_t T, Visit&& visit) {
  const int64_t M = streams.queries();
  for (int64_t b = 0; b < B; ++b)
    for (int64_t row = 0; row < T + M; ++row)
      visit(b, row, row < T ? row : static_cast<int64_t>(streams.targets.data<int32_t>()[b * M + row - T]));
}

void check_targets(const Streams& streams, int64_t T) {
  if (!streams.targets) return;
  for (const int32_t target : streams.targets.to_vector<int32_t>())
    if (target < 0 || target > T)
      throw Error("targets", fmt::format("position {} is outside the {} tokens", target, T));
}

}  // namespace

RelativeInputs with_streams(const RelativeInputs& relative, const Streams& streams, const Tensor& key_mask, int64_t T) {
  RelativeInputs result = relative;
  const int64_t S = relative.places.size(2);
  const bool masked = key_mask && (streams.hidden || streams.padding_sees_itself);
  if (!streams.hidden && !streams.targets && !streams.segments && !masked) return result;
  check_targets(streams, T);
  int64_t B = masked ? key_mask.size(0) : 1;
  for (const Tensor& given : {streams.hidden, streams.targets, streams.segments})
    if (given) B = given.size(0);
  const int64_t first = S - T;  // key of the first token
  if (streams.hidden || streams.targets || masked) {
    std::vector<int32_t> places;
    places.reserve(static_cast<size_t>(B * (T + streams.queries()) * S));
    // Row T of the given places is a query's behind the last token.
    const int32_t* all = relative.places.data<int32_t>();
    const uint8_t* hidden = streams.hidden ? streams.hidden.data<uint8_t>() : nullptr;
    const uint8_t* mask = masked ? key_mask.data<uint8_t>() : nullptr;
    for_each_row(streams, B, T, [&](int64_t b, int64_t row, int64_t position) {
      for (int64_t s = 0; s < S; ++s) {
        const int64_t token = s - first;
        const bool itself = row < T && token == row;
        const bool covered =
            (mask != nullptr && mask[b * S + s] == 0) ||
            (hidden != nullptr && token >= 0 && position < T && hidden[(b * T + position) * T + token] != 0);
        places.push_back(covered && !itself ? -1 : all[position * S + s]);
      }
    });
    result.places = Tensor::from({B, T + streams.queries(), S}, places);
  }
  if (streams.segments) {
    std::vector<int32_t> places;
    const int32_t* segments = streams.segments.data<int32_t>();
    for_each_row(streams, B, T, [&](int64_t b, int64_t, int64_t position) {
      const int32_t own = segments[b * T + std::min(position, T - 1)];
      for (int64_t s = 0; s < S; ++s) places.push_back((s < first ? 0 : segments[b * T + s - first]) == own ? 0 : 1);
    });
    result.segments = Tensor::from({B, T + streams.queries(), S}, places);
  }
  return result;
}

}  // namespace qkv
