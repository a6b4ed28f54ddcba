#include "qkv/serve/writing.h"

#include <charconv>
#include <cmath>
#include <random>

namespace qkv {
namespace {

constexpr size_t most_stops = 16;
constexpr size_t most_biases = 1024;
constexpr int64_t most_continuations = 128;

uint64_t any_seed() {
  thread_local std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

void read_sampling(Fields& fields, GenerationOptions& o) {
  if (const auto temperature = fields.number("temperature", 0, 100)) set_temperature(*temperature, o);
  const auto number = [&](const char* name, double lowest, double highest, float& value) {
    if (const auto given = fields.number(name, lowest, highest)) value = static_cast<float>(*given);
  };
  if (const auto top_p = fields.number("top_p", 0, 1)) set_top_p(*top_p, o);
  number("min_p", 0, 1, o.min_p);
  number("typical_p", 1e-6, 1, o.typical_p);
  number("presence_penalty", -2, 2, o.presence_penalty);
  number("frequency_penalty", -2, 2, o.frequency_penalty);
  number("repetition_penalty", 0.01, 100, o.repetition_penalty);
  if (const auto k = fields.integer("top_k", -1, INT32_MAX)) o.top_k = std::max<int64_t>(0, *k);
  if (const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX)) {
    o.seed = static_cast<uint64_t>(*seed);
  } else {
    o.seed = any_seed();
  }
}

void read_biases(Fields& fields, const ServedModel& model, GenerationOptions& o) {
  const OrderedJson* biases = fields.find("logit_bias");
  if (biases == nullptr) return;
  if (!biases->is_object()) fields.fail("logit_bias", "must map token ids to numbers");
  if (biases->size() > most_biases) fields.fail("logit_bias", fmt::format("may have {} entries", most_biases));
  for (const auto& [token, bias] : biases->items()) {
    int32_t id = -1;
    const auto [end, problem] = std::from_chars(token.data(), token.data() + token.size(), id);
    if (problem != std::errc() || end != token.data() + token.size() || id < 0 || id >= model.spec().vocab)
      fields.fail("logit_bias", fmt::format("has the key '{}', which is no token id", token));
    if (!bias.is_number() || std::abs(bias.get<double>()) > 100)
      fields.fail("logit_bias", "must have values between -100 and 100");
    o.logit_bias.emplace_back(id, bias.get<float>());
  }
}

}  // namespace

Writing read_writing(Fields& fields, const ServedModel& model) {
  Writing writing;
  GenerationOptions& o = writing.options;
  o = model.defaults();
  o.sample = true;
  model.sampling().apply(o);
  read_sampling(fields, o);
  read_biases(fields, model, o);
  if (fields.flag("ignore_eos").value_or(false)) o.end_ids.clear();
  if (const auto overflow = fields.text("overflow")) {
    const std::optional<FullContext> named = full_context_named(*overflow);
    if (!named) fields.fail("overflow", "must be 'refuse', 'slide' or, in conversations, 'summarise'");
    writing.when_full = *named;
  }
  if (auto stops = fields.texts("stop", most_stops)) {
    for (const std::string& stop : *stops)
      if (stop.empty()) fields.fail("stop", "must not be empty");
    o.stop = std::move(*stops);
  }
  writing.count = o.num_return_sequences = fields.integer("n", 1, most_continuations).value_or(1);
  writing.stream = fields.flag("stream").value_or(false);
  if (const OrderedJson* stream = fields.find("stream_options")) {
    if (!writing.stream) fields.fail("stream_options", "is only for streams");
    Fields options(*stream, "stream_options.");
    writing.tell_usage = options.flag("include_usage").value_or(false);
    options.ignore({"include_obfuscation"});
    options.finish();
  }
  // What OpenAI's service does with these concerns its own accounting.
  fields.ignore(
      {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"});
  return writing;
}

}  // namespace qkv
