// Where a corpus comes from: files, folders, patterns and JSON lines, read as documents.
#pragma once

#include "qkv/core/files.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct SourceFile {
  fs::path path;
  uint64_t bytes = 0;
  bool json_lines = false;  // by its ending: .jsonl or .ndjson
};

struct Sources {
  std::vector<SourceFile> files;  // in reading order, each once
  std::string field = "text";     // of JSON lines: which field holds the text
  uint64_t bytes() const;
};

// Finds the files that `names` stand for, in the order given. Each name is
//   a file, read whatever its ending;
//   a folder: its files with the endings of text, source code and JSON lines, at any depth, sorted by path; hidden
//     names, links to folders, empty and binary files are passed over;
//   a pattern (glob.h).
// Throws Error for a name that leads to no file, with the nearest one there is, and for a named file that is empty.
Sources find_sources(const std::vector<std::string>& names, const std::string& field = "text");

// Calls `document` for each text: a file, or a line of JSON lines. `where` is "file" or "file:line". The text is
// non-empty UTF-8, a byte order mark taken off; it lives only during the call. Throws Error for binary files and other
// encodings (file and byte), for a line that is no object or lacks the field, and when there is no text at all.
using DocumentVisitor = std::function<void(const std::string& where, std::string_view text)>;
void read_documents(const Sources& sources, const DocumentVisitor& document);

}  // namespace qkv
