// Writing a tokenizer as the Hugging Face libraries read it.
#include "qkv/core/error.h"
#include "qkv/text/pipeline.h"

namespace qkv {
namespace {

std::string added_tokens_json(const AddedTokens& added) {
  std::string out = "[";
  for (const auto& [id, token] : added.all()) {
    const Json entry = {{"id", id},
                        {"content", token.content},
                        {"single_word", token.single_word},
                        {"lstrip", token.lstrip},
                        {"rstrip", token.rstrip},
                        {"normalized", token.normalized},
                        {"special", token.special}};
    out += (out.size() > 1 ? ",\n" : "\n") + entry.dump();
  }
  return out + "]";
}

}  // namespace

void Tokenizer::save(const fs::path& directory) const {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw Error(directory.string(), "cannot be created: " + error.message());
  for (const auto& [name, content] : pipeline_->files) write_file(directory / name, content);
  if (pipeline_->files.empty()) write_file(directory / "tokenizer.json", to_json());

  Json config = pipeline_->config;
  if (!config.contains("tokenizer_class") && pipeline_->files.empty())
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (!config.contains("clean_up_tokenization_spaces")) config["clean_up_tokenization_spaces"] = false;
  write_file(directory / "tokenizer_config.json", config.dump(2) + "\n");
}

std::string Tokenizer::to_json() const {
  std::string text = "{\n\"version\": \"1.0\"";
  for (const char* key : {"truncation", "padding"})
    text += fmt::format(",\n\"{}\": {}", key, pipeline_->description.value(key, Json()).dump());
  text += ",\n\"added_tokens\": " + added_tokens_json(pipeline_->added);
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"})
    text += fmt::format(",\n\"{}\": {}", key, pipeline_->description.value(key, Json()).dump(2));
  return text + ",\n\"model\": " + pipeline_->model->to_json() + "\n}\n";
}

}  // namespace qkv
