// Fuzzes the PTX reader: any bytes either load or are refused with a message that says where.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Check.h"

#include "runtime/emulator/Device.h"
#include "runtime/emulator/Module.h"

#include <cstdlib>
#include <string>

using namespace fourfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // The driver takes a C string.
  std::string text(reinterpret_cast<const char *>(data), size);
  // Gigabytes are allowed, and what is allowed is allocated: that is no finding.
  for (size_t at = text.find('['); at != std::string::npos; at = text.find('[', at + 1))
    if (std::strtoull(text.c_str() + at + 1, nullptr, 0) > 1 << 20)
      return 0;
  for (int i = 0; i < emulator::kNumDevices; ++i) {
    const emulator::DeviceInfo &device = emulator::kDevices[i];
    // One device a module: that which it names, or the first.
    if (i + 1 < emulator::kNumDevices && text.find(device.target) == std::string::npos)
      continue;
    emulator::Memory memory;
    std::unique_ptr<emulator::Module> module;
    std::string finding;
    int code = emulator::loadModule(text.c_str(), device, memory, module, finding);
    FUZZ_CHECK((code == 0) == finding.empty(), "a refused module has a message, a loaded one has none");
    if (code == 0)
      emulator::unloadModule(*module, memory);
    break;
  }
  return 0;
}
