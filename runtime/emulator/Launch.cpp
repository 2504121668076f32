// Launches: checks of the host's arguments, blocks over threads, counters.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AsyncProxy.h"
#include "Cluster.h"
#include "Device.h"
#include "LaunchControl.h"
#include "TensorMemory.h"
#include "Traffic.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr size_t kMaxRecords = 4096;

/// Registers with their constants in place, which serve one block after the other.
struct BlockStorage {
  Block block;
  std::vector<uint8_t> registers;
  std::vector<uint32_t> init;
};

/// What one host thread keeps: the blocks that it runs side by side, by rank, cluster after cluster.
struct Worker {
  std::vector<std::unique_ptr<BlockStorage>> storage;
  std::vector<Block *> blocks;
  std::vector<std::unique_ptr<Cluster>> clusters; // empty: none is needed
  bool ready = false;
};

unsigned clusterSize(const Launch &launch) { return launch.cluster[0] * launch.cluster[1] * launch.cluster[2]; }

void fillUnsigned(Warp &warp, uint32_t slot, const uint32_t *values) {
  std::memcpy(warp.reg<uint32_t>(slot), values, kLanes * 4);
}

void fillSpecial(Warp &warp, const std::string &name, uint32_t slot) {
  const Launch &launch = *warp.launch;
  const unsigned *size = launch.block;
  uint32_t values[kLanes] = {};
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    unsigned linear = warp.index * kLanes + lane;
    uint32_t value = 0;
    if (name == "%tid.x")
      value = linear % size[0];
    else if (name == "%tid.y")
      value = linear / size[0] % size[1];
    else if (name == "%tid.z")
      value = linear / (size[0] * size[1]);
    else if (name == "%ntid.x" || name == "%ntid.y" || name == "%ntid.z")
      value = size[name[6] - 'x'];
    else if (name == "%nctaid.x" || name == "%nctaid.y" || name == "%nctaid.z")
      value = launch.grid[name[8] - 'x'];
    else if (name == "%laneid")
      value = lane;
    else if (name == "%warpid")
      value = warp.index;
    else if (name == "%nwarpid")
      value = (size[0] * size[1] * size[2] + kLanes - 1) / kLanes;
    else if (name == "%nsmid")
      value = static_cast<uint32_t>(launch.smCount);
    else if (name == "%lanemask_eq")
      value = 1u << lane;
    else if (name == "%lanemask_lt")
      value = (1u << lane) - 1;
    else if (name == "%lanemask_le")
      value = (2u << lane) - 1;
    else if (name == "%lanemask_gt")
      value = ~((2u << lane) - 1);
    else if (name == "%lanemask_ge")
      value = ~((1u << lane) - 1);
    else if (name == "%dynamic_smem_size")
      value = launch.sharedBytes - warp.kernel->dynamicShared;
    else if (name == "%total_smem_size" || name == "%aggr_smem_size")
      value = launch.sharedBytes - kSharedStart;
    else if (name == "%cluster_nctarank")
      value = clusterSize(launch);
    else if (name.rfind("%cluster_nctaid.", 0) == 0)
      value = launch.cluster[name.back() - 'x'];
    else if (name.rfind("%nclusterid.", 0) == 0)
      value = launch.grid[name.back() - 'x'] / launch.cluster[name.back() - 'x'];
    else if (name == "%is_explicit_cluster")
      value = launch.hasClusters ? kAllLanes : 0; // a predicate
    else if (name == "%envreg1" || name == "%envreg2")
      value = static_cast<uint32_t>(name == "%envreg1" ? launch.gridWorkspace >> 32 : launch.gridWorkspace);
    values[lane] = value;
  }
  fillUnsigned(warp, slot, values);
}

