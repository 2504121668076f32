// Opens libcuda.so.1 and fills the driver table from it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/device/CudaDriver.h"

#include "runtime/core/SharedLibrary.h"

#include <fmt/format.h>

namespace fourfold {
namespace device {

namespace {

struct Loaded {
  DriverTable table;
  std::string problem;
};

Loaded load() {
  Loaded loaded;
  SharedLibrary library;
  std::string error;
  if (!library.open("libcuda.so.1", &error)) {
    loaded.problem = fmt::format("no NVIDIA driver ({})", error);
    return loaded;
  }
  std::string missing = fillTable(&loaded.table, [&](const char *symbol) { return library.symbol(symbol); });
  // The driver keeps threads of its own: it must not be unloaded.
  library.release();
  if (!missing.empty()) {
    loaded.problem = fmt::format("the NVIDIA driver (libcuda.so.1) is too old, it lacks {}: update it to one for CUDA 12 or later", missing);
    return loaded;
  }
  if (CUresult result = loaded.table.init(0); result != kSuccess)
    loaded.problem =
        fmt::format("the NVIDIA driver is installed but does not start: {}", errorText(loaded.table, result));
  return loaded;
}

} // namespace

const DriverTable *cudaDriver(std::string *whyNot) {
  static const Loaded loaded = load();
  if (loaded.problem.empty())
    return &loaded.table;
  *whyNot = loaded.problem;
  return nullptr;
}

std::string errorText(const DriverTable &driver, CUresult result) {
  const char *name = nullptr, *text = nullptr;
  if (driver.getErrorName(result, &name) != kSuccess || !name)
    return fmt::format("driver error {}", result);
  if (driver.getErrorString(result, &text) != kSuccess || !text)
    return name;
  return fmt::format("{}: {}", name, text);
}

} // namespace device
} // namespace fourfold
