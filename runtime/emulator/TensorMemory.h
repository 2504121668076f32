// Tensor memory of a block: what is allocated, who touched what, and the tcgen05 operations under way (PTX ISA 9.7.16).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_TENSORMEMORY_H
#define FOURFOLD_RUNTIME_EMULATOR_TENSORMEMORY_H

#include "SharedMatrix.h"
#include "TensorInstruction.h"
#include "Warp.h"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

inline constexpr uint32_t kTensorLanes = 128, kTensorColumns = 512;
/// What is known of the four bytes of a cell: which were written; or all of it was stored from a register that was not, or not all of it: compilers
/// pack bytes beside others that they leave undefined.
inline constexpr uint8_t kCellWritten = 0x0f, kCellStoredUnknown = 0xf0;
/// Accesses are followed by units: 16 lanes of a column.
inline constexpr uint32_t kUnitLanes = 16, kUnitsAColumn = kTensorLanes / kUnitLanes;

/// Columns of some of the eight groups of 16 lanes.
struct TensorRange {
  uint32_t groups = 0; // a bit each
  uint32_t column = 0, count = 0;
};

/// What one thread started, and which runs on its own until a commit's mbarrier is waited for. Operations of a thread are carried out in their
/// order.
struct TensorOperation {
  enum Kind : uint8_t { Product, Copy };
  Kind kind = Product;
  const Instr *in = nullptr;
  Warp *warp = nullptr;
  int lane = 0;
  uint64_t serial = 0; // from 1
  std::vector<TensorRange> reads, writes;
  std::vector<uint32_t> chunks; // 16 bytes of shared memory each, that it reads: A's, then B's
  size_t numChunksA = 0;
  uint32_t usedA = 16, usedB = 16; // of the 16: elements of 4 and 6 bits leave a rest (PTX ISA 9.7.16.10.4.6)
  MatrixDescriptor a, b;        // b also: the source of a copy
  TensorStep step;              // of a product
  uint32_t lanes = 0;           // a copy's first lane
  uint32_t thread() const { return warp->index * kLanes + static_cast<uint32_t>(lane); }
  /// The shape and accumulators of a product, which successive ones share to be carried out in order; 0: a copy.
  uint64_t pipeline() const {
    return kind == Copy ? 0 : uint64_t{step.m} << 48 | uint64_t{step.n} << 32 | uint64_t{step.laneD} << 16 | step.columnD;
  }
};

/// How an access meets those of others.
enum class TensorAccess : uint8_t { Load, Store, ReadByOperation, WriteByOperation, Accumulator, Free };

class TensorMemory {
  static constexpr uint32_t kNoThread = ~0u;

public:
  explicit TensorMemory(Block &block);

  //===--- allocation (TensorMemory.cpp) ---===//
  /// False: there is no room now.
  bool allocate(Warp &warp, const Instr &in, uint32_t columns, uint32_t *address);
  void release(Warp &warp, const Instr &in, uint32_t address, uint32_t columns);
  void relinquish(Warp &warp, const Instr &in);
  /// Every warp of the block has ended.
  void finish();
  /// A clause for each warp that waits for columns.
  std::string describeWaits() const;

  //===--- contents ---===//
  uint32_t &cell(uint32_t lane, uint32_t column) { return cells[size_t{lane} * kTensorColumns + column]; }
  /// As above.
  uint8_t &written(uint32_t lane, uint32_t column) { return writtenBytes[size_t{lane} * kTensorColumns + column]; }

  //===--- accesses (TensorOrder.cpp) ---===//
  /// Reports what is not allocated, or not ordered with what others do; `operation`: who accesses, if not a load or store.
  void access(Warp &warp, const Instr &in, int lane, const TensorRange &range, TensorAccess kind, const TensorOperation *operation = nullptr);
  /// tcgen05.wait::ld and ::st.
  void waitLoads(Warp &warp);
  void waitStores(Warp &warp);
  void fenceBefore(Warp &warp);
  void fenceAfter(Warp &warp);
  /// A wait without acquire semantics saw the phase of an mbarrier complete: a fence after it makes up for them.
  void noteRelaxedWait(const Warp &warp, const Knowledge &known);
  /// The load under way that writes the register, if any.
  const Instr *loadOf(const Warp &warp, uint32_t slot) const { return warps[warp.index].loading[slot]; }
  void noteLoad(const Warp &warp, const Instr &in);
  /// An instruction used what a load under way loads: forgiven by the next tcgen05.wait::ld. Compilers move arithmetic before it, and the
  /// assembler waits for the register; where none comes, it was forgotten.
  void noteEarlyUse(const Warp &warp, const Instr &in, const Instr &load);

