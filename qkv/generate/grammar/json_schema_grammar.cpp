#include "qkv/core/error.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/regex_grammar.h"

#include <algorithm>
#include <map>
#include <set>

namespace qkv {
namespace {

using Rule = Grammar::Rule;
using Schema = OrderedJson;

constexpr int deepest_schema = 64;
constexpr int64_t longest_bounded = 10'000;  // of strings and arrays whose length is bounded

const std::map<std::string, const char*> formats = {
    {"date", R"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8]))"},  // days that every month has
    {"time", R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))"},
    {"date-time",
     R"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))"},
    {"uuid", R"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"},
};

class Builder {
 public:
  explicit Builder(const Schema& root) : root_(root), json_(grammar_) {}

  Grammar build() {
    grammar_.start(rule_of(root_, "#", 0));
    return std::move(grammar_);
  }

 private:
  [[noreturn]] static void fail(const std::string& path, const std::string& what) {
    throw Error("json_schema", fmt::format("{} at {}", what, path));
  }

  // Every key must be one that is kept to, or that says nothing of values.
  static void check_keys(const Schema& schema, const std::string& path, std::set<std::string> known) {
    for (const char* note : {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs",
                             "definitions", "deprecated", "readOnly", "writeOnly"})
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

  Rule rule_of(const Schema& schema, const std::string& path, int depth) {
    if (depth > deepest_schema) fail(path, "the schema nests too deep");
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) fail(path, "'false' allows nothing");
      return json_.value();
    }
    if (!schema.is_object()) fail(path, "a schema must be an object");
    if (schema.contains("$ref")) {
      check_keys(schema, path, {"$ref"});
      return reference(schema["$ref"], path, depth);
    }
    if (schema.contains("enum") || schema.contains("const")) return constants(schema, path);
    if (schema.contains("anyOf")) {
      check_keys(schema, path, {"anyOf"});
      return any_of(schema["anyOf"], path + "/anyOf", depth);
    }
    if (schema.contains("allOf")) {
      check_keys(schema, path, {"allOf"});
      if (!schema["allOf"].is_array() || schema["allOf"].size() != 1) fail(path, "'allOf' may have one entry");
      return rule_of(schema["allOf"][0], path + "/allOf/0", depth + 1);
    }
    const Schema type = schema.value("type", Schema());
    if (type.is_array()) {
      std::vector<Rule> rules;
      for (const Schema& one : type) {
        Schema alone = schema;
        alone["type"] = one;
        for (const auto& [key, value] : schema.items())
          if (belongs_elsewhere(key, one)) alone.erase(key);
        rules.push_back(rule_of(alone, path, depth + 1));
      }
      if (rules.empty()) fail(path, "'type' names nothing");
      return grammar_.choice(rules);
    }
    if (type.is_null() && schema.contains("properties")) return object(schema, path, depth);
    if (type.is_null() && (schema.contains("items") || schema.contains("prefixItems")))
      return array(schema, path, depth);
    if (type.is_null()) {
      check_keys(schema, path, {});
      return json_.value();
    }
    if (type == "object") return object(schema, path, depth);
    if (type == "array") return array(schema, path, depth);
    if (type == "string") return text(schema, path);
    check_keys(schema, path, {"type"});
    if (type == "integer") return json_.integer();
    if (type == "number") return json_.number();
    if (type == "boolean") return json_.boolean();
    if (type == "null") return json_.null();
    fail(path, "'type' names no type of JSON");
  }

  // Keywords of other types than the one that is looked at.
  static bool belongs_elsewhere(const std::string& key, const Schema& type) {
    static const std::map<std::string, std::string> owners = {
        {"properties", "object"}, {"required", "object"},   {"additionalProperties", "object"},
        {"items", "array"},       {"prefixItems", "array"}, {"minItems", "array"},
        {"maxItems", "array"},    {"minLength", "string"},  {"maxLength", "string"},
        {"pattern", "string"},    {"format", "string"}};
    const auto owner = owners.find(key);
    return owner != owners.end() && type != owner->second;
  }

