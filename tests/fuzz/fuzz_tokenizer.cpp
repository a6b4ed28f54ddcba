// tokenizer.json from anywhere: either an Error, or a tokenizer that encodes and decodes.
#include "qkv/core/error.h"
#include "qkv/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const qkv::Tokenizer tokenizer =
        qkv::Tokenizer::from_json(qkv::parse_json(text, "fuzz"), qkv::Json::object(), "fuzz");
    const std::string_view sample = "Hello, wörld! 12345  \n don't 你好 <s>\xF0\x9F\x91\x8D";
    const qkv::Encoding encoding = tokenizer.encode_pair(sample, "again");
    tokenizer.decode(encoding.ids, true);
    tokenizer.encode_ids(sample);
  } catch (const qkv::Error&) {
  }
  return 0;
}
