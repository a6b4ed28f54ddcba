// Sentence embeddings: a vector for a text, near those of texts that mean the same (Reimers and Gurevych 2019).
//
//   const qkv::Embedder embedder("models/all-MiniLM-L6-v2");
//   const std::vector<float> a = embedder.embed("A man is eating."), b = embedder.embed("Somebody eats.");
//   std::cout << qkv::cosine(a, b) << '\n';
#pragma once

#include "qkv/tasks/sentence_modules.h"
#include "qkv/tasks/text_model.h"

namespace qkv {

class Embedder {
 public:
  // Any model; of an encoder-decoder its encoder. Pooling and normalisation are what sentence-transformers' files in
  // the directory say, or the mean, not normalised, without them. What `pooling` and `normalise` say wins.
  explicit Embedder(const fs::path& directory, TaskOptions options = {}, std::optional<Pooling> pooling = {},
                    std::optional<bool> normalise = {});
  // The same of a directory's model that is loaded already. Where sentence-transformers' files name another one below
  // it, that one is loaded.
  explicit Embedder(const TextModel& base);

  const TextModel& base() const { return base_; }
  int64_t width() const { return base_.model().spec().width(); }
  // A text as embed() takes it: with the prompt in front that the directory's files name as their default.
  Row row(std::string_view text) const { return base_.row(modules_.prompt + std::string(text)); }

  std::vector<std::vector<float>> embed(std::span<const Row> rows) const;
  std::vector<float> embed(std::string_view text) const;

 private:
  SentenceModules modules_;
  TextModel base_;
};

// a.b / (|a| |b|); 0 for a vector of zeros. Throws Error unless the lengths are equal.
double cosine(std::span<const float> a, std::span<const float> b);

}  // namespace qkv
