# Warnings, caching and sanitizers: how every file of the project is compiled.
add_library(qkv_options INTERFACE)
target_compile_options(qkv_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wno-unknown-pragmas;-Wno-missing-field-initializers;-fno-math-errno>")

find_program(CCACHE ccache)
if(CCACHE)
  # Build folders share what they compile alike.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

# Files of a room compiled together take a third of the time of a build from nothing; a change in one compiles its
# neighbours again. Names in unnamed namespaces must be unique in a room.
option(QKV_UNITY "compile the files of a room together" ON)
set(CMAKE_UNITY_BUILD ${QKV_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)
if(QKV_UNITY)  # a class that a header declares may have parts of a type that only its own file has
  target_compile_options(qkv_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()

if(QKV_SANITIZE)
  # What tests spend their time in is optimised; all else compiles in half the time as it is written.
  set(level $<IF:$<IN_LIST:$<TARGET_PROPERTY:NAME>,qkv_core$<SEMICOLON>qkv_kernels$<SEMICOLON>qkv_text>,-O1,-O0>)
  set(checks -fsanitize=${QKV_SANITIZE})
  if(QKV_FUZZ)  # counts on speed, and looks at what reads files; arithmetic would be minutes of compiling
    set(arithmetic $<STREQUAL:$<TARGET_PROPERTY:NAME>,qkv_kernels>)
    set(level $<IF:${arithmetic},-O0,-O1>)
    set(checks $<$<NOT:${arithmetic}>:${checks}>)
  endif()
  target_compile_options(qkv_options INTERFACE ${checks} ${level} -fno-omit-frame-pointer -g1 -fno-sanitize-recover=all)
  # Asked at every access, these two double the time to compile. The first AddressSanitizer sees too, the second the
  # fuzzers' build looks for where foreign bytes are read.
  if(QKV_SANITIZE MATCHES undefined AND NOT QKV_FUZZ)
    target_compile_options(qkv_options INTERFACE -fno-sanitize=null,alignment)
  endif()
  target_link_options(qkv_options INTERFACE -fsanitize=${QKV_SANITIZE})
  target_compile_definitions(qkv_options INTERFACE $<IF:$<BOOL:${QKV_FUZZ}>,QKV_FUZZED,QKV_SANITIZED>)
endif()
