#include "qkv/generate/model_size.h"

#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/cuda/runtime.h"
#include "qkv/generate/cache_type.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/gguf.h"
#include "qkv/io/gguf_mixes.h"
#include "qkv/io/gguf_model.h"
#include "qkv/io/hugging_face.h"
#include "qkv/io/model_source.h"
#include "qkv/kernels/kernels.h"
#include "qkv/models/compute_type.h"
#include "qkv/models/family.h"
#include "qkv/tensor/device.h"

#include <fmt/ranges.h>

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <utility>

namespace qkv {
namespace {

using Place = PlannedWeight::Place;

// Where a matrix of a type ends up, and as what. `joined`: with others, or laid out otherwise than it is stored.
void settle(PlannedWeight& weight, const Use& use, bool packable, bool joined = false) {
  const bool blocks = is_block(weight.stored);
  if (packable && use.packing && (blocks ? !use.packing->in_place : use.packing->int8 || use.packing->floats)) {
    weight.kept = blocks ? weight.stored : use.packing->int8 ? DType::i8 : use.compute;
    weight.place = Place::packed;
    weight.bytes =
        static_cast<uint64_t>(kernels::kernels_for({}).packed_bytes(weight.kept, weight.rows, weight.columns, false));
    return;
  }
  weight.kept = blocks ? weight.stored : weight.rows > 1 ? use.compute : DType::f32;
  const int64_t bytes = bytes_of(weight.kept, weight.rows * weight.columns);
  const bool small = use.packing && !blocks && bytes <= small_parameter;
  weight.place = weight.kept == weight.stored && !joined && !small ? Place::mapped : Place::copied;
  weight.bytes = static_cast<uint64_t>(bytes);
}

// The last of the weights is the embedding, and the head. Where that is packed, the embedding is looked up in it, or,
// where it becomes integers, lies beside it; otherwise the head is multiplied by as it lies.
void add_tied_head(std::vector<PlannedWeight>& weights, const Use& use) {
  PlannedWeight& embedding = weights.back();
  PlannedWeight head = embedding;
  head.name += " as the head";
  head.used = 1;
  head.head = true;
  settle(head, use, true);
  if (head.place != Place::packed) {
    head.bytes = 0;
  } else if (!use.packing->int8) {
    embedding.bytes = 0;
  }
  weights.push_back(head);
}

std::vector<PlannedWeight> weights_of_gguf(const fs::path& model, const Spec& spec, const Use& use) {
  const std::shared_ptr<const Gguf> opened = open_gguf(model);
  const Gguf& file = *opened;
  if (use.packing && use.packing->int8) refuse_blocks(file);
  std::vector<PlannedWeight> weights;
  for (const std::string& name : file.names()) {
    const Shape& shape = file.shape(name);
    const bool matrix = shape.rank() >= 2;
    const bool embedding = name == "token_embd.weight" || name == "position_embd.weight" ||
                           name == "token_types.weight" || name.ends_with(".attn_rel_b.weight");
    PlannedWeight weight{.name = name,
                         .rows = matrix ? shape.numel() / shape[-1] : 1,
                         .columns = shape.rank() > 0 ? shape[-1] : 1,
                         .stored = file.dtype(name),
                         .used = matrix && !embedding ? 1.0 : 0.0,
                         .head = name == "output.weight"};
    settle(weight, use, matrix && !embedding);
    weights.push_back(weight);
    if (name == "token_embd.weight" && spec.heads.language_model && !file.contains("output.weight"))
      add_tied_head(weights, use);
  }
  return weights;
}

// The type that most numbers of a checkpoint have.
DType usual_type(const Checkpoint& checkpoint) {
  std::map<DType, int64_t> counts;
  for (const std::string& name : checkpoint.names()) counts[checkpoint.dtype(name)] += checkpoint.shape(name).numel();
  DType usual = DType::f32;
  for (const auto& [type, count] : counts)
    if (count > counts[usual]) usual = type;
  return usual;
}

std::vector<PlannedWeight> weights_of_directory(const fs::path& model, const Spec& spec, const Use& use) {
  const DType stored = usual_type(Checkpoint(model));
  const ExpertsSpec* experts = spec.stack.experts();
  std::set<std::string> joined;
  for (const WeightRule& rule : expanded_weights(family_named(spec.family, model.string()), spec))
    if (rule.theirs.size() > 1 || rule.layout != WeightRule::Layout::same) joined.insert(rule.ours);
  std::vector<PlannedWeight> weights;
  const NoMemory no_memory;
  Model(spec).visit([&](const std::string& name, Tensor& value, Role role) {
    const bool matrix = value.rank() >= 2;
    const bool multiplies = role == Role::matrix || role == Role::residual_matrix;
    const bool expert = experts != nullptr && name.find(".experts.") != std::string::npos;
    PlannedWeight weight{.name = name,
                         .rows = matrix ? value.numel() / value.size(-1) : 1,
                         .columns = value.rank() > 0 ? value.size(-1) : 1,
                         .stored = stored,
                         .used = !multiplies ? 0.0
                                 : expert ? static_cast<double>(experts->chosen) / static_cast<double>(experts->count)
                                          : 1.0,
                         .head = name.starts_with("heads.")};
    settle(weight, use, multiplies && matrix, joined.contains(name));
    weights.push_back(weight);
    if (name == "embeddings.token" && spec.heads.language_model && spec.heads.tied) add_tied_head(weights, use);
  });
  return weights;
}

// What a checkpoint would take as a GGUF file of this mix; none where GGUF has no words for the family.
std::optional<uint64_t> bytes_of_mix(const Spec& spec, std::string_view mix) {
  try {
    return gguf_bytes(spec, gguf_mix(mix));
  } catch (const Error&) {
    return {};
  }
}

constexpr int64_t least_positions = 16;  // that are worth a word

// A way to make a model fit: how it would be used.
struct Way {
  std::string mix = "";  // that it would be quantised to; "": as it is
  uint64_t weights = 0;
  Use use = {};
  uint64_t bytes(const Spec& spec) const { return weights + cache_bytes(spec, use); }
  // In words, beside how it is used now.
  std::string text(const Way& now, const Spec& spec) const;
};

std::string Way::text(const Way& now, const Spec& spec) const {
  std::vector<std::string> parts;
  if (!mix.empty())
    parts.push_back(fmt::format("quantised (qkv quantize --type {} makes {} of it)", mix, gigabytes(weights)));
  if (use.cache != now.use.cache) {
    Use before = use;
    before.cache = now.use.cache;
    parts.push_back(
        fmt::format("with --cache q8_0 ({} less)", gigabytes(cache_bytes(spec, before) - cache_bytes(spec, use))));
  }
  if (use.sequences != now.use.sequences)
    parts.push_back(fmt::format("with fewer texts at a time ({})", use.sequences));
  if (use.context != now.use.context) parts.push_back(fmt::format("with a --context of {}", use.context));
  return fmt::format("{}", fmt::join(parts, " and "));
}

std::optional<Way> with_small_cache(Way way, const Spec& spec) {
  const uint64_t before = cache_bytes(spec, way.use);
  if (way.use.cache == DType::q8_0 || spec.stack.block.attention.head_dim % block_length(DType::q8_0) != 0) return {};
  way.use.cache = DType::q8_0;
  if (cache_bytes(spec, way.use) >= before) return {};
  return way;
}

// As many positions as fit.
std::optional<Way> with_short_context(Way way, const Spec& spec, uint64_t memory, int64_t least) {
  if (way.weights >= memory) return {};
  const double each =
      static_cast<double>(cache_bytes(spec, way.use)) / static_cast<double>(std::max<int64_t>(1, way.use.context));
  if (each <= 0) return {};
  way.use.context = std::min(way.use.context, static_cast<int64_t>(static_cast<double>(memory - way.weights) / each));
  if (way.use.context < least) return {};
  return way;
}

// As many texts as fit.
std::optional<Way> with_fewer_texts(Way way, const Spec& spec, uint64_t memory) {
  if (way.weights >= memory) return {};
  const int64_t before = std::exchange(way.use.sequences, 1);
  const uint64_t each = std::max<uint64_t>(1, cache_bytes(spec, way.use));
  way.use.sequences = std::clamp(static_cast<int64_t>((memory - way.weights) / each), int64_t{1}, before);
  return way;
}

}  // namespace

std::vector<PlannedWeight> planned_weights(const fs::path& model, const Spec& spec, const Use& use) {
  return is_gguf(model) ? weights_of_gguf(model, spec, use) : weights_of_directory(model, spec, use);
}

uint64_t weight_bytes(const fs::path& model, DType matrices) {
  if (const std::optional<fs::path> file = gguf_file(model)) return fs::file_size(*file);
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
    const std::string kind = entry.path().extension().string();
    if (kind == ".safetensors" || (kind == ".bin" && entry.path().stem().string().starts_with("pytorch_model")) ||
        kind.starts_with(".data-"))
      bytes += entry.file_size();
  }
  const std::string dtype = stored_type_of(read_config(model));
  const uint64_t on_disk = dtype == "bfloat16" || dtype == "float16" ? 2 : 4;
  return bytes / on_disk * static_cast<uint64_t>(size_of(matrices));
}

