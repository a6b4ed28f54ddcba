// Any bytes at all are either refused with qkv::Error or are metadata and tensors that can be read to the end.
#include "qkv/core/error.h"
#include "qkv/io/gguf.h"
#include "qkv/ops/shape.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const qkv::Gguf file({data, size}, "fuzz");
    for (const std::string& name : file.names()) qkv::cast(file.get(name), qkv::DType::f32);
  } catch (const qkv::Error&) {
  }
  return 0;
}
