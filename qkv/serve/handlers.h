// The handlers of the API, put into a table of routes. Each lives in the file of its name.
#pragma once

#include "qkv/serve/model_store.h"
#include "qkv/serve/routes.h"

namespace qkv {

// POST /v1/completions
void add_completions(Routes& routes, ModelStore& models);
// POST /v1/chat/completions
void add_chat(Routes& routes, ModelStore& models);
// POST /v1/embeddings
void add_embeddings(Routes& routes, ModelStore& models);
// POST /v1/classify, /v1/tag, /v1/fill, /v1/answer, /v1/translate
void add_tasks(Routes& routes, ModelStore& models);
// POST /attention
void add_attention(Routes& routes, ModelStore& models);
// POST /tokenize, /detokenize
void add_tokens(Routes& routes, ModelStore& models);
// GET, POST, DELETE /conversations; /conversations/export, /import, /{id}, /{id}/messages: see ConversationStore.
// `directory` is where they are kept.
void add_conversations(Routes& routes, const fs::path& directory);
// GET /v1/models, /v1/models/{model}
void add_models(Routes& routes, ModelStore& models);

// What engines and workers are doing, in Prometheus' text format.
std::string model_metrics(const ModelStore& models);

// "cmpl-4f2a...": a name that no other answer has.
std::string fresh_id(const std::string& prefix);
// Seconds since 1970.
int64_t unix_time();

}  // namespace qkv
