// The sizes in a kernel's arguments, for errors.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

namespace qkv::kernels {

template <typename Call>
std::string sizes_of(const Call& a) {
  std::string text;
  const auto add = [&](const char* name, auto size) {
    if constexpr (std::is_integral_v<decltype(size)>)
      text += (text.empty() ? "" : ", ") + (name + (" " + std::to_string(size)));
  };
  if constexpr (requires { a.forward.batch; }) return sizes_of(a.forward);
  if constexpr (requires { a.m, a.n, a.k; }) add("m", a.m), add("n", a.n), add("k", a.k);
  if constexpr (requires { a.rows; }) add("rows", a.rows);
  if constexpr (requires { a.width; }) add("width", a.width);
  if constexpr (requires { a.vocab; }) add("vocab", a.vocab);
  if constexpr (requires { a.count; }) add("count", a.count);
  if constexpr (requires { a.batch; }) add("batch", a.batch);
  if constexpr (requires { a.time; }) add("time", a.time);
  if constexpr (requires { a.queries, a.keys; }) add("queries", a.queries), add("keys", a.keys);
  if constexpr (requires { a.heads; }) add("heads", a.heads);
  if constexpr (requires { a.head_dim; }) add("head_dim", a.head_dim);
  return text;
}

}  // namespace qkv::kernels
