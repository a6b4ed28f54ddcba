#include "qkv/generate/grammar/token_mask.h"

#include "qkv/core/error.h"

#include <algorithm>

namespace qkv {
namespace {

// That are kept.
constexpr size_t most_states = 20'000;
constexpr size_t most_texts = 1'000;
constexpr size_t most_tokens = 8'000'000;

}  // namespace

TokenMask::TokenMask(std::shared_ptr<const TokenTexts> texts, Grammar grammar, std::vector<int32_t> end_ids)
    : texts_(std::move(texts)), grammar_(std::move(grammar)), end_ids_(std::move(end_ids)) {}

int32_t TokenMask::known(Grammar::State state) {
  if (state.empty()) return -1;
  const auto [place, fresh] = numbers_.try_emplace(std::move(state), static_cast<int32_t>(states_.size()));
  if (fresh) {
    states_.push_back({.state = &place->first});
    for (const CharacterRange& range : grammar_.next_characters(place->first)) states_.back().ways.push_back({range});
  }
  return place->second;
}

int32_t TokenMask::next(int32_t state, size_t way) {
  const Way& asked = states_[static_cast<size_t>(state)].ways[way];
  if (asked.next != not_known) return asked.next;
  int32_t reached = -1;
  try {
    reached = known(grammar_.after(*states_[static_cast<size_t>(state)].state, asked.characters.first));
  } catch (const Error&) {
    // It could go on in too many ways, or too deep: it does not.
  }
  return states_[static_cast<size_t>(state)].ways[way].next = reached;
}

// Whether one of the characters may follow; `reached` is where the first such leads.
bool TokenMask::fits(int32_t state, CharacterRange range, int32_t& reached) {
  const auto& ways = states_[static_cast<size_t>(state)].ways;
  const auto first = std::partition_point(ways.begin(), ways.end(),
                                          [&](const Way& way) { return way.characters.second < range.first; });
  for (auto i = static_cast<size_t>(first - ways.begin());; ++i) {
    // Asking may move the states.
    const auto& now = states_[static_cast<size_t>(state)].ways;
    if (i == now.size() || now[i].characters.first > range.second) return false;
    if ((reached = next(state, i)) >= 0) return true;
  }
}

TokenMask::Place TokenMask::step(Place place, uint8_t byte) {
  const std::optional<PartialCharacter> begun = place.begun.with(byte);
  int32_t reached = -1;
  if (!begun || !fits(place.state, begun->range(), reached)) return {};
  if (begun->whole()) return {reached};
  return {place.state, *begun};
}

TokenMask::Place TokenMask::place_of(std::span<const int32_t> written) {
  // From the longest beginning that was met before.
  size_t done = written.size() + 1;
  Place place;
  while (done > 0) {
    --done;
    const auto found = texts_places_.find({written.begin(), written.begin() + static_cast<ptrdiff_t>(done)});
    if (found == texts_places_.end()) continue;
    place = found->second;
    if (done == written.size()) return place;
    break;
  }
  if (done == 0) place = {known(grammar_.begin())};
  for (; done < written.size() && place.state >= 0; ++done) {
    const std::string_view text = texts_->text(written[done], done == 0);
    if (text.empty()) place = {};
    for (size_t i = 0; i < text.size() && place.state >= 0; ++i) place = step(place, static_cast<uint8_t>(text[i]));
  }
  texts_places_.emplace(std::vector<int32_t>(written.begin(), written.end()), place);
  return place;
}

// The tokens whose bytes may follow.
std::vector<int32_t> TokenMask::collect(const TokenTexts::Tree& tree, Place place) {
  std::vector<int32_t> tokens;
  std::vector<std::pair<int32_t, Place>> above = {{static_cast<int32_t>(tree.nodes.size()) - 1, place}};
  for (int32_t at = 0; at < above.front().first;) {
    while (at >= above.back().first) above.pop_back();
    const TokenTexts::Node& node = tree.nodes[static_cast<size_t>(at)];
    const Place reached = step(above.back().second, node.byte);
    if (reached.state < 0) {
      at = node.end;
      continue;
    }
    tokens.insert(tokens.end(), tree.ids.begin() + node.tokens,
                  tree.ids.begin() + tree.nodes[static_cast<size_t>(at) + 1].tokens);
    above.emplace_back(node.end, reached);
    ++at;
  }
  // A token that ends texts ends them, whatever it reads like.
  std::erase_if(tokens, [&](int32_t id) { return std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end(); });
  return tokens;
}

void TokenMask::forget() {
  states_.clear();
  numbers_.clear();
  texts_places_.clear();
  kept_tokens_ = 0;
}

std::vector<int32_t> TokenMask::after(std::span<const int32_t> written) {
  const std::lock_guard lock(mutex_);
  if (states_.size() > most_states || texts_places_.size() > most_texts || kept_tokens_ > most_tokens) forget();
  try {
    const Place place = place_of(written);
    if (place.state < 0) return {};
    std::vector<int32_t> tokens;
    if (written.empty()) {
      tokens = collect(texts_->tree(true), place);
    } else {
      const auto& kept = states_[static_cast<size_t>(place.state)].tokens;
      if (const auto found = kept.find(place.begun.key()); found != kept.end()) {
        tokens.reserve(found->second.size() + end_ids_.size());
        tokens = found->second;
      } else {
        tokens = collect(texts_->tree(false), place);
        kept_tokens_ += tokens.size();
        states_[static_cast<size_t>(place.state)].tokens.emplace(place.begun.key(), tokens);
      }
    }
    if (place.begun.whole() && Grammar::complete(*states_[static_cast<size_t>(place.state)].state))
      tokens.insert(tokens.end(), end_ids_.begin(), end_ids_.end());
    return tokens;
  } catch (const Error&) {
    return {};  // it could go on in too many ways: nothing is allowed
  }
}

void constrain(GenerationOptions& options, Grammar grammar, std::shared_ptr<const TokenTexts> texts) {
  if (options.end_ids.empty())
    throw Error("grammar", "needs a token that ends a text, and there is none", "let texts end: no ignore_eos");
  if (!grammar.keep_what_ends())
    throw Error("grammar", "describes no text that ever ends",
                "look for a rule, or a schema, that always contains itself");
  const auto mask = std::make_shared<TokenMask>(std::move(texts), std::move(grammar), options.end_ids);
  if (mask->after({}).empty()) throw Error("grammar", "describes no text that a token of the vocabulary can begin");
  options.forced_first = options.forced_last = -1;
  options.allowed = [mask](std::span<const int32_t> said, size_t prompt) { return mask->after(said.subspan(prompt)); };
}

}  // namespace qkv
