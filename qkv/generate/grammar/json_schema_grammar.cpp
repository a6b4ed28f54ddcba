#include "qkv/core/error.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/number_range.h"
#include "qkv/generate/grammar/regex_grammar.h"
#include "qkv/generate/grammar/schemas_apart.h"
#include "qkv/generate/grammar/string_format.h"

#include <algorithm>
#include <map>
#include <set>

namespace qkv {
namespace {

using Rule = Grammar::Rule;
using Schema = OrderedJson;

constexpr int deepest_schema = 128;
constexpr int64_t longest_bounded = 10'000;  // of strings and arrays whose length is bounded

// Where a schema stands: its path, how deep in other schemas, and inside how many brackets its values are.
struct SchemaPlace {
  std::string path;
  int depth = 0, level = 0;
  SchemaPlace inside(const std::string& name, bool bracket = false) const {
    return {path + "/" + name, depth + 1, level + (bracket ? 1 : 0)};
  }
};

class Builder {
 public:
  explicit Builder(const Schema& root) : root_(root), json_(grammar_) {}

  Grammar build() {
    grammar_.start(rule_of(root_, {"#"}));
    return std::move(grammar_);
  }

 private:
  [[noreturn]] static void fail(const std::string& path, const std::string& what) {
    throw Error("json_schema", fmt::format("{} at {}", what, path));
  }

  // Every key must be one that is kept to, or that says nothing of values.
  static void check_keys(const Schema& schema, const std::string& path, std::set<std::string> known) {
    for (const char* note : {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs",
                             "definitions", "deprecated", "readOnly", "writeOnly", "discriminator"})
      known.insert(note);
    for (const auto& [key, value] : schema.items())
      if (!known.contains(key)) fail(path, fmt::format("'{}' is not known together with what stands beside it", key));
  }

  static int64_t count(const Schema& schema, const char* key, int64_t fallback, const std::string& path) {
    if (!schema.contains(key)) return fallback;
    const Schema& value = schema[key];
    if (!value.is_number_integer() || value.get<int64_t>() < 0 || value.get<int64_t>() > longest_bounded)
      fail(path, fmt::format("'{}' must be a whole number up to {}", key, longest_bounded));
    return value.get<int64_t>();
  }

  Rule rule_of(const Schema& schema, const SchemaPlace& at) {
    const std::string& path = at.path;
    if (at.depth > deepest_schema) fail(path, "the schema nests too deep");
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) fail(path, "'false' allows nothing");
      return json_.value(at.level);
    }
    if (!schema.is_object()) fail(path, "a schema must be an object");
    if (schema.contains("$ref")) {
      check_keys(schema, path, {"$ref"});
      return reference(schema["$ref"], at);
    }
    if (schema.contains("enum") || schema.contains("const")) return constants(schema, path);
    if (schema.contains("anyOf")) {
      check_keys(schema, path, {"anyOf"});
      return any_of(schema["anyOf"], at.inside("anyOf"));
    }
    if (schema.contains("oneOf")) {
      check_keys(schema, path, {"oneOf"});
      if (!SchemasApart(root_).all(schema["oneOf"]))
        fail(path, "'oneOf' has alternatives that may not exclude each other (by type, or by a required constant)");
      return any_of(schema["oneOf"], at.inside("oneOf"));
    }
    if (schema.contains("allOf")) {
      check_keys(schema, path, {"allOf"});
      if (!schema["allOf"].is_array() || schema["allOf"].size() != 1) fail(path, "'allOf' may have one entry");
      return rule_of(schema["allOf"][0], at.inside("allOf/0"));
    }
    const Schema type = schema.value("type", Schema());
    if (type.is_array()) {
      std::vector<Rule> rules;
      for (const Schema& one : type) {
        Schema alone = schema;
        alone["type"] = one;
        for (const auto& [key, value] : schema.items())
          if (belongs_elsewhere(key, one)) alone.erase(key);
        rules.push_back(rule_of(alone, {path, at.depth + 1, at.level}));
      }
      if (rules.empty()) fail(path, "'type' names nothing");
      return grammar_.choice(rules);
    }
    if (type.is_null() && schema.contains("properties")) return object(schema, at);
    if (type.is_null() && (schema.contains("items") || schema.contains("prefixItems"))) return array(schema, at);
    if (type.is_null()) {
      check_keys(schema, path, {});
      return json_.value(at.level);
    }
    if (type == "object") return object(schema, at);
    if (type == "array") return array(schema, at);
    if (type == "string") return text(schema, path);
    if (type == "integer" || type == "number") return number(schema, path, type == "integer");
    check_keys(schema, path, {"type"});
    if (type == "boolean") return json_.boolean();
    if (type == "null") return json_.null();
    fail(path, "'type' names no type of JSON");
  }

