#include "qkv/cuda/card_rates.h"

#include <algorithm>
#include <string_view>

namespace qkv::cuda {
namespace {

// Of one compute capability, FLOP a clock and multiprocessor: NVIDIA's white papers of Ampere (GA100, GA102), Ada
// (AD102), Hopper (GH100) and Blackwell (GB100, GB202), and the CUDA C++ Programming Guide's table of arithmetic.
struct Units {
  int major, minor;
  double half, f32;
  bool halved_for_games;  // GeForce cards do half as many products where sums are in f32
  double tensor_clock;    // Hz: the highest that data sheets count tensor cores with; 0: the card's
};
constexpr Units table[] = {
    {8, 0, 2048, 128, false, 0},       {8, 6, 1024, 256, true, 0},  {8, 9, 1024, 256, true, 0},
    {9, 0, 4096, 256, false, 1.83e9},  // an H100 may reach 1.98 GHz, not with all tensor cores at work
    {10, 0, 8192, 256, false, 1.85e9}, {12, 0, 1024, 256, true, 0},
};

}  // namespace

CardRates card_rates(const DeviceInfo& card) {
  CardRates rates{.bandwidth = 2 * card.memory_clock * card.memory_bus / 8};  // two transfers a clock
  for (const Units& units : table) {
    if (units.major != card.major || units.minor != card.minor) continue;
    const bool halved = units.halved_for_games && std::string_view(card.name).find("GeForce") != std::string_view::npos;
    const double tensor_clock = units.tensor_clock > 0 ? std::min(units.tensor_clock, card.clock) : card.clock;
    rates.half = card.multiprocessors * tensor_clock * units.half / (halved ? 2 : 1);
    rates.tf32 = rates.half / 2;
    rates.f32 = card.multiprocessors * card.clock * units.f32;
  }
  return rates;
}

}  // namespace qkv::cuda