uint64_t weight_bytes(const std::vector<PlannedWeight>& weights) {
  uint64_t bytes = 0;
  for (const PlannedWeight& weight : weights) bytes += weight.bytes;
  return bytes;
}

uint64_t cache_bytes(const Spec& spec, const Use& use) {
  if (!spec.generates()) return 0;
  const double bytes = cache_bytes_of_position(spec, use.compute, use.cache) * static_cast<double>(use.context) *
                       static_cast<double>(use.sequences);
  return static_cast<uint64_t>(std::min(bytes, 1e18));
}

Use use_of(const Spec& spec, const EngineOptions& options) {
  return {.compute = options.compute,
          .cache = options.cache,
          .packing = PackOptions{.floats = true},
          .context = engine_context(spec, options),
          .sequences = batches_continuously(spec) ? options.max_batch : 1};
}

uint64_t scratch_bytes(const Spec& spec, const Use& use) {
  constexpr int64_t together = 512;
  const int64_t positions = std::max<int64_t>(1, std::min(together, use.context));
  const BlockSpec& block = spec.stack.block;
  const AttentionSpec& a = block.attention;
  // The stream and its norm, queries, keys and values and their copies turned, the result; gate, up and their product.
  const int64_t row = 4 * spec.width() + 3 * (a.heads + 2 * a.kv_heads) * a.head_dim + 3 * block.feed_forward.width;
  // Keys and values of a head as each thread unpacks them; scores of the vocabulary, and their logarithms.
  const int64_t unpacked = 2 * use.context * a.head_dim * threads();
  const int64_t scores = spec.generates() ? 3 * use.sequences * spec.vocab : 0;
  return static_cast<uint64_t>(positions * row * size_of(use.compute) + 4 * (unpacked + scores));
}

