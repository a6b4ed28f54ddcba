#include "qkv/kernels/reference/block_search.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qkv::kernels {
namespace {

// A group's numbers, their weights, and what its codes may be.
struct Group {
  const float* x;
  const float* weight;
  int size;
  int least, most;
  bool table;  // codes are iq4_nl's
};

struct Line {
  float scale = 0, low = 0;  // value = scale code - low
};

// The nearest integer, halves to even, of a number below 2^22: a float adder's own rounding.
int rounded_to_int(float value) { return std::bit_cast<int32_t>(value + 12582912.0F) - 0x4b400000; }

// iq4_nl's code nearest to each number of halves, from -128 up: midpoints between its codes are halves.
constexpr auto nearest_in_table = [] {
  std::array<int8_t, 512> nearest{};
  for (int i = 0; i < 512; ++i) {
    size_t code = 0;
    while (code + 1 < iq4_nl_codes.size() && i - 256 >= iq4_nl_codes[code] + iq4_nl_codes[code + 1]) ++code;
    nearest[static_cast<size_t>(i)] = iq4_nl_codes[code];
  }
  return nearest;
}();

int nearest_code(const Group& g, float value) {
  if (!g.table) return std::clamp(rounded_to_int(std::clamp(value, -300.0F, 300.0F)), g.least, g.most);
  const int halves = rounded_to_int(2 * std::clamp(value, -300.0F, 300.0F) - 0.5F);  // rounded down
  return nearest_in_table[static_cast<size_t>(std::clamp(halves + 256, 0, 511))];
}

// body(i, code) for each number of a group, with its nearest code on a line.
template <typename Body>
void each_code(const Group& g, Line line, Body&& body) {
  const float inverse = line.scale == 0 ? 0 : 1 / line.scale;
  for (int i = 0; i < g.size; ++i) body(i, nearest_code(g, (g.x[i] + line.low) * inverse));
}

// The weighted squared error of a group on a line, each number at its nearest code.
float error_of(const Group& g, Line line) {
  float error = 0;
  each_code(g, line, [&](int i, int code) {
    const float difference = g.x[i] - (line.scale * static_cast<float>(code) - line.low);
    error += g.weight[i] * difference * difference;
  });
  return error;
}

// The line of least squares for the codes that the numbers have on `line`. Without lows it goes through 0; a low below
// 0, where it may not be (`positive`), becomes 0.
Line refitted(const Group& g, Line line, bool lows, bool positive) {
  float w = 0, q = 0, qq = 0, x = 0, xq = 0;
  each_code(g, line, [&](int i, int code) {
    const float weight = g.weight[i], weighted = weight * static_cast<float>(code);
    w += weight;
    q += weighted;
    qq += weighted * static_cast<float>(code);
    x += weight * g.x[i];
    xq += weighted * g.x[i];
  });
  const Line through_zero = {qq > 0 ? xq / qq : 0, 0};
  if (!lows) return through_zero;
  const float determinant = w * qq - q * q;
  if (determinant <= 1e-6F * w * qq) return line;
  const float offset = (qq * x - q * xq) / determinant;
  if (positive && offset > 0) return through_zero;
  return {(w * xq - q * x) / determinant, -offset};
}

// Starting lines: those that put the largest number, or both ends, a little off the ends of the codes.
Line best_line(const Group& g, bool lows, bool positive) {
  const auto [least, most] = std::minmax_element(g.x, g.x + g.size);
  const float bottom = positive ? std::min(0.0F, *least) : *least;
  Line best;
  if (lows) best.low = -bottom;
  float best_error = error_of(g, best);
  const auto consider = [&](Line line) {
    for (int round = 0; round < 2; ++round) {
      line = refitted(g, line, lows, positive);
      const float error = error_of(g, line);
      if (!(error < best_error)) return;
      best_error = error;
      best = line;
    }
  };
  constexpr int tries = 8;
  for (int i = -tries; i <= tries; ++i) {
    if (lows) {
      const float levels = static_cast<float>(g.most - g.least) * (1 + 0.04F * static_cast<float>(i));
      if (*most > bottom) consider({(*most - bottom) / levels, -bottom});
    } else {
      const float largest = std::abs(*least) > std::abs(*most) ? *least : *most;
      const float shift = (g.table ? 2.0F : 0.1F) * static_cast<float>(i);
      for (const int end : {g.least, g.most})
        if (largest != 0) consider({largest / (static_cast<float>(end) + shift), 0});
    }
  }
  return best;
}

float rounded(float value) { return static_cast<float>(f16(value)); }

// d for groups' scales that become integers up to the ends of their range.
float unit_of(const float* scales, int groups, int least, int most) {
  float unit = 0;
  for (int i = 0; i < groups; ++i) {
    const int end = least < 0 ? least : most;
    if (std::abs(scales[i]) > std::abs(unit * static_cast<float>(end))) unit = scales[i] / static_cast<float>(end);
  }
  return rounded(unit);
}

int in_units(float value, float unit, int least, int most) {
  return unit == 0 ? std::clamp(0, least, most) : std::clamp(rounded_to_int(value / unit), least, most);
}

// A group's integers: those nearest to its line, or beside them.
void settle(const BlockFormat& format, const Group& group, Line line, int g, BlockFields& f) {
  const int scale = in_units(line.scale, f.d, format.scale_least, format.scale_most);
  const int low = format.lows ? in_units(line.low, f.m, 0, format.scale_most) : 0;
  float best = -1;
  for (int s = std::max(scale - 1, format.scale_least); s <= std::min(scale + 1, format.scale_most); ++s)
    for (int l = std::max(low - 1, 0); l <= std::min(low + 1, format.lows ? format.scale_most : 0); ++l) {
      const float error = error_of(group, {f.d * static_cast<float>(s), f.m * static_cast<float>(l)});
      if (best >= 0 && !(error < best)) continue;
      best = error;
      f.scale[g] = static_cast<int8_t>(s);
      f.low[g] = static_cast<int8_t>(l);
    }
}

}  // namespace

