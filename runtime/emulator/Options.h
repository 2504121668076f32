// Settings of the emulated device, from code and from the environment.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_OPTIONS_H
#define FOURFOLD_RUNTIME_EMULATOR_OPTIONS_H

namespace fourfold {
namespace emulator {

/// How much is checked. `None`: bounds and alignment. `Fast`: also initialisation and pending copies. `Full`: also
/// shared-memory races, between warps and between lanes of one.
enum class CheckLevel { None, Fast, Full };

/// In which order the blocks of a grid start. A result that depends on it is wrong: a GPU promises none.
enum class BlockOrder { Ascending, Descending };

struct Options {
  int threads = 0; // 0: as many as the hardware has
  CheckLevel checks = CheckLevel::Full;
  unsigned long long maxInstructions = 0; // warp instructions a block may execute; 0: no limit
  BlockOrder order = BlockOrder::Ascending; // as GPUs start them
};

/// FOURFOLD_EMULATOR_CHECK (none|fast|full), _THREADS, _BUDGET and _ORDER (ascending|descending) over the defaults. An unknown value of
/// the first means `full`: a typing mistake never switches checks off.
Options optionsFromEnvironment();

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_OPTIONS_H
