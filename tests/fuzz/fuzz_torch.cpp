// Any bytes at all are either refused with qkv::Error or are PyTorch's weights that can be read to the end. The pickle
// alone is tried as well, with a storage beside it, so that the fuzzer need not learn zip archives.
#include "qkv/core/error.h"
#include "qkv/io/torch_file.h"
#include "qkv/io/torch_pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const qkv::TorchFile file(bytes, "fuzz");
    for (const std::string& name : file.names()) file.get(name).to_vector<float>();
  } catch (const qkv::Error&) {
  }
  try {
    const qkv::Pickle pickle(bytes, "fuzz", qkv::torch_globals);
    const qkv::Pickle::Value& tensors = qkv::dictionary_of_tensors(pickle.root(), "fuzz");
    for (const qkv::Pickle::Value* value : tensors.items)
      if (const qkv::Pickle::Value* arguments = qkv::tensor_arguments(*value)) qkv::tensor_view(*arguments, "fuzz");
  } catch (const qkv::Error&) {
  }
  return 0;
}
