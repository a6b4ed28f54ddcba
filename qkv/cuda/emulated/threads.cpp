#include "qkv/cuda/emulated/threads.h"

#include "qkv/core/error.h"
#include "qkv/cuda/emulated/memory.h"
#include "qkv/cuda/emulated/recording.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace qkv::cuda::emulated {

Place thread_place, block_place, block_size, grid_size;

namespace {

constexpr size_t stack_bytes = size_t{1} << 18;
constexpr unsigned warp_size = 32;
constexpr uint64_t free_to_run = 0;

// AddressSanitizer wants to know which stack the code is on.
void before_switch([[maybe_unused]] void** saved, [[maybe_unused]] const void* stack, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(saved, stack, bytes);
#endif
}
void after_switch([[maybe_unused]] void* saved, [[maybe_unused]] const void** stack, [[maybe_unused]] size_t* bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(saved, stack, bytes);
#endif
}

// Lanes of a warp that show each other values: two sets of slots, since a lane may come again before another has read.
struct Meeting {
  uint32_t mask = 0, arrived = 0;
  uint64_t number = 1;  // of the meeting to come
  alignas(16) std::byte slots[2][warp_size][largest_share];
};

using Warp = std::vector<std::unique_ptr<Meeting>>;

struct Thread {
  Place place;
  bool done = false;
  // What it waits for: *clock to be beyond `until`.
  const uint64_t* clock = nullptr;
  uint64_t until = free_to_run;

  char* stack = nullptr;
  bool started = false;
  ucontext_t beginning;
  jmp_buf here;
  void* fake_stack = nullptr;

  bool ready() const { return !done && (clock == nullptr || *clock > until); }
};

class Machine {
 public:
  void run(const char* op, Place grid, unsigned threads, size_t shared_bytes, const std::function<void()>& kernel) {
    op_ = op;
    kernel_ = &kernel;
    grid_size = grid;
    block_size = {threads, 1, 1};
    shared_.resize(shared_bytes / sizeof(Line) + 1);
    prepare(threads);
    std::mt19937_64 random(seed_);
    std::vector<uint64_t> blocks(static_cast<size_t>(grid.x) * grid.y * grid.z);
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
    std::shuffle(blocks.begin(), blocks.end(), random);
    for (const uint64_t block : blocks) {
      block_place = {static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                     static_cast<unsigned>(block / grid.x / grid.y)};
      // What a kernel reads before it wrote it is not a number.
      std::memset(shared_.data(), 0xff, shared_.size() * sizeof(Line));
      run_block(threads, random);
    }
  }

  void wait_for_block() {
    if (++arrived_ == block_size.x) {
      arrived_ = 0;
      ++barriers_;
    } else {
      wait(&barriers_, barriers_);
    }
  }

  const std::byte* share(uint32_t mask, const void* data, size_t bytes) {
    const unsigned lane = current_->place.x % warp_size;
    Meeting& meeting = meeting_of(warps_[current_->place.x / warp_size], mask);
    const uint64_t number = meeting.number;
    auto& slots = meeting.slots[number % 2];
    if (bytes > 0) std::memcpy(slots[lane], data, bytes);
    meeting.arrived |= 1U << lane;
    if (meeting.arrived == mask) {
      meeting.arrived = 0;
      ++meeting.number;
    } else {
      wait(&meeting.number, number);
    }
    return slots[0];
  }

  void* shared() { return shared_.data(); }
  void set_seed(uint64_t seed) { seed_ = seed; }

 private:
  struct alignas(128) Line {
    std::byte bytes[128];
  };

  void prepare(unsigned threads) {
    while (threads_.size() < threads) {
      threads_.push_back(std::make_unique<Thread>());
      void* stack =
          ::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (stack == MAP_FAILED) throw Error(op_, "no memory for the emulated device's threads");
      threads_.back()->stack = static_cast<char*>(stack);
    }
    warps_.clear();
    warps_.resize((threads + warp_size - 1) / warp_size);
  }

