#include "qkv/io/hugging_face.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/gguf_model.h"
#include "qkv/io/historical_names.h"
#include "qkv/io/late_weights.h"
#include "qkv/io/weight_problems.h"
#include "qkv/models/initialise.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

#include <cstring>
#include <map>
#include <set>

namespace qkv {
namespace {

// "h.*.attn.bias" matches "h.3.attn.bias".
bool matches(std::string_view pattern, std::string_view name) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(star + 1);
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) return false;
  const std::string_view middle = name.substr(head.size(), name.size() - head.size() - tail.size());
  return middle.find_first_not_of("0123456789") == std::string_view::npos;
}

// A checkpoint's tensors by the names that the family's rules use: older files have others, and checkpoints of the bare
// model lack the prefix.
std::map<std::string, std::string> canonical_names(const Checkpoint& checkpoint, const Family& family) {
  const std::string prefix(family.base_prefix);
  std::map<std::string, std::string> todays;
  bool prefixed = false;
  for (const std::string& name : checkpoint.names()) {
    const std::string today = todays_name(name);
    prefixed = prefixed || today.starts_with(prefix);
    todays[today] = name;
  }
  if (prefixed) return todays;
  std::map<std::string, std::string> found;
  for (const auto& [today, name] : todays) found[prefix + today] = name;
  return found;
}

Shape stored_shape(const Tensor& value, WeightRule::Layout layout) {
  if (layout == WeightRule::Layout::one_row) return {1, value.numel()};
  return layout == WeightRule::Layout::transposed ? Shape{value.size(1), value.size(0)} : value.shape();
}

// A projection stored with its heads apart, as a matrix of ours.
Tensor joined_heads(const Tensor& x, WeightRule::Layout layout) {
  if (x.rank() != 3) return x;
  if (layout == WeightRule::Layout::heads_split) return reshape(x, {x.size(0), x.size(1) * x.size(2)});
  return reshape(x, {x.size(0), x.size(1) * x.size(2)}).transpose(0, 1);
}
Tensor split_heads(const Tensor& x, WeightRule::Layout layout, int64_t head_dim) {
  const Tensor rows = layout == WeightRule::Layout::heads_split ? x : contiguous(x.transpose(0, 1));
  return reshape(rows, {rows.size(0), rows.size(1) / head_dim, head_dim});
}
bool heads_apart(WeightRule::Layout layout) {
  return layout == WeightRule::Layout::heads_last || layout == WeightRule::Layout::heads_split;
}

// A fused projection's rows by key head, as stored, to all queries, all keys, all values, or back.
Tensor regrouped(const Tensor& x, const AttentionSpec& attention, bool to_stored) {
  const int64_t K = attention.head_dim;
  const int64_t G = attention.kv_heads;
  const int64_t group = attention.heads / G;
  std::vector<Tensor> parts;
  for (int64_t g = 0; g < (to_stored ? G : 1); ++g)
    if (to_stored) {
      parts.push_back(x.narrow(0, g * group * K, group * K));
      parts.push_back(x.narrow(0, (attention.heads + g) * K, K));
      parts.push_back(x.narrow(0, (attention.heads + G + g) * K, K));
    }
  if (!to_stored)
    for (const int64_t kind : {0, 1, 2})
      for (int64_t g = 0; g < G; ++g)
        parts.push_back(
            x.narrow(0, (g * (group + 2) + (kind == 0 ? 0 : group + kind - 1)) * K, kind == 0 ? group * K : K));
  return concat(parts, 0);
}

Tensor plus(const Tensor& x, float number) {
  return add(x, Tensor::from(x.shape(), std::vector<float>(static_cast<size_t>(x.numel()), number), x.device()));
}

// One parameter: its pieces joined, laid out our way, as the dtype asked for.
Tensor arranged(const std::vector<Tensor>& stored, WeightRule::Layout layout, const AttentionSpec& attention,
                DType dtype, bool in_place) {
  using Layout = WeightRule::Layout;
  std::vector<Tensor> pieces;
  for (Tensor piece : stored) {
    if (layout == Layout::transposed) piece = piece.transpose(0, 1);
    if (heads_apart(layout)) piece = joined_heads(piece, layout);
    pieces.push_back(piece.dtype() == dtype && piece.contiguous() ? piece : cast(piece, dtype));
  }
  if (layout == Layout::grouped_heads) return regrouped(pieces[0], attention, false);
  if (layout == Layout::minus_one) return plus(pieces[0], 1);
  if (layout == Layout::one_row) return clone(reshape(pieces[0], {pieces[0].numel()}));
  if (pieces.size() > 1) return concat(pieces, 0);
  return in_place || !pieces[0].shares_memory(stored[0]) ? pieces[0] : clone(pieces[0]);
}

