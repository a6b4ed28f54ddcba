#include "qkv/text/tokenizer.h"

#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/pipeline.h"
#include "qkv/text/unicode.h"

namespace qkv {

Tokenizer::Pipeline::Parts Tokenizer::Pipeline::parse(const Json& tokenizer, const MakeModel& model, const Json& config,
                                                      const std::string& where) {
  const JsonCursor root(tokenizer, where);
  // Of the models in JSON, byte-pair encoding alone takes bytes.
  const bool takes_bytes = root["model"].is_null() || TokenModel::kind(root["model"]) == "BPE";
  Parts parts;
  parts.pre_tokenizer = PreTokenizer::parse(root["pre_tokenizer"], takes_bytes ? &parts.pieces_are_bytes : nullptr);
  parts.model = model(parts.pieces_are_bytes);
  parts.normalizer = Normalizer::parse(root["normalizer"]);
  parts.decoder = Decoder::parse(root["decoder"]);
  for (const auto& [key, value] : tokenizer.items())
    if (key != "model") parts.description[key] = value;
  if (config.is_object()) parts.config = config;
  return parts;
}

Tokenizer::Pipeline::Pipeline(Parts parts, const std::string& where)
    : normalizer(std::move(parts.normalizer)),
      pre_tokenizer(std::move(parts.pre_tokenizer)),
      model(std::move(parts.model)),
      decoder(std::move(parts.decoder)),
      description(std::move(parts.description)),
      config(std::move(parts.config)),
      files(std::move(parts.files)) {
  const JsonCursor root(description, where);
  added = AddedTokens(root["added_tokens"], model->vocabulary(), normalizer.get());
  post_processor = PostProcessor::parse(root["post_processor"]);
  truncation = Truncation::parse(root["truncation"]);
  padding = Padding::parse(root["padding"]);

  id_end = model->vocabulary().id_end();
  if (!added.all().empty()) id_end = std::max<int64_t>(id_end, added.all().rbegin()->first + 1);
  for (const auto* sequence : {&post_processor.single, &post_processor.pair})
    for (const auto& part : *sequence)
      for (const int32_t id : part.ids)
        if (token(id).empty()) root["post_processor"].fail(fmt::format("adds id {}, which no token has", id));
  read_special_tokens(parts.roles, where);
  read_special_tokens(config, where);

  marker_cuts = model->splits_before_marker();
  scanner = pre_tokenizer ? pre_tokenizer->scanner() : Pattern::other;
  if (normalizer == nullptr && parts.pieces_are_bytes && scanner != Pattern::other) shortcut = Shortcut::scanner;
  const bool bert_pieces =
      !root["pre_tokenizer"].is_null() && root["pre_tokenizer"]["type"].string() == "BertPreTokenizer";
  if (dynamic_cast<const BertNormalizer*>(normalizer.get()) && bert_pieces && !added.any_normalized())
    shortcut = Shortcut::bert;
}

void Tokenizer::Pipeline::read_special_tokens(const Json& named, const std::string& where) {
  const std::pair<const char*, std::optional<int32_t> SpecialTokens::*> roles[] = {
      {"bos_token", &SpecialTokens::bos},  {"eos_token", &SpecialTokens::eos}, {"unk_token", &SpecialTokens::unk},
      {"sep_token", &SpecialTokens::sep},  {"pad_token", &SpecialTokens::pad}, {"cls_token", &SpecialTokens::cls},
      {"mask_token", &SpecialTokens::mask}};
  for (const auto& [name, member] : roles) {
    const Json value = named.value(name, Json());
    if (value.is_null()) continue;
    const JsonCursor cursor(value, where + ": " + name);
    const std::string content(value.is_object() ? cursor["content"].string() : cursor.string());
    if (const AddedToken* token = added.find(content)) {
      special.*member = token->id;
    } else if (const int32_t id = model->vocabulary().find(content); id != Vocabulary::none) {
      special.*member = id;
    }
  }
  if (!special.unk && model->unknown() != Vocabulary::none) special.unk = model->unknown();
}

Tokenizer Tokenizer::from_json(const Json& tokenizer, const Json& config, const std::string& where) {
  const JsonCursor model = JsonCursor(tokenizer, where)["model"];
  return with_model(
      tokenizer, [&](bool bytes) { return TokenModel::parse(model, bytes); }, config, where);
}

Tokenizer Tokenizer::with_model(const Json& tokenizer, const MakeModel& model, const Json& config,
                                const std::string& where) {
  return Tokenizer(std::make_shared<const Pipeline>(Pipeline::parse(tokenizer, model, config, where), where));
}

namespace {

void append(Encoding& out, Encoding&& part, int32_t type_id) {
  out.ids.insert(out.ids.end(), part.ids.begin(), part.ids.end());
  std::move(part.tokens.begin(), part.tokens.end(), std::back_inserter(out.tokens));
  out.offsets.insert(out.offsets.end(), part.offsets.begin(), part.offsets.end());
  out.words.insert(out.words.end(), part.words.begin(), part.words.end());
  out.type_ids.resize(out.ids.size(), type_id);
  out.attention_mask.resize(out.ids.size(), 1);
}

bool is_space(char32_t c) {
  const CharClasses classes;
  return c == byte_to_char(' ') || classes(c) & white_space;
}

// Moves offsets past the spaces that a byte-level token begins or ends with.
void trim_offsets(Encoding& encoding, bool add_prefix_space) {
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const std::vector<char32_t> chars = code_points(encoding.tokens[i]);
    auto& [begin, end] = encoding.offsets[i];
    auto leading = static_cast<int32_t>(std::find_if_not(chars.begin(), chars.end(), is_space) - chars.begin());
    const auto trailing =
        static_cast<int32_t>(std::find_if_not(chars.rbegin(), chars.rend(), is_space) - chars.rbegin());
    // The first token's one space may be that which the pre-tokenizer put there.
    if ((i == 0 || begin == 0) && add_prefix_space && leading == 1) leading = 0;
    begin = std::min(begin + leading, end);
    if (end >= trailing) end = std::max(end - trailing, begin);
  }
}

}  // namespace

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return encode_texts({text}, options);
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options) const {
  return encode_texts({first, second}, options);
}

