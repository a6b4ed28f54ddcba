#include "qkv/core/notice.h"

#include <gtest/gtest.h>

#include <vector>

namespace qkv {
namespace {

TEST(Notice, EachIsGivenOnceAndNobodyNeedListen) {
  std::vector<std::string> heard;
  notice("config.json", "dropped");
  handle_notices([&](const std::string& where, const std::string& what) { heard.push_back(where + ": " + what); });
  notice("config.json", "a guess");
  notice("config.json", "a guess");
  notice("other.json", "a guess");
  handle_notices({});
  notice("config.json", "after");
  EXPECT_EQ(heard, (std::vector<std::string>{"config.json: a guess", "other.json: a guess"}));
}

}  // namespace
}  // namespace qkv
