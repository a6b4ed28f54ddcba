// How much memory a model will take, before it is loaded: from the headers of its files and its Spec.
#pragma once

#include "qkv/core/files.h"
#include "qkv/generate/scheduler.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

// How a model will be used.
struct Use {
  DType compute = DType::f32;          // of weights where they are not quantised, and of activations
  std::optional<DType> cache;          // of keys and values (generate/cache_type.h)
  std::optional<PackOptions> packing;  // Model::pack()
  int64_t context = 0;                 // positions of a sequence
  int64_t sequences = 1;               // that are written together
};

// A tensor of the model in memory. A head that is the embedding too and is packed stands apart.
struct PlannedWeight {
  enum class Place : uint8_t { mapped, copied, packed };
  std::string name;
  int64_t rows = 0, columns = 0;  // of a matrix; a vector has one row
  DType stored = DType::f32, kept = DType::f32;
  Place place = Place::copied;
  uint64_t bytes = 0;  // in memory, or on the file's pages
  double used = 0;     // which part of it a token is multiplied by: 0 of embeddings, 1 of matrices, some of experts
  bool head = false;   // multiplied by where scores are asked for alone
};
std::vector<PlannedWeight> planned_weights(const fs::path& model, const Spec& spec, const Use& use);

// Of the weights, whether they lie in memory or on the file's pages, without packing. Matrices are kept as `matrices`.
uint64_t weight_bytes(const fs::path& model, DType matrices);
uint64_t weight_bytes(const std::vector<PlannedWeight>& weights);

// Of keys and values when all sequences are full.
uint64_t cache_bytes(const Spec& spec, const Use& use);
// How an engine with these options uses a model.
Use use_of(const Spec& spec, const EngineOptions& options);

// Of what is computed on the way, at most: activations of 512 positions that are read together, and scores.
uint64_t scratch_bytes(const Spec& spec, const Use& use);

// What this process may take where models go: a card's memory, or the machine's, less where its control group says so.
uint64_t machine_memory();
// What of it models should take: four fifths.
uint64_t usual_memory();

// What would make the model fit into so much memory: a quantisation, another type of cache, a shorter context.
std::string memory_advice(const fs::path& model, const Spec& spec, const Use& use, uint64_t memory);

// Of a draft model beside one that is used so: weights, and a cache of its own type for as many positions.
uint64_t draft_bytes(const fs::path& draft, Use use);

// Throws Error, saying how much is missing and what would fit, when weights, cache and what is `beside` them are more
// than the machine has.
void check_memory(const fs::path& model, const Spec& spec, const Use& use, uint64_t beside = 0);

// "1.20 GB"
std::string gigabytes(uint64_t bytes);

}  // namespace qkv
