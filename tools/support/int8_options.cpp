#include "tools/support/int8_options.h"

#include "tools/support/checks.h"

namespace qkv {

void add_int8_options(CLI::App& command, PackOptions& options) {
  CLI::Option* int8 = command.add_flag(
      "--int8", options.int8, "matrices as 8-bit integers with a scale a row, their inputs rounded on the way");
  command
      .add_option("--outlier", options.outlier,
                  "with --int8, columns of inputs that exceed this are not rounded (LLM.int8() takes 6)")
      ->check(above_zero())
      ->needs(int8);
}

}  // namespace qkv
