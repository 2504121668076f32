// Blocks of a cluster: addresses of their shared memory, barrier.cluster, and what is known of blocks that start and end.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_CLUSTER_H
#define FOURFOLD_RUNTIME_EMULATOR_CLUSTER_H

#include "Warp.h"

#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

class Decoder;

/// An address of the .shared::cluster window: a block's own shared memory lies at its .shared::cta addresses, that of the block of rank N
/// (and so again one's own) at those plus (N + 1) << kPeerShift.
inline constexpr uint32_t kPeerShift = 24;
/// Blocks that every device takes as a cluster, and those that it takes of a kernel that allows a size that is not portable.
inline constexpr uint32_t kPortableCluster = 8, kLargestCluster = 16;

/// Blocks that run together, and may use each other's shared memory.
struct Cluster {
  std::vector<Block *> blocks; // by rank
  Clocks clocks;
  /// What atomic, volatile and ordered accesses passed on, to any memory: more than they do, so that what they may order is never called a
  /// race.
  Knowledge flags;

  // barrier.cluster: threads that have not exited, and those of them that arrived in this phase.
  uint32_t phase = 0, live = 0, arrived = 0;
  Knowledge arriving, completed;

  struct OfWarp {
    uint32_t pending = 0;            // lanes that arrived and have not waited
    uint32_t lanePhase[kLanes] = {}; // in which phase
    int32_t arriveLine = 0;
    uint32_t seen = 0; // phases that it waited for
    Knowledge fenced;  // at its last fence of the cluster's scope or a wider one
  };
  std::vector<OfWarp> warps; // by agent

  /// The last access by a warp to the shared memory of another block.
  struct PeerAccess {
    uint32_t time = 0;
    const Instr *in = nullptr;
    int lane = 0;
    uint32_t address = 0;
  };
  std::vector<PeerAccess> accesses; // [rank of the block that owns the memory][agent]

  /// Everything anew, for blocks that are about to start.
  void prepare(bool follows, uint32_t copiersOfBlock, bool followsFences, bool followsTensorFences);
  Warp &warpOf(uint32_t agent) const {
    return blocks[agent / blocks.front()->warps.size()]->warps[agent % blocks.front()->warps.size()];
  }
};

/// Shared memory of a block.
struct SharedPlace {
  Block *block;
  uint32_t offset;
};

/// Where an address of shared memory leads, with or without its rank. Reports ranks that do not exist, blocks that have ended or may not
/// have started, and peers' addresses where `takesPeers` is false. `isAccess`: it must have been made before that block ends.
SharedPlace peerPlace(Warp &warp, const Instr &in, int lane, uint64_t address, bool takesPeers, bool isAccess);
inline SharedPlace sharedPlace(Warp &warp, const Instr &in, int lane, uint64_t address, bool takesPeers, bool isAccess = true) {
  if (address < (uint64_t{1} << kPeerShift))
    return {warp.block, static_cast<uint32_t>(address)};
  return peerPlace(warp, in, lane, address, takesPeers, isAccess);
}

/// "warp 3", and of which block where it is another than this warp's.
std::string agentName(const Warp &warp, uint32_t agent);
std::string blockName(const Block &block);

/// An atomic, volatile or ordered access: what others passed on by theirs is known from now on, if it reads, and what the warp knows passed
/// on.
void passFlag(Warp &warp, bool reads);
/// A fence of the cluster's scope or a wider one, for relaxed arrivals after it.
void fenceCluster(Warp &warp);
/// The lanes have exited: barrier.cluster no longer waits for them.
void leaveCluster(Warp &warp, uint32_t mask);
/// All warps of the block have ended: reports accesses to its shared memory that may come after.
void endBlock(Block &block);
/// How many threads arrived at barrier.cluster, for messages.
std::string describeClusterBarrier(const Block &block);

/// mapa, getctarank, barrier.cluster.
bool decodeCluster(Decoder &decoder);
/// st.async and red.async; false if it is neither.
bool decodeAsyncStore(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_CLUSTER_H