BlockFields search_block(const BlockFormat& format, const float* x, const float* weight) {
  const int groups = static_cast<int>(block_length(format.type)) / format.group;
  const bool whole = format.scale_least == format.scale_most;  // a block is one group, and d its scale
  BlockFields f;
  Group group[16];
  Line line[16];
  for (int g = 0; g < groups; ++g) {
    group[g] = {x + g * format.group, weight + g * format.group, format.group,
                format.code_least,    format.code_most,          format.type == DType::iq4_nl};
    if (format.type == DType::q8_0) {  // fine enough as it is: the largest number at the end of the codes
      for (int i = 0; i < format.group; ++i) line[g].scale = std::max(line[g].scale, std::abs(x[i]) / 127);
    } else {
      line[g] = best_line(group[g], format.lows, !whole);
    }
  }
  if (whole) {
    f.d = rounded(line[0].scale);
    f.m = rounded(line[0].low);
    f.scale[0] = f.low[0] = 1;
  } else {
    float scales[16], lows[16];
    for (int g = 0; g < groups; ++g) {
      scales[g] = line[g].scale;
      lows[g] = line[g].low;
    }
    f.d = unit_of(scales, groups, format.scale_least, format.scale_most);
    if (format.lows) f.m = unit_of(lows, groups, 0, format.scale_most);
    for (int g = 0; g < groups; ++g) settle(format, group[g], line[g], g, f);
  }
  for (int g = 0; g < groups; ++g) {
    const Line used = {f.d * static_cast<float>(f.scale[g]), f.m * static_cast<float>(f.low[g])};
    each_code(group[g], used, [&](int i, int code) { f.code[g * format.group + i] = static_cast<int8_t>(code); });
  }
  return f;
}

}  // namespace qkv::kernels
