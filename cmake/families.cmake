# A file NAME.cpp in qkv/models/families defines `extern const Family NAME`; this lists them for the registry,
# so that adding a family is adding one file.
file(GLOB family_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/qkv/models/families/*.cpp)
set(declarations "")
set(entries "")
foreach(file ${family_files})
  get_filename_component(name ${file} NAME_WE)
  string(APPEND declarations "extern const Family ${name};\n")
  string(APPEND entries "    &families::${name},\n")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/qkv/models/families.inc CONTENT
"namespace families {\n${declarations}}  // namespace families\n\nconst Family* const family_list[] = {\n${entries}};\n")
if(TARGET qkv_models)
  target_include_directories(qkv_models PRIVATE ${PROJECT_BINARY_DIR}/generated)
endif()
