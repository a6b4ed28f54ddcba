#include "qkv/generate/grammar/token_mask.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr size_t most_states = 20'000;  // that are kept
constexpr size_t most_texts = 1'000;    // likewise

constexpr std::string_view part_of_a_character = "\xEF\xBF\xBD";

std::u32string wide(std::string_view utf8) {
  const std::vector<char32_t> characters = code_points(utf8);
  return {characters.begin(), characters.end()};
}

}  // namespace

TokenTexts::TokenTexts(const Tokenizer& tokenizer) {
  const auto size = static_cast<size_t>(tokenizer.vocab_size());
  first_texts_.resize(size);
  later_texts_.resize(size);
  for (int32_t id = 0; id < static_cast<int32_t>(size); ++id) {
    if (tokenizer.is_special(id)) continue;
    const std::string once = tokenizer.decode(std::vector<int32_t>{id});
    const std::string twice = tokenizer.decode(std::vector<int32_t>{id, id});
    if (once.find(part_of_a_character) != std::string::npos || twice.size() < once.size()) continue;
    const auto i = static_cast<size_t>(id);
    first_texts_[i] = wide(once);
    later_texts_[i] = wide(std::string_view(twice).substr(once.size()));
    add(beginning_, first_texts_[i], id);
    add(later_, later_texts_[i], id);
  }
}

std::u32string_view TokenTexts::text(int32_t id, bool begins) const {
  const auto& texts = begins ? first_texts_ : later_texts_;
  return id >= 0 && static_cast<size_t>(id) < texts.size() ? texts[static_cast<size_t>(id)] : std::u32string_view();
}

void TokenTexts::add(std::vector<Node>& nodes, std::u32string_view text, int32_t id) {
  // A token without a text could follow for ever.
  if (text.empty()) return;
  int32_t at = 0;
  for (const char32_t c : text) {
    auto& next = nodes[static_cast<size_t>(at)].next;
    auto place =
        std::lower_bound(next.begin(), next.end(), c, [](const auto& entry, char32_t x) { return entry.first < x; });
    if (place == next.end() || place->first != c) {
      const auto fresh = static_cast<int32_t>(nodes.size());
      next.insert(place, {c, fresh});
      nodes.emplace_back();
      at = fresh;
    } else {
      at = place->second;
    }
  }
  nodes[static_cast<size_t>(at)].tokens.push_back(id);
}

TokenMask::TokenMask(std::shared_ptr<const TokenTexts> texts, Grammar grammar, std::vector<int32_t> end_ids)
    : texts_(std::move(texts)), grammar_(std::move(grammar)), end_ids_(std::move(end_ids)) {}

int32_t TokenMask::known(Grammar::State state) {
  if (state.empty()) return -1;
  const auto [place, fresh] = numbers_.try_emplace(std::move(state), static_cast<int32_t>(states_.size()));
  if (fresh) states_.push_back({.state = place->first, .next = {}, .tokens = {}});
  return place->second;
}

int32_t TokenMask::step(int32_t state, char32_t c) {
  const auto& next = states_[static_cast<size_t>(state)].next;
  if (const auto found = next.find(c); found != next.end()) return found->second;
  int32_t reached = -1;
  try {
    reached = known(grammar_.after(states_[static_cast<size_t>(state)].state, c));
  } catch (const Error&) {
    // It could go on in too many ways, or too deep: it does not.
  }
  states_[static_cast<size_t>(state)].next[c] = reached;
  return reached;
}

int32_t TokenMask::state_of(std::span<const int32_t> written) {
  // From the longest beginning that was met before.
  size_t done = written.size() + 1;
  int32_t state = -1;
  while (done > 0) {
    --done;
    const auto found = texts_states_.find({written.begin(), written.begin() + static_cast<ptrdiff_t>(done)});
    if (found == texts_states_.end()) continue;
    state = found->second;
    if (done == written.size()) return state;
    break;
  }
  if (done == 0) state = known(grammar_.begin());
  for (; done < written.size() && state >= 0; ++done) {
    const std::u32string_view text = texts_->text(written[done], done == 0);
    if (text.empty()) state = -1;
    for (size_t i = 0; i < text.size() && state >= 0; ++i) state = step(state, text[i]);
  }
  texts_states_.emplace(std::vector<int32_t>(written.begin(), written.end()), state);
  return state;
}

void TokenMask::collect(const std::vector<TokenTexts::Node>& nodes, int32_t at, int32_t state,
                        std::vector<int32_t>& tokens) {
  const TokenTexts::Node& node = nodes[static_cast<size_t>(at)];
  tokens.insert(tokens.end(), node.tokens.begin(), node.tokens.end());
  for (const auto& [c, child] : node.next)
    if (const int32_t next = step(state, c); next >= 0) collect(nodes, child, next, tokens);
}

void TokenMask::forget() {
  states_.clear();
  numbers_.clear();
  texts_states_.clear();
}

std::vector<int32_t> TokenMask::after(std::span<const int32_t> written) {
  const std::lock_guard lock(mutex_);
  if (states_.size() > most_states || texts_states_.size() > most_texts) forget();
  int32_t at = -1;
  try {
    at = state_of(written);
    if (at < 0) return {};
    if (written.empty()) {
      std::vector<int32_t> tokens;
      collect(texts_->nodes(true), 0, at, tokens);
      if (Grammar::complete(states_[static_cast<size_t>(at)].state))
        tokens.insert(tokens.end(), end_ids_.begin(), end_ids_.end());
      return tokens;
    }
    if (!states_[static_cast<size_t>(at)].has_tokens) {
      std::vector<int32_t> tokens;
      collect(texts_->nodes(false), 0, at, tokens);
      Known& state = states_[static_cast<size_t>(at)];
      state.tokens = std::move(tokens);
      state.has_tokens = true;
    }
  } catch (const Error&) {
    return {};  // it could go on in too many ways: nothing is allowed
  }
  const Known& state = states_[static_cast<size_t>(at)];
  std::vector<int32_t> tokens = state.tokens;
  if (Grammar::complete(state.state)) tokens.insert(tokens.end(), end_ids_.begin(), end_ids_.end());
  return tokens;
}

void constrain(GenerationOptions& options, Grammar grammar, std::shared_ptr<const TokenTexts> texts) {
  if (options.end_ids.empty())
    throw Error("grammar", "needs a token that ends a text, and there is none", "let texts end: no ignore_eos");
  options.forced_first = options.forced_last = -1;
  options.allowed = [mask = std::make_shared<TokenMask>(std::move(texts), std::move(grammar), options.end_ids)](
                        std::span<const int32_t> said, size_t prompt) { return mask->after(said.subspan(prompt)); };
}

}  // namespace qkv
