// Runs the warps of a block: instruction loop, divergence, barriers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AsyncProxy.h"
#include "Cluster.h"
#include "Converge.h"
#include "Device.h"
#include "TensorMemory.h"
#include "Warp.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// A warp that never waits hands over after this many instructions, so that spinning on another warp makes progress.
constexpr int kQuantum = 1 << 16;
/// The same where blocks run side by side: they wait for each other in loops, over global memory.
constexpr int kQuantumOfMany = 1 << 11;
/// So many warps are named in the message about a deadlock.
constexpr size_t kNamedWarps = 64;
/// Rounds of full turns without a store after which warps are suspected of spinning, and the longest loop that is recognised.
constexpr int kSuspectRounds = 8, kLongestSpin = 1 << 15;
/// Another block may still write what this one waits for; this long it is given.
constexpr std::chrono::seconds kPatience{20};
/// A loop may give up by the clock.
constexpr std::chrono::seconds kClockPatience{1};

std::string trim(const std::string &text) {
  size_t first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::string threadName(const Warp &warp, int lane) {
  const unsigned *size = warp.launch->block;
  unsigned linear = warp.index * kLanes + static_cast<unsigned>(lane);
  return fmt::format("({}, {}, {})", linear % size[0], linear / size[0] % size[1], linear / (size[0] * size[1]));
}

/// Leaves the regions that end at the warp's pc.
void reconverge(Warp &warp) {
  while (warp.stack.size() > 1 && (warp.stack.back().mask == 0 || warp.stack.back().pc == warp.stack.back().reconverge))
    warp.stack.pop_back();
}

void exitLanes(Warp &warp, uint32_t mask) {
  warp.live &= ~mask;
  leaveCluster(warp, mask);
  for (StackEntry &entry : warp.stack)
    entry.mask &= ~mask;
  while (!warp.stack.empty() && warp.stack.back().mask == 0)
    warp.stack.pop_back();
  dropFinishedCalls(warp);
  reconverge(warp);
}

void branch(Warp &warp, const Instr &in, uint32_t taken, uint32_t fallThrough) {
  StackEntry &top = warp.stack.back();
  if (!taken) {
    ++top.pc;
  } else if (!fallThrough) {
    top.pc = in.target;
  } else {
    uint32_t next = top.pc + 1, reconvergence = in.reconverge;
    top.pc = reconvergence;
    uint32_t outer = top.mask;
    (void)outer;
    // kNone: the sides never meet again (both exit); the entry below then empties by exits alone.
    if (next != reconvergence)
      warp.stack.push_back({next, reconvergence, fallThrough});
    if (in.target != reconvergence)
      warp.stack.push_back({in.target, reconvergence, taken});
  }
}

void branchIndexed(Warp &warp, const Instr &in, uint32_t mask) {
  StackEntry &top = warp.stack.back();
  uint32_t rest = top.mask & ~mask, next = top.pc + 1;
  const uint32_t *index = warp.reg<uint32_t>(in.src[0]);
  std::vector<StackEntry> entries;
  while (mask) {
    int lane = __builtin_ctz(mask);
    if (index[lane] >= in.list.size())
      report(warp, in, lane, device::kErrorIllegalInstruction,
             fmt::format("branch index {} is not below the {} targets", index[lane], in.list.size()));
    uint32_t same = 0;
    for (int i = 0; i < kLanes; ++i)
      same |= (mask >> i & 1) && index[i] == index[lane] ? 1u << i : 0;
    entries.push_back({in.list[index[lane]], in.reconverge, same});
    mask &= ~same;
  }
  if (rest)
    entries.push_back({next, in.reconverge, rest});
  if (entries.size() == 1) {
    top.pc = entries[0].pc;
    return;
  }
  top.pc = in.reconverge;
  for (StackEntry &entry : entries)
    if (entry.pc != in.reconverge)
      warp.stack.push_back(entry);
}

/// Another side of a branch goes on first, of each branch in turn: it may be what this side waits for. Since sm_70 lanes get on also where
/// others of their warp spin.
void turnToSibling(Warp &warp) {
  std::vector<StackEntry> &stack = warp.stack;
  std::vector<std::pair<size_t, size_t>> turns; // the entries from the second on are to go below those from the first on
  for (size_t own = stack.size() - 1; own > 1; --own)
    for (size_t other = own - 1; other > 0; --other)
      if (stack[other].reconverge == stack[own].reconverge && !(stack[other].mask & stack[own].mask)) {
        turns.emplace_back(other, own);
        break;
      }
  if (turns.empty())
    return;
  auto [other, own] = turns[warp.turns++ % turns.size()];
  auto at = [&](size_t i) { return stack.begin() + static_cast<std::ptrdiff_t>(i); };
  std::rotate(at(other), at(own), stack.end());
}

/// Runs until the warp waits, ends or has had its turn.
template <bool kChecks>
void runWarp(Warp &warp, int quantum) {
  const Instr *code = warp.kernel->code.data();
  Counters &counters = warp.block->counters;
  uint64_t *executed = warp.block->executed.data();
  size_t turns = 0; // given to other sides of branches
  for (int steps = 0; steps < quantum; ++steps) {
    if (warp.stack.empty()) {
      warp.state = Warp::State::Done;
      break;
    }
    StackEntry *top = &warp.stack.back();
    if (top->pc == top->reconverge && warp.stack.size() > 1) {
      reconverge(warp);
      continue;
    }
    uint32_t pc = top->pc, mask = top->mask;
    warp.pc = pc;
    const Instr &in = code[pc];
    if (mask != warp.live && (in.ownInit || in.flow == Flow::Barrier)) {
      if (waitsForLanes(warp, in, mask, &turns))
        continue;
    } else {
      turns = 0;
    }
    ++counters.warpInstructions[static_cast<size_t>(in.instrClass)];
    ++executed[pc];
    if (in.guard != kNone) {
      uint32_t value = warp.predicate(in.guard);
      if (kChecks && (mask & ~warp.init[in.guard]))
        reportUninit(warp, in, in.guard, mask, "as a predicate");
      mask &= in.guardNegated ? ~value : value;
    }
    switch (in.flow) {
    case Flow::Next:
      if (mask) {
        in.handler(warp, in, mask);
        if (kChecks && !in.ownInit) {
          uint32_t good = warp.init[in.src[0]] & warp.init[in.src[1]] & warp.init[in.src[2]] & warp.init[in.src[3]];
          warp.setInit(in.dst, mask, good);
          warp.setInit(in.dst2, mask, good);
        }
      }
      ++warp.stack.back().pc;
      break;
    case Flow::Branch:
      branch(warp, in, mask, top->mask & ~mask);
      break;
    case Flow::BranchIndexed:
      if (!mask) {
        ++top->pc;
        break;
      }
      if (kChecks)
        requireInit(warp, in, in.src[0], mask, "as a branch index");
      branchIndexed(warp, in, mask);
      break;
    case Flow::Call:
      ++top->pc;
      if (mask)
        enterCall(warp, in, mask);
      break;
    case Flow::Return:
      ++top->pc;
      if (mask)
        leaveCall(warp, in, mask);
      break;
    case Flow::Exit:
      ++top->pc;
      if (mask)
        exitLanes(warp, mask);
      break;
    case Flow::Trap:
      if (mask)
        report(warp, in, __builtin_ctz(mask), device::kErrorIllegalInstruction, "the kernel executed a trap");
      ++top->pc;
      break;
    case Flow::Wait:
      if (mask)
        in.handler(warp, in, mask);
      warp.stack.back().pc += !warp.repeats;
      warp.repeats = false;
      if (warp.yields) {
        warp.yields = false;
        if (warp.state == Warp::State::Ready)
          turnToSibling(warp);
        return;
      }
      break;
    case Flow::Barrier:
      ++top->pc;
      if (!mask)
        break;
      arriveAtBarrier(warp, in, mask);
      if (warp.state != Warp::State::Ready)
        return;
      break;
    }
  }
}

void takeTurn(Warp &warp, int quantum) {
  if (warp.checks)
    runWarp<true>(warp, quantum);
  else
    runWarp<false>(warp, quantum);
}

/// Whether the warp comes back to where it is with the same registers: it then does so for ever, unless another writes what it reads.
/// Sets the lines that it goes through.
bool repeats(Warp &warp, int *first, int *last) {
  std::vector<StackEntry> stack = warp.stack;
  size_t bytes = size_t{warp.kernel->numSlots} * kSlotBytes;
  std::vector<uint8_t> registers(warp.registers, warp.registers + bytes);
  *first = INT_MAX;
  *last = 0;
  for (int step = 0; step < kLongestSpin; ++step) {
    takeTurn(warp, 1);
    if (warp.state != Warp::State::Ready || warp.stack.empty())
      return false;
    *first = std::min(*first, warp.kernel->code[warp.pc].line);
    *last = std::max(*last, warp.kernel->code[warp.pc].line);
    auto same = [](const StackEntry &a, const StackEntry &b) {
      return a.pc == b.pc && a.mask == b.mask && a.reconverge == b.reconverge;
    };
    if (std::equal(stack.begin(), stack.end(), warp.stack.begin(), warp.stack.end(), same) &&
        std::memcmp(registers.data(), warp.registers, bytes) == 0)
      return true;
  }
  return false;
}

/// "; warp 3 " or, of several blocks, "; warp 3 of block (1, 0, 0) ".
std::string clauseOf(const Warp &warp, bool ofMany) {
  return ofMany ? fmt::format("; warp {} of block {} ", warp.index, blockName(*warp.block)) : fmt::format("; warp {} ", warp.index);
}

/// Finds blocks that will not end: every warp that could run repeats itself, or the budget of instructions is spent.
class Watchdog {
public:
  explicit Watchdog(const std::vector<Block *> &blocks) : blocks(blocks), stores(countStores()) {
    for (const Block *block : blocks)
      atStart.push_back(block->counters.totalWarpInstructions());
  }

  /// After a round in which every warp that can run has had a turn.
  void afterRound() {
    uint64_t budget = state().options.maxInstructions;
    for (size_t i = 0; budget && i < blocks.size(); ++i)
      if (blocks[i]->counters.totalWarpInstructions() - atStart[i] > budget) {
        const Warp &warp = firstReady(*blocks[i]);
        report(warp, warp.kernel->code[warp.pc], -1, device::kErrorLaunchTimeout,
               fmt::format("the block has executed more than {} warp instructions, the limit that was set", budget));
      }
    if (uint64_t now = countStores(); now != stores) {
      stores = now;
      progress();
      return;
    }
    if (++rounds >= kSuspectRounds)
      look();
  }
  void progress() {
    rounds = 0;
    spinning = false;
  }

private:
  uint64_t count(std::initializer_list<InstrClass> classes) const {
    uint64_t sum = 0;
    for (const Block *block : blocks)
      for (InstrClass instrClass : classes)
        sum += block->counters[instrClass];
    return sum;
  }
  uint64_t countStores() const { return count({InstrClass::GlobalStore, InstrClass::SharedStore, InstrClass::AsyncCopy}); }
  uint64_t countLoads() const { return count({InstrClass::GlobalLoad, InstrClass::Atomic}); }

  static const Warp &firstReady(const Block &block) {
    for (const Warp &warp : block.warps)
      if (warp.state == Warp::State::Ready)
        return warp;
    return block.warps.front();
  }

  void look() {
    std::string dump;
    bool readsClock = false;
    uint64_t before = countLoads();
    const Warp *spins = nullptr;
    size_t named = 0;
    for (Block *block : blocks)
      for (Warp &warp : block->warps) {
        bool isNamed = ++named <= kNamedWarps;
        if (warp.state != Warp::State::Ready) {
          if (isNamed)
            dump += clauseOf(warp, blocks.size() > 1) +
                    (warp.state == Warp::State::Done ? "has ended" : fmt::format("waits at line {}", warp.kernel->code[warp.pc].line));
          continue;
        }
        int first, last;
        uint64_t failures = block->async ? block->async->failedWaits(warp.index) : 0;
        if (!repeats(warp, &first, &last)) {
          // A loop that also reads a clock never repeats: what it waits for is an mbarrier that nobody changes.
          if (!failures || block->async->failedWaits(warp.index) <= failures) {
            progress();
            return;
          }
          readsClock = true;
          continue;
        }
        spins = spins ? spins : &warp;
        if (isNamed)
          dump += clauseOf(warp, blocks.size() > 1) + fmt::format("repeats lines {} to {} with the same registers", first, last);
      }
    auto now = std::chrono::steady_clock::now();
    since = spinning ? since : now;
    spinning = true;
    const unsigned *grid = blocks.front()->launch->grid;
    // Other blocks can only be seen in memory that they share.
    bool alone = uint64_t{grid[0]} * grid[1] * grid[2] == blocks.size() || state().options.threads == 1 || countLoads() == before;
    if (now - since < (!alone ? kPatience : readsClock ? kClockPatience : kPatience.zero()))
      return;
    const Warp &warp = spins ? *spins : firstReady(*blocks.front());
    for (const Block *block : blocks)
      dump += (block->async ? block->async->describeWaits() : "") + (block->tensor ? block->tensor->describeWaits() : "");
    report(warp, warp.kernel->code[warp.pc], -1, device::kErrorLaunchTimeout,
           fmt::format("{} for ever: nothing that runs writes what {} (lanes of a warp run in lockstep, blocks start in order){}",
                       blocks.size() > 1 ? "the blocks spin" : "the block spins", blocks.size() > 1 ? "they wait for" : "it waits for", dump));
  }

  const std::vector<Block *> &blocks;
  std::vector<uint64_t> atStart;
  uint64_t stores;
  int rounds = 0;
  bool spinning = false;
  std::chrono::steady_clock::time_point since;
};

/// Every warp that has not ended waits at a barrier.
[[noreturn]] void reportDeadlock(const std::vector<Block *> &blocks) {
  std::string dump;
  const Warp *first = nullptr;
  size_t named = 0;
  for (const Block *block : blocks) {
    dump += (block->async ? block->async->describeWaits() : "") + (block->tensor ? block->tensor->describeWaits() : "");
    for (const Warp &warp : block->warps) {
      bool isWaiting = warp.state == Warp::State::AtBarrier;
      first = first || !isWaiting ? first : &warp;
      if (++named > kNamedWarps)
        continue;
      dump += clauseOf(warp, blocks.size() > 1);
      if (!isWaiting) {
        dump += "has ended";
        continue;
      }
      int line = warp.kernel->code[warp.pc].line;
      if (warp.barrier == kClusterBarrier) {
        dump += fmt::format("waits at line {} for {}", line, describeClusterBarrier(*block));
        continue;
      }
      const Barrier &barrier = block->barriers[warp.barrier];
      dump += fmt::format("waits at line {} for barrier {} ({} of {} threads arrived)", line, warp.barrier, barrier.arrived, barrier.expected);
    }
  }
  if (named > kNamedWarps)
    dump += fmt::format("; and {} more warps", named - kNamedWarps);
  report(*first, first->kernel->code[first->pc], -1, device::kErrorLaunchFailed, "deadlock: every warp waits" + dump);
}

} // namespace

