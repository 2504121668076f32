// Matrix steps of a warpgroup, which run on their own until they are waited for (PTX ISA 9.7.15).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_WGMMA_H
#define FOURFOLD_RUNTIME_EMULATOR_WGMMA_H

#include "SharedMatrix.h"
#include "Warp.h"

#include <deque>
#include <vector>

namespace fourfold {
namespace emulator {

/// The steps that the warps of a block have under way, and which of their registers are concerned.
class WgmmaState {
public:
  WgmmaState(size_t numWarps, uint32_t numSlots);

  void issue(Warp &warp, const Instr &in, uint32_t mask);
  void fence(Warp &warp);
  void commit(Warp &warp);
  /// All but the `left` youngest groups end.
  void wait(Warp &warp, const Instr &in, int64_t left);
  /// Before another instruction reads and writes these registers: PTX leaves that undefined while they are in use, and asks for a fence
  /// after it. Copies are accepted, as compilers without optimization make them: the assembler waits there.
  void touch(Warp &warp, const Instr &in, uint32_t mask, const RegisterGuard &guard);

private:
  struct Step {
    const Instr *in;
    MatrixDescriptor a, b;
    bool accumulates;
    int64_t group; // -1: not committed
    std::vector<uint32_t> registersA;      // as issued, a run of 32 lanes a register
    std::vector<uint8_t> bytesA, bytesB;   // as issued, where checks are on
  };
  struct PerWarp {
    std::vector<Step> steps;
    int64_t committed = 0;
    uint64_t issued = 0;
    std::vector<int32_t> dirtyLine;    // by slot: where it was written since the last fence, 0: not
    std::vector<const Instr *> result; // by slot: the step under way that writes it
    std::vector<const Instr *> operand; // by slot: the step under way that reads it
  };
  /// What the first warp of a warpgroup to get there did; the others must do the same.
  struct Record {
    int32_t line;
    uint64_t descriptorA, descriptorB;
    uint32_t warp;
    int seen;
  };
  struct PerGroup {
    std::deque<Record> records;
    uint64_t first = 0; // index of records.front()
  };

  void agree(Warp &warp, const Instr &in, uint64_t a, uint64_t b);
  void complete(Warp &warp, const Instr &waiter, Step &step);
  /// Ends the oldest `count` steps.
  void completeOldest(Warp &warp, const Instr &waiter, size_t count);
  std::vector<uint8_t> read(Warp &warp, const Instr &in, const MatrixDescriptor &matrix, uint32_t firstRow, uint32_t rows, bool isKMajor);
  void multiply(Warp &warp, const Step &step, const std::vector<uint8_t> &bytesA, const std::vector<uint8_t> &bytesB);

  std::vector<PerWarp> warps;
  std::vector<PerGroup> groups;
};

/// What a decoded step is: Instr::variant and bytes, the types of A and B; variant2, N / 8; list, the results; list2, A's registers if it
/// has any; src[0], src[1], the descriptors; src[3], the predicate of accumulation; and flags:
inline constexpr uint32_t kWgmmaTransposedA = 1; // M-major
inline constexpr uint32_t kWgmmaTransposedB = 2; // N-major
inline constexpr uint32_t kWgmmaNegatedA = 4;
inline constexpr uint32_t kWgmmaNegatedB = 8;
inline constexpr uint32_t kWgmmaHalfResult = 16;
inline constexpr uint32_t kWgmmaRegistersA = 32;
inline constexpr uint32_t kWgmmaSaturated = 64;
inline constexpr uint32_t kWgmmaNegatedPredicate = 128;

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_WGMMA_H
