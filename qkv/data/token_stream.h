// Tokens in a memory-mapped file: what batches are cut from.
//
// The file: 16 bytes ("qkv-toks", u32 version, u32 bytes a token), the tokens (u16 or u32), padding to 8 bytes, the
// documents' begins and the end (u64 each), and a footer (see the source). Little endian.
#pragma once

#include "qkv/core/files.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

// What a token file was made from; it is used again only while these stay the same.
struct TokenFileKey {
  uint64_t tokenizer = 0;
  uint64_t sources = 0;
  bool operator==(const TokenFileKey&) const = default;
};

// The tokens of a file, or a stretch of them, as one long sequence and as documents. A cheap handle; thread-safe.
class TokenStream {
 public:
  // Maps and checks the file: structure, counts and the checksum of everything but the tokens themselves. Throws Error
  // when it is damaged.
  explicit TokenStream(const fs::path& path);

  int64_t size() const { return end_ - begin_; }  // tokens
  int64_t vocabulary() const;                     // every token is below
  const TokenFileKey& key() const;
  const std::string& name() const { return name_; }  // for messages

  // Copies tokens [begin, begin + out.size()). Throws Error for a token outside the vocabulary: a damaged file.
  void read(int64_t begin, std::span<int32_t> out) const;

  int64_t documents() const { return last_document_ - first_document_; }
  // [begin, end) of a document's own tokens in this stream, without the end-of-text token that joins it to the next.
  std::pair<int64_t, int64_t> document(int64_t index) const;

  // (what stays, the last `fraction` of the tokens). The cut falls between two documents where one ends near it (within
  // half of the fraction), else inside a document: a stream of one document is cut at size() * (1 - fraction).
  std::pair<TokenStream, TokenStream> split(double fraction) const;

 private:
  struct File;
  TokenStream part(int64_t begin, int64_t end, const std::string& suffix) const;

  std::shared_ptr<const File> file_;
  std::string name_;
  int64_t begin_ = 0, end_ = 0;                     // in the file's tokens
  int64_t first_document_ = 0, last_document_ = 0;  // in the file's documents, those that reach into [begin, end)
};

// Writes a token file piece by piece, through AtomicFile.
class TokenFileWriter {
 public:
  // Tokens take 2 bytes where the vocabulary allows, else 4. `end_of_text` (-1: none) joins one document to the next.
  TokenFileWriter(const fs::path& path, int64_t vocabulary, int64_t end_of_text);
  // The next tokens begin a document; one without tokens leaves no trace.
  void begin_document() { between_documents_ = true; }
  void add(std::span<const int32_t> tokens);  // throws Error for a token outside the vocabulary
  void commit(TokenFileKey key);

 private:
  void put(int32_t token);

  fs::path path_;
  AtomicFile file_;
  int64_t vocabulary_, end_of_text_;
  bool wide_;
  bool between_documents_ = true;
  uint64_t count_ = 0;
  std::vector<uint64_t> begins_;
  std::string buffer_;
};

}  // namespace qkv
