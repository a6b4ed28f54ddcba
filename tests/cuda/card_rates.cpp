// Rates of cards by their attributes, beside NVIDIA's data sheets.
#include "qkv/cuda/card_rates.h"

#include <gtest/gtest.h>

namespace qkv::cuda {
namespace {

DeviceInfo card(const char* name, int major, int minor, int multiprocessors, double ghz, double memory_ghz, int bus) {
  return {.name = name,
          .major = major,
          .minor = minor,
          .multiprocessors = multiprocessors,
          .clock = ghz * 1e9,
          .memory_clock = memory_ghz * 1e9,
          .memory_bus = bus};
}

void expect(const DeviceInfo& card, double half_tflops, double tf32_tflops, double f32_tflops, double gigabytes) {
  const CardRates rates = card_rates(card);
  EXPECT_NEAR(rates.half / 1e12, half_tflops, 0.01 * half_tflops) << card.name;
  EXPECT_NEAR(rates.tf32 / 1e12, tf32_tflops, 0.01 * tf32_tflops) << card.name;
  EXPECT_NEAR(rates.f32 / 1e12, f32_tflops, 0.01 * f32_tflops) << card.name;
  EXPECT_NEAR(rates.bandwidth / 1e9, gigabytes, 0.01 * gigabytes) << card.name;
}

TEST(CardRates, AreThoseOfTheDataSheets) {
  expect(card("NVIDIA A100-SXM4-80GB", 8, 0, 108, 1.41, 1.593, 5120), 312, 156, 19.5, 2039);
  expect(card("NVIDIA H100 80GB HBM3", 9, 0, 132, 1.98, 2.619, 5120), 989, 494.5, 67, 3352);
  expect(card("NVIDIA RTX A6000", 8, 6, 84, 1.8, 8.001, 384), 154.8, 77.4, 38.7, 768);
  expect(card("NVIDIA GeForce RTX 3090", 8, 6, 82, 1.695, 9.751, 384), 71, 35.6, 35.6, 936);
  expect(card("NVIDIA GeForce RTX 4090", 8, 9, 128, 2.52, 10.501, 384), 165.2, 82.6, 82.6, 1008);
  expect(card("NVIDIA L40S", 8, 9, 142, 2.52, 9.001, 384), 366, 183, 91.6, 864);
  expect(card("NVIDIA GeForce RTX 5090", 12, 0, 170, 2.407, 14.001, 512), 209.5, 104.8, 104.8, 1792);
}

TEST(CardRates, AreLeftOutWhereNothingIsKnown) {
  const CardRates other = card_rates(card("another", 8, 7, 16, 1.3, 3.2, 256));
  EXPECT_EQ(other.half, 0);
  EXPECT_EQ(other.tf32, 0);
  EXPECT_EQ(other.f32, 0);
  EXPECT_NEAR(other.bandwidth, 204.8e9, 1e6);
  const CardRates silent = card_rates({.name = "emulated", .major = 9});
  EXPECT_EQ(silent.half, 0);
  EXPECT_EQ(silent.bandwidth, 0);
}

}  // namespace
}  // namespace qkv::cuda
