#include "qkv/tasks/full_context.h"

namespace qkv {

std::optional<FullContext> full_context_named(std::string_view name) {
  if (name == "refuse") return FullContext::refuse;
  if (name == "slide") return FullContext::slide;
  if (name == "summarise") return FullContext::summarise;
  return {};
}

}  // namespace qkv
