// JSON as a grammar: any, or what a JSON Schema describes.
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/generate/grammar/grammar.h"

#include <algorithm>
#include <array>
#include <vector>

namespace qkv {

// The parts of JSON (RFC 8259). White space is what printers write and no more, and numbers have at most 16 digits, so
// that no text goes on for ever without saying anything. `level`: how many brackets stand around a part, which its
// indentation depends on.
class JsonGrammar {
 public:
  explicit JsonGrammar(Grammar& grammar);

  Grammar::Rule value(int level) const { return values_[kept(level)]; }
  Grammar::Rule object(int level) const { return objects_[kept(level)]; }
  Grammar::Rule text() const { return text_; }
  Grammar::Rule character() const { return character_; }  // inside a string, or its escape
  Grammar::Rule integer() const { return integer_; }
  Grammar::Rule number() const { return number_; }
  Grammar::Rule boolean() const { return boolean_; }
  Grammar::Rule null() const { return null_; }

  // Characters of these ranges inside a string: as they are, or escaped where they must be.
  Grammar::Rule characters(const std::vector<CharacterRange>& ranges);
  // In front of what stands inside so many brackets: nothing, a space, or a line's end and at most so much indentation.
  Grammar::Rule line(int level) const { return lines_[kept(level)]; }
  // "name": value; behind the colon there may be a space.
  Grammar::Rule member(Grammar::Rule name, Grammar::Rule value);
  // A comma and what may stand behind it.
  Grammar::Rule comma(int level);
  // [item, ...] of least to most items (below 0: any number), between these marks. The items stand a level deeper.
  Grammar::Rule list(const char* open, Grammar::Rule item, const char* close, int level, int64_t least = 0,
                     int64_t most = -1);

  // Deeper levels have the indentation of this one.
  static constexpr int deepest_level = 4;
  static size_t kept(int level) { return static_cast<size_t>(std::min(level, deepest_level)); }

 private:
  using ByLevel = std::array<Grammar::Rule, deepest_level + 1>;
  Grammar& grammar_;
  ByLevel lines_, values_, objects_;
  Grammar::Rule text_, character_, integer_, number_, boolean_, null_;
};

// Any JSON object.
Grammar json_object_grammar();

// What a schema describes (json-schema.org, 2020-12): type, properties, required, items, prefixItems, minItems,
// maxItems, enum, const, anyOf, oneOf whose alternatives exclude each other, $ref within the schema, minimum, maximum
// and the exclusive ones, minLength, maxLength, pattern, and some formats. An object has its properties in their order
// and no others. Throws Error naming the place of a keyword that could not be kept to: what comes out always fits the
// schema.
Grammar json_schema_grammar(const OrderedJson& schema);

}  // namespace qkv
