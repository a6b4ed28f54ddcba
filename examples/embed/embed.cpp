// embed DIR TEXT TEXT...: how near each further text is to the first.
#include <qkv/qkv.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc < 4)
    throw qkv::Error("embed", "needs a model directory and two texts or more",
                     "embed models/minilm \"A man eats.\" \"Somebody has lunch.\"");
  const qkv::Embedder embedder(argv[1]);
  const std::vector<float> first = embedder.embed(argv[2]);
  for (int i = 3; i < argc; ++i) std::cout << qkv::cosine(first, embedder.embed(argv[i])) << ' ' << argv[i] << '\n';
  return 0;
} catch (const qkv::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
