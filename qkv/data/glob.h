// File name patterns.
#pragma once

#include "qkv/core/files.h"

#include <string>
#include <vector>

namespace qkv {

bool is_pattern(const std::string& text);  // has *, ? or [

// The regular files that a pattern matches, sorted: *, ? and [abc] within a name, ** for any number of folders. Hidden
// files and folders match only where the pattern spells out their dot; links to folders are not followed by **.
std::vector<fs::path> glob_files(const std::string& pattern);

}  // namespace qkv
