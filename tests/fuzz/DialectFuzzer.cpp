// Fuzzes specs: parse, verify, print again, plan. Any text either has a plan or diagnostics; bytecode is refused.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "SpecCheck.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  checkSpec({reinterpret_cast<const char *>(data), size});
  return 0;
}