void fillBlockSpecial(Warp &warp, const std::string &name, uint32_t slot) {
  const unsigned *index = warp.block->index, *grid = warp.launch->grid, *cluster = warp.launch->cluster;
  uint32_t value;
  if (name.rfind("%ctaid.", 0) == 0)
    value = index[name.back() - 'x'];
  else if (name.rfind("%clusterid.", 0) == 0)
    value = index[name.back() - 'x'] / cluster[name.back() - 'x'];
  else if (name.rfind("%cluster_ctaid.", 0) == 0)
    value = index[name.back() - 'x'] % cluster[name.back() - 'x'];
  else if (name == "%cluster_ctarank")
    value = warp.block->rank;
  else if (name == "%smid")
    value = (index[0] + grid[0] * (index[1] + grid[1] * index[2])) % static_cast<unsigned>(warp.launch->smCount);
  else
    return;
  std::fill_n(warp.reg<uint32_t>(slot), kLanes, value);
}

void prepareStorage(BlockStorage &worker, const Launch &launch) {
  const Kernel &kernel = *launch.kernel;
  unsigned threads = launch.block[0] * launch.block[1] * launch.block[2];
  size_t numWarps = (threads + kLanes - 1) / kLanes;
  size_t warpBytes = size_t{kernel.numSlots} * kSlotBytes;
  worker.registers.assign(numWarps * warpBytes + 64, 0);
  worker.init.assign(numWarps * kernel.numSlots, 0);
  uint8_t *base = worker.registers.data();
  base += (64 - reinterpret_cast<uintptr_t>(base) % 64) % 64;
  worker.block.launch = &launch;
  worker.block.warps = std::vector<Warp>(numWarps);
  prepareFootprint(worker.block);
  for (size_t i = 0; i < numWarps; ++i) {
    Warp &warp = worker.block.warps[i];
    warp.registers = base + i * warpBytes;
    warp.init = worker.init.data() + i * kernel.numSlots;
    warp.block = &worker.block;
    warp.launch = &launch;
    warp.kernel = &kernel;
    warp.index = static_cast<uint32_t>(i);
    unsigned left = threads - static_cast<unsigned>(i) * kLanes;
    warp.threads = left >= kLanes ? kAllLanes : (1u << left) - 1;
    warp.checks = launch.checks != CheckLevel::None;
    warp.local.resize(size_t{kernel.localBytes} * kLanes);
    for (const Constant &constant : kernel.constants) {
      if (constant.isPredicate)
        *warp.reg<uint32_t>(constant.slot) = constant.bits ? kAllLanes : 0;
      else if (constant.units == 2)
        std::fill_n(warp.reg<uint64_t>(constant.slot), kLanes, constant.bits);
      else
        std::fill_n(warp.reg<uint32_t>(constant.slot), kLanes, static_cast<uint32_t>(constant.bits));
    }
    for (const auto &[name, slot] : kernel.specials)
      fillSpecial(warp, name, slot);
  }
}

/// `count`: blocks that run side by side.
void prepareWorker(Worker &worker, const Launch &launch, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    worker.storage.push_back(std::make_unique<BlockStorage>());
    prepareStorage(*worker.storage.back(), launch);
    worker.blocks.push_back(&worker.storage.back()->block);
  }
  unsigned size = clusterSize(launch);
  for (uint64_t first = 0; first < count && (size > 1 || launch.kernel->usesClusters); first += size) {
    worker.clusters.push_back(std::make_unique<Cluster>());
    Cluster &cluster = *worker.clusters.back();
    cluster.blocks.assign(worker.blocks.begin() + static_cast<std::ptrdiff_t>(first),
                          worker.blocks.begin() + static_cast<std::ptrdiff_t>(first + size));
    for (unsigned rank = 0; rank < size; ++rank) {
      Block &block = *cluster.blocks[rank];
      block.rank = rank;
      block.cluster = &cluster;
      block.shared.order = &cluster.clocks;
    }
  }
  worker.ready = true;
}

/// The place in the grid of the block of a rank in a cluster.
void placeBlock(Block &block, const Launch &launch, uint64_t cluster, unsigned rank) {
  const unsigned *size = launch.cluster;
  unsigned inner[3] = {rank % size[0], rank / size[0] % size[1], rank / (size[0] * size[1])};
  for (int i = 0; i < 3; ++i) {
    unsigned clusters = launch.grid[i] / size[i];
    block.index[i] = static_cast<unsigned>(cluster % clusters) * size[i] + inner[i];
    cluster /= clusters;
  }
}