uint64_t machine_memory() {
  if (const Device device = default_device(); device.type == Device::Type::cuda)
    return cuda::devices()[static_cast<size_t>(device.index)].memory;
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  uint64_t memory = pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : UINT64_MAX;
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream limit(file);
    uint64_t bytes = 0;
    if (limit >> bytes && bytes > 0) memory = std::min(memory, bytes);
  }
  return memory;
}

uint64_t usual_memory() { return machine_memory() / 5 * 4; }

std::string memory_advice(const fs::path& model, const Spec& spec, const Use& use, uint64_t memory) {
  const Way as_it_is{.weights = weight_bytes(planned_weights(model, spec, use)), .use = use};
  std::vector<Way> quantised;  // the best first
  for (const char* mix : {"bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"})
    if (const auto bytes = bytes_of_mix(spec, mix); bytes && *bytes < as_it_is.weights) {
      quantised.push_back({.mix = mix, .weights = *bytes, .use = use});
      // What holds no bf16 is computed in f32 unless somebody says otherwise, and its cache is too.
      if (std::string_view(mix) != "bf16") quantised.back().use.compute = DType::f32;
    }
  // One measure, each that is enough; else two, and more, of which the first that are.
  std::vector<std::string> ways;
  const auto add = [&](const std::optional<Way>& way) {
    if (way && way->bytes(spec) <= memory) ways.push_back(way->text(as_it_is, spec));
    return !ways.empty();
  };
  for (const Way& way : quantised)
    if (add(way)) break;
  add(with_small_cache(as_it_is, spec));
  // A few words are no conversation: rather fewer bits, or texts.
  add(with_short_context(as_it_is, spec, memory, use.context / 4));
  add(with_fewer_texts(as_it_is, spec, memory));
  quantised.insert(quantised.begin(), as_it_is);
  for (const Way& way : quantised)
    if (!ways.empty() || add(with_small_cache(way, spec))) break;
  for (const Way& way : quantised)
    if (!ways.empty() || add(with_fewer_texts(way, spec, memory))) break;
  for (const int64_t least : {use.context / 4, least_positions})
    for (const Way& way : quantised) {
      Way one = with_small_cache(way, spec).value_or(way);
      one.use.sequences = 1;
      if (!ways.empty() || add(with_short_context(one, spec, memory, least))) break;
    }
  if (!ways.empty()) return fmt::format("it would fit {}", fmt::join(ways, ", or "));
  const Way& smallest = quantised.back();
  if (smallest.mix.empty()) return "a smaller model, or more memory";
  return fmt::format("a smaller model, or more memory; as {} its weights alone take {}", smallest.mix,
                     gigabytes(smallest.weights));
}

uint64_t draft_bytes(const fs::path& draft, Use use) {
  const Spec spec = spec_of(read_config(draft));
  use.cache.reset();
  use.packing = PackOptions{.floats = true};
  return weight_bytes(planned_weights(draft, spec, use)) + cache_bytes(spec, use);
}

void check_memory(const fs::path& model, const Spec& spec, const Use& use, uint64_t beside) {
  const uint64_t need = weight_bytes(planned_weights(model, spec, use)) + cache_bytes(spec, use) + beside;
  const uint64_t memory = machine_memory();
  if (need > memory)
    throw Error(model.string(),
                fmt::format("needs {} for weights and cache, {} more than there are", gigabytes(need),
                            gigabytes(need - memory)),
                memory_advice(model, spec, use, memory));
}

std::string gigabytes(uint64_t bytes) { return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9); }

}  // namespace qkv
