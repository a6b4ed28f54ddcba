// The fast kernels for processors. Every function is the table's entry of the same name; kernels.h defines it.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cpu_set {}  // namespace qkv::kernels::cpu_set
