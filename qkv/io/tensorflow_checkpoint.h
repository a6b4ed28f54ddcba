// A directory as the authors of BERT and ALBERT released their models: bert_config.json, vocab.txt, bert_model.ckpt.*.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/tensor_file.h"

#include <memory>

namespace qkv {

// The index of the directory's TensorFlow checkpoint: the one that its file "checkpoint" names, or the only one; empty
// when there is none. Throws Error when there are several to choose from.
fs::path find_tensorflow_index(const fs::path& directory);

// Opens it with variables under the names and in the layout of Hugging Face's checkpoints of the family that the
// directory's configuration names; what an optimizer left is not shown.
std::unique_ptr<const TensorFile> open_tensorflow(const fs::path& index);

}  // namespace qkv
