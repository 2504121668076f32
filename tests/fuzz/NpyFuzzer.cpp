// Fuzzes the .npy reader and the conversion to a spec's types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Check.h"

#include "runtime/npy/Npy.h"

using namespace fourfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  npy::Array array;
  Status status = npy::parse(std::string(reinterpret_cast<const char *>(data), size), "fuzz.npy", &array);
  FUZZ_CHECK(status.ok() || !status.message().empty(), "a refused file has a message");
  if (!status.ok())
    return 0;
  for (ElementType type : {ElementType::F32, ElementType::BF16, ElementType::F16, ElementType::I64, ElementType::I8}) {
    Tensor tensor;
    status = npy::convert(array, "x", type, &tensor);
    FUZZ_CHECK(status.ok() || !status.message().empty(), "a refused conversion has a message");
  }
  return 0;
}
