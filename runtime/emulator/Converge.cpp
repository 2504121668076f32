// Where lanes of a warp meet: beside the post-dominators of branches (Cfg.cpp), at the instructions that name them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A branch of which one side may leave the kernel has no post-dominator but its end, so that the stack alone keeps its sides apart until
// then. Since sm_70 the lanes that a member mask names meet at the instruction all the same (PTX ISA 9.7.9.6: "causes executing thread to wait
// until all non-exited threads corresponding to membermask have executed" it).

#include "Converge.h"

#include <algorithm>

namespace fourfold {
namespace emulator {

namespace {

/// The top joins the side at `other`, which waits where it stands: out of the regions that it alone is in, into those of the other.
void join(Warp &warp, size_t other) {
  std::vector<StackEntry> &stack = warp.stack;
  uint32_t lanes = stack.back().mask, met = stack[other].mask;
  for (size_t i = 0; i + 1 < stack.size(); ++i) {
    bool holdsOther = (stack[i].mask & met) == met, holdsTop = (stack[i].mask & lanes) == lanes;
    if (i == other || (i < other && holdsOther && !holdsTop))
      stack[i].mask |= lanes;
    else if (holdsTop && (i > other || !holdsOther))
      stack[i].mask &= ~lanes;
  }
  stack.pop_back();
  while (stack.size() > 1 && (stack.back().mask == 0 || stack.back().pc == stack.back().reconverge))
    stack.pop_back();
}

/// Lanes that wait where regions end, for the top: they go on by themselves, as they might leave the kernel there.
bool letAhead(Warp &warp, uint32_t lanes) {
  std::vector<StackEntry> &stack = warp.stack;
  uint32_t top = stack.back().mask, inside = top;
  for (size_t i = stack.size() - 1; i-- > 0;) {
    if ((stack[i].mask & top) == top && stack[i].pc != kNone) {
      uint32_t waiting = stack[i].mask & ~inside;
      for (size_t other = i + 1; other < stack.size(); ++other)
        waiting &= ~stack[other].mask;
      if (waiting & lanes) {
        stack[i].mask &= ~waiting;
        stack.push_back({stack[i].pc, stack[i].reconverge, waiting});
        return true;
      }
    }
    inside |= stack[i].mask;
  }
  return false;
}

/// Brings a side that has some of the lanes to the top.
bool turnTo(Warp &warp, uint32_t lanes) {
  std::vector<StackEntry> &stack = warp.stack;
  for (size_t own = stack.size() - 1; own > 0; --own)
    for (size_t other = own; other-- > 0;)
      if (stack[other].reconverge == stack[own].reconverge && !(stack[other].mask & stack[own].mask) && stack[other].mask & lanes) {
        auto at = [&](size_t i) { return stack.begin() + static_cast<std::ptrdiff_t>(i); };
        std::rotate(at(other), at(own), stack.end());
        return true;
      }
  return false;
}

} // namespace

bool waitsForLanes(Warp &warp, const Instr &in, uint32_t mask, size_t *turns) {
  uint32_t needed = warp.live;
  if (in.flow != Flow::Barrier) {
    if (!hasMemberMask(in) && !isWarpBarrier(in)) {
      *turns = 0;
      return false;
    }
    int lane = __builtin_ctz(mask);
    if (!(warp.init[in.src[3]] >> lane & 1))
      return false;
    needed &= warp.reg<uint32_t>(in.src[3])[lane];
  }
  uint32_t missing = needed & ~mask;
  std::vector<StackEntry> &stack = warp.stack;
  if (!missing || in.guard != kNone || !warp.calls.empty()) {
    *turns = 0;
    return false;
  }
  uint32_t above = mask; // what waits for lanes above it has not come here yet
  for (size_t i = stack.size() - 1; i-- > 0; above |= stack[i].mask)
    if (stack[i].pc == stack.back().pc && stack[i].mask & missing && !(stack[i].mask & above)) {
      join(warp, i);
      *turns = 0;
      return true;
    }
  // Each side in turn; when all of them wait, none of them will come.
  return ++*turns <= 2 * stack.size() && (turnTo(warp, missing) || letAhead(warp, missing));
}

} // namespace emulator
} // namespace fourfold
