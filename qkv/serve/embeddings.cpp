// OpenAI's embeddings: texts as vectors.
#include "qkv/serve/base64.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/task_call.h"

#include <cmath>

namespace qkv {
namespace {

std::vector<Row> read_rows(Fields& fields, const ServedModel& model, const Embedder& embedder) {
  const OrderedJson& input = fields.require("input");
  std::vector<Row> rows;
  const auto add_ids = [&](const OrderedJson& list) {
    std::vector<int32_t> ids;
    for (const OrderedJson& id : list) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= model.spec().vocab)
        fields.fail("input", "has an entry that is no token id of this model");
      ids.push_back(id.get<int32_t>());
    }
    if (ids.empty()) fields.fail("input", "has an empty list");
    if (std::ssize(ids) > embedder.base().room(false))
      throw embedder.base().too_long("input", std::ssize(ids), false, "shorten it");
    rows.push_back(embedder.base().framed(embedder.base().tokenizer().frame(ids)));
  };
  if (input.is_string()) {
    rows.push_back(embedder.row(input.get<std::string>()));
  } else if (!input.is_array() || input.empty() || input.size() > most_inputs) {
    fields.fail("input", fmt::format("must be a string, token ids, or at most {} of these", most_inputs));
  } else if (input[0].is_number()) {
    add_ids(input);
  } else {
    for (const OrderedJson& one : input) {
      if (one.is_string()) {
        rows.push_back(embedder.row(one.get<std::string>()));
      } else if (one.is_array()) {
        add_ids(one);
      } else {
        fields.fail("input", "must have strings or lists of token ids as entries");
      }
    }
  }
  return rows;
}

// The first `count` numbers, of length 1 (Kusupati et al. 2022, arXiv 2205.13147).
std::vector<float> shortened(std::vector<float> vector, size_t count) {
  vector.resize(count);
  double sum = 0;
  for (const float x : vector) sum += static_cast<double>(x) * x;
  if (sum > 0)
    for (float& x : vector) x = static_cast<float>(x / std::sqrt(sum));
  return vector;
}

Json embed(ServedModel& model, Fields& fields) {
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") fields.fail("encoding_format", "must be 'float' or 'base64'");
  const auto dimensions = fields.integer("dimensions", 1, model.spec().width());
  const Embedder& embedder = model.embedder();
  const std::vector<Row> rows = read_rows(fields, model, embedder);
  fields.finish();
  Json data = Json::array();
  for (std::vector<float>& vector : embedder.embed(rows)) {
    if (dimensions) vector = shortened(std::move(vector), static_cast<size_t>(*dimensions));
    Json entry = {{"object", "embedding"}};
    if (format == "float") {
      entry["embedding"] = vector;
    } else {  // little-endian f32, as every machine that qkv runs on has it
      entry["embedding"] = base64({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
    }
    data.push_back(std::move(entry));
  }
  return list_answer(model, std::move(data), token_count(rows));
}

}  // namespace

void add_embeddings(Routes& routes, ModelStore& models) {
  routes.add("POST", "/v1/embeddings", [&models](const Call& call) { run_task(call, models, embed); });
}

}  // namespace qkv