void startBlock(Block &block, const Launch &launch) {
  const Kernel &kernel = *launch.kernel;
  startFootprint(block);
  bool trackRaces = launch.checks == CheckLevel::Full && !kernel.sharesByFlags;
  block.hasEnded = false;
  block.shared.prepare(launch.sharedBytes, trackRaces);
  if (!block.cluster)
    block.shared.own.prepare(static_cast<uint32_t>(block.warps.size()), trackRaces, kernel.usesMbarriers ? kNumCopiers : 0,
                             kernel.usesAsyncProxy, kernel.usesTensorFences);
  block.async.reset();
  if (kernel.usesMbarriers)
    block.async = std::make_shared<AsyncProxy>(block);
  block.tensor.reset();
  if (kernel.usesTensorMemory)
    block.tensor = std::make_shared<TensorMemory>(block);
  if (kernel.sharedBegin < kSharedStart) { // reserved memory is there before the kernel
    std::fill_n(block.shared.data.begin() + kernel.sharedBegin, kSharedStart - kernel.sharedBegin, uint8_t{0});
    std::fill_n(block.shared.shadow.begin() + kernel.sharedBegin, kSharedStart - kernel.sharedBegin, uint8_t{kByteWritten});
  }
  block.wgmma.reset();
  for (Barrier &barrier : block.barriers)
    barrier = Barrier();
  for (Warp &warp : block.warps) {
    std::fill_n(warp.init, kernel.numSlots, 0u);
    for (uint32_t slot = 0; slot < kFirstSlot; ++slot)
      warp.init[slot] = kAllLanes;
    for (const Constant &constant : kernel.constants)
      warp.init[constant.slot] = kAllLanes;
    for (const auto &[name, slot] : kernel.specials) {
      warp.init[slot] = name == "%cc" ? 0 : kAllLanes;
      fillBlockSpecial(warp, name, slot);
    }
    warp.live = warp.threads;
    warp.state = Warp::State::Ready;
    warp.stack.assign(1, StackEntry{0, kNone, warp.threads});
    warp.calls.clear();
    std::fill_n(warp.stackTop, kLanes, kernel.stackStart);
    warp.copies.clear();
    warp.copiesIssued = 0;
    warp.yields = warp.repeats = false;
    warp.agent = warp.index;
    warp.turns = 0;
    std::fill_n(warp.committed, kLanes, 0);
    warp.uninitLine = 0;
    ++block.counters.blocks;
  }
  block.counters.blocks -= block.warps.size() - 1;
}

std::string describeMissing(const Kernel &kernel) {
  std::string text = kernel.missing.front().message;
  if (size_t others = kernel.missing.size() - 1)
    text += fmt::format(" (and {} other instruction{} that the kernel reaches)", others, others == 1 ? "" : "s");
  return text;
}

/// All blocks of the worker, from the one that stands at `first` in the order of clusters.
void startBlocks(Worker &worker, const Launch &launch, uint64_t first) {
  unsigned size = clusterSize(launch);
  for (size_t i = 0; i < worker.blocks.size(); ++i) {
    placeBlock(*worker.blocks[i], launch, (first + i) / size, static_cast<unsigned>((first + i) % size));
    startBlock(*worker.blocks[i], launch);
  }
  const Kernel &kernel = *launch.kernel;
  bool follows = launch.checks == CheckLevel::Full && (size > 1 || !kernel.sharesByFlags);
  for (auto &cluster : worker.clusters)
    cluster->prepare(follows, kernel.usesMbarriers ? kNumCopiers : 0, kernel.usesAsyncProxy, kernel.usesTensorFences);
}

