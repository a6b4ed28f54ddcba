#include "tools/support/cache_option.h"

namespace qkv {

CLI::Option* add_cache_option(CLI::App& command, std::string& type) {
  return command
      .add_option("--cache", type,
                  "what keys and values are kept as: f32, bf16, or q8_0, a quarter of f32's memory (else as --dtype "
                  "has it)")
      ->check(CLI::IsMember({"f32", "bf16", "q8_0"}));
}

}  // namespace qkv
