// A stop string ends the text wherever the pieces are cut.
#include "qkv/generate/stop_strings.h"

namespace qkv {
namespace {

// What comes out of a text that arrives in pieces of `size` bytes.
std::string passed(const std::vector<std::string>& stops, const std::string& text, size_t size, bool* stopped) {
  StopStrings filter(stops);
  std::string out;
  for (size_t at = 0; at < text.size(); at += size) out += filter.push(text.substr(at, size));
  *stopped = filter.stopped();
  return out + filter.finish();
}

void expect(const std::vector<std::string>& stops, const std::string& text, const std::string& wanted) {
  for (size_t size = 1; size <= text.size(); ++size) {
    bool stopped = false;
    EXPECT_EQ(passed(stops, text, size, &stopped), wanted) << "pieces of " << size;
    EXPECT_EQ(stopped, wanted != text) << "pieces of " << size;
  }
}

TEST(StopStrings, EndBeforeTheString) {
  expect({"END"}, "some text END more", "some text ");
  expect({"END"}, "ENDING", "");
  expect({"END"}, "no such word, EN", "no such word, EN");
}

TEST(StopStrings, TheOneThatIsCompleteFirstWins) {
  expect({"user:", "\n\n"}, "hello\n\nuser: hi", "hello");
  expect({"abcd", "b"}, "xabcd", "xa");
}

TEST(StopStrings, OverlappingBeginnings) {
  expect({"aab"}, "aaab!", "a");
  expect({"abab!"}, "ababab!", "ab");
  expect({"\n\n"}, "a\nb\n\nc", "a\nb");
}

TEST(StopStrings, NonAsciiText) { expect({"ü"}, "Tür", "T"); }

TEST(StopStrings, NoneOrEmptyStopNothing) {
  expect({}, "text", "text");
  expect({""}, "text", "text");
}

TEST(StopStrings, HoldsBackOnlyWhatCouldBeginOne) {
  StopStrings filter({"STOP"});
  EXPECT_EQ(filter.push("abcST"), "abc");
  EXPECT_EQ(filter.push("x"), "STx");
  EXPECT_EQ(filter.push("STO"), "");
  EXPECT_EQ(filter.finish(), "STO");
}

}  // namespace
}  // namespace qkv
