#include "qkv/data/token_cache.h"

#include "tests/data/corpus.h"

#include <sys/mount.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>

namespace qkv {
namespace {

class TokenCacheTest : public CorpusTest {
 protected:
  fs::path cache() const { return folder_ / "cache" / "a.tokens"; }
  TokenStream tokens(const std::vector<std::string>& names, Encoder encoder = byte_encoder()) {
    notes_.clear();
    encoded_ = 0;
    const auto inner = encoder.encode;
    encoder.encode = [this, inner](std::string_view text) {
      encoded_ += 1;
      return inner(text);
    };
    const CacheReport report{.note = [this](std::string_view note) { notes_ += note; }};
    return cached_tokens(cache(), find_sources(names), encoder, report);
  }
  std::string notes_;
  std::atomic<int> encoded_ = 0;
};

TEST_F(TokenCacheTest, JoinsDocumentsByTheEndOfText) {
  file("a.txt", "ab");
  file("b.txt", "c");
  const TokenStream stream = tokens({folder_.string()});
  EXPECT_EQ(all_tokens(stream), (std::vector<int32_t>{'a', 'b', 256, 'c'}));
  EXPECT_EQ(stream.vocabulary(), 257);
  ASSERT_EQ(stream.documents(), 2);
  EXPECT_EQ(stream.document(0), (std::pair<int64_t, int64_t>{0, 2}));
  EXPECT_EQ(stream.document(1), (std::pair<int64_t, int64_t>{3, 4}));
}

TEST_F(TokenCacheTest, LeavesOutDocumentsWithoutTokens) {
  file("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"_\"}\n{\"text\":\"b\"}\n");
  Encoder encoder = byte_encoder();
  encoder.encode = [](std::string_view text) {
    return text == "_" ? std::vector<int32_t>{} : std::vector<int32_t>{text[0]};
  };
  const TokenStream stream = tokens({folder_.string()}, encoder);
  EXPECT_EQ(all_tokens(stream), (std::vector<int32_t>{'a', 256, 'b'}));
  EXPECT_EQ(stream.documents(), 2);
}

TEST_F(TokenCacheTest, TakesFourBytesForLargeVocabularies) {
  for (const int64_t vocabulary : {65'536, 65'537, 1 << 20}) {
    file("a.txt", "a");
    Encoder encoder = byte_encoder();
    encoder.vocabulary = vocabulary;
    encoder.encode = [&](std::string_view) { return std::vector<int32_t>{0, static_cast<int32_t>(vocabulary) - 1}; };
    EXPECT_EQ(all_tokens(tokens({(folder_ / "a.txt").string()}, encoder)),
              (std::vector<int32_t>{0, static_cast<int32_t>(vocabulary) - 1}));
  }
}

TEST_F(TokenCacheTest, IsUsedAgainUntilSomethingChanges) {
  const std::vector<std::string> names = {file("a.txt", "text").string()};
  tokens(names);
  EXPECT_EQ(encoded_, 1);
  tokens(names);
  EXPECT_EQ(encoded_, 0);
  EXPECT_NE(notes_.find("4 tokens from the cache"), std::string::npos) << notes_;
  file("a.txt", "longer text");
  EXPECT_EQ(tokens(names).size(), 11);
  EXPECT_NE(notes_.find("the texts changed"), std::string::npos) << notes_;
  fs::last_write_time(names[0], fs::last_write_time(names[0]) + std::chrono::seconds(1));
  tokens(names);
  EXPECT_EQ(encoded_, 1);
  Encoder other = byte_encoder();
  other.fingerprint = 2;
  tokens(names, other);
  EXPECT_EQ(encoded_, 1);
  EXPECT_NE(notes_.find("the tokenizer changed"), std::string::npos) << notes_;
}

TEST_F(TokenCacheTest, IsBuiltAgainWhenDamaged) {
  const std::vector<std::string> names = {file("a.txt", "text").string()};
  const std::vector<int32_t> expected = all_tokens(tokens(names));
  write_file(cache(), read_file(cache()).substr(1));
  EXPECT_EQ(all_tokens(tokens(names)), expected);
  EXPECT_NE(notes_.find("is a damaged token cache"), std::string::npos) << notes_;
  EXPECT_NE(notes_.find("tokenizing again"), std::string::npos) << notes_;
}

TEST_F(TokenCacheTest, NoticesDamageToAnyByteOfItsStructure) {
  tokens({file("a.txt", "text").string(), file("b.txt", "more").string()});
  const std::string whole = read_file(cache());
  const auto refused = [&](const std::string& bytes) {
    const fs::path path = folder_ / "damaged.tokens";
    std::ofstream(path, std::ios::binary) << bytes;
    return error_of([&] { TokenStream{path}; }) != "";
  };
  EXPECT_FALSE(refused(whole));
  for (size_t at = 0; at < whole.size(); ++at) {
    if (at >= 16 && at < 40) continue;  // nine tokens and their padding
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    EXPECT_TRUE(refused(damaged)) << at;
  }
  for (size_t length = 0; length < whole.size(); ++length) EXPECT_TRUE(refused(whole.substr(0, length))) << length;
  EXPECT_TRUE(refused(whole + "x"));
}

TEST_F(TokenCacheTest, ADamagedTokenIsNoticedWhenRead) {
  const std::vector<std::string> names = {file("a.txt", "text").string()};
  tokens(names);
  std::string damaged = read_file(cache());
  damaged[16 + 3] = '\x7f';
  write_file(cache(), damaged);
  const TokenStream stream = tokens(names);
  EXPECT_ERROR(all_tokens(stream), "in a vocabulary of 257");
}

TEST_F(TokenCacheTest, CutsLongTextsWhereThatChangesNothing) {
  std::string text;
  for (int i = 0; text.size() < 400'000; ++i) text += fmt::format("line {}{}", i, i % 7 == 0 ? "\n\n" : "\n");
  const std::vector<std::string> names = {file("a.txt", text).string(), file("b.txt", text).string()};
  // Words, each with the white space behind it: sensitive to cuts within them.
  Encoder encoder = byte_encoder();
  encoder.encode = [](std::string_view part) {
    std::vector<int32_t> ids;
    while (!part.empty()) {
      size_t end = part.find_first_of(" \n");
      end = end == std::string_view::npos ? part.size() : std::min(part.find_first_not_of(" \n", end), part.size());
      ids.push_back(static_cast<int32_t>(std::hash<std::string_view>()(part.substr(0, end)) % 256));
      part.remove_prefix(end);
    }
    return ids;
  };
  const TokenStream whole = tokens(names, encoder);
  EXPECT_EQ(encoded_, 2);
  const std::vector<int32_t> expected = all_tokens(whole);
  encoder.cut_at_lines = true;
  encoder.fingerprint = 2;
  const TokenStream parts = tokens(names, encoder);
  EXPECT_GT(encoded_, 10);
  EXPECT_EQ(all_tokens(parts), expected);
  EXPECT_EQ(parts.documents(), 2);
}

TEST_F(TokenCacheTest, KeepsNothingOfATextThatIsWrong) {
  EXPECT_ERROR(tokens({file("a.txt", "good").string(), file("b.txt", "caf\xe9").string()}), "not valid UTF-8");
  EXPECT_TRUE(fs::is_empty(folder_ / "cache"));
  Encoder encoder = byte_encoder();
  encoder.vocabulary = 100;
  encoder.end_of_text = -1;
  EXPECT_ERROR(tokens({(folder_ / "a.txt").string()}, encoder), "with a vocabulary of 100");
  EXPECT_TRUE(fs::is_empty(folder_ / "cache"));
}

TEST_F(TokenCacheTest, AFullDiskSaysSo) {
  const std::string text = file("a.txt", std::string(4 << 20, 'a')).string();
  fs::create_directories(folder_ / "cache");
  if (::geteuid() != 0 || ::mount("tmpfs", (folder_ / "cache").c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "needs root, to mount a small disk";
  EXPECT_ERROR(tokens({text}), "free some disk space");
  EXPECT_TRUE(fs::is_empty(folder_ / "cache"));
  ::umount2((folder_ / "cache").c_str(), MNT_DETACH);
}

TEST_F(TokenCacheTest, ReportsProgress) {
  const Sources sources = find_sources({file("a.txt", "text").string(), file("b.txt", "more").string()});
  std::vector<uint64_t> done;
  CacheReport report;
  report.progress = [&](uint64_t bytes, uint64_t total) {
    EXPECT_EQ(total, 8U);
    done.push_back(bytes);
  };
  cached_tokens(cache(), sources, byte_encoder(), report);
  EXPECT_EQ(done, (std::vector<uint64_t>{4, 8, 8}));
}

TEST_F(TokenCacheTest, SplitsOneDocumentAsNanoGptDoes) {
  const TokenStream stream = counting({1'115'394});  // tiny Shakespeare's characters
  const auto [train, valid] = stream.split(0.1);
  EXPECT_EQ(train.size(), 1'003'854);
  EXPECT_EQ(valid.size(), 111'540);
  std::vector<int32_t> first(1);
  valid.read(0, first);
  EXPECT_EQ(first[0], 1'003'854 % 50'000);
  EXPECT_EQ(train.documents(), 1);
  EXPECT_EQ(valid.documents(), 1);
  EXPECT_EQ(valid.document(0), (std::pair<int64_t, int64_t>{0, 111'540}));
}

TEST_F(TokenCacheTest, SplitsBetweenDocumentsWhereThereAreMany) {
  const auto [train, valid] = counting(std::vector<int64_t>(100, 9), 1000, 999).split(0.09);
  EXPECT_EQ(train.documents(), 91);
  EXPECT_EQ(valid.documents(), 9);
  EXPECT_EQ(train.size() + valid.size(), 999);
  for (int64_t d = 0; d < valid.documents(); ++d)
    EXPECT_EQ(valid.document(d), (std::pair<int64_t, int64_t>{d * 10, d * 10 + 9}));
  EXPECT_NE(valid.name().find("validation"), std::string::npos);
}

TEST_F(TokenCacheTest, SplitsInsideADocumentWhereNoneEndsNear) {
  const auto [train, valid] = counting({100, 900}).split(0.1);
  EXPECT_EQ(train.size(), 900);
  EXPECT_EQ(train.documents(), 2);
  EXPECT_EQ(valid.documents(), 1);
  EXPECT_EQ(train.document(1), (std::pair<int64_t, int64_t>{100, 900}));
  const TokenStream stream = counting({100, 900});
  for (const double fraction : {0.0, 1.0, -0.5, 2.0, std::nan("")})
    EXPECT_ERROR(stream.split(fraction), "between 0 and 1");
}

}  // namespace
}  // namespace qkv
