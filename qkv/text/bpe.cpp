#include "qkv/text/bpe.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/unicode.h"

#include <queue>

namespace qkv {
namespace {

constexpr size_t short_piece = 48;  // symbols; above, a heap beats looking at all pairs after each merge

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

std::optional<std::string> optional_string(const JsonCursor& json) {
  if (json.is_null()) return std::nullopt;
  return std::string(json.string());
}

}  // namespace

Bpe::Bpe(const JsonCursor& json, bool pieces_are_bytes)
    : TokenModel(Vocabulary::parse(json["vocab"])),
      bytes_(pieces_are_bytes),
      byte_fallback_(json["byte_fallback"].boolean_or(false)),
      fuse_unknown_(json["fuse_unk"].boolean_or(false)),
      ignore_merges_(json["ignore_merges"].boolean_or(false)),
      prefix_(optional_string(json["continuing_subword_prefix"])),
      suffix_(optional_string(json["end_of_word_suffix"])) {
  if (prefix_ && prefix_->empty()) prefix_.reset();
  if (suffix_ && suffix_->empty()) suffix_.reset();
  if (const auto name = optional_string(json["unk_token"])) {
    unknown_ = vocabulary_.find(*name);
    if (unknown_ == Vocabulary::none) json["unk_token"].fail(fmt::format("'{}' is not in the vocabulary", *name));
  }
  for (int byte = 0; byte < 256; ++byte)
    byte_ids_[byte] =
        vocabulary_.find(bytes_ ? utf8(byte_to_char(static_cast<uint8_t>(byte))) : fmt::format("<0x{:02X}>", byte));
  const bool every_byte = std::count(byte_ids_.begin(), byte_ids_.end(), Vocabulary::none) == 0;
  plain_bytes_ = bytes_ && !prefix_ && !suffix_ && (every_byte || unknown_ == Vocabulary::none);
  if (bytes_ && byte_fallback_ && !every_byte)
    json["byte_fallback"].fail(
        "is set beside a ByteLevel pre-tokenizer whose characters are not all in the vocabulary");
  read_merges(json["merges"]);
  index_merges();
}

// Each merge is "left right" or ["left", "right"].
void Bpe::read_merges(const JsonCursor& json) {
  const size_t count = json.array_size();
  merges_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const Json& entry = json.json()[i];
    if (entry.is_string()) {
      const std::string_view text = entry.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
        json.at(i).fail(fmt::format("'{}' is not two tokens with a space between", text));
      add_merge(text.substr(0, space), text.substr(space + 1), json.at(i));
    } else {
      if (!entry.is_array() || entry.size() != 2) json.at(i).fail("expected two tokens");
      add_merge(json.at(i).at(0).string(), json.at(i).at(1).string(), json.at(i));
    }
  }
}

void Bpe::add_merge(std::string_view left, std::string_view right, const JsonCursor& where) {
  const auto id_of = [&](std::string_view token) {
    const int32_t id = vocabulary_.find(token);
    if (id == Vocabulary::none) where.fail(fmt::format("token '{}' is not in the vocabulary", token));
    return id;
  };
  std::string joined(left);
  joined += prefix_ && right.starts_with(*prefix_) ? right.substr(prefix_->size()) : right;
  merges_.push_back({id_of(left), id_of(right), id_of(joined)});
}

void Bpe::index_merges() {
  size_t slots = 16;
  while (slots < merges_.size() * 2 + 1) slots *= 2;
  pairs_.assign(slots, {no_pair, no_rank, 0});
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const uint64_t key = pair_key(merges_[rank].left, merges_[rank].right);
    size_t slot = mix(key, 0) & (slots - 1);
    while (pairs_[slot].pair != no_pair && pairs_[slot].pair != key) slot = (slot + 1) & (slots - 1);
    pairs_[slot] = {key, static_cast<uint32_t>(rank), merges_[rank].joined};  // of a repeated pair the last counts
  }
}

const Bpe::PairSlot* Bpe::find_pair(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  const size_t mask = pairs_.size() - 1;
  for (size_t slot = mix(key, 0) & mask; pairs_[slot].pair != no_pair; slot = (slot + 1) & mask)
    if (pairs_[slot].pair == key) return &pairs_[slot];
  return nullptr;
}

void Bpe::tokenize(std::string_view piece, std::vector<ModelToken>& out) const {
  if (ignore_merges_) {
    const int32_t whole = bytes_ ? vocabulary_.find(bytes_to_chars(piece)) : vocabulary_.find(piece);
    if (whole != Vocabulary::none) {
      out.push_back({whole, static_cast<uint32_t>(piece.size())});
      return;
    }
  }
  const size_t first = out.size();
  std::string characters;
  if (plain_bytes_) {
    split_bytes(piece, out);
  } else {
    split_chars(bytes_ ? std::string_view(characters = bytes_to_chars(piece)) : piece, out);
  }
  if (merges_.empty()) return;
  if (out.size() - first <= short_piece) {
    merge_short(out, first);
  } else {
    merge_long(out, first);
  }
}

// A byte whose character is not in the vocabulary gives no token.
void Bpe::split_bytes(std::string_view piece, std::vector<ModelToken>& out) const {
  for (const char byte : piece) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
    if (id != Vocabulary::none) out.push_back({id, 1});
  }
}

