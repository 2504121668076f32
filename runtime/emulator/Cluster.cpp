// Blocks of a cluster: where addresses of shared memory lead, and which accesses are ordered against blocks that start and end.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Cluster.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

void Cluster::prepare(bool follows, uint32_t copiersOfBlock, bool followsFences, bool followsTensorFences) {
  auto numBlocks = static_cast<uint32_t>(blocks.size()), warpsOfBlock = static_cast<uint32_t>(blocks.front()->warps.size());
  clocks.prepare(numBlocks * warpsOfBlock, follows, numBlocks * copiersOfBlock, followsFences, followsTensorFences);
  flags.forget();
  arriving.forget();
  completed.forget();
  phase = live = arrived = 0;
  warps.assign(size_t{numBlocks} * warpsOfBlock, OfWarp());
  accesses.assign(follows ? size_t{numBlocks} * numBlocks * warpsOfBlock : 0, PeerAccess());
  for (uint32_t rank = 0; rank < numBlocks; ++rank)
    for (Warp &warp : blocks[rank]->warps) {
      warp.agent = rank * warpsOfBlock + warp.index;
      live += static_cast<uint32_t>(__builtin_popcount(warp.threads));
    }
}

std::string blockName(const Block &block) { return fmt::format("({}, {}, {})", block.index[0], block.index[1], block.index[2]); }

std::string agentName(const Warp &warp, uint32_t agent) {
  if (agent >= warp.block->shared.order->numWarps)
    return "an asynchronous copy";
  if (!warp.block->cluster)
    return fmt::format("warp {}", agent);
  const Warp &other = warp.block->cluster->warpOf(agent);
  return other.block == warp.block ? fmt::format("warp {}", other.index)
                                   : fmt::format("warp {} of block {}", other.index, blockName(*other.block));
}

/// Whether anything that the warp waited for says that a block runs.
static bool knowsStarted(const Cluster &cluster, const Warp &warp, const Block &block) {
  if (!cluster.clocks.areFollowed() || cluster.warps[warp.agent].seen)
    return true;
  for (const Warp &other : block.warps)
    if (cluster.clocks.at(warp.agent, other.agent))
      return true;
  return false;
}

SharedPlace peerPlace(Warp &warp, const Instr &in, int lane, uint64_t address, bool takesPeers, bool isAccess) {
  Cluster *cluster = warp.block->cluster;
  size_t count = cluster ? cluster->blocks.size() : 1;
  uint64_t rank = (address >> kPeerShift) - 1;
  uint32_t offset = static_cast<uint32_t>(address & ((1u << kPeerShift) - 1));
  if (!cluster || rank >= count)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("shared address {:#x} is out of bounds: the block's shared memory is [{:#x}, {:#x}), and there is no block of rank {} "
                       "in a cluster of {}",
                       address, warp.kernel->sharedBegin, warp.launch->sharedBytes, rank, count));
  Block *target = cluster->blocks[rank];
  if (target == warp.block)
    return {target, offset};
  if (!takesPeers)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("the instruction takes addresses of the block's own shared memory (.shared::cta); {:#x} is in that of block {}, rank {} "
                       "of the cluster: .shared::cluster is for those",
                       address, blockName(*target), rank));
  if (target->hasEnded)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("shared address {:#x} is of block {}, rank {} of the cluster, which has ended: a block has to wait, at a "
                       "barrier.cluster or an mbarrier, until others have made their accesses to its shared memory",
                       address, blockName(*target), rank));
  if (!knowsStarted(*cluster, warp, *target))
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("shared address {:#x} is of block {}, rank {} of the cluster, which may not have started: wait at a barrier.cluster "
                       "before the first access to the shared memory of another block",
                       address, blockName(*target), rank));
  if (isAccess && !cluster->accesses.empty())
    cluster->accesses[rank * cluster->warps.size() + warp.agent] = {cluster->clocks.now(warp.agent), &in, lane, offset};
  return {target, offset};
}

void passFlag(Warp &warp, bool reads) {
  Cluster *cluster = warp.block->cluster;
  if (!cluster || cluster->blocks.size() == 1 || !cluster->clocks.areFollowed())
    return;
  if (reads)
    cluster->clocks.learn(warp.agent, cluster->flags);
  cluster->clocks.publish(warp.agent, cluster->flags);
  cluster->clocks.advance(warp.agent);
}

void fenceCluster(Warp &warp) {
  Cluster *cluster = warp.block->cluster;
  if (!cluster || !cluster->clocks.areFollowed())
    return;
  cluster->clocks.publish(warp.agent, cluster->warps[warp.agent].fenced);
  cluster->clocks.advance(warp.agent);
}

void endBlock(Block &block) {
  block.hasEnded = true;
  Cluster *cluster = block.cluster;
  if (!cluster || cluster->accesses.empty())
    return;
  Knowledge known;
  for (const Warp &warp : block.warps)
    cluster->clocks.publish(warp.agent, known);
  for (uint32_t agent = 0; agent < cluster->warps.size(); ++agent) {
    const Cluster::PeerAccess &access = cluster->accesses[block.rank * cluster->warps.size() + agent];
    if (access.in && access.time > known.clocks[agent])
      report(cluster->warpOf(agent), *access.in, access.lane, device::kErrorLaunchFailed,
             fmt::format("this accesses address {:#x} in the shared memory of block {}, rank {} of the cluster, which may have ended before: that "
                         "block has to wait, at a barrier.cluster or an mbarrier, until others have made their accesses",
                         access.address, blockName(block), block.rank));
  }
}

} // namespace emulator
} // namespace fourfold
