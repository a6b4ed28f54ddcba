// A request that one model's worker answers in one go.
#pragma once

#include "qkv/serve/fields.h"
#include "qkv/serve/model_store.h"
#include "qkv/serve/routes.h"

#include <atomic>
#include <functional>

namespace qkv {

// Reads the body and its "model", then calls `work` on the model's worker; what it returns is the answer. Fields that
// it has not asked for are errors. Nothing is done for a client that has left.
void run_task(const Call& call, ModelStore& models, std::function<Json(ServedModel& model, Fields& fields)> work);
// The same of work in pieces: `left` becomes true when the client leaves, and what is returned then is not looked at.
void run_long_task(const Call& call, ModelStore& models,
                   std::function<Json(ServedModel& model, Fields& fields, const std::atomic<bool>& left)> work);

constexpr size_t most_inputs = 2048;  // of a request

// "input": a string or strings. A row for each, in their order.
std::vector<std::string> input_texts(Fields& fields);

// {"object": "list", "model", "data": [{"index", ...}], "usage"}
Json list_answer(const ServedModel& model, Json data, int64_t prompt_tokens);

int64_t token_count(std::span<const Row> rows);

}  // namespace qkv
