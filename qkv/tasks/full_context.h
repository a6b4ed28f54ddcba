// What happens when a conversation has filled the context.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace qkv {

enum class FullContext : uint8_t {
  refuse,     // it ends there
  slide,      // the oldest half of its tokens is forgotten
  summarise,  // the model itself sums up the oldest messages, and reads the summary in their place from then on
};

// "refuse", "slide", "summarise"; nothing for any other word.
std::optional<FullContext> full_context_named(std::string_view name);

}  // namespace qkv
