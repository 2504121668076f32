# Helpers shared by every folder.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Headers are included from the root: "dialect/Numerics.h", "plan/Plan.h", "runtime/device/Driver.h".
include_directories(${PROJECT_SOURCE_DIR})
# Code that TableGen writes has warnings of its own.
include_directories(SYSTEM ${PROJECT_BINARY_DIR})

# fourfold_build_quickly(<target>...): for code whose own work takes milliseconds. -O1 halves the time that building it takes, most of which
# is spent on the templates of MLIR, CLI11, GoogleTest and fmt.
function(fourfold_build_quickly)
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endforeach()
endfunction()

# fourfold_add_gtest(<name> SOURCES ... LIBS ...): a GoogleTest program, registered with ctest as one test.
function(fourfold_add_gtest name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  fourfold_build_quickly(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gtest_main Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(${name} PRIVATE FOURFOLD_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             FOURFOLD_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  # What a test compiles is compiled, and nothing of it is left in the user's cache.
  set_tests_properties(${name} PROPERTIES ENVIRONMENT_MODIFICATION "FOURFOLD_CACHE=set:off")
endfunction()

# fourfold_use_mlir(<target>): MLIR's headers as system headers (their warnings are not ours), no RTTI and no exceptions, as LLVM is
# built. Libraries are linked by the final tools.
function(fourfold_use_mlir target)
  target_include_directories(${target} SYSTEM PRIVATE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(${target} PRIVATE -fno-rtti -fno-exceptions)
  # MLIR's implicit type ids are inline variables: hidden ones would differ from those of libMLIR.so, which the tools link ("block
  # with no terminator" is the symptom). The plug-in's version script hides them there.
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
endfunction()
