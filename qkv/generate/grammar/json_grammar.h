// JSON as a grammar: any, or what a JSON Schema describes.
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/generate/grammar/grammar.h"

#include <vector>

namespace qkv {

// The parts of JSON (RFC 8259). White space is short, and numbers have at most 16 digits, so that no text goes on for
// ever without saying anything.
class JsonGrammar {
 public:
  explicit JsonGrammar(Grammar& grammar);

  Grammar::Rule space() const { return space_; }
  Grammar::Rule value() const { return value_; }
  Grammar::Rule object() const { return object_; }
  Grammar::Rule array() const { return array_; }
  Grammar::Rule text() const { return text_; }
  Grammar::Rule character() const { return character_; }  // inside a string, or its escape
  Grammar::Rule integer() const { return integer_; }
  Grammar::Rule number() const { return number_; }
  Grammar::Rule boolean() const { return boolean_; }
  Grammar::Rule null() const { return null_; }

  // Characters of these ranges inside a string: as they are, or escaped where they must be.
  Grammar::Rule characters(const std::vector<CharacterRange>& ranges);
  // A token with space behind it: "{", ":" and the like.
  Grammar::Rule mark(const char* text);
  // [item, ...] of least to most items (below 0: any number), between these marks.
  Grammar::Rule list(const char* open, Grammar::Rule item, const char* close, int64_t least = 0, int64_t most = -1);

 private:
  Grammar& grammar_;
  Grammar::Rule space_, value_, object_, array_, text_, character_, integer_, number_, boolean_, null_;
};

// Any JSON object.
Grammar json_object_grammar();

// What a schema describes (json-schema.org, 2020-12): type, properties, required, items, prefixItems, minItems,
// maxItems, enum, const, anyOf, $ref within the schema, minLength, maxLength, pattern, and some formats. An object has
// its properties in their order and no others. Throws Error naming the place of a keyword that could not be kept to:
// what comes out always fits the schema.
Grammar json_schema_grammar(const OrderedJson& schema);

}  // namespace qkv
