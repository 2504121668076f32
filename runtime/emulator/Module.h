// A loaded module: its variables in device memory and its kernels decoded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MODULE_H
#define FOURFOLD_RUNTIME_EMULATOR_MODULE_H

#include "Memory.h"
#include "Program.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

struct DeviceInfo;

/// A kernel as the driver hands it out.
struct LoadedFunction {
  Kernel kernel;
  int maxDynamicShared = 0; // 0: the default limit
  bool allowsLargeClusters = false;
  bool dead = false;
};

struct ModuleVariable {
  uint64_t address, bytes;
};

struct Module {
  std::map<std::string, std::unique_ptr<LoadedFunction>> functions;
  std::map<std::string, ModuleVariable> variables;
};

/// Parses, checks the target against the device, places variables, decodes. Returns a CUresult; on failure `finding`
/// says why.
int loadModule(const char *text, const DeviceInfo &device, Memory &memory, std::unique_ptr<Module> &module,
               std::string &finding);

/// Frees the variables.
void unloadModule(Module &module, Memory &memory);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MODULE_H
