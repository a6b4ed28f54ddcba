#include "qkv/text/added_tokens.h"

#include "qkv/core/error.h"

namespace qkv {

void TokenFinder::add(std::string_view content, int32_t id) {
  if (content.empty()) return;
  uint32_t node = 0;
  for (const char c : content) {
    const auto [at, fresh] = next_.try_emplace(uint64_t{node} << 8 | static_cast<uint8_t>(c), nodes_);
    nodes_ += fresh;
    node = at->second;
  }
  accepted_.insert_or_assign(node, id);
  if (!starts_[static_cast<uint8_t>(content[0])]) first_bytes_ += content[0];
  starts_[static_cast<uint8_t>(content[0])] = true;
}

bool TokenFinder::find(std::string_view text, size_t from, Match& match) const {
  if (empty()) return false;
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (first_bytes_.size() == 1) {
      begin = text.find(first_bytes_[0], begin);
      if (begin == std::string_view::npos) return false;
    } else if (!starts_[static_cast<uint8_t>(text[begin])]) {
      continue;
    }
    uint32_t node = 0;
    bool found = false;
    for (size_t end = begin; end < text.size();) {
      const auto at = next_.find(uint64_t{node} << 8 | static_cast<uint8_t>(text[end]));
      if (at == next_.end()) break;
      node = at->second;
      ++end;
      if (const auto id = accepted_.find(node); id != accepted_.end()) {
        match = {begin, end, id->second};
        found = true;
      }
    }
    if (found) return true;
  }
  return false;
}

AddedTokens::AddedTokens(const JsonCursor& json, const Vocabulary& vocabulary, const Normalizer* normalizer) {
  if (json.is_null()) return;
  for (size_t i = 0; i < json.array_size(); ++i) {
    const JsonCursor entry = json.at(i);
    AddedToken token;
    token.content = entry["content"].string();
    const int64_t id = entry["id"].integer();
    if (id < 0 || id > Vocabulary::largest_id) entry["id"].fail(fmt::format("{} is not a token id", id));
    token.id = static_cast<int32_t>(id);
    token.special = entry["special"].boolean_or(false);
    token.normalized = entry["normalized"].boolean_or(!token.special);
    token.single_word = entry["single_word"].boolean_or(false);
    token.lstrip = entry["lstrip"].boolean_or(false);
    token.rstrip = entry["rstrip"].boolean_or(false);
    const int32_t in_vocabulary = vocabulary.find(token.content);
    if (vocabulary.has(id) && vocabulary.token(id) != token.content)
      entry.fail(
          fmt::format("'{}' has id {}, which the vocabulary gives to '{}'", token.content, id, vocabulary.token(id)));
    if (in_vocabulary != Vocabulary::none && in_vocabulary != id)
      entry.fail(fmt::format("'{}' has id {}, but {} in the vocabulary", token.content, id, in_vocabulary));
    if (find(token.content) != nullptr) entry.fail(fmt::format("'{}' is there twice", token.content));
    AlignedText decoded{token.content, {}, false};
    if (token.normalized && normalizer != nullptr) normalizer->normalize(decoded);
    token.decoded = decoded.text;
    (token.normalized ? normalized_ : raw_).add(token.decoded, token.id);
    if (!tokens_.emplace(token.id, std::move(token)).second) entry.fail(fmt::format("id {} is there twice", id));
  }
}

const AddedToken* AddedTokens::find(int64_t id) const {
  const auto at = id < 0 || id > Vocabulary::largest_id ? tokens_.end() : tokens_.find(static_cast<int32_t>(id));
  return at == tokens_.end() ? nullptr : &at->second;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  for (const auto& [id, token] : tokens_)
    if (token.content == content) return &token;
  return nullptr;
}

std::vector<AddedTokens::Section> AddedTokens::sections(std::string_view text, const TokenFinder& finder) const {
  const CharClasses classes;
  const auto has_class = [&](size_t at, uint8_t wanted) {
    const char* p = text.data() + at;
    return (classes(next_code_point(p)) & wanted) != 0;
  };
  const auto start_of_char_before = [&](size_t at) {
    do --at;
    while (utf8_continues(text[at]));
    return at;
  };
  std::vector<Section> out;
  size_t done = 0;
  TokenFinder::Match match{};
  for (size_t from = 0; finder.find(text, from, match);) {
    from = match.end;
    const AddedToken& token = tokens_.at(match.id);
    size_t begin = match.begin, end = match.end;
    if (token.single_word && begin > 0 && has_class(start_of_char_before(begin), word)) continue;
    if (token.single_word && end < text.size() && has_class(end, word)) continue;
    if (token.lstrip)
      while (begin > done && has_class(start_of_char_before(begin), white_space)) begin = start_of_char_before(begin);
    if (token.rstrip)
      while (end < text.size() && has_class(end, white_space)) end += utf8_length(text[end]);
    if (begin < done) continue;
    if (begin > done) out.push_back({done, begin, -1});
    out.push_back({begin, end, token.id});
    done = end;
  }
  if (done < text.size()) out.push_back({done, text.size(), -1});
  return out;
}

Pieces AddedTokens::extract(std::string_view text, const Normalizer* normalizer, bool tracked) const {
  Pieces out;
  out.text.tracked = tracked;
  const auto put = [&](const AlignedText& from, size_t begin, size_t end, int32_t id) {
    if (begin == end) return;
    const size_t at = out.text.text.size();
    out.text.append(from, begin, end);
    out.pieces.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(at + end - begin), id});
  };
  for (const Section& section : sections(text, raw_)) {
    AlignedText part = AlignedText::of(text, section.begin, section.end, tracked);
    if (section.id >= 0) {
      put(part, 0, part.text.size(), section.id);
      continue;
    }
    if (normalizer != nullptr) normalizer->normalize(part);
    for (const Section& inner : sections(part.text, normalized_)) put(part, inner.begin, inner.end, inner.id);
  }
  return out;
}

bool AddedTokens::absent_from(std::string_view text) const {
  TokenFinder::Match match{};
  return !raw_.find(text, 0, match) && !normalized_.find(text, 0, match);
}

}  // namespace qkv
