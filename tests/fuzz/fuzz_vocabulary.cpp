// The older tokenizer files from anywhere. The first byte says which: vocab.txt, or vocab.json and merges.txt, which
// a line "===" separates, or vocab.pkl; tokenizer_config.json may follow behind another.
#include "qkv/core/error.h"
#include "qkv/text/tokenizer.h"
#include "tests/fuzz/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto next = [&] {
    constexpr std::string_view mark = "\n===\n";
    const size_t end = rest.find(mark);
    const std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + mark.size());
    return part;
  };
  for (const char* name : {"vocab.txt", "vocab.json", "merges.txt", "vocab.pkl", "tokenizer_config.json"})
    ::unlink((fuzz::folder() / name).c_str());
  if (data[0] % 3 == 0) {
    fuzz::write("vocab.txt", next());
  } else if (data[0] % 3 == 2) {
    fuzz::write("vocab.pkl", next());
  } else {
    fuzz::write("vocab.json", next());
    fuzz::write("merges.txt", next());
  }
  if (!rest.empty()) fuzz::write("tokenizer_config.json", next());
  try {
    const qkv::Tokenizer tokenizer = qkv::Tokenizer::load(fuzz::folder());
    const qkv::Encoding encoding = tokenizer.encode_pair("Hello, wörld! 12345  \n don't 你好", "again");
    tokenizer.decode(encoding.ids, true);
  } catch (const qkv::Error&) {
  }
  return 0;
}
