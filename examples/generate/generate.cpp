// generate DIR TEXT: the likeliest continuation of a text, by the model in a Hugging Face directory.
#include <qkv/qkv.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3)
    throw qkv::Error("generate", "needs a model directory and a text", "generate runs/demo \"The tensor\"");
  const std::string directory = argv[1];
  const std::string text = argv[2];
  const qkv::LoadedModel loaded = qkv::load_model(directory, {.in_place = true});
  const qkv::Tokenizer tokenizer = qkv::Tokenizer::load(directory);

  qkv::Generator generator(*loaded.model, qkv::DType::f32);
  qkv::GenerationOptions options{.max_new_tokens = 40};
  if (tokenizer.special().eos) options.end_ids = {*tokenizer.special().eos};
  const auto results = generator.generate({tokenizer.encode_ids(text)}, options);
  std::cout << text << tokenizer.decode(results[0][0].ids, true) << '\n';
  return 0;
} catch (const qkv::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
