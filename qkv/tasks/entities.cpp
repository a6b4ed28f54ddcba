#include "qkv/tasks/entities.h"

#include "qkv/text/characters.h"

#include <algorithm>

namespace qkv {
namespace {

size_t best(const std::vector<double>& scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

// A word's class and its probability.
std::pair<size_t, double> decide(std::span<const ScoredToken> tokens, Aggregation aggregation) {
  const auto surest = std::max_element(tokens.begin(), tokens.end(), [](const ScoredToken& a, const ScoredToken& b) {
    return a.scores[best(a.scores)] < b.scores[best(b.scores)];
  });
  std::vector<double> scores = aggregation == Aggregation::max ? surest->scores : tokens[0].scores;
  if (aggregation == Aggregation::average) {
    for (const ScoredToken& token : tokens.subspan(1))
      for (size_t c = 0; c < scores.size(); ++c) scores[c] += token.scores[c];
    for (double& score : scores) score /= static_cast<double>(tokens.size());
  }
  return {best(scores), scores[best(scores)]};
}

struct Tag {
  bool begins;
  std::string_view type;
};

Tag tag_of(std::string_view label) {
  const bool prefixed = label.starts_with("B-") || label.starts_with("I-");
  return {label.starts_with("B-"), prefixed ? label.substr(2) : label};
}

Entity joined(const Tokenizer& tokenizer, std::span<const Entity> parts) {
  Entity entity{parts.front().label, 0, "", parts.front().begin, parts.back().end};
  if (const size_t dash = entity.label.find('-'); dash != std::string::npos) entity.label.erase(0, dash + 1);
  std::vector<std::string> words;
  for (const Entity& part : parts) {
    entity.score += part.score / static_cast<double>(parts.size());
    words.push_back(part.word);
  }
  entity.word = tokenizer.join(std::move(words));
  return entity;
}

}  // namespace

std::vector<ScoredToken> scored_tokens(const Tokenizer& tokenizer, std::string_view text, const Encoding& encoding,
                                       int64_t begin, int64_t end, std::vector<std::vector<double>> scores,
                                       int32_t first_index) {
  const Characters characters(text);
  const bool marks_continuations = tokenizer.kind() == "WordPiece";
  const std::optional<int32_t> unknown = tokenizer.special().unk;
  std::vector<ScoredToken> tokens;
  for (int64_t i = begin; i < end; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto [first, last] = encoding.offsets[at];
    ScoredToken token{encoding.tokens[at], std::move(scores[static_cast<size_t>(i - begin)]), first, last,
                      first_index + static_cast<int32_t>(i - begin)};
    const std::string_view spelled = characters.slice(first, last);
    if (encoding.ids[at] == unknown) {
      token.word = spelled;
    } else if (marks_continuations) {
      token.continues = count_code_points(token.word) != count_code_points(spelled);
    } else {
      token.continues = first > 0 && characters.slice(first - 1, first + 1).find(' ') == std::string_view::npos;
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

std::vector<Entity> entities_of(const Tokenizer& tokenizer, const std::vector<ScoredToken>& tokens,
                                const std::vector<std::string>& names, Aggregation aggregation) {
  const bool by_word = aggregation != Aggregation::none && aggregation != Aggregation::simple;
  std::vector<Entity> parts;
  for (size_t first = 0, next; first < tokens.size(); first = next) {
    next = first + 1;
    while (by_word && next < tokens.size() && tokens[next].continues) ++next;
    const auto word = std::span(tokens).subspan(first, next - first);
    const auto [label, score] = decide(word, aggregation);
    std::vector<std::string> spelled;
    for (const ScoredToken& token : word) spelled.push_back(token.word);
    parts.push_back({names[label], score, by_word ? tokenizer.join(std::move(spelled)) : word[0].word, word[0].begin,
                     word.back().end, word[0].index});
  }
  if (aggregation == Aggregation::none) return parts;
  std::vector<Entity> entities;
  for (size_t first = 0, next; first < parts.size(); first = next) {
    next = first + 1;
    while (next < parts.size() && !tag_of(parts[next].label).begins &&
           tag_of(parts[next].label).type == tag_of(parts[next - 1].label).type)
      ++next;
    entities.push_back(joined(tokenizer, std::span(parts).subspan(first, next - first)));
  }
  return entities;
}

std::vector<Entity> without_overlaps(std::vector<Entity> entities) {
  std::stable_sort(entities.begin(), entities.end(),
                   [](const Entity& a, const Entity& b) { return a.begin < b.begin; });
  std::vector<Entity> kept;
  for (Entity& entity : entities) {
    if (kept.empty() || entity.begin >= kept.back().end) {
      kept.push_back(std::move(entity));
      continue;
    }
    const int32_t length = entity.end - entity.begin, other = kept.back().end - kept.back().begin;
    if (length > other || (length == other && entity.score > kept.back().score)) kept.back() = std::move(entity);
  }
  return kept;
}

}  // namespace qkv
