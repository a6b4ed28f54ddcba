#include "qkv/serve/model_size.h"

#include "qkv/io/gguf.h"
#include "qkv/io/model_source.h"

namespace qkv {

uint64_t weight_bytes(const fs::path& model, bool half) {
  if (is_gguf(model)) return fs::file_size(model);
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
    const std::string kind = entry.path().extension().string();
    if (kind == ".safetensors" || (kind == ".bin" && entry.path().stem().string().starts_with("pytorch_model")) ||
        kind.starts_with(".data-"))
      bytes += entry.file_size();
  }
  const Config config = read_config(model);
  const std::string dtype = config.text("dtype", config.text("torch_dtype", "float32"));
  const uint64_t on_disk = dtype == "bfloat16" || dtype == "float16" ? 2 : 4;
  return bytes / on_disk * (half ? 2 : 4);
}

uint64_t cache_bytes(const Spec& spec, const EngineOptions& options) {
  const AttentionSpec& attention = spec.stack.block.attention;
  const int64_t sequences = batches_continuously(spec) ? options.max_batch : 1;
  const int64_t values = 2 * spec.layers() * attention.kv_heads * attention.head_dim * engine_context(spec, options);
  return static_cast<uint64_t>(values * sequences) * (options.compute == DType::bf16 ? 2 : 4);
}

std::string gigabytes(uint64_t bytes) { return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9); }

}  // namespace qkv
