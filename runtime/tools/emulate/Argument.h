// An argument of a kernel as it is written on the command line.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_EMULATE_ARGUMENT_H
#define FOURFOLD_RUNTIME_TOOLS_EMULATE_ARGUMENT_H

#include "runtime/npy/Npy.h"

#include <string>
#include <vector>

namespace fourfold {
namespace emulate {

/// How a tensor map sees the buffer of its argument; extents in the order of the array's shape.
struct TensorMapOptions {
  std::vector<uint32_t> box, steps; ///< steps: of elements; empty: ones
  int swizzle = 0;                  ///< CUtensorMapSwizzle
  bool fillsNaN = false;
  bool isPacked4 = false;           ///< bytes are pairs of 4-bit elements
};

/// A scalar, or a buffer in global memory, or a tensor map of one.
struct Argument {
  std::string text;            ///< as written
  bool isBuffer = false;
  bool isTensorMap = false;    ///< of the buffer, which is not passed itself
  TensorMapOptions tensorMap;
  std::vector<uint8_t> scalar; ///< little-endian bytes of a scalar
  npy::Array array;            ///< of a buffer: type and shape; its contents unless `unwritten`
  bool unwritten = false;      ///< the buffer starts as memory that was never written
  std::string output;          ///< .npy file that gets the buffer after the launch; empty: none

  uint64_t bufferBytes() const { return array.bytes.size(); }
};

/// Reads what `argumentHelp` describes; files are read, nothing is written.
Status parseArgument(const std::string &text, Argument *argument);

/// The forms, for --help.
extern const char *const argumentHelp;

} // namespace emulate
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_EMULATE_ARGUMENT_H
