#include "qkv/data/sources.h"

#include "qkv/data/glob.h"
#include "tests/data/corpus.h"

namespace qkv {
namespace {

class SourcesTest : public CorpusTest {
 protected:
  std::vector<std::string> found(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const SourceFile& source : find_sources(names).files)
      paths.push_back(source.path.lexically_relative(folder_).string());
    return paths;
  }
  std::vector<std::pair<std::string, std::string>> read(const std::vector<std::string>& names,
                                                        const std::string& field = "text") {
    std::vector<std::pair<std::string, std::string>> documents;
    read_documents(find_sources(names, field), [&](const std::string& where, std::string_view text) {
      documents.emplace_back(fs::path(where).filename().string(), text);
    });
    return documents;
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
};

using Names = std::vector<std::string>;
using Documents = std::vector<std::pair<std::string, std::string>>;

TEST_F(SourcesTest, ReadsFilesOfAnyEndingInTheOrderGiven) {
  file("b.log", "bee");
  file("a.txt",
       "\xef\xbb\xbf"
       "ay");
  EXPECT_EQ(read({at("b.log"), at("a.txt"), at("b.log")}), (Documents{{"b.log", "bee"}, {"a.txt", "ay"}}));
}

TEST_F(SourcesTest, ReadsFoldersSortedAndPassesOverWhatIsNoText) {
  for (const char* name : {"z.txt", "a/b.md", "a/c/d.py", "a.cpp", ".hidden.txt", ".git/config.txt", "a/image.png"})
    file(name, "text");
  file("empty.txt", "");
  file("binary.txt", std::string_view("a\0b", 3));
  fs::create_directory_symlink(folder_, folder_ / "a" / "loop");
  EXPECT_EQ(found({folder_.string()}), (Names{"a/b.md", "a/c/d.py", "a.cpp", "z.txt"}));
}

TEST_F(SourcesTest, ReadsPatterns) {
  for (const char* name : {"a.log", "b.log", "x/c.log", "x/y/d.log", "x/.h/e.log", "x/y/d.txt", ".f.log"})
    file(name, "text");
  EXPECT_EQ(found({at("*.log")}), (Names{"a.log", "b.log"}));
  EXPECT_EQ(found({at("[b-z].log")}), (Names{"b.log"}));
  EXPECT_EQ(found({at("**/*.log")}), (Names{"a.log", "b.log", "x/c.log", "x/y/d.log"}));
  EXPECT_EQ(found({at("x/**")}), (Names{"x/c.log", "x/y/d.log", "x/y/d.txt"}));
  EXPECT_EQ(found({at("*/?/d.*")}), (Names{"x/y/d.log", "x/y/d.txt"}));
  EXPECT_EQ(found({at("x/.h/*")}), (Names{"x/.h/e.log"}));
  EXPECT_TRUE(is_pattern("a?"));
  EXPECT_FALSE(is_pattern("a.txt"));
}

TEST_F(SourcesTest, ReadsJsonLines) {
  file("a.jsonl", "{\"text\": \"one\", \"id\": 1}\r\n\n  \n{\"text\": \"\"}\n{\"text\": \"two\\nlines\"}");
  EXPECT_EQ(read({at("a.jsonl")}), (Documents{{"a.jsonl:1", "one"}, {"a.jsonl:5", "two\nlines"}}));
  file("b.ndjson", R"({"body": "three"})");
  EXPECT_EQ(read({at("b.ndjson")}, "body"), (Documents{{"b.ndjson:1", "three"}}));
}

TEST_F(SourcesTest, SaysWhatIsWrongAndWhere) {
  file("story.txt", "once");
  file("empty.txt", "");
  file("folder/picture.png", "png");
  EXPECT_ERROR(find_sources({}), "no text was named");
  EXPECT_ERROR(find_sources({at("stroy.txt")}), "story.txt'?");
  EXPECT_ERROR(find_sources({at("none/none.txt")}), "no such file");
  EXPECT_ERROR(find_sources({at("empty.txt")}), "is empty");
  EXPECT_ERROR(find_sources({at("folder")}), "holds no text");
  EXPECT_ERROR(find_sources({at("*.xyz")}), "matches no file");
  file("latin.txt", "caf\xe9");
  EXPECT_ERROR(read({at("latin.txt")}), "latin.txt] is not valid UTF-8: byte 0xE9 at position 3");
  file("picture.txt", std::string_view("a\0b", 3));
  EXPECT_ERROR(read({at("picture.txt")}), "picture.txt] is binary: byte 1");
  file("mark.txt", "\xef\xbb\xbf");
  EXPECT_ERROR(read({at("mark.txt")}), "holds no text");
}

TEST_F(SourcesTest, SaysWhichLineIsWrong) {
  const auto expect = [&](const char* line, const char* says) {
    file("a.jsonl", fmt::format("{{\"text\": \"good\"}}\n\n{}\n", line));
    EXPECT_ERROR(read({at("a.jsonl")}), "a.jsonl:3]");
    EXPECT_ERROR(read({at("a.jsonl")}), says);
  };
  expect(R"({"text": )", "not valid JSON");
  expect(R"({"text": "a"} x)", "not valid JSON");
  expect(R"(["text"])", "not a JSON object");
  expect(R"({"body": "a", "id": 1})", "has no field \"text\"");
  expect(R"({"body": "a", "id": 1})", "this line has the strings body");
  expect(R"({"text": 1})", "\"text\" is not a string");
  expect(R"({"text": "\ud800"})", "not valid JSON");
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  expect(deep.c_str(), "nests deeper");
}

}  // namespace
}  // namespace qkv