Tensor read_parameter(const Checkpoint& checkpoint, const std::vector<std::string>& names, WeightRule::Layout layout,
                      const AttentionSpec& attention, DType dtype, bool in_place) {
  std::vector<Tensor> stored;
  for (const std::string& name : names) stored.push_back(checkpoint.get(name));
  Tensor value = arranged(stored, layout, attention, dtype, in_place);
  for (const Tensor& piece : stored)
    if (!value.shares_memory(piece)) piece.forget();
  return value;
}

std::map<std::string, WeightRule> rules_by_name(const Family& family, const Spec& spec) {
  std::map<std::string, WeightRule> rules;
  for (WeightRule& rule : expanded_weights(family, spec)) rules[rule.ours] = std::move(rule);
  return rules;
}

const WeightRule& rule_for(const std::map<std::string, WeightRule>& rules, const std::string& name,
                           const Family& family) {
  const auto found = rules.find(name);
  if (found == rules.end())
    throw Error(family.type, fmt::format("the family has no rule for parameter '{}'", name), "", Error::Kind::internal);
  return found->second;
}

// A configuration may say that the head is the embedding while the checkpoint holds another matrix for it (T5 1.1 as
// transformers 5 saves it): then the checkpoint is right.
bool has_own_head(const Family& family, const Spec& spec, const Checkpoint& checkpoint,
                  const std::map<std::string, std::string>& stored) {
  const std::map<std::string, WeightRule> rules = rules_by_name(family, spec);
  const auto tensor_of = [&](const char* ours) {
    const auto rule = rules.find(ours);
    if (rule == rules.end() || rule->second.theirs.size() != 1) return Tensor();
    const auto found = stored.find(rule->second.theirs[0]);
    return found == stored.end() ? Tensor() : checkpoint.get(found->second);
  };
  const Tensor head = tensor_of("heads.language_model.weight");
  const Tensor token = tensor_of("embeddings.token");
  if (!head || !token || head.shape() != token.shape() || head.dtype() != token.dtype()) return false;
  return std::memcmp(head.raw(), token.raw(), static_cast<size_t>(bytes_of(head.dtype(), head.numel()))) != 0;
}

LoadedModel load_directory(const fs::path& directory, const LoadOptions& options) {
  const NoGrad no_grad;
  Config config = Config::read(directory);
  Json for_spec = config.json();
  if (options.eager) for_spec.update({{"_attn_implementation", "eager"}, {"router_jitter_noise", 0.0}});
  const Family& family = family_of(config);
  const Checkpoint checkpoint(directory);
  const std::map<std::string, std::string> stored = canonical_names(checkpoint, family);
  if (!config.has("architectures")) {
    const std::string head = head_of_weights(config, family, stored);
    for_spec["architectures"] = {head};
    notice(config.where(), fmt::format("names no class (\"architectures\"); by its weights it is taken for a {} {}",
                                       family.name, head == "Model" ? "without a head" : "\"..." + head + "\""));
  }
  Spec spec = spec_of(Config(for_spec, config.where()));
  int64_t numbers = 0;
  for (const auto& [canonical, name] : stored) numbers += checkpoint.shape(name).numel();
  check_extent(spec, config.where(), std::ssize(stored), numbers);
  if (spec.heads.language_model && spec.heads.tied && has_own_head(family, spec, checkpoint, stored))
    spec.heads.tied = false;
  LoadedModel loaded{std::move(config), std::make_unique<Model>(spec), {}};
  const std::map<std::string, WeightRule> rules = rules_by_name(family, spec);

  WeightProblems problems;
  std::set<std::string> used;
  LateWeights weights(options);
  uint64_t index = 0;
  loaded.model->visit([&](const std::string& name, Tensor& value, Role role) {
    ++index;
    const WeightRule& rule = rule_for(rules, name, family);
    std::vector<std::string> pieces;
    for (const std::string& theirs : rule.theirs) {
      const auto found = stored.find(theirs);
      if (found == stored.end()) {
        if (options.new_head && name.starts_with("heads.")) continue;
        problems.missing.push_back(fmt::format("{} {}", theirs, to_string(stored_shape(value, rule.layout))));
        continue;
      }
      pieces.push_back(found->second);
      used.insert(theirs);
    }
    if (pieces.size() < rule.theirs.size()) {
      initialise_parameter(value, role, spec.init_std, options.key.child(index));
      loaded.fresh.push_back(name);
      return;
    }
    Shape total;
    bool fits = true;
    int64_t rows = 0;
    for (const std::string& piece : pieces) {
      Shape shape = checkpoint.shape(piece);
      if (rule.layout == WeightRule::Layout::transposed && shape.rank() == 2) shape = {shape[1], shape[0]};
      if (rule.layout == WeightRule::Layout::heads_last && shape.rank() == 3) shape = {shape[1] * shape[2], shape[0]};
      if (rule.layout == WeightRule::Layout::heads_split && shape.rank() == 3) shape = {shape[0], shape[1] * shape[2]};
      if (rule.layout == WeightRule::Layout::one_row && shape.rank() == 2 && shape[0] == 1) shape = {shape[1]};
      fits = fits && shape.rank() == value.rank() && shape.rank() > 0;
      for (int i = 1; fits && i < shape.rank(); ++i) fits = shape[i] == value.size(i);
      rows += shape.rank() > 0 ? shape[0] : 0;
      total = shape;
    }
    if (!fits || rows != value.size(0)) {
      for (size_t i = 0; i < pieces.size(); ++i)
        problems.shapes.push_back(fmt::format(
            "{}: the file has {}, {} would be {}", rule.theirs[i], to_string(checkpoint.shape(pieces[i])),
            pieces.size() > 1 ? "together they" : "config.json", to_string(stored_shape(value, rule.layout))));
      return;
    }
    const DType dtype = is_matrix(role) ? options.matrices : DType::f32;
    const bool in_place = stays_on_file(options, bytes_of(dtype, value.numel()));
    weights.load(name, value, role, dtype, [&checkpoint, &spec, &rule, pieces, dtype, in_place] {
      return read_parameter(checkpoint, pieces, rule.layout, spec.stack.block.attention, dtype, in_place);
    });
  });
  for (const auto& [canonical, name] : stored) {
    const bool known = used.count(canonical) > 0 || std::any_of(family.unused.begin(), family.unused.end(),
                                                                [&place = canonical](const std::string& pattern) {
                                                                  return matches(pattern, place);
                                                                });
    if (!known && !options.new_head)
      problems.left.push_back(fmt::format("{} {}", name, to_string(checkpoint.shape(name))));
  }
  problems.raise(directory.string(), family.name, "config.json");
  weights.pack(*loaded.model, checkpoint);
  return loaded;
}

}  // namespace

