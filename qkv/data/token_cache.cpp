#include "qkv/data/token_cache.h"

#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/data/fingerprint.h"

#include <atomic>

namespace qkv {
namespace {

constexpr size_t piece_bytes = size_t{1} << 16;  // texts are cut to about this where they may be
constexpr size_t batch_bytes = size_t{8} << 20;  // encoded together, then written

TokenFileKey key_of(const Sources& sources, const Encoder& encoder) {
  Fingerprint files;
  files.add(sources.field).add(sources.files.size());
  for (const SourceFile& source : sources.files) {
    std::error_code code;
    const auto changed = fs::last_write_time(source.path, code).time_since_epoch().count();
    files.add(fs::absolute(source.path).lexically_normal().string()).add(source.bytes).add(changed);
  }
  const Fingerprint tokenizer = Fingerprint().add(encoder.fingerprint).add(encoder.vocabulary).add(encoder.end_of_text);
  return {tokenizer.value(), files.value()};
}

// Where to cut `text` at or behind `at`: behind a line feed between two visible ASCII characters. Its end if nowhere.
size_t cut_behind(std::string_view text, size_t at) {
  const auto visible = [&](size_t i) { return text[i] > ' ' && text[i] < 0x7f; };
  for (size_t i = text.find('\n', at); i != std::string_view::npos; i = text.find('\n', i + 1))
    if (i > 0 && i + 1 < text.size() && visible(i - 1) && visible(i + 1)) return i + 1;
  return text.size();
}

// Collects pieces of documents, encodes them on all threads, and writes them in order.
class Builder {
 public:
  Builder(const Encoder& encoder, TokenFileWriter& writer) : encoder_(encoder), writer_(writer) {}

  void add(std::string_view document) {
    bool begins = true;
    while (!document.empty()) {
      const bool cut = encoder_.cut_at_lines && document.size() > piece_bytes;
      const size_t length = cut ? cut_behind(document, piece_bytes) : document.size();
      pieces_.push_back({begins, std::string(document.substr(0, length)), {}});
      begins = false;
      document.remove_prefix(length);
      collected_ += length;
      if (collected_ >= batch_bytes) flush();
    }
  }

  void flush() {
    std::atomic<size_t> next = 0;  // pieces differ in length, so threads take them one by one
    parallel_for(std::min<int64_t>(threads(), std::ssize(pieces_)), 1, [&](int64_t, int64_t) {
      for (size_t i = next++; i < pieces_.size(); i = next++) pieces_[i].tokens = encoder_.encode(pieces_[i].text);
    });
    for (const Piece& piece : pieces_) {
      if (piece.begins_document) writer_.begin_document();
      writer_.add(piece.tokens);
    }
    pieces_.clear();
    collected_ = 0;
  }

 private:
  struct Piece {
    bool begins_document;
    std::string text;
    std::vector<int32_t> tokens;
  };
  const Encoder& encoder_;
  TokenFileWriter& writer_;
  std::vector<Piece> pieces_;
  size_t collected_ = 0;
};

void build(const fs::path& cache, const Sources& sources, const Encoder& encoder, TokenFileKey key,
           const CacheReport& report) {
  std::error_code code;
  if (cache.has_parent_path()) fs::create_directories(cache.parent_path(), code);
  TokenFileWriter writer(cache, encoder.vocabulary, encoder.end_of_text);
  Builder builder(encoder, writer);
  uint64_t done = 0;
  read_documents(sources, [&](const std::string&, std::string_view text) {
    builder.add(text);
    done += text.size();
    if (report.progress) report.progress(done, sources.bytes());
  });
  builder.flush();
  if (report.progress) report.progress(sources.bytes(), sources.bytes());
  writer.commit(key);
}

}  // namespace

TokenStream cached_tokens(const fs::path& cache, const Sources& sources, const Encoder& encoder,
                          const CacheReport& report) {
  const auto note = [&](const std::string& text) {
    if (report.note) report.note(text);
  };
  const TokenFileKey key = key_of(sources, encoder);
  std::error_code code;
  if (fs::exists(cache, code)) {
    try {
      TokenStream stream(cache);
      if (stream.key() == key) {
        note(fmt::format("{} tokens from the cache {}", stream.size(), cache.string()));
        return stream;
      }
      note(fmt::format("the {} changed since {} was made: tokenizing again",
                       stream.key().tokenizer == key.tokenizer ? "texts" : "tokenizer", cache.string()));
    } catch (const Error& error) {
      note(fmt::format("{}: tokenizing again", error.what()));
    }
  }
  build(cache, sources, encoder, key, report);
  TokenStream stream(cache);
  note(fmt::format("{} tokens in {} documents, kept in {}", stream.size(), stream.documents(), cache.string()));
  return stream;
}

}  // namespace qkv
