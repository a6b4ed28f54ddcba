#include "tools/support/dtype_option.h"

namespace qkv {

CLI::Option* add_dtype_option(CLI::App& command, std::string& type) {
  return command
      .add_option("--dtype", type,
                  "type of weights (where they are not quantised), activations and cache; auto: bf16 where the file "
                  "holds bf16, else f32 (f16 is for GPUs)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "f32", "bf16", "f16"}));
}

}  // namespace qkv
