// JSON from strangers.
#include "qkv/core/json.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"

#include <unistd.h>

namespace qkv {
namespace {

std::string json_error(std::string_view text, int depth = 64) {
  try {
    parse_json(text, "some.json", depth);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "some.json");
    return error.what();
  }
}

void expect_says(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

std::string nested(int depth, const std::string& open, const std::string& close) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += open;
  text += "1";
  for (int i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(Json, ParsesWhatIsWhole) {
  EXPECT_EQ(parse_json(R"({"a": [1, 2.5, "ü"]})", "x")["a"][2], "ü");
  EXPECT_EQ(parse_json("true", "x"), true);
}

TEST(Json, SyntaxErrorsNameThePlace) {
  expect_says(json_error("{\n  \"a\": 1,\n  \"b\": oops\n}"), "[some.json] is not valid JSON: parse error at line 3");
  for (const char* text : {"", "{", "[1, 2", "{\"a\" 1}", "[1,]", "\"abc", "nul", "[1] 2", "{'a': 1}", "01", "1e999"})
    EXPECT_NE(json_error(text), "") << text;
}

TEST(Json, DepthIsBounded) {
  EXPECT_EQ(json_error(nested(64, "[", "]")), "");
  expect_says(json_error(nested(66, "[", "]")), "nests deeper than 64 levels");
  expect_says(json_error(nested(66, "{\"a\":", "}")), "nests deeper than 64 levels");
  expect_says(json_error(nested(6, "[", "]"), 4), "nests deeper than 4 levels");
  // A million brackets must not become a million stack frames.
  EXPECT_NE(json_error(nested(1'000'000, "[", "]")), "");
  EXPECT_NE(json_error(std::string(1'000'000, '[')), "");
}

TEST(Json, TextMustBeUtf8) {
  for (const char* text : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xe4\xbd\"", "\"\xf5\x80\x80\x80\""})
    expect_says(json_error(text), "is not valid JSON");
}

TEST(Json, FilesAreBounded) {
  const fs::path path = fs::temp_directory_path() / fmt::format("qkv-json-{}.json", ::getpid());
  write_file(path, R"({"a": 1})");
  EXPECT_EQ(read_json(path)["a"], 1);
  EXPECT_THROW(read_json(path, 4), Error);
  fs::remove(path);
  EXPECT_THROW(read_json(path), Error);
}

}  // namespace
}  // namespace qkv
