#include "qkv/generate/grammar/schemas_apart.h"

#include "qkv/core/json.h"

#include <array>
#include <optional>
#include <vector>

namespace qkv {
namespace {

using Schema = OrderedJson;

constexpr int deepest = 32;
constexpr int64_t most_comparisons = 200'000;

// Types as bits: an integer is a number too.
constexpr std::array<const char*, 6> types = {"null", "boolean", "number", "string", "array", "object"};
constexpr unsigned any_type = (1U << types.size()) - 1, of_objects = 1U << 5;

unsigned type_named(const Schema& name) {
  if (name == "integer") return type_named("number");
  for (size_t i = 0; i < types.size(); ++i)
    if (name == types[i]) return 1U << i;
  return any_type;  // of which nothing is known
}

unsigned type_of(const Schema& value) { return type_named(value.is_number() ? "number" : value.type_name()); }

// The values that a schema names, where it does. As sorted objects: the order of their keys means nothing.
std::optional<std::vector<Json>> values_of(const Schema& schema) {
  if (schema.contains("const")) return std::vector<Json>{Json(schema["const"])};
  if (!schema.contains("enum") || !schema["enum"].is_array()) return {};
  std::vector<Json> values;
  for (const Schema& value : schema["enum"]) values.emplace_back(value);
  return values;
}

unsigned types_of(const Schema& schema) {
  unsigned found = any_type;
  if (schema.contains("type")) {
    const Schema& type = schema["type"];
    found = type.is_array() ? 0 : type_named(type);
    if (type.is_array())
      for (const Schema& one : type) found |= type_named(one);
  }
  if (const auto values = values_of(schema)) {
    unsigned named = 0;
    for (const Json& value : *values) named |= type_of(Schema(value));
    found &= named;
  }
  return found;
}

const Schema* alternatives_of(const Schema& schema) {
  for (const char* key : {"anyOf", "oneOf"})
    if (schema.contains(key) && schema[key].is_array()) return &schema[key];
  return nullptr;
}

std::vector<std::string> required_of(const Schema& schema) {
  std::vector<std::string> names;
  if (schema.contains("required") && schema["required"].is_array())
    for (const Schema& name : schema["required"])
      if (name.is_string()) names.push_back(name.get<std::string>());
  return names;
}

const Schema* property_of(const Schema& schema, const std::string& name) {
  if (!schema.contains("properties") || !schema["properties"].is_object()) return nullptr;
  const auto found = schema["properties"].find(name);
  return found == schema["properties"].end() ? nullptr : &*found;
}

}  // namespace

bool SchemasApart::all(const Schema& schemas) {
  if (!schemas.is_array()) return false;
  for (size_t i = 0; i < schemas.size(); ++i)
    for (size_t k = i + 1; k < schemas.size(); ++k)
      if (!apart(schemas[i], schemas[k], 0)) return false;
  return true;
}

// What a schema refers to allows no less than the schema.
const Schema& SchemasApart::resolved(const Schema& schema, int depth) const {
  if (depth > deepest || !schema.is_object()) return schema;
  if (schema.contains("$ref") && schema["$ref"].is_string()) {
    const auto target = schema["$ref"].get<std::string>();
    if (!target.starts_with("#")) return schema;
    try {
      return resolved(root_.at(Schema::json_pointer(target.substr(1))), depth + 1);
    } catch (const Schema::exception&) {
      return schema;
    }
  }
  if (schema.contains("allOf") && schema["allOf"].is_array() && schema["allOf"].size() == 1)
    return resolved(schema["allOf"][0], depth + 1);
  return schema;
}

bool SchemasApart::apart(const Schema& first, const Schema& second, int depth) {
  if (depth > deepest || ++comparisons_ > most_comparisons) return false;
  const Schema &a = resolved(first, 0), &b = resolved(second, 0);
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object()) return false;
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)})
    if (const Schema* alternatives = alternatives_of(*one)) {
      for (const Schema& each : *alternatives)
        if (!apart(each, *other, depth + 1)) return false;
      return true;
    }
  const unsigned common = types_of(a) & types_of(b);
  if (common == 0) return true;
  const auto values = values_of(a), others = values_of(b);
  if (values && others) {
    comparisons_ += std::ssize(*values) * std::ssize(*others);
    if (comparisons_ > most_comparisons) return false;
    for (const Json& value : *values)
      for (const Json& other : *others)
        if (value == other) return false;
    return true;
  }
  // Objects: with a property that one needs and that has no value for both.
  if (common != of_objects) return false;
  for (const Schema* needing : {&a, &b})
    for (const std::string& name : required_of(*needing)) {
      const Schema *one = property_of(a, name), *other = property_of(b, name);
      if (one != nullptr && other != nullptr && apart(*one, *other, depth + 1)) return true;
    }
  return false;
}

}  // namespace qkv
