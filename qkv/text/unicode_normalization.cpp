#include "qkv/text/unicode_normalization.h"

#include "qkv/core/error.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

namespace qkv {

std::optional<NormalizationForm> normalization_form(std::string_view name) {
  if (name == "NFC") return NormalizationForm::nfc;
  if (name == "NFD") return NormalizationForm::nfd;
  if (name == "NFKC") return NormalizationForm::nfkc;
  if (name == "NFKD") return NormalizationForm::nfkd;
  return std::nullopt;
}

namespace {

const icu::Normalizer2& decomposer(bool compatibility) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found =
      compatibility ? icu::Normalizer2::getNFKDInstance(status) : icu::Normalizer2::getNFDInstance(status);
  if (U_FAILURE(status)) throw Error("ICU", u_errorName(status), "install ICU's data");
  return *found;
}

const icu::Normalizer2& composer() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) throw Error("ICU", u_errorName(status), "install ICU's data");
  return *found;
}

// The reference implementation's tables are of this version of Unicode, and models were trained with them: newer
// characters neither decompose nor compose nor change places.
constexpr int tables_age = 9;

bool known(UChar32 c) { return c < 0x80 || unicode_age(static_cast<char32_t>(c)) <= tables_age; }

uint8_t combining_class(UChar32 c) { return c >= 0x300 && known(c) ? u_getCombiningClass(c) : 0; }

// A character of the result. `taken` is how many characters of the old text it uses up: 0 for the second and later
// characters of a decomposition.
struct Step {
  char32_t c;
  int taken;
  uint8_t combining_class;
};

std::vector<Step> decompose(std::string_view text, bool compatibility) {
  const icu::Normalizer2& normalizer = decomposer(compatibility);
  std::vector<Step> steps;
  steps.reserve(text.size());
  icu::UnicodeString pieces;
  for (const char *p = text.data(), *end = p + text.size(); p < end;) {
    const auto c = static_cast<UChar32>(next_code_point(p));
    if (c < 0x80 || !known(c) || !normalizer.getDecomposition(c, pieces)) {
      steps.push_back({static_cast<char32_t>(c), 1, combining_class(c)});
      continue;
    }
    int taken = 1;
    for (int i = 0; i < pieces.length(); i = pieces.moveIndex32(i, 1)) {
      const UChar32 piece = pieces.char32At(i);
      steps.push_back({static_cast<char32_t>(piece), taken, combining_class(piece)});
      taken = 0;
    }
  }
  // Canonical order: runs of combining characters by class, stably.
  for (size_t i = 0; i < steps.size();) {
    size_t j = i;
    while (j < steps.size() && steps[j].combining_class != 0) ++j;
    if (j - i > 1)
      std::stable_sort(steps.begin() + i, steps.begin() + j,
                       [](const Step& a, const Step& b) { return a.combining_class < b.combining_class; });
    i = j + 1;
  }
  return steps;
}

// The canonical composition algorithm: a character joins the last starter when nothing between blocks it.
std::vector<Step> compose(const std::vector<Step>& steps) {
  const icu::Normalizer2& normalizer = composer();
  std::vector<Step> out;
  out.reserve(steps.size());
  ptrdiff_t starter = -1;
  int last_class = -1;  // of what stands between the starter and the next character; -1: nothing
  for (const Step& step : steps) {
    const bool blocked = last_class >= 0 && last_class >= step.combining_class;
    if (starter >= 0 && !blocked) {
      const UChar32 pair = normalizer.composePair(static_cast<UChar32>(out[starter].c), static_cast<UChar32>(step.c));
      if (pair >= 0 && known(pair)) {
        out[starter].c = static_cast<char32_t>(pair);
        out[starter].taken += step.taken;
        continue;
      }
    }
    if (step.combining_class == 0) {
      starter = static_cast<ptrdiff_t>(out.size());
      last_class = -1;
    } else {
      last_class = step.combining_class;
    }
    out.push_back(step);
  }
  return out;
}

}  // namespace

void normalize_unicode(AlignedText& text, NormalizationForm form) {
  if (is_ascii(text.text)) return;
  const bool compatibility = form == NormalizationForm::nfkc || form == NormalizationForm::nfkd;
  std::vector<Step> steps = decompose(text.text, compatibility);
  if (form == NormalizationForm::nfc || form == NormalizationForm::nfkc) steps = compose(steps);
  Rewrite rewrite(text);
  for (const Step& step : steps) {
    if (step.taken == 0 || rewrite.done()) {
      rewrite.insert(step.c);
      continue;
    }
    rewrite.replace(step.c);
    for (int i = 1; i < step.taken && !rewrite.done(); ++i) rewrite.drop();
  }
}

}  // namespace qkv
