// JSON whose objects keep the order of their keys: what is printed again, such as the tools of a conversation.
#pragma once

#include <nlohmann/json.hpp>

#include <string_view>

namespace qkv {

using OrderedJson = nlohmann::ordered_json;

// As parse_json().
OrderedJson parse_ordered_json(std::string_view text, std::string_view where, int max_depth = 64);

}  // namespace qkv
