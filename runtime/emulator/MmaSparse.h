// mma.sp: steps in which A has two of four elements; and mma.m8n8k4 of f16, the step of sm_70.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MMASPARSE_H
#define FOURFOLD_RUNTIME_EMULATOR_MMASPARSE_H

#include "Decoder.h"

namespace fourfold {
namespace emulator {

/// Called with `.sync.aligned` taken.
bool decodeMmaSparse(Decoder &decoder);
bool decodeMmaQuadPairs(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MMASPARSE_H
