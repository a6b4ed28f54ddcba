// Transformer-XL's vocabulary: words as Moses cuts them, in order of frequency, in vocab.txt or in the pickles
// vocab.pkl and vocab.bin.
#include "qkv/core/byte_reader.h"
#include "qkv/core/pickle.h"
#include "qkv/text/moses.h"
#include "qkv/text/token_files.h"
#include "qkv/text/unicode.h"

#include <array>

namespace qkv {
namespace {

using Value = Pickle::Value;
using Kind = Value::Kind;

constexpr uint64_t max_file = uint64_t{64} << 20;

// Attributes of the tokenizer that was pickled; counts of words and compiled patterns are in it, and not looked at.
constexpr std::array<std::string_view, 3> globals = {"collections.OrderedDict", "collections.Counter", "re._compile"};

// torch.save before 1.6 puts three small pickles, a magic number, its version and the machine, before the object.
constexpr std::string_view torch_magic("\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);

Pickle read_pickle(std::string_view bytes, const std::string& where) {
  if (!bytes.starts_with(torch_magic)) return {bytes, where, globals};
  bytes.remove_prefix(torch_magic.size());
  for (int skipped = 0; skipped < 2; ++skipped) bytes.remove_prefix(Pickle(bytes, where, globals).length());
  return {bytes, where, globals};
}

void add_word(Json& vocab, std::string_view word, const std::string& where) {
  require_utf8(word, where);
  if (vocab.contains(word)) throw Error(where, fmt::format("token '{}' is there twice", word));
  const auto id = static_cast<int64_t>(vocab.size());
  vocab[std::string(word)] = id;
}

// The words, and into `config` the options that the pickle holds.
Json from_pickle(const fs::path& path, Json& config) {
  const std::string where = path.string();
  const std::string bytes = read_file(path, max_file);
  const Pickle pickle = read_pickle(bytes, where);
  const Value* words = pickle.root().find("idx2sym");
  if (words == nullptr || !words->is(Kind::list))
    throw Error(where, "has no list of words (idx2sym)", "it should be what transformers' TransfoXLTokenizer saves");
  Json vocab = Json::object();
  for (const Value* word : words->items) {
    if (!word->is(Kind::text)) throw Error(where, "has a word that is not text", damaged_hint);
    add_word(vocab, word->text, where);
  }
  if (const Value* lower = pickle.root().find("lower_case"); lower != nullptr && !config.contains("lower_case"))
    config["lower_case"] = lower->integer != 0;
  return vocab;
}

Json from_text(const fs::path& path) {
  Json vocab = Json::object();
  for (const std::string& line : read_lines(path)) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) continue;
    add_word(vocab, std::string_view(line).substr(begin, line.find_first_of(" \t", begin) - begin), path.string());
  }
  return vocab;
}

}  // namespace

Json read_transfo_xl_files(const fs::path& path, Json& config) {
  Draft draft(path.extension() == ".txt" ? from_text(path) : from_pickle(path, config), path.string());
  if (draft.vocab.empty()) throw Error(path.string(), "holds no words");
  default_role(config, draft, "unk_token", "<unk>");
  default_role(config, draft, "eos_token", "<eos>");
  if (!config.contains("tokenizer_class")) config["tokenizer_class"] = "TransfoXLTokenizer";
  add_tokens(draft, config, path.parent_path());
  Json normalizers = moses_normalizers();
  if (config.value("lower_case", Json()) == true)
    normalizers.insert(normalizers.begin(), Json::object({{"type", "Lowercase"}}));
  Json tokenizer = {{"added_tokens", draft.added},
                    {"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
                    {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                    {"model",
                     {{"type", "WordLevel"},
                      {"unk_token", content_of(config.value("unk_token", Json("<unk>")))},
                      {"vocab", draft.vocab}}}};
  return tokenizer;
}

}  // namespace qkv
