// TensorFlow's checkpoints: the input as a whole index, as the pairs of one (with right check sums around them, which a
// fuzzer would not guess), and as what Snappy made of them.
#include "qkv/core/error.h"
#include "qkv/io/tensor_bundle.h"
#include "tests/io/table_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const std::string weights(4096, '\0');
  for (const std::string& index :
       {std::string(bytes), qkv::table_builder::table_of(bytes), qkv::table_builder::table_of(bytes, 1)}) {
    try {
      const qkv::TensorBundle bundle(index, weights, "fuzz");
      for (const std::string& name : bundle.names()) bundle.get(name).to_vector<float>();
    } catch (const qkv::Error&) {
    }
  }
  return 0;
}
