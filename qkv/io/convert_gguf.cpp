#include "qkv/io/convert_gguf.h"

#include "qkv/core/error.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/gguf_architectures.h"
#include "qkv/io/gguf_ends.h"
#include "qkv/io/gguf_model.h"
#include "qkv/io/gguf_tokenizer.h"
#include "qkv/io/gguf_tokens.h"
#include "qkv/io/model_source.h"
#include "qkv/io/new_directory.h"
#include "qkv/io/tokenizer_fits.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"
#include "qkv/text/unicode.h"

namespace qkv {
namespace {

// What a configuration says of special tokens.
GgufMetadata token_ids(const Config& config, int64_t vocab) {
  GgufMetadata metadata;
  for (const auto& [theirs, ours] : gguf_roles) {
    const Json id = config.json().value(std::string(ours) + "_token_id", Json());
    if (id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(vocab))
      metadata[fmt::format("tokenizer.ggml.{}_token_id", theirs)] = GgufValue::of_u32(id.get<uint64_t>());
  }
  return metadata;
}

// Without a tokenizer a model can be written, but nobody can talk to it; whoever has none knows.
GgufMetadata tokenizer_of(const fs::path& source, const Config& config, int64_t vocab) {
  const std::vector<int64_t> ends = ends_of(source, config, vocab);
  std::optional<Tokenizer> tokenizer;
  try {
    tokenizer = load_tokenizer(source);
  } catch (const NoTokenizer&) {
    GgufMetadata metadata = token_ids(config, vocab);
    metadata["tokenizer.ggml.model"] = GgufValue::of_string("none");
    put_ends(metadata, ends, [](int64_t) { return std::string(); });
    return metadata;
  }
  check_tokenizer_fits(*tokenizer, vocab, source.string());
  GgufMetadata metadata = gguf_tokenizer_metadata(*tokenizer, vocab);
  put_ends(metadata, ends, [&](int64_t id) {
    return id < tokenizer->vocab_size() ? tokenizer->token(static_cast<int32_t>(id)) : std::string();
  });
  const fs::path chat = source / "chat_template.jinja";
  if (fs::is_directory(source) && fs::exists(chat) && metadata.count("tokenizer.chat_template") == 0)
    metadata["tokenizer.chat_template"] = GgufValue::of_string(read_file(chat, 1 << 24));
  return metadata;
}

// A GGUF file's tokenizer, where it has one; the names of its files.
std::vector<std::string> save_tokenizer(const fs::path& file, const fs::path& directory) {
  try {
    load_tokenizer(file).save(directory);
    return {"tokenizer.json", "tokenizer_config.json"};
  } catch (const NoTokenizer&) {
    return {};
  }
}

bool is_free(const fs::path& directory) {
  return !fs::exists(directory) || (fs::is_directory(directory) && fs::is_empty(directory));
}

}  // namespace

ConvertReport convert_to_gguf(const fs::path& source, const fs::path& file, const QuantizeOptions& options) {
  if (fs::exists(file) && (!options.overwrite || !fs::is_regular_file(file)))
    throw Error(file.string(), "is there already", "choose another name, or --force to replace it");
  const GgufMix& mix = gguf_mix(options.mix);
  const LoadedModel loaded = load_model(source, {.in_place = !is_gguf(source), .device = Device()});
  SaveGguf how;
  how.type = [&](const std::string& name, const Shape& shape) {
    return mix_type(mix, loaded.model->spec(), name, shape);
  };
  how.importance = options.importance;
  how.metadata = tokenizer_of(source, loaded.config, loaded.model->spec().vocab);
  how.metadata.merge(gguf_classes(loaded.model->spec(), loaded.config));
  how.metadata["general.file_type"] = GgufValue::of_u32(mix.file_type);
  const fs::path plain = source.has_filename() ? source : source.parent_path();
  how.metadata["general.name"] = GgufValue::of_string(lossy_utf8(plain.stem().string()));
  ConvertReport report;
  how.progress = [&](uint64_t done, uint64_t total) {
    ++report.tensors;
    report.bytes = done;
    if (options.progress) options.progress(done, total);
  };
  save_gguf_model(file, *loaded.model, how);
  return report;
}

ConvertReport convert_to_gguf_directory(const fs::path& source, const fs::path& directory,
                                        const QuantizeOptions& options) {
  constexpr const char* name = "model.gguf";
  const bool there = !is_free(directory);
  if (there && (!options.overwrite || gguf_file(directory) != directory / name))
    throw Error(directory.string(), "is there already",
                options.overwrite ? "it holds another model: choose another directory"
                                  : "choose another directory, or --force to replace its model.gguf");
  std::optional<NewDirectory> fresh;
  if (!there) fresh.emplace(directory);
  const fs::path& into = fresh ? fresh->path() : directory;
  ConvertReport report = convert_to_gguf(source, into / name, options);
  report.copied = fs::is_directory(source) ? copy_companions(source, into) : save_tokenizer(source, into);
  const Config config = fs::exists(source / "config.json") ? Config::read(source) : read_config(source);
  write_file(into / "config.json", config.json().dump(2) + "\n");
  if (fresh) fresh->commit();
  return report;
}

ConvertReport convert_from_gguf(const fs::path& file, const fs::path& directory, const ConvertOptions& options) {
  const NoGrad no_grad;
  if (!is_free(directory)) throw Error(directory.string(), "is there already", "choose another directory");
  const LoadedModel loaded = load_gguf_model(file);
  NewDirectory fresh(directory);
  const DType dtype = options.dtype.value_or(DType::f32);
  std::vector<LazyTensor> tensors;
  ConvertReport report;
  for (const NamedTensor& one : checkpoint_tensors(*loaded.model, [](const Tensor& value) { return value; })) {
    tensors.push_back({one.name, dtype, one.value.shape(), [value = one.value, dtype] { return cast(value, dtype); }});
    report.bytes += bytes_of(tensors.back());
  }
  report.tensors = tensors.size();
  uint64_t done = 0;
  write_checkpoint(fresh.path(), tensors, {options.format, options.max_shard_bytes, [&](uint64_t bytes) {
                                             done += bytes;
                                             if (options.progress) options.progress(done, report.bytes);
                                           }});
  Json config = loaded.config.json();
  config["dtype"] = dtype == DType::f32 ? "float32" : dtype == DType::bf16 ? "bfloat16" : "float16";
  write_file(fresh.path() / "config.json", config.dump(2) + "\n");
  report.copied = save_tokenizer(file, fresh.path());
  fresh.commit();
  return report;
}

}  // namespace qkv