  void run_block(unsigned threads, std::mt19937_64& random) {
    alive_ = threads;
    arrived_ = 0;
    std::vector<Thread*> order;
    for (unsigned i = 0; i < threads; ++i) {
      Thread& thread = *threads_[i];
      thread.place = {i, 0, 0};
      thread.done = false;
      thread.clock = nullptr;
      order.push_back(&thread);
    }
    std::shuffle(order.begin(), order.end(), random);
    while (alive_ > 0) {
      bool moved = false;
      for (Thread* thread : order) {
        if (!thread->ready()) continue;
        moved = true;
        resume(*thread);
      }
      if (!moved) give_up();
    }
  }

  // Runs a thread until it waits or returns.
  void resume(Thread& thread) {
    current_ = &thread;
    thread_place = thread.place;
    thread.clock = nullptr;
    if (_setjmp(scheduler_) == 0) {
      before_switch(&scheduler_fake_stack_, thread.stack, stack_bytes);
      if (thread.started) _longjmp(thread.here, 1);
      thread.started = true;
      ::getcontext(&thread.beginning);
      thread.beginning.uc_stack.ss_sp = thread.stack;
      thread.beginning.uc_stack.ss_size = stack_bytes;
      thread.beginning.uc_link = nullptr;
      ::makecontext(&thread.beginning, &Machine::live, 0);
      ::setcontext(&thread.beginning);
    }
    after_switch(scheduler_fake_stack_, nullptr, nullptr);
  }

  void leave(Thread& thread) {
    if (_setjmp(thread.here) == 0) {
      before_switch(&thread.fake_stack, scheduler_stack_, scheduler_bytes_);
      _longjmp(scheduler_, 1);
    }
    after_switch(thread.fake_stack, &scheduler_stack_, &scheduler_bytes_);
  }

  void wait(const uint64_t* clock, uint64_t until) {
    Thread& thread = *current_;
    thread.clock = clock;
    thread.until = until;
    leave(thread);
  }

  // A stack's life: one thread of a block after another.
  static void live();
  [[noreturn]] void live_on() {
    after_switch(nullptr, &scheduler_stack_, &scheduler_bytes_);
    for (;;) {
      (*kernel_)();
      Thread& thread = *current_;
      thread.done = true;
      --alive_;
      leave(thread);
    }
  }

  Meeting& meeting_of(Warp& warp, uint32_t mask) {
    for (auto& meeting : warp)
      if (meeting->mask == mask) return *meeting;
    warp.push_back(std::make_unique<Meeting>());
    warp.back()->mask = mask;
    return *warp.back();
  }

  // The stacks hold calls that nobody goes back to.
  [[noreturn]] void give_up() {
    std::string waiting;
    for (const auto& thread : threads_)
      if (!thread->done && thread->clock != nullptr && waiting.size() < 60)
        waiting += fmt::format(" {}{}", thread->place.x, thread->clock == &barriers_ ? "" : "w");
    for (const auto& thread : threads_) thread->started = false;
    throw Error(op_,
                fmt::format("threads wait for others that never come: block {},{},{}, {} of {} at a barrier, waiting{} "
                            "(w: for their warp)",
                            block_place.x, block_place.y, block_place.z, arrived_, block_size.x, waiting),
                "all threads of a block must meet at its barriers", Error::Kind::internal);
  }

  const char* op_ = "";
  const std::function<void()>* kernel_ = nullptr;
  uint64_t seed_ = 1;
  std::vector<Line> shared_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
  Thread* current_ = nullptr;
  size_t alive_ = 0, arrived_ = 0;
  uint64_t barriers_ = 1;
  jmp_buf scheduler_;
  void* scheduler_fake_stack_ = nullptr;
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_bytes_ = 0;
};

Machine& machine() {
  static Machine* const instance = new Machine;
  return *instance;
}

void Machine::live() { machine().live_on(); }

}  // namespace

void run(const char* op, Place grid, unsigned threads, size_t shared_bytes, const std::function<void()>& kernel) {
  do_or_record([=] {
    const OnDevice here;
    machine().run(op, grid, threads, shared_bytes, kernel);
  });
}
void set_seed(uint64_t seed) { machine().set_seed(seed); }
void wait_for_block() { machine().wait_for_block(); }
void* shared_memory() { return machine().shared(); }
const std::byte* share_in_warp(uint32_t mask, const void* data, size_t bytes) {
  return machine().share(mask, data, bytes);
}

}  // namespace qkv::cuda::emulated
