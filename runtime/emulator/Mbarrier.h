// Barrier objects in shared memory: the shadow state of their bytes, and their instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MBARRIER_H
#define FOURFOLD_RUNTIME_EMULATOR_MBARRIER_H

#include "Decoder.h"

namespace fourfold {
namespace emulator {

/// Shadow state of the eight bytes of an initialised mbarrier; beside those of SharedMemory.h. Only mbarrier
/// instructions may touch such bytes.
inline constexpr uint8_t kByteMbarrier = 3;

/// Whether the instruction accesses an mbarrier as one.
bool isMbarrier(const Instr &in);

/// Returns false if the opcode is not `mbarrier`.
bool decodeMbarrier(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MBARRIER_H
