// config.json from anywhere: either an Error, or a Spec that can be counted and drawn.
#include "qkv/core/error.h"
#include "qkv/models/describe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const qkv::Config config(qkv::parse_json(text, "fuzz"), "fuzz");
    qkv::describe(qkv::spec_of(config));
  } catch (const qkv::Error&) {
  }
  return 0;
}
