// Recorded work on the emulated device: nothing happens until it is replayed, and its memory is its own.
#include "qkv/cuda/emulated/threads.h"
#include "qkv/cuda/runtime.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace qkv::cuda {
namespace {

constexpr size_t row_bytes = 64 * sizeof(float);

// Memory of 64 numbers, given back at the end.
struct Numbers {
  float* data = static_cast<float*>(allocate(row_bytes));
  Numbers() = default;
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  ~Numbers() { release(data, row_bytes); }
};

void set(const Numbers& x, float value) {
  const std::vector<float> all(64, value);
  copy_to_device(x.data, all.data(), row_bytes);
}
float first_of(const float* x) {
  float value = 0;
  copy_to_host(&value, x, sizeof value);
  return value;
}

// to = from + 1, by a kernel whose arguments are gone when it runs.
void add_one(float* to, const float* from) {
  emulated::run("add", {2, 1, 1}, 32, 0, [to, from] {
    const unsigned i = emulated::block_place.x * 32 + emulated::thread_place.x;
    to[i] = from[i] + 1;
  });
}

TEST(EmulatedGraph, RecordsFirstAndDoesLater) {
  const Numbers x, y;
  set(x, 5);
  set(y, 0);
  Graph graph;
  ASSERT_TRUE(graph.record([&] {
    const Numbers between;
    add_one(between.data, x.data);
    add_one(y.data, between.data);
  }));
  EXPECT_EQ(first_of(y.data), 0);
  graph.replay();
  EXPECT_EQ(first_of(y.data), 7);
  set(x, 20);
  graph.replay();
  EXPECT_EQ(first_of(y.data), 22);
}

TEST(EmulatedGraph, OthersDoNotGetItsMemory) {
  const Numbers x;
  set(x, 1);
  Graph graph;
  std::unique_ptr<Numbers> result;
  ASSERT_TRUE(graph.record([&] {
    const Numbers between;
    add_one(between.data, x.data);
    result = std::make_unique<Numbers>();
    add_one(result->data, between.data);
  }));
  std::vector<std::unique_ptr<Numbers>> others;
  for (int i = 0; i < 20; ++i) set(*others.emplace_back(std::make_unique<Numbers>()), -1);
  graph.replay();
  EXPECT_EQ(first_of(result->data), 3);
  for (const auto& other : others) EXPECT_EQ(first_of(other->data), -1);
  // A result may outlive the recording.
  ASSERT_TRUE(graph.record([] {}));
  const Numbers more;
  set(more, -2);
  EXPECT_EQ(first_of(result->data), 3);
}

TEST(EmulatedGraph, WhatNobodyWroteIsNoNumberInAReplay) {
  const Numbers y;
  set(y, 0);
  Graph graph;
  ASSERT_TRUE(graph.record([&] {
    const Numbers between;
    add_one(y.data, between.data);
    add_one(between.data, y.data);
  }));
  for (int i = 0; i < 2; ++i) {
    graph.replay();
    EXPECT_NE(first_of(y.data), first_of(y.data));
  }
}

TEST(EmulatedGraph, MemoryComesBackWithTheRecording) {
  const size_t before = memory_use().now;
  {
    Graph graph;
    ASSERT_TRUE(graph.record([] { const Numbers some, more; }));
    EXPECT_GT(memory_use().now, before);
  }
  EXPECT_EQ(memory_use().now, before);
}

TEST(EmulatedGraph, CopiesFromAndToTheHostAreNotRecorded) {
  const Numbers x;
  set(x, 4);
  Graph graph;
  EXPECT_FALSE(graph.record([&] { set(x, 8); }));
  EXPECT_FALSE(graph.record([&] { first_of(x.data); }));
  EXPECT_FALSE(graph.record([] { synchronize(); }));
  EXPECT_EQ(first_of(x.data), 4);
}

TEST(EmulatedGraph, AnErrorEndsTheRecording) {
  const Numbers x;
  Graph graph;
  EXPECT_THROW(graph.record([] { throw std::runtime_error("no"); }), std::runtime_error);
  set(x, 3);
  EXPECT_EQ(first_of(x.data), 3);
}

}  // namespace
}  // namespace qkv::cuda
