// Files that are part of the program: CMake turns them into byte arrays.
#pragma once

#include "qkv/serve/routes.h"

#include <span>
#include <string_view>

namespace qkv {

struct StaticFile {
  std::string_view name;  // "openapi.json", "page/index.html"
  std::string_view type;  // of its content
  std::string_view content;
};

// All of qkv/serve/static, by their paths in it.
std::span<const StaticFile> static_files();

// null: there is none.
const StaticFile* static_file(std::string_view name);

// GET /openapi.json, and / with all below static/page: page/index.html is "/", page/app.js is "/app.js". They need no
// API key, and browsers may neither frame the page nor let it load from elsewhere.
void add_static_files(Routes& routes);

}  // namespace qkv
