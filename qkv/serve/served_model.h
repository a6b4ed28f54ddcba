// A model that the server offers: what its files say of it, and the parts of it that are in memory.
#pragma once

#include "qkv/generate/engine.h"
#include "qkv/generate/grammar/token_mask.h"
#include "qkv/generate/sampling_defaults.h"
#include "qkv/io/hugging_face.h"
#include "qkv/serve/kept_summaries.h"
#include "qkv/serve/worker.h"
#include "qkv/tasks/answer.h"
#include "qkv/tasks/attend.h"
#include "qkv/tasks/classify.h"
#include "qkv/tasks/embed.h"
#include "qkv/tasks/fill.h"
#include "qkv/tasks/tag.h"
#include "qkv/tasks/text_to_text.h"
#include "qkv/text/chat_template.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace qkv {

class ServedModel;

struct ModelOptions {
  EngineOptions engine;      // its `compute` is the dtype of weights and activations
  bool as_stored = false;    // it is each model's compute_type() instead
  fs::path draft;            // a model that guesses ahead for the engine; empty: none
  size_t max_waiting = 256;  // tasks that wait
  // Told why a model cannot be loaded, which its clients are not: it names files of the server. May be empty.
  std::function<void(const ServedModel& model, const Error& error)> on_failure;
};

class ServedModel {
 public:
  // Reads what the files say; the weights are read when they are needed. Throws Error for what is no model. `make_room`
  // is called before bytes are taken, calls took(), and throws when there is no room.
  ServedModel(std::string name, fs::path path, const ModelOptions& options,
              std::function<void(ServedModel&, uint64_t bytes)> make_room);
  ~ServedModel();

  const std::string& name() const { return name_; }
  const Config& config() const { return config_; }
  const Spec& spec() const { return spec_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  bool writes() const { return spec_.generates(); }
  // The tokens that begin and end a text, and so on.
  const GenerationOptions& defaults() const { return defaults_; }
  // How it writes where a request leaves that out.
  const SamplingDefaults& sampling() const { return sampling_; }
  // Throws ApiError where the checkpoint has none, or one that cannot be read.
  const ChatTemplate& chat_template() const;
  bool chats() const { return writes() && chat_template_; }
  // For grammars; made by the first use.
  std::shared_ptr<const TokenTexts> token_texts();
  // Of its conversations.
  KeptSummaries& summaries() { return summaries_; }
  // Positions of a text, prompt and answer together.
  int64_t context() const { return context_; }

  // Throws ApiError for a model that writes no text.
  void check_writes() const;
  // null: it is not loaded. For those who have entered (Lease).
  Engine* loaded_engine() const;
  // Loads it where need be; from the worker's thread only. Throws ApiError 500, and tells on_failure why.
  Engine& engine();
  // The weights, of a model that writes its engine; from the worker's thread only. Throws Error with all that is known.
  void load();

  // Where tasks run, one after the other. false: too many wait.
  bool run(std::function<void()> work) { return worker_.run(std::move(work)); }

  // Tasks, loaded by their first use; from the worker's thread only. They throw ApiError when the model's head is for
  // something else, and when it cannot be loaded, as engine() does.
  const Embedder& embedder();
  const Classifier& classifier();
  const Tagger& tagger();
  const MaskFiller& filler();
  const Answerer& answerer();
  // What AttentionReader::read() gives, of the model that writes, between its engine's steps, where there is one. Empty
  // if `left` becomes true before all is read: between two pieces of the text it ends.
  std::vector<LayerAttention> attention(const std::vector<int32_t>& ids, int64_t position, std::optional<int64_t> layer,
                                        const std::atomic<bool>& left);
  const TextToText& rewriter(const std::string& from, const std::string& to);

  // Gives all memory back. Nobody may be using the model.
  void unload();
  bool loaded() const { return bytes_ > 0; }
  uint64_t bytes() const { return bytes_; }  // taken, by estimate
  void took(uint64_t bytes) { bytes_ += bytes; }
  // What would make it fit into so much memory.
  std::string memory_advice(uint64_t memory) const;
  int64_t waiting_tasks() const { return static_cast<int64_t>(worker_.waiting()); }
  std::optional<EngineStats> engine_stats() const;

 private:
  void load_engine();
  void load_text_model();
  template <typename Load>
  void load_or_tell(Load&& load);
  const TextModel& text_model();
  template <typename Task, typename... Options>
  const Task& task(std::optional<Task>& place, Options&&... options);

  std::string name_;
  fs::path path_;
  ModelOptions options_;
  std::function<void(ServedModel&, uint64_t)> make_room_;
  Config config_;
  Spec spec_;
  Tokenizer tokenizer_;
  GenerationOptions defaults_;
  SamplingDefaults sampling_;
  std::optional<ChatTemplate> chat_template_;
  std::string no_chat_;  // why there is none
  std::once_flag texts_made_;
  std::shared_ptr<const TokenTexts> texts_;
  KeptSummaries summaries_;
  int64_t context_ = 0;
  std::atomic<uint64_t> bytes_{0};

  std::optional<LoadedModel> loaded_, draft_;
  mutable std::mutex mutex_;  // of the engine's place
  std::unique_ptr<Engine> engine_;
  std::optional<TextModel> text_model_;  // that all tasks stand on
  std::optional<Embedder> embedder_;
  std::optional<Classifier> classifier_;
  std::optional<Tagger> tagger_;
  std::optional<MaskFiller> filler_;
  std::optional<Answerer> answerer_;
  std::optional<AttentionReader> attention_reader_;
  std::optional<TextToText> rewriter_;
  std::string from_, to_;  // the rewriter's languages
  Worker worker_;
};

}  // namespace qkv
