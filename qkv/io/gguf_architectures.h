// How GGUF files describe the families of models: the keys of their metadata and the names of their tensors, as
// llama.cpp reads them (github.com/ggml-org/llama.cpp, gguf-py/gguf/constants.py). Data, not code.
#pragma once

#include "qkv/io/gguf.h"
#include "qkv/models/family.h"

#include <map>
#include <string_view>
#include <vector>

namespace qkv {

// What a file says of its model, or is about to say.
struct GgufContents {
  std::string where;
  const GgufMetadata* metadata = nullptr;
  std::map<std::string, Shape> shapes;  // of its tensors
  DType matrices = DType::f32;          // what most of their numbers are
  Tensor rotary_factors;                // "rope_freqs.weight", by which rotary frequencies are divided; undefined: none

  explicit GgufContents(const Gguf& file);
  GgufContents(std::string place, const GgufMetadata& said, const std::vector<LazyTensor>& tensors);
  bool contains(const std::string& tensor) const { return shapes.count(tensor) > 0; }
  const GgufValue* find(const std::string& key) const;  // null: it is not there
};

struct GgufArchitecture {
  // A number of the metadata: its key behind "ARCHITECTURE.", what it is in a Spec (null: only read), and its key in
  // config.json (null: only written).
  struct Key {
    const char* key;
    GgufType type;
    const char* config;
    double (*value)(const Spec&);
  };
  // Our parameters' names begin with `ours` where theirs begin with `theirs`; both end in ".weight" or ".bias". `*` is
  // a layer's number. Several of theirs are rows of ours, in this order. A name of ours that begins with "stack."
  // stands for every stack's.
  struct Name {
    const char* ours;
    std::vector<const char*> theirs;
  };
  // A stack of blocks; the file's names of what is in it begin with `theirs`.
  struct Stack {
    const char* theirs;
    bool encoder = false;  // the encoder of an encoder-decoder
  };

  std::string_view name;                    // "general.architecture"
  std::string_view family;                  // config.json's "model_type"
  std::string_view model_class;             // config.json's "architectures"
  std::vector<std::string_view> also = {};  // families whose models it holds as well
  std::vector<Key> keys = {};
  std::vector<Stack> stacks = {{""}};
  std::vector<Name> names = {};      // where they are not what most have
  std::vector<Name> two_norms = {};  // likewise, where both branches run in parallel, each with a norm of its own
  std::vector<std::string_view> unused = {};  // tensors that some files have and nothing reads
  Json config = Json::object();               // what goes without saying, as config.json says it
  GgufMetadata metadata = {};                 // and as the metadata does, behind "ARCHITECTURE."
  bool fused = false;                         // queries, keys and values are one matrix
  bool rotary_pairs = false;                  // rows of queries and keys lie so that neighbours turn together
  bool rotary_factors = false;                // it may hold a tensor that stretches rotary positions
  bool window_key = false;                    // it may say a sliding window of all layers, which llama.cpp passes over
  bool falcon_mix = false;                    // mixes of types treat it otherwise than the others (gguf_mixes.cpp)
  // Which of the heads' parameters it holds; null: all.
  bool (*holds)(const Spec& spec, std::string_view head) = nullptr;
  void (*finish)(Json& config, const GgufContents& file) = nullptr;  // what follows from several keys, or from tensors
};

const std::vector<GgufArchitecture>& gguf_architectures();

// The architecture of a file; throws Error naming it for one that is not known, listing those that are.
const GgufArchitecture& gguf_architecture(const GgufContents& file);
// The one that holds models of a family; likewise.
const GgufArchitecture& gguf_architecture_of(const Spec& spec);

// The name of the tensor that stretches rotary positions as Llama 3.1 does.
inline constexpr const char* rotary_factors_name = "rope_freqs.weight";

// The model's own stack that one of its architecture's is.
const StackSpec& stack_of(const Spec& spec, const GgufArchitecture::Stack& stack);
StackSpec& stack_of(Spec& spec, const GgufArchitecture::Stack& stack);

// Where each parameter lies in a file: rules as families have them for checkpoints, with `*` replaced. `fused`: whether
// queries, keys and values are one matrix there.
std::vector<WeightRule> gguf_weights(const GgufArchitecture& architecture, const Spec& spec, bool fused);

// What each rotary frequency is divided by, [dim/2].
std::vector<double> rotary_factors(const RotarySpec& rotary);
// What cosine and sine are multiplied by.
double rotary_magnitude(const RotarySpec& rotary);

// A configuration such as config.json holds, from a file's metadata and tensors.
Config gguf_config(const GgufContents& file);
// What a classifier's configuration says of its classes that its Spec does not; empty for other models.
GgufMetadata gguf_classes(const Spec& spec, const Config& config);
// The metadata that says the same of a model, without its tokenizer. Throws Error where GGUF has no words for it.
GgufMetadata gguf_description(const GgufArchitecture& architecture, const Spec& spec);
// Throws Error naming the first thing in which the model that a file is about to describe is another than this one.
void check_gguf_says(const GgufContents& file, const GgufArchitecture& architecture, const Spec& spec);
// "KEY = VALUE" of what a description says that qkv reads and llama.cpp does not, where that makes it another model.
std::vector<std::string> llama_cpp_passes_over(const GgufArchitecture& architecture, const Spec& spec,
                                               const GgufMetadata& description);

}  // namespace qkv
