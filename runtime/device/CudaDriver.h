// The driver table from libcuda.so.1.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_DEVICE_CUDADRIVER_H
#define FOURFOLD_RUNTIME_DEVICE_CUDADRIVER_H

#include "runtime/device/Driver.h"

#include <string>

namespace fourfold {
namespace device {

/// Fills the table from a library that is already known to be there, by `find(symbol)`. Returns "" or the first missing symbols.
template <typename FindFn> std::string fillTable(DriverTable *table, FindFn find) {
  std::string missing;
#define FOURFOLD_DRIVER_FIND(member, symbol, params)                                                                   \
  table->member = reinterpret_cast<decltype(table->member)>(find(#symbol));                                            \
  if (!table->member)                                                                                                  \
    missing += (missing.empty() ? "" : ", ") + std::string(#symbol);
  FOURFOLD_DRIVER_FUNCTIONS(FOURFOLD_DRIVER_FIND)
#undef FOURFOLD_DRIVER_FIND
  return missing;
}

/// The table of the installed driver, initialised; null and a reason if there is none. Looked for once.
const DriverTable *cudaDriver(std::string *whyNot);

/// "CUDA_ERROR_INVALID_PTX: a PTX JIT compilation failed".
std::string errorText(const DriverTable &driver, CUresult result);

} // namespace device
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_DEVICE_CUDADRIVER_H
