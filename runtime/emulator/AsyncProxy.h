// What copies on its own: bulk copies under way, the mbarriers and groups they are waited for by, and fences between proxies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_ASYNCPROXY_H
#define FOURFOLD_RUNTIME_EMULATOR_ASYNCPROXY_H

#include "Atomic.h"
#include "Warp.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

/// Agents of the race checks besides the warps, of a block, one a barrier object: what its copies write is ordered before those alone that waited for
/// it. Further barriers share them.
inline constexpr uint32_t kNumCopiers = 32;

/// Bytes that stand together in shared and in global memory. `data` null: outside of the tensor.
struct CopyPiece {
  uint32_t shared = 0, bytes = 0;
  uint8_t *data = nullptr, *shadow = nullptr; // in global memory, or in shared memory that is copied to another block's
  uint64_t global = 0;                        // its address in global memory
};

/// A bulk copy by one thread.
struct BulkCopy {
  const Instr *in = nullptr;
  uint32_t warp = 0; // in its block
  const Warp *issuer = nullptr;
  int lane = 0;
  std::vector<CopyPiece> pieces;
  uint32_t low = 0xffffffffu, high = 0; // of what it touches in shared memory
  uint32_t bytes = 0;   // as a transaction count
  uint32_t barrier = 0; // of a copy into shared memory
  int64_t group = -1;   // of a copy out of it; -1: not committed
  bool isRead = false;  // of a copy out of it
  bool reduces = false;
  AtomicOp op = AtomicOp::Add;
  Type type = Type::B8;              // of a reduction
  uint64_t fill = 0;                 // repeated over what is outside of the tensor
  bool isValue = false;               // st.async, red.async: `data` is what is stored
  bool isFromShared = false;          // the source is shared memory
  std::vector<uint8_t> data, written; // the source: as issued (into shared memory), as read (out of it)
};

/// Of a block. Copies land as late as the program permits, when the phase of their mbarrier is seen to be complete or their group is
/// waited for; their destination may not be touched before.
class AsyncProxy {
public:
  explicit AsyncProxy(Block &block);

  //===--- mbarrier objects: order, and what is under way to them ---===//
  void initialise(Warp &warp, const Instr &in, uint32_t address);
  void invalidate(Warp &warp, const Instr &in, int lane, uint32_t address);
  /// Reports if the initialisation of the object is not ordered before the warp.
  void requireOrdered(Warp &warp, const Instr &in, int lane, uint32_t address);
  /// Reports if the async proxy has not been shown the initialised object by a fence.
  void requireFenced(Warp &warp, const Instr &in, int lane, uint32_t address);
  /// An arrival: with release semantics, what the warp knows so far is known to those that see the phase complete.
  void arrive(Warp &warp, uint32_t address, bool releases);
  void expect(uint32_t address, int64_t bytes) { barriers[address].expected += bytes; }
  void complete(uint32_t address, int64_t bytes) { barriers[address].transferred += bytes; }
  /// Bytes and arrivals (of cp.async.mbarrier.arrive) that will reach the object, not yet counted by it.
  void underWay(uint32_t address, int64_t *bytes, uint32_t *arrivals) const;
  /// The phase is complete. What was under way lands; `waiter` sees it.
  void completePhase(Warp &waiter, const Instr &in, uint32_t address);
  /// A wait that succeeded, or did not.
  void waited(Warp &warp, const Instr &in, uint32_t address, uint32_t phase, bool isDone, bool acquires);
  /// cp.async.mbarrier.arrive: an arrival once the thread's copies so far have landed.
  void trackCopies(Warp &warp, int lane, uint32_t address);

  //===--- tcgen05.commit ---===//
  /// An arrival once what the commit tracks is complete.
  void addSignal(Warp &warp, const Instr &in, int lane, uint32_t address, std::shared_ptr<TensorMemory> from, uint64_t commit);
  /// That is so, and was seen at another mbarrier: the arrival takes place.
  void signal(Warp &waiter, const Instr &in, uint32_t address, uint64_t commit);