LoadedModel load_model(const fs::path& directory, const LoadOptions& options) {
  check_dtype_option(options.matrices, options.device);
  LoadedModel loaded = is_gguf(directory) ? load_gguf_model(directory, options) : load_directory(directory, options);
  loaded.model->to(options.device);
  if (packing_of(options) != nullptr) {
    release_cached_memory();  // what weights were before they were packed
  } else if (options.pack) {
    loaded.model->pack({.in_place = true});
  }
  return loaded;
}

namespace {

std::vector<NamedTensor> stored_tensors(Model& model, const std::function<Tensor(const Tensor& parameter)>& value_of,
                                        bool gradients) {
  using Layout = WeightRule::Layout;
  const NoGrad no_grad;
  const Family& family = family_named(model.spec().family, "model");
  const std::map<std::string, WeightRule> rules = rules_by_name(family, model.spec());
  const AttentionSpec& attention = model.spec().stack.block.attention;
  std::vector<NamedTensor> tensors;
  model.visit([&](const std::string& name, Tensor& parameter, Role) {
    Tensor value = value_of(parameter);
    if (!value) return;
    value = value.detach();
    const WeightRule& rule = rule_for(rules, name, family);
    if (rule.layout == Layout::grouped_heads) value = regrouped(value, attention, true);
    if (rule.layout == Layout::minus_one && !gradients) value = plus(value, -1);
    // Joined parameters are queries, keys and values, or equal parts.
    std::vector<int64_t> lengths(rule.theirs.size(), value.size(0) / static_cast<int64_t>(rule.theirs.size()));
    if (rule.theirs.size() == 3 && model.spec().stack.block.attends())
      lengths = {attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim,
                 attention.kv_heads * attention.head_dim};
    if (!rule.rows.empty()) lengths = rule.rows;
    int64_t begin = 0;
    for (size_t i = 0; i < rule.theirs.size(); ++i) {
      Tensor piece = value.narrow(0, begin, lengths[i]);
      begin += lengths[i];
      if (rule.layout == Layout::transposed) piece = piece.transpose(0, 1);
      if (heads_apart(rule.layout)) piece = split_heads(piece, rule.layout, attention.head_dim);
      if (rule.layout == Layout::one_row) piece = reshape(piece, {1, piece.numel()});
      tensors.push_back({rule.theirs[i], piece});
    }
  });
  return tensors;
}

}  // namespace

std::vector<NamedTensor> checkpoint_tensors(Model& model,
                                            const std::function<Tensor(const Tensor& parameter)>& value_of) {
  return stored_tensors(model, value_of, false);
}

std::vector<NamedTensor> checkpoint_gradients(Model& model) {
  return stored_tensors(
      model, [](const Tensor& parameter) { return gradient(parameter); }, true);
}

void save_model(const fs::path& directory, const Config& config, Model& model) {
  Json json = config.json();
  json.erase("torch_dtype");
  json["dtype"] = "float32";
  write_checkpoint(directory, checkpoint_tensors(model, [](const Tensor& parameter) { return parameter; }));
  write_file(directory / "config.json", json.dump(2) + "\n");
}

}  // namespace qkv
