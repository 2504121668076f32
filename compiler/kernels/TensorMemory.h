// The vocabulary of tensor memory and of the matrix steps that accumulate in it (tcgen05, PTX ISA 9.7.16), as inline PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Addresses of tensor memory are i32: lane in the upper half, column of 32 bits in the lower. Addresses of shared memory are i32 as well.

#ifndef FOURFOLD_COMPILER_KERNELS_TENSORMEMORY_H
#define FOURFOLD_COMPILER_KERNELS_TENSORMEMORY_H

#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

/// One stage of a tile of 128 x `tileN`: what its copies and steps of K = 64 are, known when the kernel is built.
struct TensorSteps {
  Format format;
  int tileN;
  /// Steps of K = 64 in the stage; they lie in rows of the 128-byte swizzle, 32 bytes a step.
  int steps;
  /// Columns of an operand's scales for one scale tile and 128 rows.
  static constexpr int kScaleColumns = 4;

  int scaleTiles() const { return format == Format::NVFP4 ? steps : steps / 2; }
  int tileRowsB() const { return (tileN + 127) / 128; }
  /// Columns of tensor memory for the scales of one stage.
  int scaleColumns() const { return scaleTiles() * kScaleColumns * (1 + tileRowsB()); }
};

class TensorMemory {
public:
  explicit TensorMemory(KernelBuilder &k) : k(k) {}

  /// The i32 address of a pointer to shared memory.
  Val address(Val shared);

  // A warp's, all lanes together.
  /// Takes `columns` (a power of two from 32 on) and writes their address to shared memory; waits until other blocks have left so many. The
  /// block takes no more.
  void allocate(Val sharedTo, int columns);
  void free(Val base, int columns);
  /// 32 columns of the warp's 32 lanes, waited for: a lane's in order. A warp reaches lanes 32 (warp mod 4) and following.
  llvm::SmallVector<Val> load(Val from);
  /// i1: whether this is the lane that starts things; always the same one.
  Val isElected();

  // mbarriers (PTX ISA 9.7.13.15), of one arrival.
  void initBarrier(Val barrier);
  /// Returns once the phase of that parity has ended; parity 1 of a new one has.
  void waitBarrier(Val barrier, Val parity);

  /// What this thread has started or waited for is ordered before, or after, what synchronises it with other threads.
  void fenceBefore();
  void fenceAfter();

  /// Starts, from one thread, the copies of a stage's scale tiles to `scales` and its steps, and lets `barrier` know when they have ended.
  /// `codesA`, `codesB`, `tiles`: addresses of shared memory; `firstRowB`: columns that the scales of the tile's first row of B lie into its
  /// scale tile; `accumulate` (i32): 0 where the first step overwrites the accumulators.
  void startSteps(const TensorSteps &stage, Val accumulators, Val scales, Val codesA, Val codesB, Val tiles, Val firstRowB, Val accumulate,
                  Val barrier);

private:
  void emit(const std::string &text, llvm::ArrayRef<Val> inputs, llvm::StringRef constraints);

  KernelBuilder &k;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_TENSORMEMORY_H
