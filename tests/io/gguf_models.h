// What tests of models in GGUF files share.
#pragma once

#include "qkv/core/error.h"
#include "qkv/io/gguf.h"
#include "qkv/io/model_source.h"
#include "qkv/ops/autograd.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <optional>
#include <string>

namespace qkv {

inline const fs::path golden = fs::path(QKV_SOURCE_DIR) / "tests/golden";

struct Folder {
  fs::path path = fs::temp_directory_path() / fmt::format("qkv-gguf-model-{}", ::getpid());
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

// A golden model as a directory of its own. `changes`: a merge patch to its config.json.
inline fs::path golden_with(const fs::path& folder, const std::string& name, const Json& changes) {
  const fs::path model = folder / name;
  fs::create_directories(model);
  Json config = read_json(golden / "models" / name / "config.json");
  config.merge_patch(changes);
  write_file(model / "config.json", config.dump());
  fs::copy(golden / "models" / name / "model.safetensors", model / "model.safetensors",
           fs::copy_options::overwrite_existing);
  return model;
}

// Ids for a model; a decoder beside an encoder reads them as well.
inline Inputs inputs_for(const Model& model, const Tensor& ids) {
  return {.input_ids = ids, .decoder_input_ids = model.spec().encoder ? ids : Tensor()};
}

inline std::vector<float> outputs_of(Model& model) {
  const NoGrad no_grad;
  const auto top = static_cast<int32_t>(model.spec().vocab - 1);
  const Tensor ids = Tensor::from<int32_t>({2, 4}, {5, 1, 17, top, 0, 2, 3, 9});
  return model.hidden(inputs_for(model, ids), {}).to_vector<float>();
}

// Of a model with a head.
inline std::vector<float> logits_of(Model& model) {
  const NoGrad no_grad;
  const Tensor ids = Tensor::from<int32_t>({2, 4}, {5, 1, 17, 30, 0, 2, 3, 9});
  const auto outputs = model.outputs({.input_ids = ids}, {});
  EXPECT_EQ(outputs.front().first, "logits");
  return outputs.front().second.to_vector<float>();
}

inline void expect_near(const std::vector<float>& got, const std::vector<float>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0, difference = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max<double>(largest, std::abs(want[i]));
    difference = std::max<double>(difference, std::abs(got[i] - want[i]));
  }
  EXPECT_LE(difference, tolerance * largest);
}

// The length of the difference, relative to that of what is wanted.
inline double distance(const std::vector<float>& got, const std::vector<float>& want) {
  EXPECT_EQ(got.size(), want.size());
  double squares = 0, differences = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    squares += want[i] * static_cast<double>(want[i]);
    differences += std::pow(got[i] - want[i], 2);
  }
  return std::sqrt(differences / squares);
}

// A model whose rows are long enough for blocks of 256. `changes`: to its configuration.
inline std::unique_ptr<Model> wide_model(const char* type, const Json& changes = Json::object()) {
  const Family& family = family_named(type, "test");
  const Sizes sizes{
      .vocab = 300, .context = 64, .layers = 4, .heads = 8, .kv_heads = 4, .width = 256, .feed_forward = 512};
  Json config = family.config(sizes);
  config.update(changes);
  auto model = std::make_unique<Model>(spec_of(Config(config, "test")));
  model->initialise({.seed = 3, .stream = 0});
  return model;
}

// A list with changes.
inline GgufValue changed(const GgufValue& value, const std::function<void(Json&)>& change) {
  Json list = value.list.json();
  change(list);
  return GgufValue::of_array(value.list.item, list);
}

// What a file says that has `value` for one of the tokenizer's keys, or lacks it, when it is read and cuts `text`;
// empty when nothing is wrong.
inline std::string tokenizer_refusal(const fs::path& folder, GgufMetadata metadata, const std::string& key,
                                     const std::optional<GgufValue>& value, const std::string& text = "") {
  metadata.erase("tokenizer.ggml." + key);
  if (value) metadata["tokenizer.ggml." + key] = *value;
  const fs::path bad = folder / "bad.gguf";
  write_gguf(bad, metadata, {});
  try {
    const Tokenizer tokenizer = load_tokenizer(bad);
    if (!text.empty()) tokenizer.encode_ids(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace qkv