Encoding Tokenizer::encode_texts(std::initializer_list<std::string_view> texts, const EncodeOptions& options) const {
  const PostProcessor& post = pipeline_->post_processor;
  std::vector<Encoding> parts;
  for (const std::string_view text : texts) parts.push_back(pipeline_->encode(text));
  const bool two = parts.size() == 2;
  if (options.truncation) {
    const int64_t added = options.add_special_tokens ? special_count(two) : 0;
    if (options.truncation->max_length < added)
      throw Error("truncation", fmt::format("to {} tokens leaves no room for {} special ones",
                                            options.truncation->max_length, added));
    truncate(parts[0], two ? &parts[1] : nullptr, *options.truncation, options.truncation->max_length - added);
  }
  if (post.trim_offsets)
    for (Encoding& part : parts) {
      trim_offsets(part, post.add_prefix_space);
      for (Encoding& cut_off : part.overflowing) trim_offsets(cut_off, post.add_prefix_space);
    }

  const auto joined = [&](const Encoding& first, const Encoding* second) {
    const Encoding* both[] = {&first, second};
    return with_special_tokens(std::span(both, two ? 2 : 1), options.add_special_tokens);
  };
  const Encoding* second = two ? &parts[1] : nullptr;
  Encoding out = joined(parts[0], second);
  // Every part of the first text with every part of the second.
  for (const Encoding& first_part : parts[0].overflowing) {
    out.overflowing.push_back(joined(first_part, second));
    if (two)
      for (const Encoding& second_part : second->overflowing)
        out.overflowing.push_back(joined(first_part, &second_part));
  }
  if (two)
    for (const Encoding& second_part : second->overflowing) out.overflowing.push_back(joined(parts[0], &second_part));
  if (options.padding) pad(std::span(&out, 1), *options.padding);
  return out;
}

Encoding Tokenizer::with_special_tokens(std::span<const Encoding* const> parts, bool add_special_tokens) const {
  const PostProcessor& post = pipeline_->post_processor;
  Encoding out;
  for (const auto& part : parts.size() == 1 ? post.single : post.pair) {
    using Part = PostProcessor::Part;
    if (part.kind != Part::special) {
      const size_t which = part.kind == Part::sequence_a ? 0 : 1;
      if (which < parts.size()) append(out, Encoding(*parts[which]), part.type_id);
      continue;
    }
    if (!add_special_tokens) continue;
    Encoding special;
    for (const int32_t id : part.ids) {
      special.ids.push_back(id);
      special.tokens.emplace_back(pipeline_->token(id));
      special.offsets.emplace_back(0, 0);
      special.words.push_back(-1);
    }
    append(out, std::move(special), part.type_id);
  }
  return out;
}

