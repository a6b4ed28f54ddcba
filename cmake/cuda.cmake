# QKV_CUDA: whether there are kernels for NVIDIA's GPUs. ON needs nvcc (CUDA 12.4 or newer). EMULATED compiles the same
# kernels for the host, which then plays the device: for tests on machines without such a card.
set(QKV_CUDA OFF CACHE STRING "OFF, ON or EMULATED")
set_property(CACHE QKV_CUDA PROPERTY STRINGS OFF ON EMULATED)

# Sources of the other builds; see qkv/cuda/runtime.h.
if(QKV_CUDA STREQUAL "EMULATED")
  set(QKV_CUDA_ABSENT "/cuda/(none|nvidia)\\.cpp$")
elseif(QKV_CUDA)
  set(QKV_CUDA_ABSENT "/cuda/none\\.cpp$|/cuda/emulated")
else()
  set(QKV_CUDA_ABSENT "/cuda/nvidia\\.cpp$|/cuda/emulated|/kernels/cuda/|/kernels/(cuda|cudnn)\\.cpp$")
endif()

if(QKV_CUDA AND NOT QKV_CUDA STREQUAL "EMULATED")
  # Machine code for A100 (8.0) and H100 (9.0, with its own instructions); others make theirs from PTX at the first start.
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  set(QKV_CUDA_CODE "-gencode=arch=compute_80,code=[sm_80,compute_80] -gencode=arch=compute_90a,code=sm_90a"
      CACHE STRING "nvcc's options that say for which cards")
  # scripts/install-deps --cuda puts the compiler under .cuda where the machine has none.
  set(fetched ${PROJECT_SOURCE_DIR}/.cuda/nvidia/cu13)
  find_program(found_nvcc nvcc PATHS ENV CUDA_PATH PATHS /usr/local/cuda ${fetched} PATH_SUFFIXES bin)
  if(found_nvcc AND NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    set(CMAKE_CUDA_COMPILER ${found_nvcc})
  endif()
  if(found_nvcc MATCHES "^${fetched}")
    set(CUDAToolkit_ROOT ${fetched})
  endif()
  enable_language(CUDA)
  # Kernels call constexpr functions of the host's headers.
  set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} --expt-relaxed-constexpr ${QKV_CUDA_CODE}")
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")  # which CMake 3.25 does not know of new compilers
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  if(CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()
  find_package(CUDAToolkit REQUIRED)
  # The last place where the program looks for NVIDIA's libraries: right on the machine that built it.
  get_filename_component(built_with "${CUDAToolkit_BIN_DIR}/.." ABSOLUTE)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/qkv/cuda/nvidia.cpp PROPERTIES
                              COMPILE_DEFINITIONS "QKV_CUDA_BUILT_WITH=\"${built_with}\"")

  # Of cuDNN headers alone, its frontend's, and NVRTC's, which the frontend includes: the libraries are looked for while
  # the program runs. CUDA_PATH may lead to what PyPI's wheels brought.
  set(QKV_HAS_CUDNN ON)
  set(options -O1 -isystem ${CUDAToolkit_INCLUDE_DIRS})  # many templates, of which none is in a hurry
  foreach(header cudnn.h cudnn_frontend.h nvrtc.h)
    string(MAKE_C_IDENTIFIER QKV_FOLDER_OF_${header} folder)
    find_path(${folder} ${header} HINTS ENV CUDA_PATH ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include ../cudnn/include ../../include
              PATHS ${PROJECT_SOURCE_DIR}/.cuda ${PROJECT_SOURCE_DIR}/.cuda/nvidia/cudnn ${fetched})
    if(NOT ${folder})
      message(STATUS "Without cuDNN's attention, for there is no ${header}: install cuDNN and its frontend, or let CUDA_PATH lead to them")
      set(QKV_HAS_CUDNN OFF)
      break()
    endif()
    list(APPEND options -isystem ${${folder}})
  endforeach()
  set_source_files_properties(${PROJECT_SOURCE_DIR}/qkv/kernels/cuda/attention/cudnn.cpp PROPERTIES
                              COMPILE_DEFINITIONS NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING COMPILE_OPTIONS "${options}"
                              SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
endif()

if(QKV_HAS_CUDNN)
  string(APPEND QKV_CUDA_ABSENT "|/attention/cudnn_none\\.cpp$")
else()
  string(APPEND QKV_CUDA_ABSENT "|/attention/cudnn\\.cpp$")
endif()

# The kernels of a room, to be compiled by nvcc or as C++.
function(qkv_cuda_sources name out)
  set(sources "")
  if(QKV_CUDA)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/qkv/${name}/*.cu)
  endif()
  if(QKV_CUDA STREQUAL "EMULATED")
    # Quick to build; GCC 12 breaks off in its SRA pass.
    set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-O1;-fno-tree-sra")
  endif()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
