// Fuzzes the guard around LLVM's reader of bytecode: whatever happens to the child, this process gets a text or an error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer sees no coverage of a child, so that bytes are changed blindly; what the texts do here is seen.

#include "SpecCheck.h"

using namespace fourfold::compiler;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static constexpr char kMagic[] = "ML\xefR";
  std::string bytes(reinterpret_cast<const char *>(data), size), text;
  // Without it there is nothing to read.
  bytes.replace(0, std::min<size_t>(size, 4), kMagic);
  if (guardedBytecodeToText(bytes, "fuzz.mlirbc", fuzzRegistry(), &text))
    checkSpec(text);
  else
    FUZZ_CHECK(text.find("error: ") != std::string::npos, "refused bytecode has an error");
  return 0;
}