  /// Reports uses of registers that no tcgen05.wait::ld followed.
  void requireWaits() const;

  //===--- operations under way (TensorAsync.cpp) ---===//
  void issue(TensorOperation operation);
  /// tcgen05.commit by a thread, for these mbarriers.
  void commit(Warp &warp, const Instr &in, int lane, const std::vector<std::pair<Block *, uint32_t>> &barriers);
  /// What the commit tracks is complete, as an agent's doing at a time; `known` gets what those that wait for it know then.
  void complete(Warp &waiter, const Instr &in, uint64_t commit, uint32_t agent, uint32_t time, Knowledge &known);
  /// The mbarrier got the commit's arrival.
  void forgetTarget(uint64_t commit, const Block *target, uint32_t address);
  /// Reports a write of shared memory that an operation under way may still read.
  void requireUnread(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes) const;

private:
  struct Allocation {
    uint32_t column, columns;
    Warp *warp;
    const Instr *in;
  };
  struct Unit {
    uint32_t writeTime = 0, readTime = 0;
    int32_t writeLine = 0, readLine = 0;
    uint16_t writer = kNobody, reader = kNobody;   // agents
    uint64_t writing = 0, reading = 0;             // the youngest operation under way
    uint16_t loading = kNobody, storing = kNobody; // warps of the block that have not waited
    uint32_t writeThread = kNoThread, readThread = kNoThread; // of the operation that wrote or read last, if it was one
    uint64_t writePipeline = 0;
  };
  struct PerWarp {
    std::vector<TensorRange> loads, stores;
    std::vector<const Instr *> loading; // by slot
    std::vector<uint32_t> slots;        // those that are set
    const Instr *earlyUse = nullptr, *earlyLoad = nullptr;
    std::vector<uint32_t> after;        // by agent: what tcgen05.fence::after_thread_sync covers
    Knowledge relaxed;
    uint32_t wants = 0; // columns that it waits for
  };
  struct Commit {
    uint64_t id;
    uint32_t thread;
    uint64_t serial; // of the thread's operations: the last that it covers
    std::vector<std::pair<Block *, uint32_t>> barriers;
  };

  Unit &unit(uint32_t group, uint32_t column) { return units[size_t{group} * kTensorColumns + column]; }
  template <class Visit>
  void visit(const TensorRange &range, Visit visitUnit) {
    for (uint32_t group = 0; group < kUnitsAColumn; ++group)
      for (uint32_t i = 0; (range.groups >> group & 1) && i < range.count; ++i)
        visitUnit(unit(group, range.column + i), group, range.column + i);
  }
  const TensorOperation *find(uint64_t serial) const;
  void requireOrdered(Warp &warp, const Instr &in, int lane, uint16_t agent, uint32_t time, int32_t line, bool isWrite, uint32_t column, bool needsFence);
  void requireAllocated(Warp &warp, const Instr &in, int lane, uint32_t column, uint32_t count) const;
  /// The thread's operations up to a serial number are carried out.
  void land(uint32_t thread, uint64_t serial, uint32_t agent, uint32_t time);
  void execute(const TensorOperation &operation);

  Block &block;
  std::vector<uint32_t> cells;
  std::vector<uint8_t> writtenBytes;
  std::vector<Unit> units;
  std::vector<PerWarp> warps;
  std::vector<Allocation> allocations;
  const Instr *relinquished = nullptr;
  std::deque<TensorOperation> operations; // under way, oldest first
  std::vector<Commit> commits;            // whose mbarriers have not been seen complete, oldest first
  std::vector<uint16_t> readers;          // by 16 bytes of shared memory: operations under way that read them
  std::map<uint32_t, std::map<uint32_t, uint32_t>> landed; // thread -> agent -> time of what was completed
  uint64_t numOperations = 0, numCommits = 0;
};

/// How a handler reaches the block's.
TensorMemory &tensorMemoryOf(Warp &warp);

/// Carries out a product, a copy (Tcgen05Math.cpp, Tcgen05Copy.cpp).
void multiply(TensorMemory &memory, SharedMemory &shared, const TensorOperation &operation);
void copyToTensor(TensorMemory &memory, SharedMemory &shared, const TensorOperation &operation);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_TENSORMEMORY_H
