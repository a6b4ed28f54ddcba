#include "qkv/io/convert.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/new_directory.h"
#include "qkv/models/config.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace qkv {
namespace {

constexpr uint64_t max_copied = uint64_t{1} << 30;

// What goes along: tokenizers, configurations, templates, the model's card and licence. Weights of whatever framework
// and indices of shards stay.
bool goes_along(const fs::path& path) {
  constexpr std::array<std::string_view, 9> endings = {".json", ".txt",   ".model",    ".spm", ".vocab",
                                                       ".bpe",  ".jinja", ".tiktoken", ".md"};
  const std::string name = path.filename().string();
  if (name.ends_with(".index.json") || name == "config.json") return false;
  if (name.starts_with("LICENSE") || name.starts_with("NOTICE")) return true;
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

void check_range(const Tensor& before, const Tensor& after, const std::string& place) {
  constexpr uint16_t infinity = 0x7c00;
  const Tensor wide = cast(before, DType::f32);
  for (int64_t i = 0; i < after.numel(); ++i)
    if ((after.data<f16>()[i].bits & 0x7fffU) == infinity && std::isfinite(wide.data<float>()[i]))
      throw Error(place, fmt::format("holds {}, which f16 does not reach", wide.data<float>()[i]),
                  "convert to bf16, which has the range of f32");
}

std::vector<LazyTensor> converted_tensors(const Checkpoint& checkpoint, std::optional<DType> dtype) {
  std::vector<LazyTensor> tensors;
  for (const std::string& name : checkpoint.names()) {
    const DType stored = checkpoint.dtype(name);
    const DType wanted = dtype && is_float(stored) ? *dtype : stored;
    tensors.push_back({name, wanted, checkpoint.shape(name), [&checkpoint, name, wanted] {
                         const Tensor value = checkpoint.get(name);
                         if (value.dtype() == wanted) return value;
                         const NoGrad no_grad;
                         const Tensor result = cast(value, wanted);
                         if (wanted == DType::f16)
                           check_range(value, result, tensor_place(checkpoint.directory().string(), name));
                         return result;
                       }});
  }
  return tensors;
}

// config.json, its dtype under the key that it has.
std::string config_text(const fs::path& source, std::optional<DType> dtype) {
  const Config config = Config::read(source);
  if (!dtype && fs::exists(source / "config.json")) return read_file(source / "config.json", max_copied);
  Json json = config.json();
  const char* key = json.contains("torch_dtype") ? "torch_dtype" : "dtype";
  if (dtype) json[key] = *dtype == DType::f32 ? "float32" : *dtype == DType::bf16 ? "bfloat16" : "float16";
  return json.dump(2) + "\n";
}

bool holds_a_model(const fs::path& directory) {
  if (fs::exists(directory / "config.json")) return true;
  return std::any_of(weight_files.begin(), weight_files.end(), [&](const WeightFiles& files) {
    return fs::exists(directory / files.single()) || fs::exists(directory / files.index());
  });
}

}  // namespace

std::vector<std::string> copy_companions(const fs::path& source, const fs::path& destination) {
  std::vector<std::string> copied;
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    if (!entry.is_regular_file() || !goes_along(entry.path())) continue;
    const fs::path name = entry.path().filename();
    write_file(destination / name, read_file(entry.path(), max_copied));
    copied.push_back(name.string());
  }
  std::sort(copied.begin(), copied.end());
  return copied;
}

ConvertReport convert_checkpoint(const fs::path& source, const fs::path& destination, const ConvertOptions& options) {
  if (options.dtype && !is_float(*options.dtype))
    throw Error("dtype", fmt::format("{} is not a type of floats", name_of(*options.dtype)), "f32, bf16 or f16");
  const Checkpoint checkpoint(source);
  const std::string config = config_text(source, options.dtype);
  const std::vector<LazyTensor> tensors = converted_tensors(checkpoint, options.dtype);
  if (fs::exists(destination) && !fs::is_directory(destination))
    throw Error(destination.string(), "is a file", "name a directory for the result");
  const bool there = fs::exists(destination) && !fs::is_empty(destination);
  if (there && holds_a_model(destination) && !options.overwrite)
    throw Error(destination.string(), "holds a model already", "choose another directory, or --force to replace it");

  ConvertReport report{.tensors = tensors.size(), .copied = {}};
  for (const LazyTensor& tensor : tensors) report.bytes += bytes_of(tensor);
  uint64_t done = 0;
  const WriteCheckpoint how{options.format, options.max_shard_bytes, [&](uint64_t bytes) {
                              done += bytes;
                              if (options.progress) options.progress(done, report.bytes);
                            }};
  std::optional<NewDirectory> fresh;
  if (!there) fresh.emplace(destination);
  const fs::path& into = fresh ? fresh->path() : destination;
  write_checkpoint(into, tensors, how);
  if (!there || !fs::equivalent(source, destination)) report.copied = copy_companions(source, into);
  write_file(into / "config.json", config);
  if (fresh) fresh->commit();
  return report;
}

}  // namespace qkv
