// Finding a tokenizer's files.
#include "qkv/core/error.h"
#include "qkv/text/ctrl.h"
#include "qkv/text/layout_sentencepiece.h"
#include "qkv/text/pipeline.h"
#include "qkv/text/token_files.h"
#include "qkv/text/tokenizer.h"

namespace qkv {
namespace {

// The form that save() writes, whatever the layout that was read.
Json completed(Json tokenizer) {
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"})
    if (!tokenizer.contains(key)) tokenizer[key] = nullptr;
  return tokenizer;
}

// Llama 3's tokenizer.model: lines of a token in base64 and its rank.
bool is_tiktoken(std::string_view bytes) {
  constexpr std::string_view base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  const size_t space = line.find(' ');
  return space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
         line.substr(0, space).find_first_not_of(base64) == std::string_view::npos &&
         line.substr(space + 1).find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Tokenizer Tokenizer::load_sentencepiece(const fs::path& path, Json config) {
  const std::string where = path.string();
  const bool marian = fs::exists(path.parent_path() / "vocab.json") && path.extension() == ".spm";
  if (marian) return Tokenizer(std::make_shared<const Pipeline>(marian_parts(path, std::move(config)), where));
  std::string bytes = read_file(path);
  if (is_tiktoken(bytes))
    throw Error(where, "is in tiktoken's format, not SentencePiece's",
                "use the tokenizer.json that the same model has in its Hugging Face form");
  SentencePieceFile file = SentencePieceFile::parse(bytes, where);
  if (const auto json = sentencepiece_as_json(file, path, config)) return from_json(completed(*json), config, where);
  Pipeline::Parts parts = sentencepiece_parts(std::move(file), std::move(bytes), path, std::move(config));
  return Tokenizer(std::make_shared<const Pipeline>(std::move(parts), where));
}

Tokenizer Tokenizer::load(const fs::path& path) {
  if (!fs::exists(path)) throw Error(path.string(), "does not exist");
  const bool is_directory = fs::is_directory(path);
  const fs::path directory = is_directory ? path : path.parent_path();
  const auto present = [&](const char* name) {
    return is_directory ? fs::exists(directory / name) : path.filename() == name;
  };
  Json config = read_tokenizer_config(directory);
  if (present("tokenizer.json") ||
      (!is_directory && path.extension() == ".json" && !present("vocab.json") && !present("encoder.json"))) {
    const fs::path file = is_directory ? directory / "tokenizer.json" : path;
    return from_json(read_json(file), config, file.string());
  }
  if (!is_directory && (path.extension() == ".model" || path.extension() == ".spm"))
    return load_sentencepiece(path, config);
  for (const char* name : {"source.spm", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"})
    if (is_directory && present(name)) return load_sentencepiece(directory / name, config);
  const std::pair<const char*, const char*> layouts[] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};
  for (const auto& [vocab, merges] : layouts) {
    if (!present(vocab)) continue;
    if (!fs::exists(directory / merges))
      throw Error((directory / vocab).string(), fmt::format("stands without its {}", merges), "fetch both files");
    const std::string name = tokenizer_class(config);
    if (name == "CTRLTokenizer" || (name.empty() && has_ctrl_form(read_json(directory / vocab))))
      return Tokenizer(std::make_shared<const Pipeline>(ctrl_parts(directory / vocab, directory / merges, config),
                                                        (directory / vocab).string()));
    Json tokenizer = completed(read_bpe_files(directory / vocab, directory / merges, config));
    return from_json(tokenizer, config, fmt::format("{} with {}", (directory / vocab).string(), merges));
  }
  const bool transfo_xl = tokenizer_class(config) == "TransfoXLTokenizer";
  for (const char* name : {"vocab.pkl", "vocab.bin", "vocab.txt"}) {
    const bool text = std::string_view(name) == "vocab.txt";
    if (!present(name) || (text && !transfo_xl)) continue;
    Json tokenizer = completed(read_transfo_xl_files(directory / name, config));
    return from_json(tokenizer, config, (directory / name).string());
  }
  if (present("vocab.txt")) {
    Json tokenizer = completed(read_word_files(directory / "vocab.txt", config));
    return from_json(tokenizer, config, (directory / "vocab.txt").string());
  }
  throw NoTokenizer(
      path.string(), "has no tokenizer",
      "expected tokenizer.json, vocab.json + merges.txt, vocab.txt, vocab.pkl, or a SentencePiece .model");
}

}  // namespace qkv