int checkLaunch(const Context &context, const LoadedFunction &function, const unsigned *grid, const unsigned *block,
                unsigned sharedBytes, std::string &finding) {
  const Kernel &kernel = function.kernel;
  if (!kernel.missing.empty()) {
    finding = describeMissing(kernel);
    return device::kErrorNotSupported;
  }
  const DeviceInfo &device = kDevices[context.ordinal];
  uint64_t threads = uint64_t{block[0]} * block[1] * block[2];
  auto refuse = [&](int code, std::string text) {
    finding = fmt::format("launch of '{}': {}", kernel.name, text);
    return code;
  };
  if (!grid[0] || !grid[1] || !grid[2] || !threads)
    return refuse(device::kErrorInvalidValue, "a dimension of the grid or of the block is 0");
  if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535)
    return refuse(
        device::kErrorInvalidValue,
        fmt::format("grid ({}, {}, {}) is above the limit (2147483647, 65535, 65535)", grid[0], grid[1], grid[2]));
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 || threads > 1024)
    return refuse(device::kErrorInvalidValue,
                  fmt::format("block ({}, {}, {}) is above the limit of (1024, 1024, 64) and 1024 threads", block[0],
                              block[1], block[2]));
  if (kernel.requiredThreads[0])
    for (int i = 0; i < 3; ++i)
      if (kernel.requiredThreads[i] != block[i])
        return refuse(device::kErrorInvalidValue,
                      fmt::format("block ({}, {}, {}) is not the .reqntid ({}, {}, {}) of the kernel", block[0],
                                  block[1], block[2], kernel.requiredThreads[0], kernel.requiredThreads[1],
                                  kernel.requiredThreads[2]));
  if (kernel.maxThreads[0]) {
    uint64_t most = uint64_t{kernel.maxThreads[0]} * kernel.maxThreads[1] * kernel.maxThreads[2];
    if (threads > most)
      return refuse(device::kErrorInvalidValue,
                    fmt::format("{} threads are above the .maxntid of the kernel, {}", threads, most));
  }
  int limit = function.maxDynamicShared ? function.maxDynamicShared : 48 * 1024;
  int fixed = static_cast<int>(kernel.staticSharedEnd - kSharedStart);
  if (static_cast<int64_t>(sharedBytes) > std::max(limit - (function.maxDynamicShared ? 0 : fixed), 0) ||
      static_cast<int64_t>(sharedBytes) + fixed > device.sharedOptin)
    return refuse(
        device::kErrorInvalidValue,
        fmt::format(
            "{} bytes of dynamic and {} of static shared memory are above the limit: {} bytes by default, up to {} "
            "after cuFuncSetAttribute(MAX_DYNAMIC_SHARED_SIZE_BYTES), which is at {}",
            sharedBytes, fixed, 48 * 1024, device.sharedOptin, function.maxDynamicShared));
  return device::kSuccess;
}

/// What cooperative groups keep a barrier of the grid in: its size, and a word that counts (cooperative_groups/details/driver_abi.h).
uint64_t makeWorkspace(Memory &memory) {
  constexpr uint32_t kBytes = 8;
  uint64_t address = memory.allocate(kBytes, 8, "workspace of a cooperative launch");
  if (Allocation *allocation = address ? memory.find(address, kBytes) : nullptr) {
    const uint32_t words[2] = {kBytes, 0};
    std::memcpy(allocation->data.get(), words, kBytes);
    std::memset(allocation->shadow.get(), 1, kBytes);
  }
  return address;
}

} // namespace

