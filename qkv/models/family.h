// A family of models is a mapping: config.json -> Spec, and our weight names <-> theirs. One file each in families/.
#pragma once

#include "qkv/models/config.h"
#include "qkv/models/spec.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

// How one of our parameters lies in a checkpoint. `*` in the names stands for the layer's number.
struct WeightRule {
  enum class Layout : uint8_t {
    same,
    transposed,     // stored [in, out] (GPT-2's Conv1D)
    grouped_heads,  // queries, keys and values by key head: its group's queries, its key, its value (GPT-NeoX)
    heads_last,     // ours is [heads x head_dim, in], stored [in, heads, head_dim] (XLNet)
    heads_split,    // ours is [out, heads x head_dim], stored [out, heads, head_dim]
    minus_one,      // stored is ours - 1 (Gemma's norms)
    one_row,        // stored is [1, N] (BART's final_logits_bias)
  };
  std::string ours;                 // "stack.blocks.*.attention.qkv.weight"
  std::vector<std::string> theirs;  // several: ours is their concatenation along the first dimension
  Layout layout = Layout::same;
  std::vector<int64_t> rows;  // of each of theirs, where they are neither queries, keys and values nor equal
};

// The sizes that somebody who trains from scratch chooses; zero means the family's default.
struct Sizes {
  int64_t vocab = 0;
  int64_t context = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t width = 0;
  int64_t feed_forward = 0;
  float dropout = 0;
  bool bias = true;
  bool tied = true;
};

// What the authors' own release for TensorFlow looks like, where it differs from Hugging Face's.
struct TensorflowLayout {
  std::string_view config_file;   // "bert_config.json", which names neither family nor class
  std::string_view architecture;  // the class whose weights the release holds
  // Parts of variables' names and what stands for them in our checkpoints' names, replaced in this order; `*` is a
  // number. What is alike in all of them (kernels, gamma and beta) is in models/tensorflow_names.h.
  std::vector<std::pair<std::string, std::string>> names;
};

struct Family {
  std::string_view type;  // config.json's "model_type"
  std::string_view name;  // for people: "GPT-2"
  std::string_view paper;
  Spec (*spec)(const Config& config) = nullptr;
  std::vector<WeightRule> (*weights)(const Spec& spec) = nullptr;
  // Tensors that checkpoints may hold and the model does not use: buffers and duplicates. `*` matches a number.
  std::vector<std::string> unused;
  std::string_view base_prefix;  // "transformer.": checkpoints of the bare model leave it out
  Json (*config)(const Sizes& sizes) =
      nullptr;                                // a config.json for training from scratch; dtype and ids are added later
  std::vector<std::string_view> older_types;  // names that "model_type" had before, or that others gave the family
  TensorflowLayout tensorflow;
  // Of a decoder: the classifier of whole texts, and of tokens, in a checkpoint.
  std::string_view sequence_head = "score", token_head = "classifier";
};

// All families, in the order of their names.
std::vector<const Family*> all_families();

// The family of a "model_type", or of an older name for it. An unknown one is an Error that names the nearest and lists
// all.
const Family& family_named(std::string_view type, std::string_view where);

// The family of a configuration, by its "model_type".
const Family& family_of(const Config& config);

// The Spec of a configuration: its family's mapping, checked.
Spec spec_of(const Config& config);

// The class that a configuration names, "architectures"[0]; empty without that key.
std::string architecture_of(const Config& config);

// The head that this class has; the bare model without one.
Task task_of(const Config& config);

// Rules for every layer, with `*` replaced.
std::vector<WeightRule> expanded_weights(const Family& family, const Spec& spec);

}  // namespace qkv
