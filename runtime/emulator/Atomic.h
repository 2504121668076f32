// What atomic operations compute, for atom, red and bulk reductions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_ATOMIC_H
#define FOURFOLD_RUNTIME_EMULATOR_ATOMIC_H

#include "Types.h"

namespace fourfold {
namespace emulator {

enum class AtomicOp : uint8_t { Add, Min, Max, And, Or, Xor, Exch, Cas, Inc, Dec };

/// The element of `type` at `address`, which is aligned to it, becomes `op` of itself and `operand`, in one step also for other host
/// threads.
void applyAtomic(uint8_t *address, AtomicOp op, Type type, uint64_t operand);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_ATOMIC_H
