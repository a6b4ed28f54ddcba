// A conversation as clients send it, made what chat templates expect.
#pragma once

#include "qkv/serve/fields.h"
#include "qkv/serve/served_model.h"

namespace qkv {

// "messages": each an object with a role. Content that comes in parts becomes one text, and the arguments of tool
// calls, which clients send as text, become objects. Throws ApiError for what is neither, and for pictures and sound.
OrderedJson checked_messages(const OrderedJson& messages, const Fields& fields);

// The ids that the model's own template makes of them. Throws ApiError where the template refuses them, or there is
// none, and with `must_fit` for far more than the context (prompt_ids()).
std::vector<int32_t> chat_prompt(const ServedModel& model, const OrderedJson& messages, const ChatOptions& options = {},
                                 bool must_fit = false);

// "tools": functions with names.
OrderedJson checked_tools(const OrderedJson& tools, const Fields& fields);

}  // namespace qkv
