#include "qkv/generate/recorded_scores.h"

#include "qkv/core/notice.h"

#include <exception>
#include <string>

namespace qkv {

void RecordedScores::renew(Device device) const {
  numbers_.on(device);
  numbers_.renew();
}

bool RecordedScores::record(Device device, const std::function<Tensor()>& pass) {
  bool recorded = false;
  try {
    recorded = replay_.record(device, [&] { scores_ = pass(); });
  } catch (const std::exception& error) {
    // The pass without a recording says it again, unless a recording alone needs too much memory.
    notice("generate",
           std::string("steps are asked for kernel by kernel, since they cannot be recorded: ") + error.what());
  }
  if (!recorded) scores_ = {};
  return recorded;
}

Tensor RecordedScores::play() {
  replay_.play();
  return scores_;
}

}  // namespace qkv
