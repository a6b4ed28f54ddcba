// Tensors from one device to another. On the CPU alone, unless QKV_DEVICE names another.
#include "qkv/tensor/device.h"

#include "qkv/core/error.h"
#include "qkv/cuda/runtime.h"
#include "qkv/tensor/tensor.h"

#include <gtest/gtest.h>

#include <numeric>

namespace qkv {
namespace {

const std::vector<float> numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

Tensor table() { return Tensor::from({3, 4}, numbers); }

std::string error_of(std::string_view device) {
  try {
    device_named(device);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Device, ValuesGoThereAndComeBack) {
  const Tensor there = table().to(default_device());
  EXPECT_EQ(there.device(), default_device());
  EXPECT_EQ(there.to({}).to_vector<float>(), numbers);
  EXPECT_EQ(there.to_vector<float>(), numbers);
  EXPECT_EQ(there.narrow(0, 2, 1).narrow(1, 3, 1).item(), 11);
  EXPECT_EQ(Tensor::from({3, 4}, numbers, default_device()).to_vector<float>(), numbers);
  EXPECT_EQ(Tensor::zeros({2, 2}, DType::i32, default_device()).to_vector<int32_t>(), std::vector<int32_t>(4, 0));
  EXPECT_EQ(Tensor::empty({0, 5}, DType::f32, default_device()).to_vector<float>().size(), 0U);
}

TEST(Device, ViewsKeepTheirShapeOnTheWay) {
  const Tensor column = table().narrow(1, 1, 2).transpose(0, 1);
  const std::vector<float> want = {1, 5, 9, 2, 6, 10};
  EXPECT_EQ(column.to(default_device()).to_vector<float>(), want);
  EXPECT_EQ(table().to(default_device()).narrow(1, 1, 2).transpose(0, 1).to_vector<float>(), want);
  EXPECT_EQ(column.on(default_device()).to_vector<float>(), want);
}

TEST(Device, WhatIsReadThereOftenGoesOverOnce) {
  const Tensor ids = Tensor::from<int32_t>({4}, {4, 3, 2, 1});
  const Tensor there = ids.on(default_device());
  EXPECT_TRUE(there.shares_memory(ids.on(default_device())));
  EXPECT_EQ(ids.narrow(0, 1, 2).on(default_device()).to_vector<int32_t>(), (std::vector<int32_t>{3, 2}));
  EXPECT_TRUE(there.shares_memory(ids.narrow(0, 1, 2).on(default_device())));
  EXPECT_TRUE(ids.on({}).shares_memory(ids));
}

TEST(Device, Tf32IsAskedFor) {
  EXPECT_FALSE(tf32());
  set_tf32(true);
  EXPECT_TRUE(tf32());
  set_tf32(false);
  EXPECT_FALSE(tf32());
}

TEST(Device, CopiesThatAreReadOftenAreRenewed) {
  const Tensor ids = Tensor::from<int32_t>({4}, {4, 3, 2, 1});
  ids.renew();  // nothing has been copied yet
  const Tensor there = ids.on(default_device());
  ids.data<int32_t>()[2] = 9;
  ids.narrow(0, 0, 1).renew();
  EXPECT_EQ(there.to_vector<int32_t>(), (std::vector<int32_t>{4, 3, 9, 1}));
  EXPECT_TRUE(there.shares_memory(ids.on(default_device())));
}

TEST(Device, ValuesAreOverwrittenInPlace) {
  const Tensor there = Tensor::zeros({3, 4}, DType::f32, default_device());
  there.assign(table());
  EXPECT_EQ(there.to_vector<float>(), numbers);
  const Tensor here = Tensor::zeros({3, 4});
  here.assign(there);
  EXPECT_EQ(here.to_vector<float>(), numbers);
  EXPECT_THROW(there.assign(Tensor::zeros({4, 3})), Error);
  EXPECT_THROW(there.assign(Tensor::zeros({3, 4}, DType::i32)), Error);
}

TEST(Device, MemoryIsCounted) {
  const size_t before = memory_use(default_device()).now;
  const Tensor tensor = Tensor::empty({1024, 1024}, DType::f32, default_device());
  EXPECT_GE(memory_use(default_device()).now, before + (size_t{4} << 20));
  EXPECT_GE(memory_use(default_device()).peak, memory_use(default_device()).now);
}

TEST(Device, NamesAreChecked) {
  EXPECT_EQ(device_named("cpu"), Device());
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda1", "cpu:0"})
    EXPECT_NE(error_of(wrong).find("there is no device"), std::string::npos) << wrong;
  if (cuda::devices().empty()) {
    EXPECT_NE(error_of("cuda").find(cuda::why_none()), std::string::npos) << error_of("cuda");
    return;
  }
  EXPECT_EQ(to_string(device_named("cuda")), "cuda");
  EXPECT_EQ(device_named("cuda:0"), device_named("cuda"));
  EXPECT_NE(error_of("cuda:99").find("there is no cuda:99"), std::string::npos) << error_of("cuda:99");
}

}  // namespace
}  // namespace qkv
