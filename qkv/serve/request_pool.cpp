#include "qkv/serve/request_pool.h"

#include "qkv/core/threads.h"

namespace qkv {
namespace {

constexpr size_t longest_short = size_t{64} << 10;  // bytes
constexpr int short_threads = 2;
constexpr int64_t most_waiting = 4096;
constexpr size_t most_bytes = size_t{256} << 20;  // of bodies that wait, unless it is one alone

}  // namespace

class RequestPool::Lane {
 public:
  explicit Lane(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { loop(); });
  }
  ~Lane() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  bool run(const std::string& client, size_t bytes, std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= most_waiting || (!queue_.empty() && bytes_ + bytes > most_bytes)) return false;
      queue_.push(client, {bytes, std::move(work)});
      bytes_ += bytes;
    }
    changed_.notify_one();
    return true;
  }

 private:
  struct Item {
    size_t bytes = 0;
    std::function<void()> work;
  };

  void loop() {
    inherit_threads();
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      Item item = std::move(queue_.front());
      queue_.pop();
      bytes_ -= item.bytes;
      lock.unlock();
      item.work();
      item.work = nullptr;  // what it holds must not wait for the lock
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  FairQueue<Item> queue_;
  size_t bytes_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

RequestPool::RequestPool() : short_(std::make_unique<Lane>(short_threads)), long_(std::make_unique<Lane>(1)) {}
RequestPool::~RequestPool() = default;

bool RequestPool::run(const std::string& client, size_t bytes, std::function<void()> work) {
  return (bytes > longest_short ? *long_ : *short_).run(client, bytes, std::move(work));
}

}  // namespace qkv
