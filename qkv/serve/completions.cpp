// OpenAI's completions: text goes on.
#include "qkv/serve/handlers.h"
#include "qkv/serve/prompt_ids.h"
#include "qkv/serve/response_format.h"
#include "qkv/serve/text_job.h"
#include "qkv/text/gap.h"

#include <algorithm>
#include <chrono>
#include <random>

namespace qkv {
namespace {

constexpr size_t most_prompts = 256;

class CompletionForm : public AnswerForm {
 public:
  CompletionForm(std::string model, bool log_probabilities, bool alternatives)
      : model_(std::move(model)), log_probabilities_(log_probabilities), alternatives_(alternatives) {}

  Json whole(std::span<const Choice* const> choices, const Usage& usage) override {
    Json all = Json::array();
    for (const Choice* choice : choices) {
      all.push_back(entry(*choice, choice->text, choice->tokens, 0));
      all.back()["finish_reason"] = choice->finish;
    }
    Json answer = frame(std::move(all));
    answer["usage"] = to_json(usage);
    return answer;
  }
  Json piece(const Choice& choice, const std::string& text, std::span<const TokenText> tokens) override {
    return frame({entry(choice, text, tokens, static_cast<int64_t>(choice.text.size() - text.size()))});
  }
  std::vector<Json> closing(const Choice& choice) override {
    Json last = entry(choice, "", {}, 0);
    last["finish_reason"] = choice.finish;
    return {frame({last})};
  }
  Json usage(const Usage& usage) override {
    Json last = frame(Json::array());
    last["usage"] = to_json(usage);
    return last;
  }

 private:
  Json frame(Json choices) const {
    return {{"id", id_},
            {"object", "text_completion"},
            {"created", created_},
            {"model", model_},
            {"choices", std::move(choices)}};
  }
  // `offset`: bytes of the text before.
  Json entry(const Choice& choice, const std::string& text, std::span<const TokenText> tokens, int64_t offset) const {
    Json scores;
    if (log_probabilities_ && !tokens.empty()) {
      scores = {{"tokens", Json::array()},
                {"ids", Json::array()},
                {"token_logprobs", Json::array()},
                {"text_offset", Json::array()}};
      Json likeliest = Json::array();
      for (const TokenText& token : tokens) {
        scores["tokens"].push_back(token.text);
        scores["ids"].push_back(token.id);
        scores["text_offset"].push_back(offset);
        offset += static_cast<int64_t>(token.text.size());
        if (!token.log_probability) {
          scores["token_logprobs"].push_back(nullptr);
          likeliest.push_back(nullptr);
          continue;
        }
        scores["token_logprobs"].push_back(std::max(*token.log_probability, least_log_probability));
        Json others = Json::object();
        for (const auto& [other, score] : token.likeliest)
          if (!others.contains(other)) others[other] = std::max(score, least_log_probability);
        likeliest.push_back(others);
      }
      scores["top_logprobs"] = alternatives_ ? likeliest : Json();
    }
    return {{"index", choice.index}, {"text", text}, {"logprobs", scores}, {"finish_reason", nullptr}};
  }

