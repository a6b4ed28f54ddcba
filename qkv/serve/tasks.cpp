// The tasks of encoders and encoder-decoders.
#include "qkv/serve/handlers.h"
#include "qkv/serve/task_call.h"

namespace qkv {
namespace {

Json classify(ServedModel& model, Fields& fields) {
  const std::vector<std::string> texts = input_texts(fields);
  const auto pair = fields.text("pair");
  const auto top_k = fields.integer("top_k", 1, INT32_MAX);
  fields.finish();
  const Classifier& classifier = model.classifier();
  std::vector<Row> rows;
  for (const std::string& text : texts)
    rows.push_back(pair ? classifier.base().row(text, *pair) : classifier.base().row(text));
  Json data = Json::array();
  for (std::vector<Label>& labels : classifier.classify(rows)) {
    if (top_k && *top_k < std::ssize(labels)) labels.resize(static_cast<size_t>(*top_k));
    Json list = Json::array();
    for (const Label& label : labels) list.push_back({{"label", label.name}, {"score", label.score}});
    data.push_back({{"labels", list}});
  }
  return list_answer(model, std::move(data), token_count(rows));
}

Json tag(ServedModel& model, Fields& fields) {
  const std::vector<std::string> texts = input_texts(fields);
  fields.finish();
  const Tagger& tagger = model.tagger();
  std::vector<Tagger::Input> inputs;
  int64_t tokens = 0;
  for (const std::string& text : texts) {
    inputs.push_back(tagger.input(text));
    tokens += std::ssize(inputs.back().encoding.ids);
  }
  Json data = Json::array();
  for (const std::vector<Entity>& entities : tagger.tag(inputs)) {
    Json list = Json::array();
    for (const Entity& e : entities)
      list.push_back({{"label", e.label}, {"score", e.score}, {"word", e.word}, {"start", e.begin}, {"end", e.end}});
    data.push_back({{"entities", list}});
  }
  return list_answer(model, std::move(data), tokens);
}

Json fill(ServedModel& model, Fields& fields) {
  const std::vector<std::string> texts = input_texts(fields);
  const int64_t top_k = fields.integer("top_k", 1, 1000).value_or(5);
  const auto words = fields.texts("targets", 1000);
  fields.finish();
  const MaskFiller& filler = model.filler();
  std::vector<Row> rows;
  for (const std::string& text : texts) rows.push_back(filler.row(text));
  std::vector<int32_t> targets;
  if (words)
    for (const std::string& word : *words) targets.push_back(filler.target(word));
  Json data = Json::array();
  for (const MaskFillings& masks : filler.fill(rows, top_k, targets)) {
    Json fillings = Json::array();
    for (const std::vector<Filling>& of_mask : masks) {
      Json list = Json::array();
      for (const Filling& f : of_mask)
        list.push_back({{"score", f.score}, {"token", f.token}, {"token_str", f.text}, {"sequence", f.sequence}});
      fillings.push_back(list);
    }
    data.push_back({{"fillings", fillings}});
  }
  return list_answer(model, std::move(data), token_count(rows));
}

Json answer(ServedModel& model, Fields& fields) {
  const std::string question = fields.required_text("question"), context = fields.required_text("context");
  const int64_t top_k = fields.integer("top_k", 1, 20).value_or(1);
  fields.finish();
  const Answerer& answerer = model.answerer();
  const Answerer::Input input = answerer.input(question, context);
  const Answers answers = answerer.answer(std::span(&input, 1))[0];
  Json list = Json::array();
  for (const Answer& a : answers.spans) {
    if (std::ssize(list) == top_k) break;
    list.push_back({{"answer", a.text}, {"score", a.score}, {"start", a.begin}, {"end", a.end}});
  }
  const int64_t tokens = std::ssize(input.question) + std::ssize(input.encoding.ids);
  return {{"model", model.name()},
          {"answers", list},
          {"null_score", answers.null_score},
          {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
}

Json translate(ServedModel& model, Fields& fields) {
  const std::vector<std::string> texts = input_texts(fields);
  const std::string from = fields.text("from").value_or(""), to = fields.text("to").value_or("");
  fields.finish();
  const TextToText& translator = model.rewriter(from, to);
  std::vector<Row> rows;
  for (const std::string& text : texts) rows.push_back(translator.row(text));
  Json data = Json::array();
  for (const std::vector<Rewritten>& of_text : translator.rewrite(rows))
    data.push_back({{"text", of_text[0].text}, {"score", of_text[0].score}});
  return list_answer(model, std::move(data), token_count(rows));
}

}  // namespace

void add_tasks(Routes& routes, ModelStore& models) {
  const auto add = [&](const char* path, Json (*work)(ServedModel&, Fields&)) {
    routes.add("POST", path, [&models, work](const Call& call) { run_task(call, models, work); });
  };
  add("/v1/classify", classify);
  add("/v1/tag", tag);
  add("/v1/fill", fill);
  add("/v1/answer", answer);
  add("/v1/translate", translate);
}

}  // namespace qkv
