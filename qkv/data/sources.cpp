#include "qkv/data/sources.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/data/glob.h"
#include "qkv/text/unicode.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>

namespace qkv {
namespace {

const std::set<std::string>& text_endings() {
  static const std::set<std::string> endings = {
      ".txt", ".text", ".md",   ".rst", ".tex",   ".org",  ".adoc", ".jsonl", ".ndjson", ".c",   ".cc",    ".cpp",
      ".cxx", ".h",    ".hh",   ".hpp", ".cu",    ".cuh",  ".py",   ".pyi",   ".js",     ".mjs", ".ts",    ".tsx",
      ".jsx", ".css",  ".html", ".sh",  ".cmake", ".mk",   ".toml", ".yaml",  ".yml",    ".ini", ".java",  ".kt",
      ".go",  ".rs",   ".rb",   ".php", ".pl",    ".lua",  ".r",    ".jl",    ".hs",     ".ml",  ".scala", ".swift",
      ".cs",  ".m",    ".sql",  ".f90", ".el",    ".lisp", ".clj",  ".ex",    ".erl",    ".zig", ".proto", ".po"};
  return endings;
}

bool is_json_lines(const fs::path& path) { return path.extension() == ".jsonl" || path.extension() == ".ndjson"; }

void check_text(std::string_view text, const std::string& where) {
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)
    throw Error(where, fmt::format("is binary: byte {} is NUL", zero), "name text files, in UTF-8");
  require_utf8(text, where);
}

bool looks_binary(const fs::path& path) {
  char start[8192];
  std::ifstream file(path, std::ios::binary);
  file.read(start, sizeof start);
  return std::memchr(start, 0, static_cast<size_t>(file.gcount())) != nullptr;
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> found;
  try {
    for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
      const fs::path& path = it->path();
      if (path.filename().string().starts_with(".")) {
        if (it->is_directory()) it.disable_recursion_pending();
      } else if (it->is_regular_file() && text_endings().count(path.extension().string()) > 0 && it->file_size() > 0 &&
                 !looks_binary(path)) {
        found.push_back(path);
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(error.path1().string(), fmt::format("cannot read: {}", error.code().message()));
  }
  std::sort(found.begin(), found.end());
  return found;
}

[[noreturn]] void fail_missing(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code code;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    names.push_back(it->path().filename().string());
  const std::string near = nearest(path.filename().string(), names);
  throw Error(path.string(), "there is no such file or folder",
              near.empty() ? "check the spelling of the path"
                           : fmt::format("did you mean '{}'?", (path.parent_path() / near).string()));
}

std::vector<fs::path> files_of(const std::string& name) {
  std::error_code code;
  if (fs::is_directory(name, code)) {
    std::vector<fs::path> found = files_below(name);
    if (found.empty())
      throw Error(name, "holds no text: no file with a text-like ending (.txt, .md, .py, .cpp, .jsonl, ...)",
                  fmt::format("name files of other endings by a pattern, such as '{}/**/*.log'", name));
    return found;
  }
  if (fs::exists(name, code)) return {name};
  if (!is_pattern(name)) fail_missing(name);
  std::vector<fs::path> found = glob_files(name);
  if (found.empty()) throw Error(name, "matches no file", "check the pattern; ** stands for any number of folders");
  return found;
}

std::string document_of(std::string_view line, const std::string& where, const std::string& field) {
  const Json value = parse_json(line, where);
  if (!value.is_object()) throw Error(where, "is not a JSON object", R"(each line should be like {"text": "..."})");
  const auto found = value.find(field);
  if (found == value.end()) {
    std::vector<std::string> strings;
    for (const auto& [key, item] : value.items())
      if (item.is_string()) strings.push_back(key);
    throw Error(where, fmt::format("has no field \"{}\"", field),
                strings.empty() ? "name the field that holds the text"
                                : fmt::format("name the field that holds the text; this line has the strings {}",
                                              fmt::join(strings, ", ")));
  }
  if (!found->is_string())
    throw Error(where, fmt::format("its \"{}\" is not a string", field), "name the field that holds the text");
  return found->get<std::string>();
}

}  // namespace

uint64_t Sources::bytes() const {
  uint64_t total = 0;
  for (const SourceFile& file : files) total += file.bytes;
  return total;
}

Sources find_sources(const std::vector<std::string>& names, const std::string& field) {
  if (names.empty()) throw Error("text", "no text was named", "name a file, a folder or a pattern");
  Sources sources;
  sources.field = field;
  std::set<fs::path> seen;
  for (const std::string& name : names) {
    for (const fs::path& path : files_of(name)) {
      std::error_code code;
      const fs::path canonical = fs::canonical(path, code);
      if (!seen.insert(code ? path : canonical).second) continue;
      const uint64_t bytes = fs::file_size(path, code);
      if (code) throw Error(path.string(), fmt::format("cannot read: {}", code.message()));
      if (bytes == 0) throw Error(path.string(), "is empty", "name a file with text in it");
      sources.files.push_back({path, bytes, is_json_lines(path)});
    }
  }
  return sources;
}

void read_documents(const Sources& sources, const DocumentVisitor& document) {
  bool any = false;
  const auto visit = [&](const std::string& where, std::string_view text) {
    if (text.empty()) return;
    any = true;
    document(where, text);
  };
  for (const SourceFile& source : sources.files) {
    const MappedFile file(source.path);
    const std::string where = source.path.string();
    std::string_view text = file.text();
    check_text(text, where);
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    if (!source.json_lines) {
      visit(where, text);
      continue;
    }
    for (int64_t line_number = 1; !text.empty(); ++line_number) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      const std::string place = fmt::format("{}:{}", where, line_number);
      visit(place, document_of(line, place, sources.field));
    }
  }
  if (!any) {
    const std::string where = sources.files.empty() ? "text" : sources.files[0].path.string();
    throw Error(where, "holds no text", "name a file with text in it");
  }
}

}  // namespace qkv
