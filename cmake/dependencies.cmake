# Libraries the project stands on; docs/dependencies.md says why each was chosen.
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.74 REQUIRED)  # Asio and Beast: headers alone
find_package(OpenSSL REQUIRED)
list(PREPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)
find_package(DNNL REQUIRED)
pkg_check_modules(HWY REQUIRED libhwy)  # its headers alone
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc icu-i18n)
pkg_check_modules(TOML REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)

# ThreadSanitizer does not see OpenMP's barriers, so that build runs qkv's own loops on plain threads.
if(NOT QKV_SANITIZE STREQUAL "thread")
  find_package(OpenMP)
endif()
