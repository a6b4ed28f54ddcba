// classify DIR TEXT: the classes of a text and their probabilities, by a BERT with a classification head.
#include <qkv/qkv.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3)
    throw qkv::Error("classify", "needs a model directory and a text", "classify models/mood \"I like it\"");
  const qkv::NoGrad no_grad;  // nothing is trained here, so nothing is recorded
  const qkv::LoadedModel loaded = qkv::load_model(argv[1], {.in_place = true});
  const qkv::Tokenizer tokenizer = qkv::Tokenizer::load(argv[1]);

  const qkv::Encoding encoding = tokenizer.encode(argv[2]);  // with [CLS] and [SEP]
  const auto length = static_cast<int64_t>(encoding.ids.size());
  const qkv::Inputs inputs{.input_ids = qkv::Tensor::from<int32_t>({1, length}, encoding.ids)};
  for (const auto& [name, logits] : loaded.model->outputs(inputs, {})) {
    const std::vector<float> probabilities = qkv::softmax(logits).to_vector<float>();
    const qkv::Json labels = loaded.config.json().value("id2label", qkv::Json::object());
    for (size_t i = 0; i < probabilities.size(); ++i)
      std::cout << labels.value(std::to_string(i), "class " + std::to_string(i)) << ' ' << probabilities[i] << '\n';
  }
  return 0;
} catch (const qkv::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