  // Keywords of other types than the one that is looked at.
  static bool belongs_elsewhere(const std::string& key, const Schema& type) {
    static const std::map<std::string, std::string> owners = {
        {"properties", "object"}, {"required", "object"},         {"additionalProperties", "object"},
        {"items", "array"},       {"prefixItems", "array"},       {"minItems", "array"},
        {"maxItems", "array"},    {"minLength", "string"},        {"maxLength", "string"},
        {"pattern", "string"},    {"format", "string"},           {"minimum", "number"},
        {"maximum", "number"},    {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}};
    const auto owner = owners.find(key);
    return owner != owners.end() && (type == "integer" ? "number" : type) != owner->second;
  }

  // A schema's rule is kept for each level of brackets that it is met at; the deep ones share theirs.
  Rule reference(const Schema& name, const SchemaPlace& at) {
    if (!name.is_string() || !name.get<std::string>().starts_with("#"))
      fail(at.path, "'$ref' must point into the schema: '#/...'");
    const auto target = name.get<std::string>();
    const std::pair key(target, JsonGrammar::kept(at.level));
    if (const auto found = references_.find(key); found != references_.end()) return found->second;
    const Schema* place = &root_;
    try {
      place = &root_.at(Schema::json_pointer(target.substr(1)));
    } catch (const Schema::exception&) {
      fail(at.path, fmt::format("there is nothing at '{}'", target));
    }
    const Rule rule = references_[key] = grammar_.declare();
    grammar_.define(rule, grammar_.choice({rule_of(*place, {target, at.depth + 1, at.level})}));
    return rule;
  }

  Rule constants(const Schema& schema, const std::string& path) {
    check_keys(schema, path, {"enum", "const", "type"});
    if (schema.contains("enum") && schema.contains("const")) fail(path, "'enum' and 'const' exclude each other");
    const Schema values = schema.contains("const") ? Schema::array({schema["const"]}) : schema["enum"];
    if (!values.is_array() || values.empty()) fail(path, "'enum' must be a list of values");
    std::vector<Rule> rules;
    for (const Schema& value : values) rules.push_back(grammar_.literal(value.dump()));
    return grammar_.choice(rules);
  }

  Rule any_of(const Schema& schemas, const SchemaPlace& at) {
    if (!schemas.is_array() || schemas.empty()) fail(at.path, "must be a list of schemas");
    std::vector<Rule> rules;
    for (size_t i = 0; i < schemas.size(); ++i) rules.push_back(rule_of(schemas[i], at.inside(std::to_string(i))));
    return grammar_.choice(rules);
  }

