// What the tests of this room share: a folder that goes away, and tokenisers without files.
#pragma once

#include "qkv/core/error.h"
#include "qkv/data/token_cache.h"

#include <gtest/gtest.h>

#include <unistd.h>

namespace qkv {

constexpr int32_t pad = 0, cls = 1, sep = 2;

class CorpusTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-data-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path file(const std::string& name, std::string_view text) {
    fs::create_directories((folder_ / name).parent_path());
    write_file(folder_ / name, text);
    return folder_ / name;
  }

  // Token i of the stream is i modulo the vocabulary; one document for each length.
  TokenStream counting(const std::vector<int64_t>& lengths, int64_t vocabulary = 50'000, int64_t end_of_text = -1) {
    const fs::path path = folder_ / "counting.tokens";
    TokenFileWriter writer(path, vocabulary, end_of_text);
    int64_t next = 0;
    for (const int64_t length : lengths) {
      writer.begin_document();
      std::vector<int32_t> tokens;
      for (int64_t i = 0; i < length; ++i) tokens.push_back(static_cast<int32_t>(next++ % vocabulary));
      writer.add(tokens);
    }
    writer.commit({});
    return TokenStream(path);
  }

  fs::path folder_;
};

// Each byte is a token; 256 ends a text.
inline Encoder byte_encoder() {
  const auto encode = [](std::string_view text) {
    std::vector<int32_t> ids;
    for (const char byte : text) ids.push_back(static_cast<uint8_t>(byte));
    return ids;
  };
  return {.encode = encode, .vocabulary = 257, .end_of_text = 256, .fingerprint = 1};
}

inline std::vector<int32_t> all_tokens(const TokenStream& stream) {
  std::vector<int32_t> tokens(static_cast<size_t>(stream.size()));
  stream.read(0, tokens);
  return tokens;
}

template <typename Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::user) << error.what();
    return error.what();
  }
  return "";
}

#define EXPECT_ERROR(statement, says)                                             \
  do {                                                                            \
    const std::string message_ = error_of([&] { statement; });                    \
    EXPECT_NE(message_.find(says), std::string::npos) << "it says: " << message_; \
  } while (false)

}  // namespace qkv
