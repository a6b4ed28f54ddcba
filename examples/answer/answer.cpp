// answer DIR QUESTION CONTEXT: the words of the context that answer the question.
#include <qkv/qkv.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 4)
    throw qkv::Error("answer", "needs a model directory, a question and a context",
                     "answer models/squad \"Who wrote it?\" \"Lewis Carroll wrote it.\"");
  const qkv::Answerer answerer(argv[1]);
  const qkv::Answer best = answerer.answer(argv[2], argv[3]).spans.at(0);
  std::cout << best.text << ' ' << best.score << ' ' << best.begin << '-' << best.end << '\n';
  return 0;
} catch (const qkv::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