  Rule number(const Schema& schema, const std::string& path, bool whole) {
    check_keys(schema, path, {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"});
    NumberRange range;
    const auto bound = [&](const char* key, bool inclusive, void (NumberRange::*take)(const Bound&)) {
      if (!schema.contains(key)) return;
      if (!schema[key].is_number()) fail(path, fmt::format("'{}' must be a number", key));
      const std::optional<Decimal> at = Decimal::of(schema[key]);
      if (!at) fail(path, fmt::format("'{}' has too many digits", key));
      (range.*take)({*at, inclusive});
    };
    bound("minimum", true, &NumberRange::from);
    bound("exclusiveMinimum", false, &NumberRange::from);
    bound("maximum", true, &NumberRange::upto);
    bound("exclusiveMaximum", false, &NumberRange::upto);
    if (!range.least && !range.most) return whole ? json_.integer() : json_.number();
    const auto rule = whole ? integers_within(grammar_, range) : numbers_within(grammar_, range);
    if (!rule) fail(path, "there is no number between the bounds, or they have too many digits to be kept out");
    return *rule;
  }

  Rule text(const Schema& schema, const std::string& path) {
    check_keys(schema, path, {"type", "minLength", "maxLength", "pattern", "format"});
    const auto quoted = [&](Rule inside) {
      return grammar_.sequence({grammar_.literal("\""), inside, grammar_.literal("\"")});
    };
    const bool bounded = schema.contains("minLength") || schema.contains("maxLength");
    if (bounded + schema.contains("pattern") + schema.contains("format") > 1)
      fail(path, "one of lengths, 'pattern' and 'format' can be kept to");
    if (bounded) {
      const int64_t least = count(schema, "minLength", 0, path), most = count(schema, "maxLength", -1, path);
      if (most >= 0 && most < least) fail(path, "'maxLength' is less than 'minLength'");
      return quoted(grammar_.repeated(json_.character(), least, most));
    }
    const auto characters = [this](const std::vector<CharacterRange>& ranges) { return json_.characters(ranges); };
    if (schema.contains("format")) {
      const std::string name = schema["format"].is_string() ? schema["format"].get<std::string>() : "";
      const std::string pattern = pattern_of_format(name);
      if (pattern.empty()) fail(path, "'format' may be date, time, date-time, uuid, email or ipv4");
      return quoted(add_regex(grammar_, pattern, characters));
    }
    if (!schema.contains("pattern")) return json_.text();
    if (!schema["pattern"].is_string()) fail(path, "'pattern' must be a string");
    // A pattern matches anywhere in a string unless it says where.
    return quoted(
        add_regex(grammar_, schema["pattern"].get<std::string>(), characters, grammar_.repeated(json_.character(), 0)));
  }

  Rule array(const Schema& schema, const SchemaPlace& at) {
    const std::string& path = at.path;
    check_keys(schema, path, {"type", "items", "prefixItems", "minItems", "maxItems"});
    const int64_t least = count(schema, "minItems", 0, path), most = count(schema, "maxItems", -1, path);
    if (most >= 0 && most < least) fail(path, "'maxItems' is less than 'minItems'");
    if (!schema.contains("prefixItems")) {
      const Rule item =
          schema.contains("items") ? rule_of(schema["items"], at.inside("items", true)) : json_.value(at.level + 1);
      return json_.list("[", item, "]", at.level, least, most);
    }
    // A tuple: all of the prefix and nothing behind it.
    const Schema& prefix = schema["prefixItems"];
    if (!prefix.is_array() || prefix.empty()) fail(path, "'prefixItems' must be a list of schemas");
    if (least > std::ssize(prefix) || (most >= 0 && most < std::ssize(prefix)) ||
        (schema.contains("items") && schema["items"] != false))
      fail(path, "'prefixItems' can be kept to alone");
    std::vector<Rule> parts = {grammar_.literal("["), json_.line(at.level + 1)};
    for (size_t i = 0; i < prefix.size(); ++i) {
      if (i > 0) parts.push_back(json_.comma(at.level + 1));
      parts.push_back(rule_of(prefix[i], at.inside(fmt::format("prefixItems/{}", i), true)));
    }
    parts.push_back(json_.line(at.level));
    parts.push_back(grammar_.literal("]"));
    return grammar_.sequence(parts);
  }

  Rule object(const Schema& schema, const SchemaPlace& at) {
    const std::string& path = at.path;
    check_keys(schema, path, {"type", "properties", "required", "additionalProperties"});
    const Schema properties = schema.value("properties", Schema::object());
    if (!properties.is_object()) fail(path, "'properties' must be an object");
    std::set<std::string> required;
    if (schema.contains("required")) {
      if (!schema["required"].is_array()) fail(path, "'required' must be a list of names");
      for (const Schema& name : schema["required"]) {
        if (!name.is_string() || !properties.contains(name.get<std::string>()))
          fail(path, "'required' names what 'properties' does not have");
        required.insert(name.get<std::string>());
      }
    }
    const Rule end = grammar_.sequence({json_.line(at.level), grammar_.literal("}")});
    if (properties.empty()) {
      const Schema more = schema.value("additionalProperties", Schema(true));
      if (more == false) return grammar_.sequence({grammar_.literal("{"), end});
      const Rule value = rule_of(more, at.inside("additionalProperties", true));
      return json_.list("{", json_.member(json_.text(), value), "}", at.level);
    }
    std::vector<std::pair<Rule, bool>> members;  // and whether they must be there
    for (const auto& [name, value] : properties.items())
      members.emplace_back(
          json_.member(grammar_.literal(Schema(name).dump()), rule_of(value, at.inside("properties/" + name, true))),
          required.contains(name));
    // What may follow behind the first i members, when one was written (with a comma) and when none was.
    Rule behind = grammar_.literal(""), fresh = grammar_.literal("");
    const Rule comma = json_.comma(at.level + 1), line = json_.line(at.level + 1);
    for (size_t i = members.size(); i-- > 0;) {
      const auto [member, needed] = members[i];
      const Rule with = grammar_.sequence({comma, member, behind}), first = grammar_.sequence({line, member, behind});
      fresh = needed ? first : grammar_.choice({first, fresh});
      behind = needed ? with : grammar_.choice({with, behind});
    }
    return grammar_.sequence({grammar_.literal("{"), fresh, end});
  }

  const Schema& root_;
  Grammar grammar_;
  JsonGrammar json_;
  std::map<std::pair<std::string, size_t>, Rule> references_;  // by level
};

}  // namespace

Grammar json_schema_grammar(const Schema& schema) { return Builder(schema).build(); }

}  // namespace qkv