  std::string id_ = fresh_id("cmpl-");
  int64_t created_ = unix_time();
  std::string model_;
  bool log_probabilities_, alternatives_;
};

std::vector<int32_t> ids_of(Fields& fields, const OrderedJson& list, const ServedModel& model) {
  std::vector<int32_t> ids;
  for (const OrderedJson& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= model.spec().vocab)
      fields.fail("prompt", "has an entry that is no token id of this model");
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// What a completion with a suffix fills.
struct Gap {
  GapTokens tokens;
  std::string after;
};

std::optional<Gap> read_gap(Fields& fields, const ServedModel& model) {
  const std::optional<std::string> after = fields.text("suffix");
  if (!after) return {};
  const std::optional<GapTokens> tokens = gap_tokens(model.tokenizer());
  if (!tokens) fields.fail("suffix", "is nothing this model can take into account: it has no tokens for a gap");
  return Gap{*tokens, *after};
}

// A string, strings, ids or lists of ids.
std::vector<TextJob::Prompt> read_prompts(Fields& fields, const ServedModel& model, const std::optional<Gap>& gap,
                                          bool must_fit) {
  const OrderedJson* given = fields.find("prompt");
  const OrderedJson empty = "";
  const OrderedJson& prompt = given == nullptr ? empty : *given;
  const Tokenizer& tokenizer = model.tokenizer();
  std::vector<TextJob::Prompt> prompts;
  const auto add_text = [&](const std::string& text) {
    prompts.push_back({prompt_ids(model, text, !gap, must_fit, "prompt"), text});
  };
  const auto add_ids = [&](const OrderedJson& list) {
    std::vector<int32_t> ids = ids_of(fields, list, model);
    std::string text = tokenizer.decode(ids);
    prompts.push_back({std::move(ids), std::move(text)});
  };
  if (prompt.is_string()) {
    add_text(prompt.get<std::string>());
  } else if (!prompt.is_array() || prompt.empty()) {
    fields.fail("prompt", "must be a string, strings, token ids, or lists of them, not " + kind_of(prompt));
  } else if (prompt[0].is_number()) {
    add_ids(prompt);
  } else {
    if (prompt.size() > most_prompts) fields.fail("prompt", fmt::format("may have {} entries", most_prompts));
    for (const OrderedJson& one : prompt) {
      if (one.is_string()) {
        add_text(one.get<std::string>());
      } else if (one.is_array()) {
        add_ids(one);
      } else {
        fields.fail("prompt", "must have strings or lists of token ids as entries");
      }
    }
  }
  const std::optional<int32_t> start = tokenizer.special().bos ? tokenizer.special().bos : tokenizer.special().eos;
  for (TextJob::Prompt& one : prompts) {
    if (gap) {
      if (!one.ids.empty()) one.follows = one.ids.back();
      one.ids = gap_prompt(tokenizer, gap->tokens, one.ids, gap->after);
      continue;
    }
    // Without words the model begins where a text begins.
    if (one.ids.empty() && start) one.ids.push_back(*start);
    if (one.ids.empty()) fields.fail("prompt", "is empty, and the model has no token for the beginning of a text");
    one.follows = one.ids.back();
  }
  return prompts;
}

void complete(const Call& call, ModelStore& models) {
  const OrderedJson body = parse_body(call.request->body);
  Fields fields(body);
  std::shared_ptr<Lease> lease = models.lease(fields.text("model").value_or(""));
  ServedModel& model = lease->model();
  Writing writing = read_writing(fields, model);
  if (writing.when_full == FullContext::summarise)
    fields.fail("overflow", "can be 'summarise' in conversations alone: a text has no messages to sum up");
  writing.options.max_new_tokens = fields.integer("max_tokens", 0, INT32_MAX).value_or(16);
  if (const auto alternatives = fields.integer("logprobs", 0, most_alternatives)) {
    writing.log_probabilities = true;
    writing.likeliest = *alternatives;
  }
  const int64_t best_of = fields.integer("best_of", 1, 128).value_or(writing.count);
  if (best_of < writing.count) fields.fail("best_of", "must not be less than 'n'");
  if (best_of > writing.count && writing.stream) fields.fail("best_of", "cannot be streamed");
  writing.options.num_return_sequences = best_of;
  const bool echo = fields.flag("echo").value_or(false);
  const std::optional<Gap> gap = read_gap(fields, model);
  if (gap) {
    if (echo) fields.fail("suffix", "cannot be combined with 'echo'");
    auto& ends = writing.options.end_ids;
    if (!fields.flag("ignore_eos").value_or(false))
      ends.insert(ends.end(), gap->tokens.ends.begin(), gap->tokens.ends.end());
  }
  read_response_format(fields, model, writing);
  std::vector<TextJob::Prompt> prompts = read_prompts(fields, model, gap, writing.overflow() == Overflow::refuse);
  fields.finish();
  if (!echo)
    for (TextJob::Prompt& prompt : prompts) prompt.echo.clear();
  auto form = std::make_unique<CompletionForm>(model.name(), writing.log_probabilities, writing.likeliest > 0);
  const bool scores = echo && writing.log_probabilities;
  std::make_shared<TextJob>(call, std::move(lease), std::move(writing), std::move(form))
      ->start(std::move(prompts), scores);
}

}  // namespace

std::string fresh_id(const std::string& prefix) {
  thread_local std::random_device device;
  return fmt::format("{}{:08x}{:08x}{:08x}", prefix, device(), device(), device());
}

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void add_completions(Routes& routes, ModelStore& models) {
  routes.add("POST", "/v1/completions", [&models](const Call& call) { complete(call, models); });
}

}  // namespace qkv
