// Adaptive input and softmax over large vocabularies (Grave et al. 2016, arXiv 1609.04309; Baevski & Auli 2018, arXiv
// 1809.10853): words come by frequency and are cut into ranges. Rare ranges have narrower vectors, and their words are
// predicted in two steps, the range first.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/module.h"

#include <vector>

namespace qkv {

struct AdaptiveSpec {
  std::vector<int64_t> cutoffs;  // where ranges after the first begin; increasing, inside the vocabulary
  int64_t width = 0;             // of the first range's vectors
  int64_t division = 1;          // each further range's are narrower by this; 1: all are equal and lie in one table
  bool predicts = false;         // the tables serve a softmax too: the first begins with a row for each further range
  std::vector<bool> own;         // by range: the softmax has a projection of its own

  int64_t ranges() const { return static_cast<int64_t>(cutoffs.size()) + 1; }
  int64_t begin(int64_t range) const { return range == 0 ? 0 : cutoffs[static_cast<size_t>(range - 1)]; }
  int64_t end(int64_t range, int64_t vocab) const { return range + 1 == ranges() ? vocab : begin(range + 1); }
  int64_t width_of(int64_t range) const;
  // Rows of the first table before the words': one for each further range.
  int64_t leading() const { return predicts ? ranges() - 1 : 0; }
};

// Word vectors by range, projected to the model's width where they differ from it or ranges differ.
struct AdaptiveEmbedding {
  AdaptiveSpec spec;
  int64_t vocab = 0;
  std::vector<Tensor> tables;       // one a range, or one for all
  std::vector<Tensor> projections;  // [D, width of the range]; as many as tables, or none

  AdaptiveEmbedding() = default;
  AdaptiveEmbedding(int64_t vocab_size, int64_t width, const AdaptiveSpec& adaptive_spec);
  Tensor operator()(const Tensor& ids, const Context& context) const;  // i32 [B, T] -> [B, T, D]
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

// log p(word) = log p(range) + log p(word | range), with the embedding's tables as output matrices.
struct AdaptiveSoftmax {
  AdaptiveEmbedding shared;         // handles to the embedding's tables and projections
  std::vector<Tensor> biases;       // as the tables' rows
  std::vector<Tensor> projections;  // [D, width of the range]; undefined where the embedding's serves, or none does

  AdaptiveSoftmax() = default;
  AdaptiveSoftmax(const AdaptiveEmbedding& embedding, int64_t width);
  // h [N, D] -> f32 [N, V].
  Tensor log_probabilities(const Tensor& h) const;
  // scale * the sum of -log p(target); targets i32 [N]. Words of a range are looked at only for targets in it.
  Tensor loss(const Tensor& h, const Tensor& targets, float scale, float label_smoothing) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  struct Output {
    Tensor weight;
    Tensor bias;
  };
  std::vector<Output> outputs() const;                     // the first predicts ranges and its words
  Tensor projected(const Tensor& h, int64_t range) const;  // to the width of the range's vectors
};

}  // namespace qkv
