// Learning rates by hand.
#include "qkv/train/schedule.h"

#include "qkv/core/error.h"

#include <cmath>

namespace qkv {
namespace {

using ScheduleKind = Schedule::Kind;

Schedule schedule(ScheduleKind kind) {
  return {.kind = kind, .peak = 1, .lowest = 0.1, .warmup = 4, .steps = 24, .decay_fraction = 0.25};
}

TEST(Schedule, WarmsUpInALineAndNeverFromZero) {
  for (const ScheduleKind kind :
       {ScheduleKind::constant, ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::wsd})
    for (int64_t step = 0; step < 4; ++step)
      EXPECT_DOUBLE_EQ(schedule(kind).rate(step), 0.2 * static_cast<double>(step + 1));
}

TEST(Schedule, WithoutWarmupItStartsAtThePeak) {
  Schedule s = schedule(ScheduleKind::cosine);
  s.warmup = 0;
  EXPECT_DOUBLE_EQ(s.rate(0), 1);
}

TEST(Schedule, ConstantStays) {
  for (const int64_t step : {4, 10, 23, 1000}) EXPECT_DOUBLE_EQ(schedule(ScheduleKind::constant).rate(step), 1);
}

TEST(Schedule, LinearFallsInALine) {
  const Schedule s = schedule(ScheduleKind::linear);
  EXPECT_DOUBLE_EQ(s.rate(4), 1);
  EXPECT_DOUBLE_EQ(s.rate(9), 1 - 0.9 * 0.25);
  EXPECT_DOUBLE_EQ(s.rate(14), 0.55);
  EXPECT_DOUBLE_EQ(s.rate(24), 0.1);
}

TEST(Schedule, CosineFallsAlongHalfACosine) {
  const Schedule s = schedule(ScheduleKind::cosine);
  EXPECT_DOUBLE_EQ(s.rate(4), 1);
  EXPECT_DOUBLE_EQ(s.rate(14), 0.55);
  EXPECT_NEAR(s.rate(9), 0.1 + 0.45 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(s.rate(24), 0.1, 1e-12);
}

TEST(Schedule, WsdStaysAndThenFallsOverItsLastPart) {
  const Schedule s = schedule(ScheduleKind::wsd);  // 20 steps after the warmup, the last 5 fall
  EXPECT_DOUBLE_EQ(s.rate(4), 1);
  EXPECT_DOUBLE_EQ(s.rate(19), 1);
  EXPECT_NEAR(s.rate(20), 1 - 0.9 / 5, 1e-12);
  EXPECT_NEAR(s.rate(24), 0.1, 1e-12);
}

TEST(Schedule, BehindTheEndItStaysLow) {
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::wsd})
    EXPECT_NEAR(schedule(kind).rate(99), 0.1, 1e-12);
}

TEST(Schedule, AWarmupLongerThanTheRunOnlyRises) {
  Schedule s = schedule(ScheduleKind::cosine);
  s.warmup = 100;
  for (int64_t step = 1; step < 24; ++step) EXPECT_GT(s.rate(step), s.rate(step - 1));
}

TEST(Schedule, Names) {
  EXPECT_EQ(schedule_named("wsd"), ScheduleKind::wsd);
  EXPECT_THROW(schedule_named("cosin"), Error);
}

}  // namespace
}  // namespace qkv
