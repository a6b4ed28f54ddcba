// A request that one model's worker answers in one go.
#pragma once

#include "qkv/serve/fields.h"
#include "qkv/serve/model_store.h"
#include "qkv/serve/routes.h"

#include <functional>

namespace qkv {

// Reads the body and its "model", then calls `work` on the model's worker; what it returns is the answer. Fields that
// it has not asked for are errors. Nothing is done for a client that has left.
void run_task(const Call& call, ModelStore& models, std::function<Json(ServedModel& model, Fields& fields)> work);

constexpr size_t most_inputs = 2048;  // of a request

// "input": a string or strings. A row for each, in their order.
std::vector<std::string> input_texts(Fields& fields);

// {"object": "list", "model", "data": [{"index", ...}], "usage"}
Json list_answer(const ServedModel& model, Json data, int64_t prompt_tokens);

int64_t token_count(std::span<const Row> rows);

}  // namespace qkv
