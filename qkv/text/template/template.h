// A sandboxed Jinja template, as checkpoints carry for conversations ("chat_template"): Jinja2's language and results
// with trim_blocks, lstrip_blocks and loop controls, as transformers sets it up. Nothing but text comes out, and steps,
// depth and sizes are bounded.
//
//   const Template prompt(source);
//   std::string text = prompt.render({{"messages", messages}, {"add_generation_prompt", true}});
#pragma once

#include "qkv/text/template/value.h"

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace qkv::jinja {

struct Tree;

class Template {
 public:
  // Throws Error with the line of what is wrong.
  explicit Template(std::string_view source);

  // The template's text with these variables. Beside them there are range, dict, namespace, raise_exception (an Error
  // with its message) and strftime_now, which tells `now` (nothing: the present). Throws Error for what a template does
  // wrong: undefined values that are used, types that do not fit, more than ten million steps.
  std::string render(const OrderedJson& variables, std::optional<std::time_t> now = {}) const;

 private:
  std::shared_ptr<const Tree> tree_;
};

}  // namespace qkv::jinja
