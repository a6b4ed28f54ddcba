// Messages that a user can act on.
#include "qkv/core/error.h"

namespace qkv {
namespace {

TEST(Error, SaysWhereWhatAndWhatToDo) {
  const Error error("model.safetensors: wte", "has no shape", "fetch it again");
  EXPECT_STREQ(error.what(), "[model.safetensors: wte] has no shape\n  try: fetch it again");
  EXPECT_EQ(error.where(), "model.safetensors: wte");
  EXPECT_EQ(error.reason(), "has no shape");
  EXPECT_EQ(error.hint(), "fetch it again");
}

TEST(Error, LeavesOutWhatIsEmpty) {
  EXPECT_STREQ(Error("", "went wrong").what(), "went wrong");
  EXPECT_STREQ(Error("here", "went wrong").what(), "[here] went wrong");
}

TEST(Error, ExitCodesTellWhoseMistakeItIs) {
  EXPECT_EQ(Error("a", "b").exit_code(), 2);
  EXPECT_EQ(Error("a", "b", "", Error::Kind::internal).exit_code(), 1);
}

TEST(Nearest, FindsTheTypingMistake) {
  const std::vector<std::string> options = {"--steps", "--batch", "--layers", "--width"};
  EXPECT_EQ(nearest("--stesp", options), "--steps");
  EXPECT_EQ(nearest("--btach", options), "--batch");
  EXPECT_EQ(nearest("--layer", options), "--layers");
  EXPECT_EQ(nearest("--width", options), "--width");
}

TEST(Nearest, SuggestsNothingThatIsFar) {
  const std::vector<std::string> options = {"--steps", "--batch"};
  EXPECT_EQ(nearest("--no-repeat-ngram", options), "");
  EXPECT_EQ(nearest("", std::vector<std::string>{"gpt2"}), "");
  EXPECT_EQ(nearest("gpt2", std::vector<std::string>{}), "");
}

TEST(Nearest, TakesTheFirstOfEquals) { EXPECT_EQ(nearest("bat", std::vector<std::string>{"cat", "hat"}), "cat"); }

}  // namespace
}  // namespace qkv
