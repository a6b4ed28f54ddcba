#include "qkv/tensor/device.h"

#include "qkv/core/error.h"
#include "qkv/cuda/runtime.h"

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <optional>

namespace qkv {
namespace {

std::mutex mutex;
std::optional<Device> chosen;

std::atomic<bool>& tf32_allowed() {
  static std::atomic<bool> allowed = [] {
    const char* wish = std::getenv("QKV_TF32");
    return wish != nullptr && std::string_view(wish) == "1";
  }();
  return allowed;
}

// N of "cuda:N", 0 of "cuda"; none for other names.
std::optional<int> card_of(std::string_view name) {
  constexpr std::string_view cuda = "cuda";
  if (!name.starts_with(cuda)) return {};
  name.remove_prefix(cuda.size());
  if (name.empty()) return 0;
  int index = 0;
  const auto [end, code] = std::from_chars(name.data() + 1, name.data() + name.size(), index);
  const bool whole = name[0] == ':' && code == std::errc() && end == name.data() + name.size() && index >= 0;
  return whole ? std::optional(index) : std::nullopt;
}

// Throws Error where card `index`, which its user calls `name`, cannot be used.
void check_card(int index, std::string_view name) {
  const auto count = std::ssize(cuda::devices());
  if (count == 0) throw Error("device", fmt::format("{}: {}", name, cuda::why_none()), "use --device cpu");
  if (index < 0 || index >= count)
    throw Error(
        "device",
        fmt::format("there is no {}: {} can be used", name, count == 1 ? "one card" : fmt::format("{} cards", count)),
        "`qkv info --devices` lists them");
}

void make_default(Device device) {
  if (device.type == Device::Type::cuda) {
    check_card(device.index, to_string(device));
    cuda::use(device.index);
  }
  chosen = device;
}

}  // namespace

std::string to_string(Device device) {
  if (device.type == Device::Type::cpu) return "cpu";
  return device.index == 0 ? "cuda" : fmt::format("cuda:{}", device.index);
}

Device device_named(std::string_view name) {
  if (name == "cpu") return {};
  const std::optional<int> card = card_of(name);
  if (!card) throw Error("device", fmt::format("there is no device '{}'", name), "cpu, cuda, or cuda:N for card N");
  check_card(*card, name);
  return {.type = Device::Type::cuda, .index = *card};
}

void wait_for(Device device) {
  if (device.type == Device::Type::cuda) cuda::synchronize();
}

Device default_device() {
  const std::lock_guard lock(mutex);
  if (!chosen) {
    const char* wish = std::getenv("QKV_DEVICE");
    make_default(wish == nullptr || *wish == '\0' ? Device() : device_named(wish));
  }
  return *chosen;
}

void set_default_device(Device device) {
  const std::lock_guard lock(mutex);
  make_default(device);
}

bool tf32() { return tf32_allowed(); }
void set_tf32(bool allowed) { tf32_allowed() = allowed; }

}  // namespace qkv