bool Bpe::fall_back_to_bytes(std::string_view text, std::vector<ModelToken>& out) const {
  for (const char byte : text)
    if (byte_ids_[static_cast<uint8_t>(byte)] == Vocabulary::none) return false;
  for (const char byte : text) out.push_back({byte_ids_[static_cast<uint8_t>(byte)], 1});
  return true;
}

void Bpe::split_chars(std::string_view piece, std::vector<ModelToken>& out) const {
  ModelToken pending{unknown_, 0};  // unknown text not yet given out
  const auto flush = [&] {
    if (pending.bytes > 0) out.push_back(pending);
    pending.bytes = 0;
  };
  std::string decorated;
  for (size_t i = 0; i < piece.size();) {
    const auto length = static_cast<size_t>(utf8_length(piece[i]));
    std::string_view symbol = piece.substr(i, length);
    const bool continues = prefix_ && i > 0, ends = suffix_ && i + length == piece.size();
    if (continues || ends) {
      decorated = continues ? *prefix_ : "";
      decorated += symbol;
      if (ends) decorated += *suffix_;
      symbol = decorated;
    }
    i += length;
    const auto bytes = bytes_ ? 1 : static_cast<uint32_t>(length);  // a byte-level character stands for one byte
    if (const int32_t id = vocabulary_.find(symbol); id != Vocabulary::none) {
      flush();
      out.push_back({id, bytes});
    } else if (byte_fallback_ && fall_back_to_bytes(symbol, out)) {
      continue;
    } else if (unknown_ != Vocabulary::none) {
      if (!fuse_unknown_) flush();
      pending.bytes += bytes;
    }
  }
  flush();
}

void Bpe::merge_short(std::vector<ModelToken>& symbols, size_t first) const {
  struct Candidate {
    uint32_t rank;
    int32_t joined;
  };
  ModelToken* const s = symbols.data() + first;
  size_t count = symbols.size() - first;
  if (count < 2) return;
  Candidate pairs[short_piece];  // pairs[i] joins symbols i and i + 1
  const auto look = [&](size_t i) -> Candidate {
    const PairSlot* const found = find_pair(s[i].id, s[i + 1].id);
    return found ? Candidate{found->rank, found->joined} : Candidate{no_rank, 0};
  };
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = look(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].rank == no_rank) break;
    s[best] = {pairs[best].joined, s[best].bytes + s[best + 1].bytes};
    for (size_t i = best + 1; i + 1 < count; ++i) s[i] = s[i + 1];
    for (size_t i = best + 1; i + 2 < count; ++i) pairs[i] = pairs[i + 1];
    --count;
    if (best > 0) pairs[best - 1] = look(best - 1);
    if (best + 1 < count) pairs[best] = look(best);
  }
  symbols.resize(first + count);
}

void Bpe::merge_long(std::vector<ModelToken>& symbols, size_t first) const {
  struct Candidate {
    uint32_t rank;
    uint32_t at;
    int32_t left;
    int32_t right;
    int32_t joined;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  constexpr uint32_t none = ~uint32_t{0};
  const auto count = static_cast<uint32_t>(symbols.size() - first);
  ModelToken* const s = symbols.data() + first;
  std::vector<uint32_t> previous(count), next(count);
  for (uint32_t i = 0; i < count; ++i) previous[i] = i == 0 ? none : i - 1, next[i] = i + 1 == count ? none : i + 1;
  std::vector<bool> gone(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](uint32_t i) {
    if (i == none || next[i] == none) return;
    const int32_t left = s[i].id, right = s[next[i]].id;
    if (const PairSlot* found = find_pair(left, right)) queue.push({found->rank, i, left, right, found->joined});
  };
  for (uint32_t i = 0; i < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const uint32_t right = gone[top.at] ? none : next[top.at];
    if (right == none || s[top.at].id != top.left || s[right].id != top.right) continue;  // merged since
    s[top.at] = {top.joined, s[top.at].bytes + s[right].bytes};
    gone[right] = true;
    next[top.at] = next[right];
    if (next[right] != none) previous[next[right]] = top.at;
    consider(previous[top.at]);
    consider(top.at);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i < count; ++i)
    if (!gone[i]) s[kept++] = s[i];
  symbols.resize(first + kept);
}

std::string Bpe::to_json() const {
  const auto text = [](const std::optional<std::string>& value) { return value ? Json(*value).dump() : "null"; };
  std::string out = fmt::format(
      R"("type": "BPE", "dropout": null, "unk_token": {}, "continuing_subword_prefix": {}, "end_of_word_suffix": {}, )"
      R"("fuse_unk": {}, "byte_fallback": {}, "ignore_merges": {},)"
      "\n{},\n\"merges\": [",
      unknown_ == Vocabulary::none ? "null" : Json(vocabulary_.token(unknown_)).dump(), text(prefix_), text(suffix_),
      fuse_unknown_, byte_fallback_, ignore_merges_, vocabulary_json());
  for (size_t i = 0; i < merges_.size(); ++i)
    out += fmt::format("{}[{}, {}]", i == 0 ? "\n" : ",\n", Json(vocabulary_.token(merges_[i].left)).dump(),
                       Json(vocabulary_.token(merges_[i].right)).dump());
  return "{" + out + "]}";
}

}  // namespace qkv
