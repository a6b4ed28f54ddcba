// Zip archives whose entries lie uncompressed, so that they can be used where they are. The format: PKWARE's
// APPNOTE.TXT, sections 4.3 to 4.5, with the 64-bit forms.
#pragma once

#include "qkv/core/files.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace qkv {

// The entries by name, as views on `archive`. Throws Error naming `where` for a damaged directory, a name that stands
// twice, an entry outside the file, compressed or encrypted, or overlapping another.
std::map<std::string, std::string_view, std::less<>> read_zip(std::string_view archive, const std::string& where);

// Writes such an archive entry by entry; entries' bytes begin at multiples of 64, so that they can be mapped.
class ZipWriter {
 public:
  explicit ZipWriter(const fs::path& path) : file_(path) {}
  void add(const std::string& name, std::string_view bytes);
  void commit();  // the directory, and the file takes its name

 private:
  void write(std::string_view bytes);

  AtomicFile file_;
  uint64_t at_ = 0;
  uint64_t entries_ = 0;
  std::string directory_;
};

}  // namespace qkv
