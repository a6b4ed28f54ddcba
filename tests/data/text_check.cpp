#include "qkv/data/text_check.h"

#include "tests/data/corpus.h"

namespace qkv {
namespace {

TEST(TextCheck, AcceptsUtf8) {
  for (const char* text : {"", "a", "plain ASCII of more than eight bytes", "é", "日本語 and a tail",
                           "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\x7f\xc2\x80"})
    EXPECT_NO_THROW(check_text(text, "a.txt")) << text;
}

TEST(TextCheck, NamesTheFirstByteThatIsNot) {
  EXPECT_ERROR(check_text("twelve bytes\xff", "a.txt"), "[a.txt] is not UTF-8: byte 0xff at offset 12");
  EXPECT_ERROR(check_text(std::string_view("ab\0c", 4), "a.txt"), "[a.txt] is binary: byte 2 is NUL");
}

TEST(TextCheck, RefusesEveryMalformedSequence) {
  for (const char* text :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2 ", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80", "\xef\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98", "caf\xe9", "12345678\xe2\x82"})
    EXPECT_THROW(check_text(text, "a.txt"), Error) << text;
}

}  // namespace
}  // namespace qkv
