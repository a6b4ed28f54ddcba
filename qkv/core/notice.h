// What a person should know and is no error: that something was guessed.
#pragma once

#include <functional>
#include <string>

namespace qkv {

// Takes the notices from now on; without a handler they are dropped, since a library does not write to its program's
// standard error. Called from one thread at a time.
using NoticeHandler = std::function<void(const std::string& where, const std::string& what)>;
void handle_notices(NoticeHandler handler);

// Hands a notice on, once in the program's life for the same place and words.
void notice(const std::string& where, const std::string& what);

}  // namespace qkv
