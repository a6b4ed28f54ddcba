#include "qkv/generate/checkpoint_options.h"

namespace qkv {

GenerationOptions checkpoint_options(const Config& config, const fs::path& model, const Tokenizer& tokenizer) {
  GenerationOptions said;
  apply_generation_config(config, said);
  const fs::path file = model / "generation_config.json";
  if (fs::exists(file)) apply_generation_config(Config(read_json(file), file.string()), said);
  GenerationOptions options;
  options.end_ids = said.end_ids;
  options.decoder_start = said.decoder_start;
  options.forced_first = said.forced_first;
  options.forced_last = said.forced_last;
  options.bad_words = said.bad_words;
  if (tokenizer.special().eos) options.end_ids.push_back(*tokenizer.special().eos);
  return options;
}

}  // namespace qkv
