# What only the server's room needs: Boost inside it, OpenSSL for TLS, and its static files as byte arrays.
target_link_libraries(qkv_serve PRIVATE $<BUILD_INTERFACE:Boost::headers> PkgConfig::SQLITE OpenSSL::SSL)
if(QKV_SANITIZE STREQUAL "thread")  # which does not know fences; Asio has none that its locks do not make needless
  target_compile_definitions(qkv_serve PRIVATE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

# qkv/serve/static/PATH becomes an entry of static_files().
set(static_root ${PROJECT_SOURCE_DIR}/qkv/serve/static)
file(GLOB_RECURSE static_paths CONFIGURE_DEPENDS RELATIVE ${static_root} ${static_root}/*)
set(static_types json application/json html "text/html; charset=utf-8" js "text/javascript; charset=utf-8"
    css "text/css; charset=utf-8" svg image/svg+xml png image/png woff2 font/woff2 txt "text/plain; charset=utf-8")
set(entries "")
set(arrays "")
set(number 0)
foreach(path ${static_paths})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${static_root}/${path})
  string(REGEX REPLACE ".*\\." "" ending ${path})
  list(FIND static_types ${ending} at)
  if(at LESS 0)
    message(FATAL_ERROR "qkv/serve/static/${path}: no content type for .${ending}; add it in cmake/serve.cmake")
  endif()
  math(EXPR at "${at} + 1")
  list(GET static_types ${at} type)
  file(READ ${static_root}/${path} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char file_${number}[] = {${bytes}0};\n")
  string(APPEND entries "    {\"${path}\", \"${type}\", {reinterpret_cast<const char*>(file_${number}), ${size}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
set(generated ${PROJECT_BINARY_DIR}/generated/static_files.cpp)
file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT
"#include \"qkv/serve/static_files.h\"
namespace qkv {
namespace {
${arrays}}  // namespace
std::span<const StaticFile> static_files() {
  static const StaticFile files[] = {
${entries}  };
  return files;
}
}  // namespace qkv
")
target_sources(qkv_serve PRIVATE ${generated})
