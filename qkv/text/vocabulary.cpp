#include "qkv/text/vocabulary.h"

#include "qkv/core/error.h"

#include <bit>

namespace qkv {

void Vocabulary::add(std::string_view token, int64_t id, std::string_view where) {
  if (id < 0 || id > largest_id)
    throw Error(where, fmt::format("token '{}' has id {}, outside 0..{}", token, id, largest_id));
  if (find(token) != none) throw Error(where, fmt::format("token '{}' is there twice", token));
  if (has(id)) throw Error(where, fmt::format("tokens '{}' and '{}' both have id {}", tokens_[id], token, id));
  if (id >= id_end()) {
    tokens_.resize(id + 1);
    present_.resize(id + 1);
  }
  tokens_[id] = token;
  present_[id] = true;
  ++count_;
  longest_ = std::max(longest_, token.size());
  if (static_cast<size_t>(count_) * 2 > slots_.size()) {
    grow(std::max<size_t>(64, slots_.size() * 2));
  } else {
    index(static_cast<int32_t>(id));
  }
}

void Vocabulary::index(int32_t id) {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_bytes(tokens_[id]) & mask;
  while (slots_[slot] != none) slot = (slot + 1) & mask;
  slots_[slot] = id;
}

void Vocabulary::reserve(int64_t tokens) {
  tokens_.reserve(static_cast<size_t>(tokens));
  grow(std::bit_ceil(std::max<size_t>(64, static_cast<size_t>(tokens) * 2)));
}

void Vocabulary::grow(size_t slots) {
  slots_.assign(slots, none);
  for (int64_t id = 0; id < id_end(); ++id)
    if (present_[id]) index(static_cast<int32_t>(id));
}

int32_t Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return none;
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash_bytes(token) & mask; slots_[slot] != none; slot = (slot + 1) & mask)
    if (tokens_[slots_[slot]] == token) return slots_[slot];
  return none;
}

std::string_view Vocabulary::token(int64_t id) const {
  if (!has(id)) return {};
  return tokens_[id];
}

Vocabulary Vocabulary::parse(const JsonCursor& json) {
  if (!json.json().is_object()) json.fail("expected an object from tokens to ids");
  Vocabulary vocabulary;
  for (const auto& [token, id] : json.json().items()) {
    const bool plain = id.is_number_unsigned() && id.get<uint64_t>() <= largest_id;
    vocabulary.add(token, plain ? id.get<int64_t>() : JsonCursor(id, json.where()).integer(), json.where());
  }
  if (vocabulary.size() == 0) json.fail("is empty", "a tokenizer needs at least one token");
  return vocabulary;
}

}  // namespace qkv
