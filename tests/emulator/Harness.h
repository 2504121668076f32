// A small host program around the emulated device, for tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_EMULATOR_HARNESS_H
#define FOURFOLD_TESTS_EMULATOR_HARNESS_H

#include "runtime/emulator/Emulator.h"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {
namespace test {

using namespace device;

inline std::string readText(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A fresh device for one test.
class Device {
public:
  explicit Device(const char *target = "sm_120a", CheckLevel checks = CheckLevel::Full) : d(driver()) {
    reset();
    Options settings;
    settings.checks = checks;
    setOptions(settings);
    d.init(0);
    CUcontext context;
    EXPECT_EQ(d.primaryCtxRetain(&context, deviceOrdinal(target)), kSuccess);
    EXPECT_EQ(d.ctxSetCurrent(context), kSuccess);
  }
  ~Device() { reset(); }

  /// Loads; the expected CUresult is success unless told otherwise.
  CUresult load(const std::string &ptx) { return d.moduleLoadDataEx(&module, ptx.c_str(), 0, nullptr, nullptr); }
  /// Loads and, where that works, launches `k`: what comes of a kernel with something that the device has not.
  CUresult loadAndLaunch(const std::string &ptx) {
    if (CUresult result = load(ptx))
      return result;
    return d.launchKernel(function("k"), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr);
  }
  CUfunction function(const char *name) {
    CUfunction result = nullptr;
    EXPECT_EQ(d.moduleGetFunction(&result, module, name), kSuccess) << lastFinding();
    return result;
  }

  CUdeviceptr alloc(size_t bytes) {
    CUdeviceptr address = 0;
    EXPECT_EQ(d.memAlloc(&address, bytes), kSuccess) << lastFinding();
    return address;
  }
  template <class T>
  CUdeviceptr upload(const std::vector<T> &data) {
    CUdeviceptr address = alloc(data.size() * sizeof(T));
    EXPECT_EQ(d.memcpyHtoDAsync(address, data.data(), data.size() * sizeof(T), nullptr), kSuccess);
    return address;
  }
  template <class T>
  std::vector<T> download(CUdeviceptr address, size_t count) {
    std::vector<T> data(count);
    EXPECT_EQ(d.memcpyDtoHAsync(data.data(), address, count * sizeof(T), nullptr), kSuccess) << lastFinding();
    return data;
  }

  template <class... Args>
  CUresult launch(const char *name, unsigned grid, unsigned block, unsigned shared, Args... args) {
    void *params[] = {&args..., nullptr};
    return d.launchKernel(function(name), grid, 1, 1, block, 1, 1, shared, nullptr, params, nullptr);
  }

  const DriverTable &d;
  CUmodule module = nullptr;
};

/// A module with one kernel `k` of some 64-bit parameters p0, p1, ...; `body` may use %r<64>, %rd<64>, %f<64>, %fd<32>,
/// %h<32>, %p<16>.
inline std::string kernel(int params, const std::string &body, const std::string &globals = "",
                          const char *target = "sm_120a", const char *version = "8.7") {
  std::string text = std::string(".version ") + version + "\n.target " + target + "\n.address_size 64\n" + globals +
                     "\n.visible .entry k(";
  for (int i = 0; i < params; ++i)
    text += std::string(i ? ", " : "") + ".param .u64 p" + std::to_string(i);
  text += ")\n{\n.reg .b32 %r<64>;\n.reg .b64 %rd<64>;\n.reg .f32 %f<64>;\n.reg .f64 %fd<32>;\n.reg .b16 %h<32>;\n.reg "
          ".pred %p<16>;\n";
  for (int i = 0; i < params; ++i)
    text += "ld.param.u64 %rd" + std::to_string(i) + ", [p" + std::to_string(i) + "];\n";
  return text + body + "\n}\n";
}

} // namespace test
} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_TESTS_EMULATOR_HARNESS_H
