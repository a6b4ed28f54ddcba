#include "qkv/text/post_processor.h"

#include "qkv/core/error.h"
#include "qkv/text/vocabulary.h"

namespace qkv {
namespace {

using Part = PostProcessor::Part;

int32_t checked_id(const JsonCursor& json) {
  const int64_t id = json.integer();
  if (id < 0 || id > Vocabulary::largest_id) json.fail(fmt::format("{} is not a token id", id));
  return static_cast<int32_t>(id);
}

int32_t type_id(const JsonCursor& json) {
  const int64_t id = json.integer_or(0);
  if (id < 0 || id > 255) json.fail(fmt::format("{} is not a type id", id));
  return static_cast<int32_t>(id);
}

std::vector<Part> parse_template(const JsonCursor& list, const JsonCursor& special_tokens) {
  std::vector<Part> parts;
  for (size_t i = 0; i < list.array_size(); ++i) {
    const JsonCursor entry = list.at(i);
    if (const JsonCursor sequence = entry["Sequence"]; !sequence.is_null()) {
      const std::string_view name = sequence["id"].string();
      if (name != "A" && name != "B") sequence["id"].fail("expected A or B");
      parts.push_back({name == "A" ? Part::sequence_a : Part::sequence_b, {}, type_id(sequence["type_id"])});
      continue;
    }
    const JsonCursor special = entry["SpecialToken"];
    const JsonCursor ids = special_tokens[special["id"].string()]["ids"];
    Part part{Part::special, {}, type_id(special["type_id"])};
    for (size_t j = 0; j < ids.array_size(); ++j) part.ids.push_back(checked_id(ids.at(j)));
    parts.push_back(std::move(part));
  }
  return parts;
}

// BertProcessing and RobertaProcessing write "cls": ["<s>", 0].
int32_t named_token(const JsonCursor& json) {
  if (json.array_size() != 2) json.fail("expected a token and its id");
  return checked_id(json.at(1));
}

void merge(PostProcessor& into, PostProcessor&& other, const JsonCursor& where) {
  if (other.trim_offsets) {
    into.trim_offsets = true;
    into.add_prefix_space = other.add_prefix_space;
  }
  if (!other.has_template) return;
  if (into.has_template) where.fail("is a second template, which is not supported");
  into.single = std::move(other.single);
  into.pair = std::move(other.pair);
  into.has_template = true;
}

}  // namespace

PostProcessor PostProcessor::parse(const JsonCursor& json) {
  PostProcessor out;
  if (json.is_null()) return out;
  const std::string_view type = json["type"].string();
  if (type == "Sequence") {
    const JsonCursor list = json["processors"];
    for (size_t i = 0; i < list.array_size(); ++i) merge(out, parse(list.at(i)), list.at(i));
    return out;
  }
  if (type == "ByteLevel" || type == "RobertaProcessing") {
    out.trim_offsets = json["trim_offsets"].boolean_or(true);
    out.add_prefix_space = json["add_prefix_space"].boolean_or(true);
    if (type == "ByteLevel") return out;
  }
  out.has_template = true;
  if (type == "TemplateProcessing") {
    out.single = parse_template(json["single"], json["special_tokens"]);
    out.pair = parse_template(json["pair"], json["special_tokens"]);
    return out;
  }
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    const Part cls{Part::special, {named_token(json["cls"])}, 0};
    const int32_t sep = named_token(json["sep"]);
    const bool bert = type == "BertProcessing";
    out.single = {cls, {Part::sequence_a, {}, 0}, {Part::special, {sep}, 0}};
    out.pair = out.single;
    const int32_t second = bert ? 1 : 0;
    if (!bert) out.pair.push_back({Part::special, {sep}, 0});
    out.pair.push_back({Part::sequence_b, {}, second});
    out.pair.push_back({Part::special, {sep}, second});
    return out;
  }
  json.fail(fmt::format("post-processor '{}' is not supported", type),
            "supported: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence");
}

}  // namespace qkv
