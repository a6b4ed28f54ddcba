// translate DIR TEXT [FROM TO]: a text in another language; languages by their codes, where a model knows several.
#include <qkv/qkv.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 5)
    throw qkv::Error("translate", "needs a model directory and a text",
                     "translate models/opus-mt-en-de \"The house is small.\"");
  qkv::TextToTextOptions options;
  if (argc == 5) {
    options.from = argv[3];
    options.to = argv[4];
  }
  const qkv::TextToText translator(argv[1], {}, options);
  for (const qkv::Rewritten& translation : translator.rewrite(argv[2])) std::cout << translation.text << '\n';
  return 0;
} catch (const qkv::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
