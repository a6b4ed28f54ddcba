#include "qkv/io/gguf_model.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/core/threads.h"
#include "qkv/io/gguf_architectures.h"
#include "qkv/io/late_weights.h"
#include "qkv/io/weight_problems.h"
#include "qkv/kernels/blocks.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"

#include <fmt/ranges.h>

#include <map>
#include <set>

namespace qkv {
namespace {

// llama.cpp turns neighbours (2i, 2i + 1) where we turn (i, i + K/2): the rows of a head in its order, or back.
Tensor rotary_rows(const Tensor& x, int64_t heads, bool to_pairs) {
  const int64_t half = x.size(0) / heads / 2;
  std::vector<Tensor> rows;
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < 2 * half; ++i) {
      const int64_t from = to_pairs ? i / 2 + i % 2 * half : i % half * 2 + i / half;
      rows.push_back(x.narrow(0, h * 2 * half + from, 1));
    }
  return concat(rows, 0);
}

std::map<std::string, WeightRule> rules_by_name(const GgufArchitecture& architecture, const Spec& spec, bool fused) {
  std::map<std::string, WeightRule> rules;
  for (WeightRule& rule : gguf_weights(architecture, spec, fused)) rules.emplace(rule.ours, std::move(rule));
  return rules;
}

// How many heads' rows lie in a tensor of the file: queries' or keys'; 0 for what does not turn.
int64_t turning_heads(const std::string& theirs, const AttentionSpec& attention) {
  if (theirs.find(".attn_q.") != std::string::npos) return attention.heads;
  return theirs.find(".attn_k.") != std::string::npos ? attention.kv_heads : 0;
}

// Queries, keys and values, or gates and their kin, that lie in blocks, are used as they lie, or will be packed, stay
// the matrices that they are: joining them would be a copy, and they may differ in type.
void keep_apart(StackSpec& stack, const Gguf& file, const char* begin, const LoadOptions& options) {
  const bool packs = packing_of(options) != nullptr && options.pack->floats;
  const bool on_file = options.device == Device();
  const auto apart = [&](int64_t layer, const char* name) {
    const std::string full = fmt::format("{}blk.{}.{}.weight", begin, layer, name);
    return file.contains(full) &&
           (packs || is_block(file.dtype(full)) || (on_file && file.dtype(full) == options.matrices));
  };
  const std::vector<BlockSpec> before = stack.varied;
  stack.vary([&](int64_t i, BlockSpec& block) {
    if (!before.empty()) block = before[static_cast<size_t>(i)];
    block.attention.apart = apart(i, "attn_q") || apart(i, "attn_k") || apart(i, "attn_v");
    if (block.cross) block.cross->apart = apart(i, "cross_attn_k") || apart(i, "cross_attn_v");
    block.feed_forward.apart = apart(i, "ffn_gate") || apart(i, "ffn_up");
  });
}

// Small tables that are f32 in every file, whatever its other matrices are; and are never multiplied by in blocks.
bool stays_plain(const std::string& theirs) {
  return theirs == "position_embd.weight" || theirs == "token_types.weight" || theirs.ends_with(".attn_rel_b.weight");
}

class Loader {
 public:
  Loader(const Gguf& file, const LoadOptions& options)
      : file_(file), options_(options), contents_(file), architecture_(gguf_architecture(contents_)) {}

  LoadedModel load() {
    Config config = gguf_config(contents_);
    Spec spec = spec_of(config);
    int64_t numbers = 0;
    for (const std::string& name : file_.names()) numbers += file_.shape(name).numel();
    check_extent(spec, file_.where(), std::ssize(file_.names()), numbers);
    attention_ = spec.stack.block.attention;
    if (options_.in_place) {
      for (const GgufArchitecture::Stack& stack : architecture_.stacks)
        keep_apart(stack_of(spec, stack), file_, stack.theirs, options_);
      if (architecture_.rotary_pairs) turn_neighbours(spec);
    }
    const bool fused = file_.contains("blk.0.attn_qkv.weight");
    const std::map<std::string, WeightRule> rules = rules_by_name(architecture_, spec, fused);
    LoadedModel loaded{std::move(config), std::make_unique<Model>(spec), {}};
    LateWeights weights(options_);
    loaded.model->visit([&](const std::string& name, Tensor& value, Role role) {
      const auto rule = rules.find(name);
      if (rule == rules.end())
        throw Error(file_.where(), fmt::format("GGUF has no name for {} of {} models", name, spec.family));
      if (!fits(rule->second, value)) return;
      const DType dtype = dtype_of(rule->second.theirs[0], role);
      weights.load(name, value, role, dtype,
                   [this, &theirs = rule->second.theirs, role] { return parameter(theirs, role); });
    });
    used_.insert(rotary_factors_name);
    used_.insert(architecture_.unused.begin(), architecture_.unused.end());
    for (const std::string& name : file_.names())
      if (used_.count(name) == 0) problems_.left.push_back(fmt::format("{} {}", name, to_string(file_.shape(name))));
    problems_.raise(file_.where(), architecture_.name, "the metadata");
    weights.pack(*loaded.model, file_);
    return loaded;
  }

