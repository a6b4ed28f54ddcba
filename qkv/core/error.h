// Errors that a user can act on: what went wrong, where, and what to do about it.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace qkv {

// Thrown by every room. `what()` is the whole message:
//
//   [where] what
//     try: hint
//
// `where` names the file, tensor, option or op; `hint` may be empty. The command prints the message once
// and exits 2 for Kind::user (bad input, bad option, full disk) and 1 for Kind::internal (our mistake).
class Error : public std::runtime_error {
 public:
  enum class Kind { user, internal };

  Error(std::string_view where, std::string_view what, std::string_view hint = "", Kind kind = Kind::user);

  const std::string& where() const { return where_; }
  const std::string& reason() const { return reason_; }  // what went wrong, alone
  const std::string& hint() const { return hint_; }
  Kind kind() const { return kind_; }
  int exit_code() const { return kind_ == Kind::user ? 2 : 1; }

 private:
  std::string where_;
  std::string reason_;
  std::string hint_;
  Kind kind_;
};

// The candidate nearest to `word` by edit distance, or "" when none is near enough to be worth suggesting
// (more than a third of the word, and at least two edits, away). Used for unknown options, keys and types.
std::string nearest(std::string_view word, const std::string* candidates, size_t count);

template <typename Container>
std::string nearest(std::string_view word, const Container& candidates) {
  return nearest(word, candidates.data(), candidates.size());
}

}  // namespace qkv
