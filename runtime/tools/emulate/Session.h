// One PTX file on the emulated device: its kernels, a launch, what came of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_EMULATE_SESSION_H
#define FOURFOLD_RUNTIME_TOOLS_EMULATE_SESSION_H

#include "runtime/emulator/Ast.h"
#include "runtime/emulator/Emulator.h"
#include "runtime/model/Gpu.h"
#include "runtime/tools/emulate/Argument.h"

namespace fourfold {
namespace emulate {

struct LaunchRequest {
  std::string target; ///< "sm_90a"; empty: what the PTX is for
  std::string kernel; ///< empty: the only one
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  unsigned cluster[3] = {0, 0, 0}; ///< zeros: what the kernel requires, or none
  bool isCooperative = false;
  unsigned sharedBytes = 0;
  std::vector<Argument> arguments;
  emulator::CheckLevel checks = emulator::CheckLevel::Full;
  int threads = 0;
  unsigned long long maxInstructions = 0;
  emulator::BlockOrder order = emulator::BlockOrder::Ascending;
};

class Session {
public:
  /// Reads and parses the file, and loads it on the device.
  Status open(const std::string &path, const std::string &target);
  /// One kernel a line, with its parameters and launch bounds, and a line more for each instruction that the device has not.
  std::string kernelList() const;
  /// For each kernel, or only that which is wanted: what is missing. `*canRun`: nothing is.
  Status check(const std::string &wanted, std::string *text, bool *canRun) const;
  /// Launches. A status that is not ok: the request does not fit the kernel. `*finding` is set where the kernel did something wrong.
  Status run(LaunchRequest &request, std::string *finding);
  /// Reads back the buffers that are kept and writes their files.
  Status writeOutputs(const LaunchRequest &request);
  /// What the file is for: "sm_90a".
  const std::string &target() const { return ast.target; }
  /// What the last launch was counted to do; with a GPU also what that would need for it at least.
  Status profile(const model::Gpu *gpu, bool json, std::string *text) const;

private:
  Status pickKernel(const std::string &wanted, const emulator::Function **kernel) const;
  Status checkArguments(const emulator::Function &kernel, const std::vector<Argument> &arguments) const;
  std::string describe(const emulator::Function &kernel) const;

  std::string path, source;
  emulator::ModuleAst ast;
  device::CUmodule module = nullptr;
  std::vector<device::CUdeviceptr> addresses; // of the buffers, by argument
};

} // namespace emulate
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_EMULATE_SESSION_H
