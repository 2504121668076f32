// Fuzzes the emulated device: whatever loads is launched, and either runs to its end or ends with a finding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Check.h"

#include "runtime/emulator/Device.h"
#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/Module.h"

#include <cstdlib>
#include <string>
#include <vector>

using namespace fourfold;
using namespace fourfold::device;

static constexpr unsigned kMaxParams = 64, kMaxParamBytes = 4096;

static void launch(const DriverTable &driver, CUmodule module, const std::string &name, const emulator::Kernel &kernel, CUdeviceptr buffer) {
  if (kernel.params.size() > kMaxParams || kernel.paramBytes > kMaxParamBytes)
    return;
  CUfunction function = nullptr;
  FUZZ_CHECK(driver.moduleGetFunction(&function, module, name.c_str()) == kSuccess, "a kernel of the module is found");
  // Every parameter is the buffer's address, as often as it has room.
  std::vector<CUdeviceptr> bytes(kMaxParamBytes / sizeof(CUdeviceptr), buffer);
  void *params[kMaxParams + 1] = {};
  for (unsigned i = 0; i < kMaxParams; ++i)
    params[i] = bytes.data();
  unsigned threads = kernel.requiredThreads[0] ? kernel.requiredThreads[0] : 64;
  CUresult code = driver.launchKernel(function, 2, 1, 1, threads, 1, 1, 1024, nullptr, params, nullptr);
  FUZZ_CHECK((code == kSuccess) == emulator::lastFinding().empty(), "a launch that fails has a finding, another has none");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const DriverTable &driver = emulator::driver();
  std::string text(reinterpret_cast<const char *>(data), size);
  // Gigabytes are allowed, and what is allowed is allocated: that is no finding.
  for (size_t at = text.find('['); at != std::string::npos; at = text.find('[', at + 1))
    if (std::strtoull(text.c_str() + at + 1, nullptr, 0) > 1 << 20)
      return 0;
  // The device that the text speaks of, or the first.
  int ordinal = 0;
  for (int i = emulator::kNumDevices - 1; i > 0 && !ordinal; --i)
    if (text.find(emulator::kDevices[i].target) != std::string::npos)
      ordinal = i;
  emulator::reset();
  emulator::Options options;
  options.threads = 1;
  // With fewer checks what the others would have ended goes on.
  options.checks = static_cast<emulator::CheckLevel>(size % 3);
  options.maxInstructions = 2000;
  emulator::setOptions(options);
  CUcontext context;
  CUmodule module = nullptr;
  CUdeviceptr buffer = 0;
  FUZZ_CHECK(driver.init(0) == kSuccess && driver.primaryCtxRetain(&context, ordinal) == kSuccess &&
                 driver.ctxSetCurrent(context) == kSuccess && driver.memAlloc(&buffer, 4096) == kSuccess,
             "the emulated device starts");
  std::vector<uint32_t> contents(1024, 0x3f800000u);
  FUZZ_CHECK(driver.memcpyHtoDAsync(buffer, contents.data(), contents.size() * sizeof(contents[0]), nullptr) == kSuccess, "a copy that fits is made");
  if (driver.moduleLoadDataEx(&module, text.c_str(), 0, nullptr, nullptr) != kSuccess) {
    FUZZ_CHECK(!emulator::lastFinding().empty(), "a refused module has a message");
    return 0;
  }
  // The emulated driver's handle.
  size_t launched = 0;
  for (const auto &[name, function] : reinterpret_cast<const emulator::Module *>(module)->functions)
    if (++launched <= 4)
      launch(driver, module, name, function->kernel, buffer);
  emulator::reset();
  return 0;
}
