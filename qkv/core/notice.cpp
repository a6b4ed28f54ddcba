#include "qkv/core/notice.h"

#include <mutex>
#include <set>
#include <utility>

namespace qkv {
namespace {

std::mutex guard;
NoticeHandler handler_now;
std::set<std::pair<std::string, std::string>> given;

}  // namespace

void handle_notices(NoticeHandler handler) {
  const std::lock_guard lock(guard);
  handler_now = std::move(handler);
}

void notice(const std::string& where, const std::string& what) {
  const std::lock_guard lock(guard);
  if (handler_now && given.emplace(where, what).second) handler_now(where, what);
}

}  // namespace qkv