 private:
  static void turn_neighbours(Spec& spec) {
    const auto turn = [](BlockSpec& block) {
      if (block.attention.rotary) block.attention.rotary->interleaved = true;
    };
    turn(spec.stack.block);
    for (BlockSpec& block : spec.stack.varied) turn(block);
  }

  // Whether the file has a parameter as it should be.
  bool fits(const WeightRule& rule, const Tensor& value) {
    int64_t rows = 0;
    bool fits = true;
    for (const std::string& theirs : rule.theirs) {
      if (!file_.contains(theirs)) {
        problems_.missing.push_back(theirs);
        return false;
      }
      used_.insert(theirs);
      const Shape& shape = file_.shape(theirs);
      fits = fits && shape.rank() == value.rank();
      for (int i = 1; fits && i < shape.rank(); ++i) fits = shape[i] == value.size(i);
      rows += shape[0];
    }
    fits = fits && rows == value.size(0);
    for (const std::string& theirs : rule.theirs)
      if (!fits)
        problems_.shapes.push_back(fmt::format("{}: the file has {}, of {}", theirs, to_string(file_.shape(theirs)),
                                               to_string(value.shape())));
    return fits;
  }

  Tensor parameter(const std::vector<std::string>& theirs, Role role) const {
    std::vector<Tensor> pieces;
    for (const std::string& one : theirs) pieces.push_back(piece(one, role));
    return pieces.size() == 1 ? pieces[0] : concat(pieces, 0);
  }

  // What a tensor of the file is loaded as.
  DType dtype_of(const std::string& theirs, Role role) const {
    const DType stored = file_.dtype(theirs);
    if (options_.in_place && is_block(stored) && is_matrix(role) && !stays_plain(theirs)) return stored;
    return is_matrix(role) ? options_.matrices : DType::f32;
  }

  Tensor piece(const std::string& theirs, Role role) const {
    const Tensor stored = file_.get(theirs);
    const DType type = dtype_of(theirs, role);
    if (stored.dtype() == type && is_block(type)) return stored;
    Tensor value = cast(is_block(stored.dtype()) ? cast(stored, DType::f32) : stored, type);
    const int64_t heads = architecture_.rotary_pairs && !options_.in_place ? turning_heads(theirs, attention_) : 0;
    if (heads > 0 && value.size(0) % (2 * heads) == 0) value = rotary_rows(value, heads, false);
    if (value.shares_memory(stored) && !stays_on_file(options_, bytes_of(type, value.numel()))) value = clone(value);
    if (!value.shares_memory(stored)) stored.forget();
    return value;
  }

  const Gguf& file_;
  const LoadOptions& options_;
  GgufContents contents_;
  const GgufArchitecture& architecture_;
  AttentionSpec attention_;
  WeightProblems problems_;
  std::set<std::string> used_;
};

// A matrix in another type; rows are quantised each on its own.
Tensor encoded(const Tensor& value, DType type, const Tensor& importance) {
  if (!is_block(type)) return cast(value, type);
  const Tensor from = contiguous(cast(value, DType::f32));
  Tensor to = Tensor::empty(value.shape(), type);
  const int64_t width = value.size(-1);
  if (importance && importance.numel() != width)
    throw Error("quantize", fmt::format("{} importances for {} columns", importance.numel(), width), "",
                Error::Kind::internal);
  parallel_for(value.numel() / width, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels::quantize_row(type, from.data<float>() + i * width,
                            static_cast<char*>(to.raw()) + bytes_of(type, i * width), width,
                            importance ? importance.data<float>() : nullptr);
  });
  return to;
}

bool holds(const GgufArchitecture& architecture, const Spec& spec, const std::string& name) {
  return architecture.holds == nullptr || !name.starts_with("heads.") || architecture.holds(spec, name);
}

// A tensor of the file, and the rows of our parameter that it is.
struct WrittenTensor {
  std::string name;
  DType type;
  Tensor rows;
  int64_t turning_heads;  // whose rows lie in llama.cpp's order
};

