#include "tools/support/user_data.h"

#include <cstdlib>

namespace qkv {
namespace {

// Relative paths are to be ignored.
fs::path absolute_path_of(const char* variable) {
  const char* value = std::getenv(variable);
  const fs::path path = value == nullptr ? "" : value;
  return path.is_absolute() ? path : fs::path();
}

}  // namespace

fs::path user_data_directory() {
  const fs::path data = absolute_path_of("XDG_DATA_HOME");
  if (!data.empty()) return data / "qkv";
  const fs::path home = absolute_path_of("HOME");
  return home.empty() ? home : home / ".local/share/qkv";
}

}  // namespace qkv
