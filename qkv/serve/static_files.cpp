#include "qkv/serve/static_files.h"

#include <algorithm>

namespace qkv {

const StaticFile* static_file(std::string_view name) {
  const auto files = static_files();
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const StaticFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

void add_static_files(Routes& routes) {
  for (const StaticFile& file : static_files()) {
    std::string path = "/" + std::string(file.name);
    if (path.starts_with("/page/")) path.erase(0, 5);
    if (path == "/index.html") path = "/";
    routes.add_open("GET", path, [&file](const Call& call) {
      call.reply->send(
          200, std::string(file.type), std::string(file.content),
          {{"Cache-Control", "no-cache"},
           {"Content-Security-Policy",
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}});
    });
  }
}

}  // namespace qkv
