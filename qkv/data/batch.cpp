#include "qkv/data/batch.h"

namespace qkv {

Inputs inputs_of(const Batch& batch) {
  const auto tensor = [&]<typename T>(const std::vector<T>& values) {
    return values.empty() ? Tensor() : Tensor::from<T>({batch.rows, batch.length}, values);
  };
  Inputs inputs;
  inputs.input_ids = tensor(batch.input_ids);
  inputs.attention_mask = tensor(batch.attention_mask);
  inputs.token_type_ids = tensor(batch.token_type_ids);
  inputs.position_ids = tensor(batch.position_ids);
  if (batch.target_length > 0) {
    inputs.labels = Tensor::from<int32_t>({batch.rows, batch.target_length}, batch.labels);
  } else if (batch.predictions == 0) {
    inputs.labels = tensor(batch.labels);
  }
  if (batch.predictions > 0) {
    inputs.labels = Tensor::from<int32_t>({batch.rows, batch.predictions}, batch.labels);
    inputs.targets = Tensor::from<int32_t>({batch.rows, batch.predictions}, batch.targets);
    inputs.hidden_pairs = Tensor::from<uint8_t>({batch.rows, batch.length, batch.length}, batch.hidden_pairs);
  }
  if (!batch.next_sentence.empty()) inputs.next_sentence = Tensor::from<int32_t>({batch.rows}, batch.next_sentence);
  return inputs;
}

}  // namespace qkv
