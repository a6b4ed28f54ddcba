// Unicode normalization forms (Unicode Standard Annex 15) that keep track of where each character came from.
#pragma once

#include "qkv/text/aligned_text.h"

#include <optional>
#include <string_view>

namespace qkv {

enum class NormalizationForm { nfc, nfd, nfkc, nfkd };

std::optional<NormalizationForm> normalization_form(std::string_view name);  // "NFC", ...

// Throws Error when ICU's data is missing.
void normalize_unicode(AlignedText& text, NormalizationForm form);

}  // namespace qkv