  Rule reference(const Schema& name, const std::string& path, int depth) {
    if (!name.is_string() || !name.get<std::string>().starts_with("#"))
      fail(path, "'$ref' must point into the schema: '#/...'");
    const auto target = name.get<std::string>();
    if (const auto found = references_.find(target); found != references_.end()) return found->second;
    const Schema* place = &root_;
    try {
      place = &root_.at(Schema::json_pointer(target.substr(1)));
    } catch (const Schema::exception&) {
      fail(path, fmt::format("there is nothing at '{}'", target));
    }
    const Rule rule = references_[target] = grammar_.declare();
    grammar_.define(rule, grammar_.choice({rule_of(*place, target, depth + 1)}));
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

  Rule any_of(const Schema& schemas, const std::string& path, int depth) {
    if (!schemas.is_array() || schemas.empty()) fail(path, "must be a list of schemas");
    std::vector<Rule> rules;
    for (size_t i = 0; i < schemas.size(); ++i)
      rules.push_back(rule_of(schemas[i], fmt::format("{}/{}", path, i), depth + 1));
    return grammar_.choice(rules);
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
    std::string pattern;
    if (schema.contains("format")) {
      const auto found =
          schema["format"].is_string() ? formats.find(schema["format"].get<std::string>()) : formats.end();
      if (found == formats.end()) fail(path, "'format' may be date, time, date-time or uuid");
      pattern = fmt::format("^{}$", found->second);
    } else if (schema.contains("pattern")) {
      if (!schema["pattern"].is_string()) fail(path, "'pattern' must be a string");
      pattern = schema["pattern"].get<std::string>();
      // A pattern matches anywhere in a string unless it says where.
      if (!pattern.starts_with("^") || !pattern.ends_with("$"))
        fail(path, "'pattern' must begin with ^ and end with $");
    } else {
      return json_.text();
    }
    return quoted(add_regex(grammar_, pattern,
                            [this](const std::vector<CharacterRange>& ranges) { return json_.characters(ranges); }));
  }

  Rule array(const Schema& schema, const std::string& path, int depth) {
    check_keys(schema, path, {"type", "items", "prefixItems", "minItems", "maxItems"});
    const int64_t least = count(schema, "minItems", 0, path), most = count(schema, "maxItems", -1, path);
    if (most >= 0 && most < least) fail(path, "'maxItems' is less than 'minItems'");
    if (!schema.contains("prefixItems")) {
      const Rule item = schema.contains("items") ? rule_of(schema["items"], path + "/items", depth + 1) : json_.value();
      return json_.list("[", item, "]", least, most);
    }
    // A tuple: all of the prefix and nothing behind it.
    const Schema& prefix = schema["prefixItems"];
    if (!prefix.is_array() || prefix.empty()) fail(path, "'prefixItems' must be a list of schemas");
    if (least > std::ssize(prefix) || (most >= 0 && most < std::ssize(prefix)) ||
        (schema.contains("items") && schema["items"] != false))
      fail(path, "'prefixItems' can be kept to alone");
    std::vector<Rule> parts = {json_.mark("[")};
    for (size_t i = 0; i < prefix.size(); ++i) {
      if (i > 0) parts.push_back(json_.mark(","));
      parts.push_back(rule_of(prefix[i], fmt::format("{}/prefixItems/{}", path, i), depth + 1));
      parts.push_back(json_.space());
    }
    parts.push_back(grammar_.literal("]"));
    return grammar_.sequence(parts);
  }

  Rule object(const Schema& schema, const std::string& path, int depth) {
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
    if (properties.empty()) {
      const Schema more = schema.value("additionalProperties", Schema(true));
      if (more == false) return grammar_.sequence({json_.mark("{"), grammar_.literal("}")});
      const Rule value = rule_of(more, path + "/additionalProperties", depth + 1);
      return json_.list("{", grammar_.sequence({json_.text(), json_.space(), json_.mark(":"), value}), "}");
    }
    std::vector<std::pair<Rule, bool>> members;  // and whether they must be there
    for (const auto& [name, value] : properties.items())
      members.emplace_back(grammar_.sequence({grammar_.literal(Schema(name).dump()), json_.space(), json_.mark(":"),
                                              rule_of(value, path + "/properties/" + name, depth + 1), json_.space()}),
                           required.contains(name));
    // What may follow behind the first i members, when one was written (with a comma) and when none was.
    Rule behind = grammar_.literal(""), fresh = grammar_.literal("");
    const Rule comma = json_.mark(",");
    for (size_t i = members.size(); i-- > 0;) {
      const auto [member, needed] = members[i];
      const Rule with = grammar_.sequence({comma, member, behind}), first = grammar_.sequence({member, behind});
      fresh = needed ? first : grammar_.choice({first, fresh});
      behind = needed ? with : grammar_.choice({with, behind});
    }
    return grammar_.sequence({json_.mark("{"), fresh, grammar_.literal("}")});
  }

  const Schema& root_;
  Grammar grammar_;
  JsonGrammar json_;
  std::map<std::string, Rule> references_;
};

}  // namespace

Grammar json_schema_grammar(const Schema& schema) { return Builder(schema).build(); }

}  // namespace qkv
