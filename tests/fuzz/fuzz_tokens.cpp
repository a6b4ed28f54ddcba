// A token cache from anywhere: either an Error, or documents and tokens that can be read to the end.
#include "qkv/core/error.h"
#include "qkv/data/token_stream.h"
#include "tests/fuzz/file.h"

namespace {

void read_all(const qkv::TokenStream& stream) {
  std::vector<int32_t> tokens(static_cast<size_t>(stream.size()));
  stream.read(0, tokens);
  for (int64_t i = 0; i < stream.documents(); ++i) {
    const auto [begin, end] = stream.document(i);
    if (begin < 0 || end < begin || end > stream.size()) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto path = fuzz::write("tokens", {reinterpret_cast<const char*>(data), size});
  try {
    const qkv::TokenStream stream(path);
    read_all(stream);
    const auto [train, validation] = stream.split(0.3);
    read_all(train);
    read_all(validation);
  } catch (const qkv::Error&) {
  }
  return 0;
}
