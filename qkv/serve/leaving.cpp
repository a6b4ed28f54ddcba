#include "qkv/serve/leaving.h"

namespace qkv {

void cancel_when_left(HttpReply& reply, std::shared_ptr<std::atomic<bool>> cancelled, std::shared_ptr<Lease> lease,
                      Engine& engine) {
  reply.on_abandoned([cancelled = std::move(cancelled), lease = std::move(lease), &engine] {
    cancelled->store(true);
    engine.wake();
  });
}

}  // namespace qkv
