// The state of a running warp, its block and the launch, and how handlers reach registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_WARP_H
#define FOURFOLD_RUNTIME_EMULATOR_WARP_H

#include "Counters.h"
#include "Memory.h"
#include "Options.h"
#include "Program.h"
#include "SharedMemory.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

/// A mistake that a running kernel made; `code` is the CUresult.
struct Finding : std::runtime_error {
  Finding(int code, const std::string &message) : std::runtime_error(message), code(code) {}
  int code;
};

struct Launch {
  const Kernel *kernel = nullptr;
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  unsigned cluster[3] = {1, 1, 1}; // blocks
  bool hasClusters = false;        // as the host or the kernel said, be it clusters of one block
  bool isCooperative = false;
  uint64_t gridWorkspace = 0; // of a cooperative launch: what %envreg1 and %envreg2 hold
  uint32_t sharedBytes = 0; // end of shared memory, from address 0
  std::vector<uint8_t> params;
  Memory *memory = nullptr;
  CheckLevel checks = CheckLevel::Full;
  int ordinal = 0, major = 0, minor = 0, smCount = 1;
  std::atomic<bool> stop{false};
};

/// A run of cp.async by one warp instruction, not yet landed.
struct PendingCopy {
  uint32_t lanes;
  int32_t line;
  uint32_t bytes;
  uint32_t to[kLanes];
  uint64_t from[kLanes];
  uint32_t sourceBytes[kLanes];
  int32_t group[kLanes]; // -1: not committed
  uint8_t snapshot[kLanes][16];
  uint64_t serial; // of the warp, from 0
};

struct StackEntry {
  uint32_t pc, reconverge, mask;
};

struct Block;
struct Cluster;
class AsyncProxy;
class Footprint;
class TensorMemory;
class WgmmaState;

/// A call that has not returned for all of its lanes.
struct CallRecord {
  const Instr *in;
  uint32_t callee;
  size_t depth; // entries of Warp::stack with the call's own
  uint32_t callerBase[kLanes];
  std::vector<uint8_t> savedRegisters; // of an outer activation of the same function
  std::vector<uint32_t> savedInit;
};

struct Warp {
  enum class State : uint8_t { Ready, AtBarrier, Done };

  uint8_t *registers = nullptr;
  uint32_t *init = nullptr; // a word a slot: which lanes were written
  Block *block = nullptr;
  const Launch *launch = nullptr;
  const Kernel *kernel = nullptr;
  uint32_t index = 0;
  uint32_t threads = kAllLanes; // lanes that exist
  uint32_t live = kAllLanes;    // and have not exited
  State state = State::Ready;
  bool checks = true;
  bool yields = false; // after an instruction with Flow::Wait: others go on first
  bool repeats = false; // and then the same instruction again
  uint32_t barrier = 0; // kClusterBarrier: barrier.cluster
  uint32_t agent = 0;   // its number in Clocks
  uint64_t turns = 0;   // of the sides of its branches
  uint32_t pc = 0; // also the instruction to blame
  std::vector<StackEntry> stack;
  std::vector<CallRecord> calls;
  uint32_t stackTop[kLanes] = {}; // in local memory
  std::vector<uint8_t> local; // of all lanes, lane after lane
  std::vector<PendingCopy> copies;
  int32_t committed[kLanes] = {};
  uint64_t copiesIssued = 0;
  Allocation *lastAllocation = nullptr;
  // Where bytes never written were last loaded: the likely origin of an uninitialised register.
  int32_t uninitLine = 0;
  uint64_t uninitAddress = 0;

  template <class T>
  T *reg(uint32_t slot) const {
    return reinterpret_cast<T *>(registers + size_t{slot} * kSlotBytes);
  }
  uint32_t predicate(uint32_t slot) const { return *reg<uint32_t>(slot); }
  void setInit(uint32_t slot, uint32_t mask, uint32_t good) { init[slot] = (init[slot] & ~mask) | (good & mask); }
};

struct Barrier {
  uint32_t expected = 0; // threads; 0: nobody waits
  uint32_t arrived = 0;
  uint32_t popcount = 0;
  bool all = true, any = false;
  uint32_t waiting = 0; // warps
  uint32_t joined = 0;  // warps that arrived, waiting or not
};

inline constexpr uint32_t kClusterBarrier = 16;

struct Block {
  const Launch *launch = nullptr;
  unsigned index[3] = {0, 0, 0};
  uint32_t rank = 0;         // in its cluster
  Cluster *cluster = nullptr; // null: alone, and no instruction of the kernel asks
  bool hasEnded = false;
  SharedMemory shared;
  std::vector<Warp> warps;
  Barrier barriers[16];
  Counters counters;
  std::vector<uint64_t> executed; // by instruction: warps
  std::shared_ptr<Footprint> footprint;
  uint64_t mmaCounts[kMaxMmaKinds] = {}; // by index into Kernel::mmaKinds
  uint32_t mmaScratch[4][kLanes] = {};
  uint64_t instructions = 0; // for %clock
  std::shared_ptr<WgmmaState> wgmma; // of a kernel that uses wgmma
  std::shared_ptr<TensorMemory> tensor; // of a kernel that uses tcgen05
  std::shared_ptr<AsyncProxy> async; // of a kernel that uses mbarriers or bulk copies
};

/// Throws the Finding with kernel, line, instruction, block and thread put in front. `lane` < 0: the whole warp.
[[noreturn]] void report(const Warp &warp, const Instr &in, int lane, int code, const std::string &message);

/// "the text of the line" for messages.
std::string lineText(const Kernel &kernel, int line);

/// Reports unless all lanes of `mask` of the slot were written.
inline void requireInit(const Warp &warp, const Instr &in, uint32_t slot, uint32_t mask, const char *use);
[[noreturn]] void reportUninit(const Warp &warp, const Instr &in, uint32_t slot, uint32_t mask, const char *use);

inline void requireInit(const Warp &warp, const Instr &in, uint32_t slot, uint32_t mask, const char *use) {
  if (warp.checks && (mask & ~warp.init[slot]))
    reportUninit(warp, in, slot, mask, use);
}

/// Runs blocks side by side to their end, warp by warp in turn: a block, a cluster, or all of a cooperative grid. Throws Finding.
void runBlocks(const std::vector<Block *> &blocks);

/// Enters the functions that the lanes of the mask call, returns from one, and forgets calls whose lanes have all exited (Call.cpp).
void enterCall(Warp &warp, const Instr &in, uint32_t mask);
void leaveCall(Warp &warp, const Instr &in, uint32_t mask);
void dropFinishedCalls(Warp &warp);

/// Called when a warp reaches a barrier, and when one ends.
void arriveAtBarrier(Warp &warp, const Instr &in, uint32_t mask);
void releaseBarriers(Block &block);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_WARP_H