  //===--- copies ---===//
  /// Checks, and poisons the destination.
  void issueLoad(Warp &warp, BulkCopy copy);
  void issueStore(Warp &warp, BulkCopy copy);
  /// Reports if a copy may not read bytes of this block's shared memory.
  void requireSource(Warp &warp, const BulkCopy &copy, uint32_t address, uint32_t bytes);
  /// A copy to this block will read the other's bytes, until the phase of its mbarrier is complete.
  void noteSource(SharedMemory &source, const BulkCopy &copy, uint32_t address);
  void commit(Warp &warp, uint32_t mask);
  /// All but the `left` youngest groups of each thread have read their source, and if `written` also been carried out.
  void wait(Warp &warp, const Instr &in, uint32_t mask, int64_t left, bool written);
  /// Every warp has ended.
  void finish();

  //===--- proxies ---===//
  /// fence.proxy.async by the warp.
  void fence(Warp &warp);
  /// fence.mbarrier_init by the warp.
  void fenceInits(Warp &warp);
  /// The warp arrives at barrier.cluster: what fence.mbarrier_init covers is known to all that wait for this phase of it.
  void publishInits(Warp &warp, uint32_t phase);
  /// Reports a write of bytes that a copy under way reads.
  void requireUnread(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes) const;

  /// How often waits of the warp have failed, or 0 if the last one succeeded.
  uint64_t failedWaits(uint32_t warp) const { return failed[warp].line ? failed[warp].count : 0; }
  /// A clause for each warp whose last wait for an mbarrier failed.
  std::string describeWaits() const;
  /// Which copy will write the byte, or "".
  std::string describePending(uint32_t address) const;

private:
  struct BarrierState {
    uint32_t agent = 0;
    uint32_t initWarp = 0, initTime = 0; // an agent
    int32_t initLine = 0;
    bool fenced = false, initsFenced = false; // by any fence; by fence.mbarrier_init
    int64_t publishedIn = -1;                 // phase of barrier.cluster
    int64_t expected = 0, transferred = 0; // bytes of this phase
    Knowledge arriving, completed;         // by the arrivals so far; by those of the last phase that completed
  };
  struct FailedWait {
    int32_t line = 0; // 0: none, since one succeeded
    uint32_t address = 0, phase = 0;
    uint64_t count = 0; // of failures in all
  };
  struct Signal {
    std::shared_ptr<TensorMemory> from;
    uint64_t commit;
    uint32_t barrier;
  };
  struct TrackedArrival {
    Warp *warp;
    int lane;
    uint64_t copies; // of the warp that were issued before
    uint32_t barrier;
  };

  uint32_t agentOf(const BarrierState &state) const { return block.shared.order->numWarps + block.rank * kNumCopiers + state.agent; }
  void readSource(Warp &warp, const Instr &in, BulkCopy &copy);
  void writeGlobal(const BulkCopy &copy);
  void land(Warp &waiter, const Instr &in, BulkCopy &copy);
  void count(const BulkCopy &copy, bool isLoad);

  Block &block;
  std::map<uint32_t, BarrierState> barriers; // by address
  std::vector<BulkCopy> loads, stores;       // under way, oldest first
  std::vector<TrackedArrival> tracked;
  std::vector<Signal> signals; // oldest first
  std::vector<int64_t> committed; // groups, by thread
  std::vector<FailedWait> failed; // by warp
  std::vector<uint32_t> times;    // by copier: phases completed
  uint32_t numBarriers = 0;
};

/// Before the async proxy (bulk copies, wgmma) reads shared memory: reports writes that are not ordered before the warp, and writes of the
/// generic proxy that no fence.proxy.async has shown (PTX ISA 8.6, proxies).
void asyncProxyReads(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes);
/// The same of another block's.
void asyncProxyTouches(Warp &warp, const Instr &in, int lane, SharedMemory &shared, uint32_t address, uint32_t bytes);

/// ", of the copy at line N ..." for a byte of the block that is poisoned.
std::string describePendingByte(const Warp &warp, const Block &block, uint32_t address);

/// The thread's copies by cp.async before the given number of them land, as writes of an agent at a time.
void landCopies(Warp &warp, const Instr &in, int lane, uint64_t before, uint32_t agent, uint32_t time);
/// How a handler reaches the block's state.
AsyncProxy &asyncProxyOf(Warp &warp);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_ASYNCPROXY_H
