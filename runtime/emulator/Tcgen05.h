// Decoding of the tcgen05 instructions, a file a group of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_TCGEN05_H
#define FOURFOLD_RUNTIME_EMULATOR_TCGEN05_H

#include "Decoder.h"
#include "TensorMemory.h"

#include <vector>

namespace fourfold {
namespace emulator {

struct RegisterUse;

/// Takes `.cta_group::1`; the pair of blocks is refused.
void takeGroup(Decoder &decoder);
/// An address of tensor memory of a lane, the `index`-th that addAddress put there: lane in the upper half, column in the lower.
uint32_t tensorAddress(Warp &warp, const Instr &in, int lane, uint32_t index);
/// The same of a whole warp: reports where lanes differ.
uint32_t uniformAddress(Warp &warp, const Instr &in, uint32_t index);
/// The matrix descriptor in a register of a lane; reports what is wrong with it.
MatrixDescriptor sharedDescriptor(Warp &warp, const Instr &in, int lane, uint32_t slot, const char *what);

/// Whether it is tcgen05.ld; the registers are Instr::list2.
bool isTensorLoad(const Instr &in);
void decodeTensorLoadStore(Decoder &decoder, bool isLoad);
void decodeCopyToTensor(Decoder &decoder);
void decodeTensorProduct(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_TCGEN05_H
