// What the bulk copies of bytes and of tensors have in common: operands, and their instructions' encoding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_BULKCOPY_H
#define FOURFOLD_RUNTIME_EMULATOR_BULKCOPY_H

#include "AsyncProxy.h"
#include "Decoder.h"

namespace fourfold {
namespace emulator {

/// Bulk copies have up to three addresses; they stand in Instr::list, three words each.
void addAddress(Decoder &decoder, const Operand &operand, Space space);
/// The `index`-th of them for a lane; shared addresses without their window. Reports what is not of its space, or not aligned.
uint64_t sharedAddress(Warp &warp, const Instr &in, int lane, uint32_t index, uint32_t alignment, const char *what);
uint64_t anyAddress(Warp &warp, const Instr &in, int lane, uint32_t index);

/// The block that a copy writes to, and the mbarrier is of; the addresses become offsets in its shared memory (AsyncStore.cpp).
Block &copyTarget(Warp &warp, const Instr &in, int lane, uint64_t &to, uint64_t &barrier);
/// cp.async.bulk.shared::cluster.shared::cta and the reduction (AsyncStore.cpp); Instr::variant not 0: the latter.
void copyToPeer(Warp &warp, const Instr &in, uint32_t mask);
/// Whether a reduction in distributed shared memory has the operation and type (PTX ISA, cp.reduce.async.bulk and red.async).
bool reducesPeers(AtomicOp op, Type type);

/// `.multicast::cluster`: a slot of a mask of ranks, in Instr::src[3]. Sets Instr::flags.
inline constexpr uint32_t kMulticast = 0x100;
void takeMulticast(Decoder &decoder, const Operand &operand);
/// Issues a copy into shared memory: to the block that the addresses are of, or to each block of the mask.
void issueToBlocks(Warp &warp, const Instr &in, BulkCopy copy, uint64_t to, uint64_t barrier);

/// Takes `.add` and so on; false if there is none. Instr::variant2 becomes the operation.
bool takeReduction(Decoder &decoder);

/// Host pointers of global bytes, or a report.
CopyPiece globalPiece(Warp &warp, const Instr &in, int lane, uint64_t global, uint32_t shared, uint32_t bytes);

/// Operands in common: a cache policy, the last operand where `.L2::cache_hint` stands.
size_t takePolicy(Decoder &decoder);

/// cp.async.bulk.tensor and its like; `isReduction`: of cp.reduce.async.bulk.tensor. All but `.tensor` is untaken.
bool decodeTensorCopy(Decoder &decoder, bool isReduction);
/// prefetch.tensormap.
bool decodeTensorMapPrefetch(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_BULKCOPY_H
