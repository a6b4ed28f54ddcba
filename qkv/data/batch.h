// What a training step reads.
#pragma once

#include "qkv/models/model.h"

#include <cstdint>
#include <vector>

namespace qkv {

// Row-major [rows, length]. A vector that is empty stands for the model's default: no padding, type 0, positions
// 0, 1, 2 ...
struct Batch {
  int64_t rows = 0;
  int64_t length = 0;
  std::vector<int32_t> input_ids;
  std::vector<int32_t> labels;          // already shifted: what the model should say at this position; -100: nothing
  int64_t target_length = 0;            // above 0: an encoder-decoder's labels are [rows, target_length], not shifted
  std::vector<int32_t> token_type_ids;  // segments of a pair
  std::vector<int32_t> position_ids;
  std::vector<uint8_t> attention_mask;  // 0 = padding
  std::vector<int32_t> next_sentence;   // [rows]: 0 the second segment follows the first, 1 it is a random one
  // Permutation language modelling: labels are of `targets` then, [rows, predictions].
  int64_t predictions = 0;
  std::vector<int32_t> targets;       // [rows, predictions]: positions
  std::vector<uint8_t> hidden_pairs;  // [rows, length, length]: 1 hides the second from the first
  int64_t target_count = 0;           // labels that are not -100
};

inline constexpr int32_t ignored_label = -100;

Inputs inputs_of(const Batch& batch);

// A sequence of batches. Batch n is a pure function of n, so that a run resumes by its step number alone; safe to call
// from any thread.
class Batches {
 public:
  virtual ~Batches() = default;
  virtual Batch batch(int64_t n) const = 0;  // throws Error when a fixed sequence has no batch n
  // Batches in one pass over the data, rounded up. Training sequences go on behind it, evaluation ends there.
  virtual int64_t count() const = 0;
};

// How a sequence visits its items.
enum class Visit {
  random,    // each row drawn independently, with replacement
  shuffled,  // every item once an epoch, in a new order each time
  in_turn,   // every item once, in order, then it ends: for evaluation. The last batch may have fewer rows
};

}  // namespace qkv
