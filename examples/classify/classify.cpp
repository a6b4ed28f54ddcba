// classify DIR TEXT [PAIR]: the classes of a text, or of a pair of texts, and their probabilities.
#include <qkv/qkv.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 4)
    throw qkv::Error("classify", "needs a model directory and a text", "classify models/mood \"I like it\"");
  const qkv::Classifier classifier(argv[1]);
  for (const qkv::Label& label : argc == 3 ? classifier.classify(argv[2]) : classifier.classify(argv[2], argv[3]))
    std::cout << label.name << ' ' << label.score << '\n';
  return 0;
} catch (const qkv::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
