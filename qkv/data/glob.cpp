#include "qkv/data/glob.h"

#include <fnmatch.h>

#include <algorithm>
#include <system_error>

namespace qkv {
namespace {

std::vector<fs::directory_entry> entries(const fs::path& folder) {
  std::vector<fs::directory_entry> found;
  std::error_code unreadable;
  for (fs::directory_iterator it(folder.empty() ? fs::path(".") : folder, unreadable), end; it != end;
       it.increment(unreadable))
    found.push_back(*it);
  return found;
}

// Matches parts[at...] below `base`.
void expand(const fs::path& base, const std::vector<std::string>& parts, size_t at, std::vector<fs::path>& found) {
  const std::string& part = parts[at];
  const bool last = at + 1 == parts.size();
  if (part == "**") {
    expand(base, parts, at + 1, found);
    for (const fs::directory_entry& entry : entries(base))
      if (entry.is_directory() && !entry.is_symlink() && !entry.path().filename().string().starts_with("."))
        expand(base / entry.path().filename(), parts, at, found);
  } else if (!is_pattern(part)) {
    std::error_code code;
    const fs::path path = base / part;
    if (!last) {
      expand(path, parts, at + 1, found);
    } else if (fs::is_regular_file(path, code)) {
      found.push_back(path);
    }
  } else {
    for (const fs::directory_entry& entry : entries(base)) {
      const std::string name = entry.path().filename().string();
      if (::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
      if (last && entry.is_regular_file()) found.push_back(base / name);
      if (!last && entry.is_directory()) expand(base / name, parts, at + 1, found);
    }
  }
}

}  // namespace

bool is_pattern(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

std::vector<fs::path> glob_files(const std::string& pattern) {
  std::vector<std::string> parts;
  for (const fs::path& part : fs::path(pattern).relative_path())
    if (!part.empty()) parts.push_back(part.string());
  if (!parts.empty() && parts.back() == "**") parts.emplace_back("*");
  std::vector<fs::path> found;
  if (!parts.empty()) expand(fs::path(pattern).root_path(), parts, 0, found);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace qkv
