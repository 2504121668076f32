# Helpers shared by every folder.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Headers are included from the root: "dialect/Numerics.h", "plan/Plan.h", "runtime/device/Driver.h".
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})

# fourfold_add_gtest(<name> SOURCES ... LIBS ...): a GoogleTest program, registered with ctest as one test.
function(fourfold_add_gtest name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gtest_main Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(${name} PRIVATE FOURFOLD_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             FOURFOLD_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
endfunction()
