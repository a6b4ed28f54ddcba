# `cmake --install`: program, libraries, headers and the CMake package, for find_package(qkv).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
foreach(room ${QKV_ROOMS})
  list(APPEND room_targets qkv_${room})
endforeach()
install(TARGETS qkv ${room_targets} EXPORT qkv-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT qkv-targets NAMESPACE qkv:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/qkv)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/qkv DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} 
        FILES_MATCHING PATTERN "*.h" PATTERN "kernels/cpu" EXCLUDE PATTERN "kernels/reference" EXCLUDE)
install(FILES cmake/FindDNNL.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/qkv)
configure_package_config_file(cmake/qkv-config.cmake.in ${PROJECT_BINARY_DIR}/qkv-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/qkv)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/qkv-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/qkv-config.cmake ${PROJECT_BINARY_DIR}/qkv-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/qkv)