std::string lineText(const Kernel &kernel, int line) {
  if (!kernel.source || line < 1 || static_cast<size_t>(line) > kernel.source->size())
    return "";
  return trim((*kernel.source)[static_cast<size_t>(line) - 1]);
}

void report(const Warp &warp, const Instr &in, int lane, int code, const std::string &message) {
  std::string who = lane < 0 ? fmt::format("warp {}", warp.index) : fmt::format("thread {}", threadName(warp, lane));
  throw Finding(code, fmt::format("kernel '{}', line {}: `{}`: block {}, {}: {}", warp.kernel->name, in.line,
                                  lineText(*warp.kernel, in.line), blockName(*warp.block), who, message));
}

void reportUninit(const Warp &warp, const Instr &in, uint32_t slot, uint32_t mask, const char *use) {
  int lane = __builtin_ctz(mask & ~warp.init[slot]);
  std::string origin;
  if (warp.uninitLine)
    origin =
        fmt::format("; line {} loaded bytes never written, the last at {:#x}", warp.uninitLine, warp.uninitAddress);
  report(warp, in, lane, device::kErrorLaunchFailed, fmt::format("uninitialised register used {}{}", use, origin));
}

void runBlocks(const std::vector<Block *> &blocks) {
  const Launch &launch = *blocks.front()->launch;
  Watchdog watchdog(blocks);
  int quantum = blocks.size() == 1 ? kQuantum : kQuantumOfMany;
  size_t ended = 0;
  while (ended < blocks.size()) {
    bool progress = false, allSpent = true;
    ended = 0;
    for (Block *block : blocks) {
      size_t done = block->hasEnded ? block->warps.size() : 0;
      for (size_t i = 0; i < block->warps.size() && !block->hasEnded; ++i) {
        Warp &warp = block->warps[i];
        if (launch.stop.load(std::memory_order_relaxed))
          return;
        if (warp.state == Warp::State::Ready) {
          progress = true;
          takeTurn(warp, quantum);
          allSpent &= warp.state == Warp::State::Ready;
          if (warp.state == Warp::State::Done)
            releaseBarriers(*block);
        }
        done += warp.state == Warp::State::Done;
      }
      if (done < block->warps.size())
        continue;
      ++ended;
      if (block->hasEnded)
        continue;
      if (block->async)
        block->async->finish();
      if (block->tensor)
        block->tensor->finish();
      endBlock(*block);
    }
    if (progress && allSpent)
      watchdog.afterRound();
    else
      watchdog.progress();
    if (!progress && ended < blocks.size())
      reportDeadlock(blocks);
  }
}

} // namespace emulator
} // namespace fourfold
