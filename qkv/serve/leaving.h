// Clients that leave before their answer.
#pragma once

#include "qkv/serve/http.h"
#include "qkv/serve/model_store.h"

#include <atomic>

namespace qkv {

// `cancelled`, of requests that the engine has or is about to get, becomes true when the client of `reply` leaves, and
// the engine sees it at once. `lease` keeps the engine. Nothing here keeps who writes the reply, which keeps it.
void cancel_when_left(HttpReply& reply, std::shared_ptr<std::atomic<bool>> cancelled, std::shared_ptr<Lease> lease,
                      Engine& engine);

}  // namespace qkv
