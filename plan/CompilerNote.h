// What the compiler plug-in says of itself in its file, so that a cache can be looked up without loading it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_PLAN_COMPILERNOTE_H
#define FOURFOLD_PLAN_COMPILERNOTE_H

#include <cstdint>

namespace fourfold {

/// The section of the plug-in that holds a CompilerNote. Optional: a plug-in without one is loaded when it is opened.
#define FOURFOLD_NOTE_SECTION ".fourfold.note"

struct CompilerNote {
  /// "FOURFOLD".
  char magic[8];
  /// FOURFOLD_COMPILER_ABI.
  uint32_t abi;
  /// As FourfoldCompilerApi::version, ended by a zero.
  char version[100];
};

} // namespace fourfold

#endif // FOURFOLD_PLAN_COMPILERNOTE_H
