// What may stand in the bodies of requests about conversations: names and types.
#pragma once

#include "qkv/core/ordered_json.h"

namespace qkv {

// These throw ApiError naming the field. What a client keeps in "settings" and "extra" beside the names that the page
// knows is its own affair.

// "title" and "settings"; of one that is there, "leaf" too.
void check_conversation(const OrderedJson& body, bool is_there);
// "role", "content", "parent", "extra".
void check_message(const OrderedJson& body);
// What an export gives.
void check_export(const OrderedJson& body);

}  // namespace qkv
