// Runs a plan and keeps each launch of the kernels asked for: what memory holds before, and what it has to hold after.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_RECORDER_H
#define FOURFOLD_TESTS_MUTATION_RECORDER_H

#include "fourfold/Fourfold.h"
#include "runtime/emulator/Device.h"
#include "tests/mutation/Inputs.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

/// How much is tried: short first, then in full what that does not tell from the original.
enum class Effort { Short, Full };

/// A buffer of a launch: a copy in the device's memory, as it is before the launch, and what the kernel makes of it.
struct Area {
  uint64_t address = 0;
  std::vector<uint8_t> data, written; // after the launch; `written`: 1 for bytes that were ever written
};

/// One launch, to be made again with another kernel of the same name.
struct Case {
  emulator::LaunchShape shape;
  std::vector<std::vector<uint8_t>> params; // addresses are those of the areas
  std::vector<Area> areas;
  unsigned long long instructions = 0; // warp instructions of all blocks
  std::string text;                    // "inputs of 24 x 24 x 40"
};

/// A plan on the emulated device, with a driver between them that looks on.
class Recorder {
public:
  /// `manifest` has one variant of each launch.
  Status load(const std::string &target, const std::string &manifest, const std::string &ptx);
  /// Runs trials made for the plan, for matrix products a third of them where the effort is short; what the kernels named are launched with is
  /// kept, the same launch once. Launches after the last of them are left out.
  Status record(const std::vector<std::string> &launchNames, const std::set<std::string> &wanted, const std::string &when, Effort effort);
  /// The launches of a kernel, those of the fewest instructions first.
  const std::vector<Case> &cases(const std::string &kernel) const { return kept.at(kernel); }
  /// Frees what was kept of a kernel.
  void forget(const std::string &kernel);
  emulator::Context &context() const;

private:
  static device::CUresult onLaunch(device::CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                                   unsigned blockY, unsigned blockZ, unsigned sharedBytes, device::CUstream stream, void **params, void **extra);
  /// Copies the buffers that the parameters point to.
  Case copy(const emulator::LoadedFunction &function, void **params);

  Device device;
  Executable executable;
  int ordinal = -1;
  std::set<std::string> wantedNames;
  bool skipsMatmul = false; // in the current run
  size_t lastWanted = 0, launched = 0; // launches of the current run
  std::string trialText;
  std::map<std::string, std::vector<Case>> kept;
  std::set<std::string> known; // what each kept launch is given
};

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_RECORDER_H
