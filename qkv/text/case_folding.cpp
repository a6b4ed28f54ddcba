#include "qkv/text/case_folding.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

namespace qkv {

std::string folded(std::string_view text) {
  std::string out;
  if (is_ascii(text)) {
    out = text;
    for (char& c : out)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
  }
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* folder = icu::Normalizer2::getNFKCCasefoldInstance(status);
  icu::StringByteSink<std::string> sink(&out);
  const icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  if (U_SUCCESS(status)) folder->normalizeUTF8(0, piece, sink, nullptr, status);
  if (U_FAILURE(status)) throw Error("ICU", u_errorName(status), "install ICU's data");
  return out;
}

}  // namespace qkv
