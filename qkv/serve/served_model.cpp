#include "qkv/serve/served_model.h"

#include "qkv/core/error.h"
#include "qkv/generate/checkpoint_options.h"
#include "qkv/generate/model_size.h"
#include "qkv/io/model_source.h"
#include "qkv/io/tokenizer_fits.h"
#include "qkv/models/compute_type.h"
#include "qkv/serve/api_error.h"

#include <future>

namespace qkv {
namespace {

// The best answers that a client may ask for.
constexpr int64_t most_answers = 20;

}  // namespace

ServedModel::ServedModel(std::string name, fs::path path, const ModelOptions& options,
                         std::function<void(ServedModel&, uint64_t)> make_room)
    : name_(std::move(name)),
      path_(std::move(path)),
      options_(options),
      make_room_(std::move(make_room)),
      config_(read_config(path_)),
      spec_(spec_of(config_)),
      tokenizer_(load_tokenizer(path_)),
      defaults_(checkpoint_options(config_, path_, tokenizer_)),
      sampling_(SamplingDefaults::read(path_)),
      worker_(options.max_waiting) {
  check_tokenizer_fits(tokenizer_, spec_.vocab, path_.string());
  if (options_.as_stored) options_.engine.compute = compute_type(config_);
  const int64_t own = spec_.max_positions();
  // Said of the model and the option: one server may have many of either kind.
  if (writes() && own > 0 && options_.engine.context > own)
    throw Error(name_,
                fmt::format("has a context of {} tokens, and --context asks for {}", own, options_.engine.context),
                "ask for no more than all the models have, or leave it out: each has its own then");
  context_ = writes() ? engine_context(spec_, options_.engine) : own;
  try {
    chat_template_.emplace(tokenizer_);
  } catch (const Error& error) {
    no_chat_ = error.reason();
  }
}

// The engine's last texts may have work for the worker, which goes before it.
ServedModel::~ServedModel() {
  if (engine_) engine_->stop();
}

const ChatTemplate& ServedModel::chat_template() const {
  if (!chat_template_)
    throw ApiError(400, fmt::format("'{}' cannot chat: {}.", name_, no_chat_), "model", "no_chat_template");
  return *chat_template_;
}

std::shared_ptr<const TokenTexts> ServedModel::token_texts() {
  std::call_once(texts_made_, [this] { texts_ = std::make_shared<TokenTexts>(tokenizer_); });
  return texts_;
}

std::string ServedModel::memory_advice(uint64_t memory) const {
  return qkv::memory_advice(path_, spec_, use_of(spec_, options_.engine), memory);
}

std::optional<EngineStats> ServedModel::engine_stats() const {
  const std::lock_guard lock(mutex_);
  if (!engine_) return {};
  return engine_->stats();
}

void ServedModel::load_engine() {
  const DType matrices = options_.engine.compute;
  const Use use = use_of(spec_, options_.engine);
  uint64_t bytes = weight_bytes(planned_weights(path_, spec_, use)) + cache_bytes(spec_, use);
  if (!options_.draft.empty()) bytes += draft_bytes(options_.draft, use);
  make_room_(*this, bytes);
  try {
    loaded_ = load_model(path_, {.in_place = true, .matrices = matrices, .pack = PackOptions{.floats = true}});
    if (!options_.draft.empty())
      draft_ =
          load_model(options_.draft, {.in_place = true, .matrices = matrices, .pack = PackOptions{.floats = true}});
    auto engine = std::make_unique<Engine>(*loaded_->model, options_.engine, draft_ ? draft_->model.get() : nullptr);
    const std::lock_guard lock(mutex_);
    engine_ = std::move(engine);
  } catch (...) {
    loaded_.reset();
    draft_.reset();
    release_cached_memory();
    bytes_ -= bytes;
    throw;
  }
}

void ServedModel::check_writes() const {
  if (!writes())
    throw ApiError(400, fmt::format("The model '{}' is a {}, which writes no text.", name_, name_of(spec_.task)),
                   "model");
}

Engine* ServedModel::loaded_engine() const {
  const std::lock_guard lock(mutex_);
  return engine_.get();
}

// Files that are damaged or do not fit are the server's, and so are their names.
template <typename Load>
void ServedModel::load_or_tell(Load&& load) {
  try {
    load();
  } catch (const Error& error) {
    if (options_.on_failure) options_.on_failure(*this, error);
    const bool too_big = error.where() == name_;
    throw ApiError(500, fmt::format("The model '{}' {}.", name_, too_big ? error.reason() : "cannot be loaded"), "",
                   "model_not_loaded");
  }
}

Engine& ServedModel::engine() {
  if (!engine_) load_or_tell([this] { load_engine(); });
  return *engine_;
}

void ServedModel::load() {
  if (!writes()) return load_text_model();
  if (!engine_) load_engine();
}

void ServedModel::load_text_model() {
  if (text_model_) return;
  const uint64_t bytes = weight_bytes(path_, options_.engine.compute);
  make_room_(*this, bytes);
  try {
    text_model_.emplace(path_, TaskOptions{.dtype = options_.engine.compute});
  } catch (...) {
    bytes_ -= bytes;
    throw;
  }
}

const TextModel& ServedModel::text_model() {
  load_or_tell([this] { load_text_model(); });
  return *text_model_;
}

template <typename Task, typename... Options>
const Task& ServedModel::task(std::optional<Task>& place, Options&&... options) {
  if (place) return *place;
  const bool first = !text_model_;
  try {
    const TextModel& base = text_model();
    try {
      return place.emplace(base, std::forward<Options>(options)...);
    } catch (const Error& error) {
      if (error.where() != path_.string()) throw;
      throw ApiError(400, fmt::format("The model '{}' does not do this: {}.", name_, error.reason()), "model");
    }
  } catch (...) {  // a model whose head is for something else is not kept
    if (first && text_model_) {
      text_model_.reset();
      release_cached_memory();
      bytes_ -= weight_bytes(path_, options_.engine.compute);
    }
    throw;
  }
}

const Embedder& ServedModel::embedder() { return task(embedder_); }
const Classifier& ServedModel::classifier() { return task(classifier_); }
const Tagger& ServedModel::tagger() { return task(tagger_); }
const MaskFiller& ServedModel::filler() { return task(filler_); }
const Answerer& ServedModel::answerer() { return task(answerer_, AnswerOptions{.top_k = most_answers}); }

const TextToText& ServedModel::rewriter(const std::string& from, const std::string& to) {
  if (from != from_ || to != to_) rewriter_.reset();
  from_ = from;
  to_ = to;
  return task(rewriter_, TextToTextOptions{.from = from, .to = to});
}

std::vector<LayerAttention> ServedModel::attention(const std::vector<int32_t>& ids, int64_t position,
                                                   std::optional<int64_t> layer, const std::atomic<bool>& left) {
  if (!writes() || !batches_continuously(spec_))
    return task(attention_reader_).read(ids, position, layer, [&left] { return left.load(); });
  engine();
  AttentionReading reading(spec_, options_.engine.compute, ids, position, layer);
  auto promise = std::make_shared<std::promise<void>>();
  std::future<void> done = promise->get_future();
  // The engine alone holds the promise, so that it is broken should the engine end first.
  const bool taken =
      engine_->between_steps([&reading, &left, promise = std::move(promise)](Model& model, int64_t positions) {
        try {
          if (!left && reading.read(model, positions)) return true;
          promise->set_value();
        } catch (...) {
          promise->set_exception(std::current_exception());
        }
        return false;
      });
  if (!taken) throw ApiError(503, "The model is being unloaded; try again later.");
  done.get();
  return reading.take();
}

void ServedModel::unload() {
  {
    const std::lock_guard lock(mutex_);
    engine_.reset();
  }
  loaded_.reset();
  draft_.reset();
  text_model_.reset();
  embedder_.reset();
  classifier_.reset();
  tagger_.reset();
  filler_.reset();
  answerer_.reset();
  attention_reader_.reset();
  rewriter_.reset();
  summaries_.clear();
  release_cached_memory();
  bytes_ = 0;
}

}  // namespace qkv
