#include "qkv/generate/options.h"

#include "qkv/core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace qkv {

void check_options(const GenerationOptions& o) {
  const auto require = [](bool condition, const char* option, const std::string& what) {
    if (!condition) throw Error(option, what);
  };
  require(o.max_new_tokens > 0, "max-new-tokens", "must be at least 1");
  require(o.min_new_tokens >= 0, "min-new-tokens", "must not be negative");
  require(o.temperature > 0 && std::isfinite(o.temperature), "temperature",
          "must be above 0 (leave sampling off for the likeliest token)");
  require(o.top_k >= 0, "top-k", "must not be negative");
  require(o.top_p > 0 && o.top_p <= 1, "top-p", "must be in (0, 1]");
  require(o.min_p >= 0 && o.min_p < 1, "min-p", "must be in [0, 1)");
  require(o.typical_p > 0 && o.typical_p <= 1, "typical-p", "must be in (0, 1]");
  require(o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty), "repetition-penalty", "must be above 0");
  require(std::isfinite(o.frequency_penalty), "frequency-penalty", "must be a finite number");
  require(std::isfinite(o.presence_penalty), "presence-penalty", "must be a finite number");
  require(std::isfinite(o.length_penalty), "length-penalty", "must be a finite number");
  for (const auto& [id, bias] : o.logit_bias) require(std::isfinite(bias), "logit-bias", "must be finite numbers");
  require(o.no_repeat_ngram_size >= 0, "no-repeat-ngram", "must not be negative");
  const std::string rows = fmt::format("must be in [1, {}]", most_rows_of_a_prompt);
  require(o.num_beams >= 1 && o.num_beams <= most_rows_of_a_prompt, "beams", rows);
  require(o.num_beams == 1 || !o.sample, "beams", "beam search and sampling exclude each other");
  require(o.num_beam_groups >= 1 && o.num_beams % o.num_beam_groups == 0, "beam-groups",
          fmt::format("{} beams do not make {} equal groups", o.num_beams, o.num_beam_groups));
  require(std::isfinite(o.diversity_penalty) && o.diversity_penalty >= 0, "diversity-penalty", "must be at least 0");
  require(o.num_beam_groups == 1 || o.diversity_penalty > 0, "diversity-penalty",
          "must be above 0 where there are groups of beams: without it they all find the same");
  require(o.penalty_alpha >= 0 && o.penalty_alpha <= 1, "penalty-alpha", "must be in [0, 1]");
  if (searches_contrastively(o)) {
    require(!o.sample && o.num_beams == 1, "penalty-alpha", "contrastive search draws nothing and has no beams");
    require(o.top_k >= 2, "top-k", "contrastive search chooses among at least 2 tokens");
  }
  require(o.num_return_sequences >= 1 && o.num_return_sequences <= most_rows_of_a_prompt, "return-sequences", rows);
  require(o.num_return_sequences <= o.num_beams || o.sample, "return-sequences", "cannot exceed the number of beams");
}

void apply_generation_config(const Config& c, GenerationOptions& o) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  o.max_new_tokens = c.integer("max_new_tokens", o.max_new_tokens, 1, most);
  o.min_new_tokens = c.integer("min_new_tokens", o.min_new_tokens, 0, most);
  o.sample = c.flag("do_sample", o.sample);
  o.temperature = static_cast<float>(c.number("temperature", o.temperature));
  o.top_k = std::max<int64_t>(0, c.integer("top_k", o.top_k, -1, most));  // -1 is 0 to some
  o.top_p = static_cast<float>(c.number("top_p", o.top_p));
  o.min_p = static_cast<float>(c.number("min_p", o.min_p));
  o.typical_p = static_cast<float>(c.number("typical_p", o.typical_p));
  o.repetition_penalty = static_cast<float>(c.number("repetition_penalty", o.repetition_penalty));
  o.no_repeat_ngram_size = c.integer("no_repeat_ngram_size", o.no_repeat_ngram_size, 0, most);
  o.num_beams = c.integer("num_beams", o.num_beams, 1, most);
  o.num_beam_groups = c.integer("num_beam_groups", o.num_beam_groups, 1, most);
  o.diversity_penalty = static_cast<float>(c.number("diversity_penalty", o.diversity_penalty));
  o.penalty_alpha = static_cast<float>(c.number("penalty_alpha", o.penalty_alpha));
  o.num_return_sequences = c.integer("num_return_sequences", o.num_return_sequences, 1, most);
  o.length_penalty = static_cast<float>(c.number("length_penalty", o.length_penalty));
  if (c.has("early_stopping")) {
    const Json& value = c.json()["early_stopping"];
    if (!value.is_boolean() && value != "never") c.fail("early_stopping", "must be true, false or \"never\"");
    o.early_stopping = !value.is_boolean() ? EarlyStopping::never
                       : value.get<bool>() ? EarlyStopping::yes
                                           : EarlyStopping::no;
  }
  const auto id = [&](const char* key, int32_t before) {
    const std::vector<int64_t> ids = c.ids(key);
    return ids.empty() ? before : static_cast<int32_t>(ids[0]);
  };
  o.decoder_start = id("decoder_start_token_id", o.decoder_start);
  o.forced_first = id("forced_bos_token_id", o.forced_first);
  o.forced_last = id("forced_eos_token_id", o.forced_last);
  if (c.has("bad_words_ids")) {
    o.bad_words.clear();
    const Json& list = c.json()["bad_words_ids"];
    if (!list.is_array()) c.fail("bad_words_ids", "must be a list of lists of token ids");
    for (const Json& word : list) {
      if (!word.is_array() || word.empty()) c.fail("bad_words_ids", "must be a list of lists of token ids");
      o.bad_words.emplace_back();
      for (const Json& token : word) {
        if (!token.is_number_integer() || token < 0 || token > most)
          c.fail("bad_words_ids", "has a token that is no id");
        o.bad_words.back().push_back(token.get<int32_t>());
      }
    }
  }
  if (c.has("eos_token_id")) {
    o.end_ids.clear();
    for (const int64_t end : c.ids("eos_token_id")) o.end_ids.push_back(static_cast<int32_t>(end));
  }
}

}  // namespace qkv
