// Immediate post-dominators of branches: where diverged lanes meet again.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Decoder.h"

#include <algorithm>

namespace fourfold {
namespace emulator {

/// Whether the next instruction follows.
static bool goesOn(Flow flow) { return flow == Flow::Next || flow == Flow::Barrier || flow == Flow::Wait || flow == Flow::Call; }

void findReconvergence(std::vector<Instr> &code) {
  // Basic blocks; block `numBlocks` is the virtual exit.
  size_t size = code.size();
  std::vector<bool> leads(size + 1, false);
  leads[0] = true;
  for (size_t i = 0; i < size; ++i) {
    const Instr &in = code[i];
    if (goesOn(in.flow))
      continue;
    leads[i + 1] = true;
    if (in.flow == Flow::Branch)
      leads[in.target] = true;
    for (uint32_t target : in.flow == Flow::BranchIndexed ? in.list : std::vector<uint32_t>())
      leads[target] = true;
  }
  std::vector<uint32_t> blockOf(size), starts;
  for (size_t i = 0; i < size; ++i) {
    if (leads[i])
      starts.push_back(static_cast<uint32_t>(i));
    blockOf[i] = static_cast<uint32_t>(starts.size()) - 1;
  }
  uint32_t numBlocks = static_cast<uint32_t>(starts.size());
  std::vector<std::vector<uint32_t>> successors(numBlocks), predecessors(numBlocks + 1);
  for (uint32_t block = 0; block < numBlocks; ++block) {
    uint32_t last = (block + 1 < numBlocks ? starts[block + 1] : static_cast<uint32_t>(size)) - 1;
    const Instr &in = code[last];
    auto &next = successors[block];
    bool conditional = in.guard != kNone;
    if (in.flow == Flow::Branch)
      next.push_back(blockOf[in.target]);
    else if (in.flow == Flow::BranchIndexed)
      for (uint32_t target : in.list)
        next.push_back(blockOf[target]);
    else if (in.flow == Flow::Exit || in.flow == Flow::Return)
      next.push_back(numBlocks); // a trap ends everything: nobody waits for the lanes that execute it
    bool falls = goesOn(in.flow) || conditional;
    if (falls && last + 1 < size)
      next.push_back(block + 1);
    for (uint32_t successor : next)
      predecessors[successor].push_back(block);
  }

  // Cooper, Harvey, Kennedy: "A simple, fast dominance algorithm", on the reversed graph.
  std::vector<uint32_t> order, position(numBlocks + 1, kNone);
  std::vector<std::pair<uint32_t, size_t>> walk{{numBlocks, 0}};
  std::vector<bool> seen(numBlocks + 1, false);
  seen[numBlocks] = true;
  while (!walk.empty()) {
    auto &[block, index] = walk.back();
    if (index < predecessors[block].size()) {
      uint32_t next = predecessors[block][index++];
      if (!seen[next]) {
        seen[next] = true;
        walk.push_back({next, 0});
      }
      continue;
    }
    position[block] = static_cast<uint32_t>(order.size());
    order.push_back(block);
    walk.pop_back();
  }
  std::vector<uint32_t> parent(numBlocks + 1, kNone);
  parent[numBlocks] = numBlocks;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = order.size(); i-- > 0;) {
      uint32_t block = order[i];
      if (block == numBlocks)
        continue;
      uint32_t best = kNone;
      for (uint32_t successor : successors[block]) {
        if (parent[successor] == kNone)
          continue;
        if (best == kNone) {
          best = successor;
          continue;
        }
        uint32_t other = successor;
        while (best != other) {
          while (position[best] < position[other])
            best = parent[best];
          while (position[other] < position[best])
            other = parent[other];
        }
      }
      if (best != parent[block]) {
        parent[block] = best;
        changed = true;
      }
    }
  }
  for (size_t i = 0; i < size; ++i)
    if (code[i].flow == Flow::Branch || code[i].flow == Flow::BranchIndexed) {
      uint32_t meet = parent[blockOf[i]];
      // Code that never ends has no post-dominator; its lanes meet nowhere.
      code[i].reconverge = meet == kNone || meet == numBlocks ? kNone : starts[meet];
    }
}

} // namespace emulator
} // namespace fourfold