std::vector<Encoding> Tokenizer::encode_together(std::span<const Text> texts, const EncodeOptions& options) const {
  EncodeOptions singly = options;
  singly.padding.reset();
  std::vector<Encoding> out(texts.size());
  parallel_for(static_cast<int64_t>(texts.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = texts[i].second ? encode_pair(texts[i].first, *texts[i].second, singly) : encode(texts[i].first, singly);
  });
  if (options.padding) pad(out, *options.padding);
  return out;
}

std::vector<int32_t> Tokenizer::encode_ids(std::string_view text, const EncodeOptions& options) const {
  if (options.truncation || options.padding) return encode(text, options).ids;
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 8);
  for (const auto& part : pipeline_->post_processor.single) {
    if (part.kind == PostProcessor::Part::sequence_a) {
      pipeline_->encode_ids(text, out);
    } else if (options.add_special_tokens) {
      out.insert(out.end(), part.ids.begin(), part.ids.end());
    }
  }
  return out;
}

std::vector<std::vector<int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                          const EncodeOptions& options) const {
  std::vector<std::vector<int32_t>> out(texts.size());
  parallel_for(static_cast<int64_t>(texts.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = encode_ids(texts[i], options);
  });
  return out;
}

FramedIds Tokenizer::frame(std::span<const int32_t> first, std::optional<std::span<const int32_t>> second) const {
  const PostProcessor& post = pipeline_->post_processor;
  FramedIds out;
  for (const auto& part : !second ? post.single : post.pair) {
    using Part = PostProcessor::Part;
    const auto at = static_cast<int64_t>(out.ids.size());
    if (part.kind == Part::special) {
      out.ids.insert(out.ids.end(), part.ids.begin(), part.ids.end());
    } else if (part.kind == Part::sequence_a) {
      out.first_at = at;
      out.ids.insert(out.ids.end(), first.begin(), first.end());
    } else if (second) {
      out.second_at = at;
      out.ids.insert(out.ids.end(), second->begin(), second->end());
    }
    out.type_ids.resize(out.ids.size(), part.type_id);
  }
  return out;
}

int64_t Tokenizer::special_count(bool pair) const {
  using Ids = std::span<const int32_t>;
  return static_cast<int64_t>(frame({}, pair ? std::optional(Ids()) : std::nullopt).ids.size());
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    const std::string_view token = pipeline_->token(id);
    if (token.empty() || (skip_special && is_special(id))) continue;
    tokens.emplace_back(token);
  }
  return join(std::move(tokens));
}

std::string Tokenizer::join(std::vector<std::string> tokens) const {
  std::string out;
  if (pipeline_->decoder) {
    for (const std::string& piece : pipeline_->decoder->decode(std::move(tokens))) out += piece;
    return out;
  }
  for (size_t i = 0; i < tokens.size(); ++i) out += (i > 0 ? " " : "") + tokens[i];
  return out;
}

int64_t Tokenizer::vocab_size() const { return pipeline_->id_end; }

std::string Tokenizer::token(int32_t id) const { return std::string(pipeline_->token(id)); }

std::optional<int32_t> Tokenizer::id(std::string_view token) const {
  if (const AddedToken* found = pipeline_->added.find(token)) return found->id;
  const int32_t id = pipeline_->model->vocabulary().find(token);
  return id == Vocabulary::none ? std::nullopt : std::optional(id);
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* const found = pipeline_->added.find(int64_t{id});
  return found != nullptr ? found->special : pipeline_->model->is_control(id);
}

const std::optional<Truncation>& Tokenizer::truncation() const { return pipeline_->truncation; }

const std::optional<Padding>& Tokenizer::padding() const { return pipeline_->padding; }

const SpecialTokens& Tokenizer::special() const { return pipeline_->special; }

std::string Tokenizer::kind() const { return std::string(pipeline_->model->name()); }

std::optional<int64_t> Tokenizer::max_length() const {
  const auto found = pipeline_->config.find("model_max_length");
  // Without a limit the reference library writes 1e30.
  if (found == pipeline_->config.end() || !found->is_number_integer()) return std::nullopt;
  const auto length = found->get<int64_t>();
  return length > 0 ? std::optional(length) : std::nullopt;
}

const Json& Tokenizer::config() const { return pipeline_->config; }

}  // namespace qkv
