// Entities in a text: each token gets a class, and tokens become words and entities.
//
//   const qkv::Tagger tagger("models/ner");
//   for (const qkv::Entity& entity : tagger.tag("Alice lives in Wonderland"))
//     std::cout << entity.word << ' ' << entity.label << '\n';
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

// How tokens become entities. Labels "B-X" and "I-X" begin and continue an entity X; other labels continue.
enum class Aggregation : uint8_t {
  none,    // tokens as they are
  simple,  // neighbours of the same class are one entity; a word may be torn apart
  // First a word gets one class:
  first,    // that of its first token
  average,  // by its tokens' mean probabilities
  max,      // that of its surest token
};
Aggregation aggregation_named(std::string_view name);  // throws Error

struct TagOptions {
  Aggregation aggregation = Aggregation::simple;
  std::vector<std::string> ignore = {"O"};  // labels that are left out
  int64_t overlap = -1;  // a long text is read in windows that share so many tokens; below 0: it is an Error
};

struct Entity {
  std::string label;  // without B- or I-, but with Aggregation::none
  double score = 0;   // mean of its words' (or tokens') probabilities
  std::string word;   // as the tokens spell it
  int32_t begin = 0;  // [begin, end) in characters of the text
  int32_t end = 0;
  int32_t index = -1;  // Aggregation::none: the token's place in the row, special tokens counted
};

class Tagger {
 public:
  // Throws Error for a checkpoint without a token-classification head, and for a class without a name.
  explicit Tagger(const fs::path& directory, TaskOptions options = {}, TagOptions tag_options = {});
  explicit Tagger(TextModel base, TagOptions tag_options = {});

  const TextModel& base() const { return base_; }

  // A text as tag() takes it.
  struct Input {
    std::string text;
    Encoding encoding;                                 // without special tokens
    std::vector<std::pair<int64_t, int64_t>> windows;  // of its tokens
  };
  Input input(std::string_view text) const;

  std::vector<std::vector<Entity>> tag(std::span<const Input> inputs) const;
  std::vector<Entity> tag(std::string_view text) const;

 private:
  TextModel base_;
  TagOptions options_;
  std::vector<std::string> names_;
};

}  // namespace qkv
