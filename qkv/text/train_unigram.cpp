#include "qkv/core/error.h"
#include "qkv/text/token_model.h"
#include "qkv/text/train.h"
#include "qkv/text/train_parts.h"
#include "qkv/text/unicode.h"
#include "qkv/text/unigram_trainer.h"

#include <algorithm>

namespace qkv {

Tokenizer train_unigram(std::span<const std::string_view> texts, const TrainOptions& options) {
  check_training_texts(texts);
  const std::string unknown = "<unk>";
  const Json metaspace = {
      {"type", "Metaspace"}, {"replacement", space_marker}, {"prepend_scheme", "always"}, {"split", true}};
  const Json parts = {{"normalizer",
                       {{"type", "Sequence"},
                        {"normalizers",
                         {{{"type", "Nmt"}},
                          {{"type", "NFKC"}},
                          {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}}}}}},
                      {"pre_tokenizer", metaspace},
                      {"decoder", metaspace}};
  report(options, "counting words", 0, 1);
  const std::map<std::string, int64_t> words = count_pieces(texts, parts);
  report(options, "counting words", 1, 1);
  if (words.empty()) throw Error(where_training, "the text is empty");

  std::vector<std::string> special = options.special_tokens;
  if (std::find(special.begin(), special.end(), unknown) == special.end()) special.push_back(unknown);
  const int64_t room = options.vocab_size - static_cast<int64_t>(special.size());
  const auto progress = [&](int64_t pieces) { report(options, "pruning", std::min(pieces, room), pieces); };
  std::vector<ScoredPiece> pieces = train_unigram_pieces(words, room, progress);
  std::erase_if(pieces, [&](const ScoredPiece& piece) {
    return std::find(special.begin(), special.end(), piece.text) != special.end();
  });
  if (static_cast<int64_t>(pieces.size()) > room || options.vocab_size > Vocabulary::largest_id)
    throw Error(where_training,
                fmt::format("the characters of the text and the special tokens are {} tokens: vocab_size is from "
                            "that to {}, not {}",
                            pieces.size() + special.size(), Vocabulary::largest_id, options.vocab_size));
  Json vocab = Json::array();
  for (const std::string& token : special) vocab.push_back({token, 0.0});
  for (const ScoredPiece& piece : pieces) vocab.push_back({piece.text, piece.score});
  const auto unk_id = std::find(special.begin(), special.end(), unknown) - special.begin();
  const Json model = {{"type", "Unigram"}, {"unk_id", unk_id}, {"vocab", vocab}, {"byte_fallback", false}};
  return assemble(model, parts, options, unknown);
}

}  // namespace qkv
