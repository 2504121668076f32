// CUDA C++ to PTX at run time with NVRTC, where its library is installed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_EMULATOR_NVRTC_H
#define FOURFOLD_TESTS_EMULATOR_NVRTC_H

#include <string>

namespace fourfold {
namespace emulator {
namespace test {

/// Whether libnvrtc and the headers of CUDA are here.
bool haveNvrtc();

/// The PTX of a source file for a target such as "sm_80"; fails the test, with the compiler's log, and returns nothing if it does not compile.
std::string compileWithNvrtc(const std::string &path, const std::string &target);

} // namespace test
} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_TESTS_EMULATOR_NVRTC_H
