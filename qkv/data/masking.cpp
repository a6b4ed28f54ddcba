#include "qkv/data/masking.h"

#include "qkv/core/error.h"
#include "qkv/data/batch.h"

#include <cmath>

namespace qkv {
namespace {

// What is chosen together: positions [begin, end).
struct Unit {
  size_t begin, end;
};

std::vector<Unit> units_of(std::span<const int32_t> ids, const Masking& masking) {
  std::vector<Unit> units;
  bool in_word = false;
  for (size_t t = 0; t < ids.size(); ++t) {
    const size_t id = static_cast<size_t>(ids[t]);
    const bool special = masking.special[id] != 0;
    const bool continues = in_word && !masking.continues.empty() && masking.continues[id] != 0;
    if (!special && continues) units.back().end = t + 1;
    if (!special && !continues) units.push_back({t, t + 1});
    in_word = !special;
  }
  return units;
}

}  // namespace

int64_t corrupt(std::span<int32_t> ids, std::span<int32_t> labels, const Masking& masking, RandomKey key) {
  const size_t vocabulary = static_cast<size_t>(masking.vocabulary);
  if (masking.special.size() != vocabulary || (!masking.continues.empty() && masking.continues.size() != vocabulary))
    throw Error("masking", "special and continues must have an entry for each token", "", Error::Kind::internal);
  std::fill(labels.begin(), labels.end(), ignored_label);
  std::vector<Unit> units = units_of(ids, masking);
  if (units.empty()) return 0;
  size_t candidates = 0;
  for (const Unit& unit : units) candidates += unit.end - unit.begin;
  const size_t wanted =
      std::max<size_t>(1, static_cast<size_t>(std::lround(masking.chosen * static_cast<double>(candidates))));

  Random random(key);
  size_t chosen = 0;
  for (size_t i = 0; i < units.size() && chosen < wanted; ++i) {
    std::swap(units[i], units[i + random.below(units.size() - i)]);
    const Unit unit = units[i];
    // A long word that would exceed the number is passed over, unless nothing else was taken.
    if (chosen > 0 && chosen + unit.end - unit.begin > wanted) continue;
    for (size_t t = unit.begin; t < unit.end; ++t) {
      labels[t] = ids[t];
      const double fate = random.uniform();
      if (fate < masking.masked) {
        ids[t] = masking.mask_id;
      } else if (fate < masking.masked + masking.random) {
        ids[t] = static_cast<int32_t>(random.below(vocabulary));
      }
    }
    chosen += unit.end - unit.begin;
  }
  return static_cast<int64_t>(chosen);
}

}  // namespace qkv