int launch(Context &context, LoadedFunction &function, LaunchShape shape, void **params, std::string &finding) {
  const unsigned *grid = shape.grid, *block = shape.block;
  unsigned sharedBytes = shape.sharedBytes;
  if (int error = checkLaunch(context, function, grid, block, sharedBytes, finding))
    return error;
  if (int error = checkClusters(context, function, shape, finding))
    return error;
  State &global = state();
  const Kernel &kernel = function.kernel;
  const DeviceInfo &device = kDevices[context.ordinal];
  Launch launch;
  launch.kernel = &kernel;
  std::copy_n(grid, 3, launch.grid);
  std::copy_n(block, 3, launch.block);
  std::copy_n(shape.cluster, 3, launch.cluster);
  launch.hasClusters = shape.hasClusters;
  launch.isCooperative = shape.isCooperative;
  launch.sharedBytes = std::max(kernel.staticSharedEnd, sharedBytes ? kernel.dynamicShared + sharedBytes : 0);
  launch.params.resize(kernel.paramBytes);
  for (size_t i = 0; i < kernel.params.size(); ++i) {
    if (!params || !params[i]) {
      finding = fmt::format("launch of '{}': parameter {} of {} is null", kernel.name, i, kernel.params.size());
      return device::kErrorInvalidValue;
    }
    std::memcpy(launch.params.data() + kernel.paramOffsets[i], params[i], static_cast<size_t>(kernel.params[i].bytes));
  }
  launch.memory = &context.memory;
  launch.checks = global.options.checks;
  launch.ordinal = context.ordinal;
  launch.major = device.major;
  launch.minor = device.minor;
  launch.smCount = device.smCount;

  if (shape.isCooperative && !(launch.gridWorkspace = makeWorkspace(context.memory))) {
    finding = fmt::format("launch of '{}': the host has no memory left", kernel.name);
    return device::kErrorOutOfMemory;
  }

  std::mutex failureMutex;
  int failure = device::kSuccess;
  unsigned failedBlock = 0;
  auto fail = [&](unsigned linear, int code, const std::string &message) {
    std::lock_guard<std::mutex> lock(failureMutex);
    launch.stop = true;
    if (failure == device::kSuccess || linear < failedBlock) {
      failure = code;
      failedBlock = linear;
      finding = message;
    }
  };

  auto start = std::chrono::steady_clock::now();
  uint64_t total = uint64_t{grid[0]} * grid[1] * grid[2], side = shape.isCooperative ? total : clusterSize(launch);
  tbb::enumerable_thread_specific<Worker> workers;
  std::atomic<uint64_t> next{0};
  ClusterQueue queue{&next, total / side, global.options.order == BlockOrder::Descending};
  auto work = [&] {
    Worker &worker = workers.local();
    setClusterQueue(&queue);
    try {
      if (!worker.ready)
        prepareWorker(worker, launch, side);
      // Blocks start in order, as a GPU starts them, unless the options want it otherwise: a block may wait for an earlier one.
      for (uint64_t first; !launch.stop && (first = side * queue.take()) < total;) {
        try {
          startBlocks(worker, launch, first);
          runBlocks(worker.blocks);
        } catch (const Finding &error) {
          fail(static_cast<unsigned>(first), error.code, error.what());
        }
      }
    } catch (const std::bad_alloc &) {
      fail(0, device::kErrorOutOfMemory, fmt::format("launch of '{}': the host has no memory left", kernel.name));
    }
    setClusterQueue(nullptr);
  };
  int threads = global.options.threads ? global.options.threads : tbb::this_task_arena::max_concurrency();
  threads = static_cast<int>(std::min<uint64_t>(static_cast<uint64_t>(threads), total / side));
  if (threads <= 1) {
    work();
  } else {
    tbb::task_arena arena(threads);
    arena.execute([&] {
      tbb::parallel_for(
          0, threads, [&](int) { work(); }, tbb::simple_partitioner());
    });
  }
  if (launch.gridWorkspace)
    context.memory.release(launch.gridWorkspace);

  KernelRecord record;
  record.name = kernel.name;
  std::copy_n(grid, 3, record.grid);
  std::copy_n(block, 3, record.block);
  record.staticSlots = staticSlots(kernel);
  record.sharedBytes = launch.sharedBytes - std::min(kernel.sharedBegin, kSharedStart);
  Footprint footprint;
  for (Worker &worker : workers)
    for (Block *used : worker.blocks) {
      gatherFootprint(*used, footprint);
      for (size_t i = 0; i < kernel.mmaKinds.size(); ++i)
        if (used->mmaCounts[i])
          used->counters.mmas[kernel.mmaKinds[i]] += used->mmaCounts[i];
      record.counters += used->counters;
    }
  record.counters.footprintRead = footprint.sectorsRead();
  record.counters.footprintWritten = footprint.sectorsWritten();
  record.counters.launches = 1;
  record.counters.kernelNanoseconds = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count());
  global.totals += record.counters;
  global.records.push_back(std::move(record));
  if (global.records.size() > kMaxRecords)
    global.records.pop_front();
  return failure;
}

} // namespace emulator
} // namespace fourfold
