// What must and must not be written, said in words.
#include "qkv/generate/constraints.h"

#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "qkv/generate/token_trie.h"
#include "qkv/tensor/device.h"
#include "tests/generate/writers.h"

#include <algorithm>

namespace qkv {
namespace {

Tokenizer tokenizer() { return Tokenizer::load(fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers/gpt2"); }

Ids ids_of(std::string_view text) { return tokenizer().encode_ids(text, {.add_special_tokens = false}); }

TEST(TokenTrie, SaysWhatMayFollow) {
  TokenTrie trie;
  trie.add(Ids{1, 2, 3});
  trie.add(Ids{1, 2});
  trie.add(Ids{4});
  EXPECT_EQ(trie.after({}).tokens, (Ids{1, 4}));
  EXPECT_FALSE(trie.after({}).complete);
  EXPECT_EQ(trie.after(Ids{1, 2}).tokens, Ids{3});
  EXPECT_TRUE(trie.after(Ids{1, 2}).complete);
  EXPECT_TRUE(trie.after(Ids{4}).complete);
  EXPECT_TRUE(trie.after(Ids{4}).tokens.empty());
  EXPECT_FALSE(trie.after(Ids{4, 4}).complete);
  EXPECT_TRUE(trie.after(Ids{9}).tokens.empty());
}

TEST(Constraints, BadWordsAreKnownWithAndWithoutASpace) {
  GenerationOptions options{.bad_words = {{1, 2}}};
  apply_constraints({.bad_words = {"the"}}, tokenizer(), options);
  EXPECT_EQ(options.bad_words, (std::vector<Ids>{{1, 2}, ids_of("the"), ids_of(" the")}));
  EXPECT_NE(ids_of("the"), ids_of(" the"));
}

TEST(Constraints, TokensByNameAndById) {
  GenerationOptions options;
  apply_constraints({.forced_first = "<|endoftext|>", .forced_last = "7"}, tokenizer(), options);
  EXPECT_EQ(options.forced_first, tokenizer().id("<|endoftext|>"));
  // "7" is a token of its own, which counts before the number.
  EXPECT_EQ(options.forced_last, tokenizer().id("7"));
  apply_constraints({.forced_last = "77"}, tokenizer(), options);
  EXPECT_EQ(options.forced_last, 77);
  for (const char* wrong : {"99999999", "-1", "no such token", "99999999999999999999"})
    EXPECT_THROW(apply_constraints({.forced_first = wrong}, tokenizer(), options), Error) << wrong;
}

TEST(Constraints, WithoutAnyNothingChanges) {
  GenerationOptions options;
  apply_constraints({}, tokenizer(), options);
  EXPECT_TRUE(options.bad_words.empty());
  EXPECT_FALSE(options.allowed);
  EXPECT_EQ(options.forced_first, -1);
}

TEST(Constraints, WhatCannotBeIsRefused) {
  GenerationOptions options;
  EXPECT_THROW(apply_constraints({.only = {"a"}}, tokenizer(), options), Error) << "nothing ends a text";
  options.end_ids = {0};
  EXPECT_THROW(apply_constraints({.only = {""}}, tokenizer(), options), Error);
  EXPECT_THROW(apply_constraints({.bad_words = {""}}, tokenizer(), options), Error);
}

// Every way of decoding writes one of the texts and nothing else, though the model would rather write others.
TEST(Constraints, OnlyTheseTextsAreWritten) {
  const std::vector<std::string> texts = {"a", "ab", "bbb", "c c"};
  const Tokenizer words = tokenizer();
  const Sizes sizes{.vocab = words.vocab_size(), .context = 32, .layers = 1, .heads = 2, .width = 16};
  Model model(spec_of(Config(family_named("gpt2", "test").config(sizes), "test")));
  model.initialise(RandomKey{3});
  model.to(default_device());
  Generator generator(model, DType::f32);
  for (const int way : {0, 1, 2, 3, 4}) {
    GenerationOptions options{.max_new_tokens = 12, .end_ids = {*words.special().eos}};
    if (way == 1) options.sample = true;
    if (way == 2) options.num_beams = options.num_return_sequences = 6;
    if (way == 3) {
      options.num_beams = options.num_return_sequences = 4;
      options.num_beam_groups = 2;
      options.diversity_penalty = 1;
    }
    if (way == 4) {
      options.penalty_alpha = 0.6F;
      options.top_k = 3;
    }
    apply_constraints({.only = texts}, words, options);
    const auto written = generator.generate({{5, 6}, {7}}, options);
    for (const auto& of_prompt : written) {
      std::vector<std::string> seen;
      for (const Continuation& c : of_prompt) {
        EXPECT_TRUE(c.ended);
        const std::string text = words.decode(c.ids, true);
        EXPECT_NE(std::find(texts.begin(), texts.end(), text), texts.end()) << way << ": " << text;
        seen.push_back(text);
      }
      // A search without groups finds each once, and no more though more were asked for.
      if (way == 2) {
        std::sort(seen.begin(), seen.end());
        EXPECT_EQ(seen, texts);
      }
    }
  }
}

}  // namespace
}  // namespace qkv
