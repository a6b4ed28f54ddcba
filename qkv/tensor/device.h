// Devices by name, and the one where models go when nothing else is said.
#pragma once

#include "qkv/tensor/storage.h"

#include <string>
#include <string_view>

namespace qkv {

std::string to_string(Device device);  // "cpu", "cuda", "cuda:1"

// "cpu", "cuda" (the first card) or "cuda:N". Throws Error for another name, and for a device that is not there or
// cannot be used, saying why.
Device device_named(std::string_view name);

// Waits until the work given to a device is done. The CPU's always is.
void wait_for(Device device);

// What set_default_device() said last; before that, what QKV_DEVICE in the environment names, else the CPU. A process
// works on one card: kernels go to the one of the default device.
Device default_device();
void set_default_device(Device device);

// Whether cuBLASLt may round the factors of f32 products to tf32, which keeps 11 bits of each: tensor cores then do
// what else goes through slower units. What set_tf32() said last; before that, whether QKV_TF32=1 stands in the
// environment.
bool tf32();
void set_tf32(bool allowed);

}  // namespace qkv