std::vector<WrittenTensor> written_tensors(const std::string& where, Model& model, const GgufArchitecture& architecture,
                                           const std::function<DType(const std::string&, const Shape&)>& type_of) {
  const Spec& spec = model.spec();
  const std::map<std::string, WeightRule> rules = rules_by_name(architecture, spec, architecture.fused);
  const AttentionSpec& attention = spec.stack.block.attention;
  std::vector<WrittenTensor> tensors;
  model.visit([&](const std::string& name, Tensor& parameter, Role role) {
    if (!holds(architecture, spec, name)) return;
    const auto found = rules.find(name);
    if (found == rules.end())
      throw Error(where, fmt::format("GGUF has no name for {} of {} models", name, spec.family),
                  "keep the model in its Hugging Face form");
    const std::vector<std::string>& theirs = found->second.theirs;
    std::vector<int64_t> lengths(theirs.size(), parameter.size(0) / static_cast<int64_t>(theirs.size()));
    if (theirs.size() == 3)
      lengths = {attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim,
                 attention.kv_heads * attention.head_dim};
    int64_t begin = 0;
    for (size_t i = 0; i < theirs.size(); ++i) {
      const Tensor rows = parameter.detach().narrow(0, begin, lengths[i]);
      begin += lengths[i];
      const bool plain = !is_matrix(role) || stays_plain(theirs[i]);
      const bool turns = architecture.rotary_pairs && !attention.rotary->interleaved;
      tensors.push_back({theirs[i], plain ? DType::f32 : type_of(theirs[i], rows.shape()), rows,
                         turns ? turning_heads(theirs[i], attention) : 0});
    }
  });
  return tensors;
}

// What a file will lack, and what llama.cpp will not find in it.
void tell_losses(const std::string& where, Model& model, const GgufArchitecture& architecture,
                 const GgufMetadata& metadata) {
  const Spec& spec = model.spec();
  std::set<std::string> left_out;
  model.visit([&](const std::string& name, Tensor&, Role) {
    if (!holds(architecture, spec, name)) left_out.insert(name.substr(0, name.rfind('.')));
  });
  if (!left_out.empty())
    notice(where, fmt::format("the head for {} is left out ({}): GGUF has no names for it", name_of(spec.task),
                              fmt::join(left_out, ", ")));
  const std::vector<std::string> passed_over = llama_cpp_passes_over(architecture, spec, metadata);
  if (!passed_over.empty())
    notice(where, fmt::format("llama.cpp passes over {}, which qkv reads: it computes another model",
                              fmt::join(passed_over, ", ")));
}

}  // namespace

LoadedModel load_gguf_model(const fs::path& path, const LoadOptions& options) {
  const NoGrad no_grad;
  if (options.new_head)
    throw Error(path.string(), "a GGUF file cannot be trained from as it is",
                fmt::format("first: qkv convert {} DIRECTORY", path.string()));
  const std::shared_ptr<const Gguf> file = open_gguf(path);
  if (options.pack && options.pack->int8) refuse_blocks(*file);
  return Loader(*file, options).load();
}

void refuse_blocks(const Gguf& file) {
  for (const std::string& name : file.names())
    if (is_block(file.dtype(name)))
      throw Error("--int8", fmt::format("{} of {} is {} already", name, file.where(), name_of(file.dtype(name))),
                  "leave it out, or name the model that this one was made of");
}

void save_gguf_model(const fs::path& path, Model& model, const SaveGguf& how) {
  const NoGrad no_grad;
  const Spec& spec = model.spec();
  const GgufArchitecture& architecture = gguf_architecture_of(spec);
  const AttentionSpec& attention = spec.stack.block.attention;
  std::vector<LazyTensor> tensors;
  uint64_t total = 0;
  for (const WrittenTensor& w : written_tensors(path.string(), model, architecture, how.type)) {
    tensors.push_back({w.name, w.type, w.rows.shape(), [&how, w] {
                         const Tensor rows = w.turning_heads > 0 ? rotary_rows(w.rows, w.turning_heads, true) : w.rows;
                         return encoded(rows, w.type, how.importance ? how.importance(w.name) : Tensor());
                       }});
    total += bytes_of(tensors.back());
  }
  if (attention.rotary && attention.rotary->scaling == RotarySpec::Scaling::llama3) {
    const std::vector<double> factors = rotary_factors(*attention.rotary);
    tensors.push_back({rotary_factors_name, DType::f32, {std::ssize(factors)}, [factors] {
                         return Tensor::from<float>({std::ssize(factors)}, {factors.begin(), factors.end()});
                       }});
    total += bytes_of(tensors.back());
  }
  GgufMetadata metadata = gguf_description(architecture, spec);
  for (const auto& [key, value] : how.metadata) metadata[key] = value;
  check_gguf_says(GgufContents(path.string(), metadata, tensors), architecture, spec);
  tell_losses(path.string(), model, architecture, metadata);
  uint64_t done = 0;
  WriteGguf writing;
  writing.progress = [&](uint64_t bytes) {
    done += bytes;
    if (how.progress) how.progress(done, total);
  };
  write_gguf(path, metadata, tensors, writing);
}

uint64_t gguf_bytes(const Spec& spec, const GgufMix& mix) {
  const NoMemory no_memory;
  Model model(spec);
  uint64_t bytes = 0;
  const auto type_of = [&](const std::string& name, const Shape& shape) { return mix_type(mix, spec, name, shape); };
  for (const WrittenTensor& w : written_tensors("GGUF", model, gguf_architecture_of(spec), type_of))
    bytes += static_cast<uint64_t>(bytes_of(w.type, w.rows.numel()));
  return bytes;
}

}  // namespace qkv
