// Any bytes at all are either refused with qkv::Error or are tensors that can be read to the end.
#include "qkv/core/error.h"
#include "qkv/io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const qkv::Safetensors file({data, size}, "fuzz");
    for (const std::string& name : file.names()) file.get(name).to_vector<float>();
  } catch (const qkv::Error&) {
  }
  return 0;
}
