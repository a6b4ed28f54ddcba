// What errors say.
#pragma once

#include "qkv/core/error.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace qkv {

inline std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

}  // namespace qkv
