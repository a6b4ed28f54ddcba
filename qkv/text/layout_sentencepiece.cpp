#include "qkv/text/layout_sentencepiece.h"

#include "qkv/core/error.h"
#include "qkv/text/precompiled.h"
#include "qkv/text/sentencepiece.h"
#include "qkv/text/token_files.h"
#include "qkv/text/unicode.h"

#include <unordered_map>

namespace qkv {
namespace {

Json replace(const Json& pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

Json precompiled(const SentencePieceFile& file) {
  return {{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(file.charsmap)}};
}

Json metaspace(std::string_view scheme) {
  return {
      {"type", "Metaspace"}, {"replacement", space_marker}, {"prepend_scheme", scheme}, {"split", scheme != "first"}};
}

Json several_spaces() { return {{"Regex", " {2,}"}}; }

Json sequence(const Json& normalizers) { return {{"type", "Sequence"}, {"normalizers", normalizers}}; }

Json plain_normalizer(const SentencePieceFile& file) {
  Json steps = Json::array();
  if (!file.charsmap.empty()) steps.push_back(precompiled(file));
  steps.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
  steps.push_back(replace(several_spaces(), space_marker));
  return sequence(steps);
}

// ALBERT and XLNet write straight quotes, and may drop accents and case.
Json folding_normalizer(const SentencePieceFile& file, const Json& config, bool lowercase) {
  Json steps = {replace({{"String", "``"}}, "\""), replace({{"String", "''"}}, "\"")};
  if (config.value("keep_accents", Json(false)) != true) {
    steps.push_back({{"type", "NFKD"}});
    steps.push_back({{"type", "StripAccents"}});
  }
  if (config.value("do_lower_case", Json(lowercase)) == true) steps.push_back({{"type", "Lowercase"}});
  if (!file.charsmap.empty()) steps.push_back(precompiled(file));
  steps.push_back(replace(several_spaces(), " "));
  return sequence(steps);
}

Json template_part(std::string_view token, int type_id) {
  if (token == "A" || token == "B") return {{"Sequence", {{"id", token}, {"type_id", type_id}}}};
  return {{"SpecialToken", {{"id", token}, {"type_id", type_id}}}};
}

// Parts are "A", "B" or a special token, each with its type id.
using TemplateParts = std::vector<std::pair<std::string, int>>;
Json template_processing(const TemplateParts& single, const TemplateParts& pair, const Draft& draft) {
  Json out = {{"type", "TemplateProcessing"}, {"special_tokens", Json::object()}};
  const auto put = [&](const char* key, const TemplateParts& parts) {
    out[key] = Json::array();
    for (const auto& [token, type_id] : parts) {
      out[key].push_back(template_part(token, type_id));
      if (token != "A" && token != "B")
        out["special_tokens"][token] = {{"id", token}, {"ids", {draft.id_of(token)}}, {"tokens", {token}}};
    }
  };
  put("single", single);
  put("pair", pair);
  return out;
}

Json ids_of_pieces(const SentencePieceFile& file) {
  Json vocab = Json::object();
  for (size_t id = 0; id < file.pieces.size(); ++id) vocab[file.pieces[id].text] = id;
  return vocab;
}

Json unigram_model(const SentencePieceFile& file) {
  Json vocab = Json::array();
  for (const auto& piece : file.pieces) vocab.push_back({piece.text, piece.score});
  return {{"type", "Unigram"}, {"unk_id", file.unk_id}, {"vocab", vocab}, {"byte_fallback", file.byte_fallback}};
}

std::string role(const Json& config, const char* name, const char* otherwise) {
  const std::string content = content_of(config.value(name, Json()));
  return content.empty() ? otherwise : content;
}

Json finished(Json tokenizer, const Draft& draft, const Json& pre_tokenizer) {
  tokenizer["added_tokens"] = draft.added;
  tokenizer["pre_tokenizer"] = pre_tokenizer;
  tokenizer["decoder"] = pre_tokenizer;
  return tokenizer;
}

Json t5(const SentencePieceFile& file, const fs::path& path, Json& config) {
  Draft draft(ids_of_pieces(file), path.string());
  default_role(config, draft, "eos_token", "</s>");
  default_role(config, draft, "unk_token", "<unk>");
  default_role(config, draft, "pad_token", "<pad>");
  add_tokens(draft, config, path.parent_path());
  const Json extra = config.value("extra_ids", Json(100));
  const int64_t count = extra.is_number_integer() ? std::clamp<int64_t>(extra.get<int64_t>(), 0, 10000) : 100;
  for (int64_t i = count - 1; i >= 0; --i) draft.add(fmt::format("<extra_id_{}>", i), true);
  const std::string eos = role(config, "eos_token", "</s>");
  return finished(
      {{"normalizer", plain_normalizer(file)},
       {"model", unigram_model(file)},
       {"post_processor", template_processing({{"A", 0}, {eos, 0}}, {{"A", 0}, {eos, 0}, {"B", 0}, {eos, 0}}, draft)}},
      draft, metaspace("always"));
}

Json albert(const SentencePieceFile& file, const fs::path& path, Json& config) {
  Draft draft(ids_of_pieces(file), path.string());
  const std::pair<const char*, const char*> defaults[] = {
      {"bos_token", "[CLS]"}, {"eos_token", "[SEP]"}, {"unk_token", "<unk>"},  {"sep_token", "[SEP]"},
      {"pad_token", "<pad>"}, {"cls_token", "[CLS]"}, {"mask_token", "[MASK]"}};
  for (const auto& [name, token] : defaults) default_role(config, draft, name, token);
  draft.add(role(config, "mask_token", "[MASK]"), true, true);
  add_tokens(draft, config, path.parent_path());
  const std::string cls = role(config, "cls_token", "[CLS]"), sep = role(config, "sep_token", "[SEP]");
  return finished({{"normalizer", folding_normalizer(file, config, true)},
                   {"model", unigram_model(file)},
                   {"post_processor", template_processing({{cls, 0}, {"A", 0}, {sep, 0}},
                                                          {{cls, 0}, {"A", 0}, {sep, 0}, {"B", 1}, {sep, 1}}, draft)}},
                  draft, metaspace("always"));
}

Json xlnet(const SentencePieceFile& file, const fs::path& path, Json& config) {
  Draft draft(ids_of_pieces(file), path.string());
  const std::pair<const char*, const char*> defaults[] = {
      {"bos_token", "<s>"},   {"eos_token", "</s>"},  {"unk_token", "<unk>"},  {"sep_token", "<sep>"},
      {"pad_token", "<pad>"}, {"cls_token", "<cls>"}, {"mask_token", "<mask>"}};
  for (const auto& [name, token] : defaults) default_role(config, draft, name, token);
  draft.add(role(config, "mask_token", "<mask>"), true, true);
  add_tokens(draft, config, path.parent_path());
  for (const char* end : {"<eop>", "<eod>"})
    if (draft.has(end)) draft.add(end, true);
  const std::string cls = role(config, "cls_token", "<cls>"), sep = role(config, "sep_token", "<sep>");
  return finished({{"normalizer", folding_normalizer(file, config, false)},
                   {"model", unigram_model(file)},
                   {"post_processor", template_processing({{"A", 0}, {sep, 0}, {cls, 2}},
                                                          {{"A", 0}, {sep, 0}, {"B", 1}, {sep, 1}, {cls, 2}}, draft)}},
                  draft, metaspace("always"));
}

// Fairseq's order: four special tokens, then the pieces behind the model's own three, then the mask.
Json xlm_roberta(SentencePieceFile file, const fs::path& path, Json& config) {
  std::erase_if(file.pieces, [](const auto& piece) {
    return piece.type == SentencePieceFile::control || piece.type == SentencePieceFile::unknown;
  });
  const SentencePieceFile::Piece first[] = {{"<s>", 0, SentencePieceFile::control},
                                            {"<pad>", 0, SentencePieceFile::control},
                                            {"</s>", 0, SentencePieceFile::control},
                                            {"<unk>", 0, SentencePieceFile::unknown}};
  file.pieces.insert(file.pieces.begin(), std::begin(first), std::end(first));
  file.pieces.push_back({"<mask>", 0, SentencePieceFile::control});
  file.unk_id = 3;
  Draft draft(ids_of_pieces(file), path.string());
  const std::pair<const char*, const char*> defaults[] = {
      {"bos_token", "<s>"},   {"eos_token", "</s>"}, {"unk_token", "<unk>"},  {"sep_token", "</s>"},
      {"pad_token", "<pad>"}, {"cls_token", "<s>"},  {"mask_token", "<mask>"}};
  for (const auto& [name, token] : defaults) default_role(config, draft, name, token);
  draft.add(role(config, "mask_token", "<mask>"), true, true);
  add_tokens(draft, config, path.parent_path());
  return finished(
      {{"normalizer", plain_normalizer(file)},
       {"model", unigram_model(file)},
       {"post_processor",
        template_processing({{"<s>", 0}, {"A", 0}, {"</s>", 0}},
                            {{"<s>", 0}, {"A", 0}, {"</s>", 0}, {"</s>", 0}, {"B", 0}, {"</s>", 0}}, draft)}},
      draft, metaspace("always"));
}

// The merges that lead to every piece, best score first; of equals the smaller ids.
Json merges_of(const SentencePieceFile& file) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < file.pieces.size(); ++id) ids.emplace(file.pieces[id].text, static_cast<int32_t>(id));
  struct Merge {
    float score;
    int32_t left, right;
  };
  std::vector<Merge> merges;
  for (const auto& piece : file.pieces) {
    if (piece.type != SentencePieceFile::normal) continue;
    const std::string_view text = piece.text;
    for (size_t i = utf8_length(text[0]); i < text.size(); i += utf8_length(text[i])) {
      const auto left = ids.find(text.substr(0, i)), right = ids.find(text.substr(i));
      if (left != ids.end() && right != ids.end()) merges.push_back({piece.score, left->second, right->second});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return a.score != b.score ? a.score > b.score : a.left != b.left ? a.left < b.left : a.right < b.right;
  });
  Json out = Json::array();
  for (const Merge& merge : merges) out.push_back({file.pieces[merge.left].text, file.pieces[merge.right].text});
  return out;
}

Json llama(const SentencePieceFile& file, const fs::path& path, Json& config) {
  Draft draft(ids_of_pieces(file), path.string());
  default_role(config, draft, "bos_token", "<s>");
  default_role(config, draft, "eos_token", "</s>");
  default_role(config, draft, "unk_token", "<unk>");
  add_tokens(draft, config, path.parent_path());
  // Not the bytes' own tokens, but those that mark something, are found in the text.
  for (const auto& piece : file.pieces)
    if (piece.type == SentencePieceFile::user_defined) draft.add(piece.text, false);
  const std::string bos = role(config, "bos_token", "<s>"), eos = role(config, "eos_token", "</s>");
  TemplateParts single, pair;
  const bool begins = config.value("add_bos_token", Json(true)) == true && !draft.id_of(bos).is_null();
  const bool ends = config.value("add_eos_token", Json(false)) == true && !draft.id_of(eos).is_null();
  for (const auto& [name, type_id] : {std::pair("A", 0), std::pair("B", 1)}) {
    if (begins) pair.emplace_back(bos, type_id);
    pair.emplace_back(name, type_id);
    if (ends) pair.emplace_back(eos, type_id);
    if (type_id == 0) single = pair;
  }
  const bool prefix = file.add_dummy_prefix && config.value("add_prefix_space", Json(true)) != false;
  Json decoders = {replace({{"String", space_marker}}, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  Json tokenizer = {{"added_tokens", draft.added},
                    {"post_processor", template_processing(single, pair, draft)},
                    {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
                    {"model",
                     {{"type", "BPE"},
                      {"unk_token", file.text(file.unk_id)},
                      {"fuse_unk", true},
                      {"byte_fallback", file.byte_fallback},
                      {"vocab", draft.vocab},
                      {"merges", merges_of(file)}}}};
  if (config.value("legacy", Json(true)) == false) {
    tokenizer["pre_tokenizer"] = metaspace("first");
    if (!prefix) tokenizer["pre_tokenizer"]["prepend_scheme"] = "never";
    return tokenizer;
  }
  Json steps = Json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", space_marker}});
  steps.push_back(replace({{"String", " "}}, space_marker));
  tokenizer["normalizer"] = sequence(steps);
  return tokenizer;
}

Json tokens_of_roles(const SentencePieceFile& file) {
  Json named = Json::object();
  const std::pair<const char*, int64_t> roles[] = {
      {"bos_token", file.bos_id}, {"eos_token", file.eos_id}, {"unk_token", file.unk_id}, {"pad_token", file.pad_id}};
  for (const auto& [name, id] : roles)
    if (!file.text(id).empty()) named[name] = file.text(id);
  return named;
}

}  // namespace

std::optional<Json> sentencepiece_as_json(const SentencePieceFile& file, const fs::path& path, Json& config) {
  const std::string name = tokenizer_class(config);
  const bool is_bpe = file.algorithm == SentencePieceFile::bpe;
  if (is_bpe && (name == "LlamaTokenizer" || name == "CodeLlamaTokenizer")) return llama(file, path, config);
  if (is_bpe) return std::nullopt;
  if (name == "T5Tokenizer") return t5(file, path, config);
  if (name == "AlbertTokenizer") return albert(file, path, config);
  if (name == "XLNetTokenizer") return xlnet(file, path, config);
  if (name == "XLMRobertaTokenizer") return xlm_roberta(file, path, config);
  return std::nullopt;
}

Tokenizer::Pipeline::Parts sentencepiece_parts(SentencePieceFile file, std::string bytes, const fs::path& path,
                                               Json config) {
  const auto shared = std::make_shared<const SentencePieceFile>(std::move(file));
  Tokenizer::Pipeline::Parts parts;
  Draft draft(ids_of_pieces(*shared), path.string());
  add_tokens(draft, config, path.parent_path());
  parts.description["added_tokens"] = draft.added;
  parts.config = std::move(config);
  parts.roles = tokens_of_roles(*shared);
  parts.normalizer = std::make_unique<SentencePieceNormalizer>(shared);
  parts.model = std::make_unique<SentencePieceModel>(shared);
  parts.decoder = sentencepiece_decoder(shared);
  parts.files.emplace_back(path.filename().string(), std::move(bytes));
  return parts;
}

Tokenizer::Pipeline::Parts marian_parts(const fs::path& path, Json config) {
  const fs::path vocab_path = path.parent_path() / "vocab.json";
  std::string bytes = read_file(path);
  const auto file = std::make_shared<const SentencePieceFile>(SentencePieceFile::parse(bytes, path.string()));
  Draft draft(read_json(vocab_path), vocab_path.string());
  default_role(config, draft, "eos_token", "</s>");
  default_role(config, draft, "unk_token", "<unk>");
  default_role(config, draft, "pad_token", "<pad>");
  // ">>fra<<" at a text's start asks for a language.
  for (const auto& [token, id] : draft.vocab.items())
    if (token.starts_with(">>") && token.ends_with("<<")) draft.add(token, true);
  const std::string eos = role(config, "eos_token", "</s>");
  Tokenizer::Pipeline::Parts parts;
  parts.description["added_tokens"] = draft.added;
  if (draft.has(eos))
    parts.description["post_processor"] =
        template_processing({{"A", 0}, {eos, 0}}, {{"A", 0}, {"B", 0}, {eos, 0}}, draft);
  parts.normalizer = std::make_unique<SentencePieceNormalizer>(file);
  std::vector<std::string> controls;
  for (const char* name : {"eos_token", "unk_token", "pad_token"}) controls.push_back(role(config, name, ""));
  parts.model =
      std::make_unique<SentencePieceModel>(file, Vocabulary::parse(JsonCursor(draft.vocab, vocab_path.string())),
                                           role(config, "unk_token", "<unk>"), controls);
  parts.decoder = sentencepiece_decoder(file);
  for (const char* name : {"source.spm", "target.spm", "vocab.json"})
    if (fs::exists(path.parent_path() / name)) parts.files.emplace_back(name, read_file(path.parent_path() / name));
  parts.config = std::move(config);
  if (!parts.config.contains("tokenizer_class")) parts.config["tokenizer_class"] = "MarianTokenizer";
  return parts;
}

}  // namespace qkv
