// Programs of thread block clusters and cooperative grids: distributed shared memory, cluster barriers, remote mbarriers, multicast, grid.sync.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cooperative_groups.h>

namespace cg = cooperative_groups;

#define KERNEL extern "C" __global__ void

// What each block is told of its cluster.
KERNEL cluster_facts(unsigned *out) {
  cg::cluster_group cluster = cg::this_cluster();
  unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  if (threadIdx.x == 0) {
    unsigned *row = out + 16 * block;
    row[0] = cluster.block_rank();
    row[1] = cluster.num_blocks();
    dim3 index = cluster.block_index(), size = cluster.dim_blocks();
    row[2] = index.x;
    row[3] = index.y;
    row[4] = index.z;
    row[5] = size.x;
    row[6] = size.y;
    row[7] = size.z;
    dim3 id = __clusterIdx(), count = __clusterGridDimInClusters();
    row[8] = id.x;
    row[9] = id.y;
    row[10] = id.z;
    row[11] = count.x;
    row[12] = count.y;
    row[13] = count.z;
    row[14] = __clusterDimIsSpecified();
    __shared__ int here;
    row[15] = cluster.query_shared_rank(cluster.map_shared_rank(&here, cluster.num_blocks() - 1));
  }
}

// The sum of a cluster's part of the input: each block sums its own, the first adds up what it reads from the others.
KERNEL cluster_sum(const int *in, int *out, int perBlock) {
  cg::cluster_group cluster = cg::this_cluster();
  __shared__ int warps[32];
  __shared__ int total;
  int sum = 0;
  for (int i = threadIdx.x; i < perBlock; i += blockDim.x)
    sum += in[blockIdx.x * perBlock + i];
  for (int step = 16; step; step /= 2)
    sum += __shfl_down_sync(~0u, sum, step);
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    total = 0;
    for (unsigned i = 0; i < blockDim.x / 32; ++i)
      total += warps[i];
  }
  cluster.sync();
  if (cluster.block_rank() == 0 && threadIdx.x == 0) {
    int all = 0;
    for (unsigned rank = 0; rank < cluster.num_blocks(); ++rank)
      all += *cluster.map_shared_rank(&total, rank);
    out[blockIdx.x / cluster.num_blocks()] = all;
  }
  cluster.sync();
}

// A histogram whose bins are spread over the blocks of the cluster (CUDA C++ programming guide, distributed shared memory).
KERNEL cluster_histogram(const int *in, int count, int *bins, int numBins) {
  extern __shared__ int part[];
  cg::cluster_group cluster = cg::this_cluster();
  int perBlock = numBins / static_cast<int>(cluster.num_blocks());
  for (int i = threadIdx.x; i < perBlock; i += blockDim.x)
    part[i] = 0;
  cluster.sync();
  int thread = blockIdx.x * blockDim.x + threadIdx.x;
  for (int i = thread; i < count; i += gridDim.x * blockDim.x) {
    int bin = in[i];
    int *far = cluster.map_shared_rank(part, bin / perBlock);
    atomicAdd(far + bin % perBlock, 1);
  }
  cluster.sync();
  for (int i = threadIdx.x; i < perBlock; i += blockDim.x)
    atomicAdd(&bins[cluster.block_rank() * perBlock + i], part[i]);
}

// Values go round the ring of blocks, one step a round; each block adds its rank to what it passes on.
KERNEL cluster_ring(int *out, int rounds) {
  cg::cluster_group cluster = cg::this_cluster();
  __shared__ int slot[2][64];
  unsigned rank = cluster.block_rank(), size = cluster.num_blocks();
  slot[0][threadIdx.x] = rank * 1000 + threadIdx.x;
  cluster.sync();
  for (int round = 0; round < rounds; ++round) {
    int *next = cluster.map_shared_rank(&slot[(round + 1) % 2][0], (rank + 1) % size);
    next[threadIdx.x] = slot[round % 2][threadIdx.x] + rank;
    cluster.sync();
  }
  out[blockIdx.x * 64 + threadIdx.x] = slot[rounds % 2][threadIdx.x];
}

__device__ unsigned shared32(const void *pointer) { return static_cast<unsigned>(__cvta_generic_to_shared(pointer)); }
__device__ unsigned mapa(unsigned address, unsigned rank) {
  unsigned result;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(result) : "r"(address), "r"(rank));
  return result;
}
__device__ void mbarrier_init(unsigned long long *bar, unsigned count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared32(bar)), "r"(count) : "memory");
}
__device__ void mbarrier_expect(unsigned long long *bar, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared32(bar)), "r"(bytes) : "memory");
}
__device__ void mbarrier_arrive_remote(unsigned long long *bar, unsigned rank) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(mapa(shared32(bar), rank)) : "memory");
}
__device__ void mbarrier_wait(unsigned long long *bar, unsigned parity) {
  asm volatile("{\n.reg .pred p;\nagain:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], %1;\n@!p bra again;\n}" ::"r"(
                   shared32(bar)),
               "r"(parity)
               : "memory");
}

// Two blocks hand buffers to each other through mbarriers alone: st.async fills the peer's buffer, a remote arrival gives it back.
KERNEL cluster_exchange(int *out, int rounds) {
  __shared__ alignas(16) int buffer[32];
  __shared__ alignas(8) unsigned long long full, empty;
  cg::cluster_group cluster = cg::this_cluster();
  unsigned rank = cluster.block_rank(), peer = rank ^ 1;
  if (threadIdx.x == 0) {
    mbarrier_init(&full, 1);
    mbarrier_init(&empty, 32);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
  int value = rank * 100 + threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    if (threadIdx.x == 0)
      mbarrier_expect(&full, 128);
    if (round > 0)
      mbarrier_wait(&empty, (round - 1) & 1); // the peer has read what was sent before
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
                     mapa(shared32(&buffer[threadIdx.x]), peer)),
                 "r"(value), "r"(mapa(shared32(&full), peer))
                 : "memory");
    mbarrier_wait(&full, round & 1);
    value = 3 * buffer[threadIdx.x] + round;
    mbarrier_arrive_remote(&empty, peer);
  }
  out[blockIdx.x * 32 + threadIdx.x] = value;
  cluster.sync();
}

// red.async: every thread of every block adds to a counter in the first block.
KERNEL cluster_count(unsigned *out) {
  __shared__ alignas(16) unsigned counter;
  __shared__ alignas(8) unsigned long long done;
  cg::cluster_group cluster = cg::this_cluster();
  unsigned threads = cluster.num_blocks() * blockDim.x;
  if (threadIdx.x == 0) {
    counter = 5;
    mbarrier_init(&done, 1);
    if (cluster.block_rank() == 0)
      mbarrier_expect(&done, 4 * threads);
  }
  cluster.sync();
  asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%0], %1, [%2];" ::"r"(
                   mapa(shared32(&counter), 0)),
               "r"(threadIdx.x + 1), "r"(mapa(shared32(&done), 0))
               : "memory");
  if (cluster.block_rank() == 0) {
    mbarrier_wait(&done, 0);
    if (threadIdx.x == 0)
      out[blockIdx.x / cluster.num_blocks()] = counter;
  } // nobody needs to wait at the end: what goes to the first block's memory has arrived, to that of others goes nothing
}

struct alignas(64) TensorMap {
  char bytes[128];
};

// C = A * B in tiles of 16 x 16: the blocks of a 2 x 2 cluster share what they load. Each block loads half of a tile of A for its row of blocks and half of
// a tile of B for its column, to both blocks at once.
KERNEL __cluster_dims__(2, 2, 1) multicast_matmul(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float *c, int n) {
  __shared__ alignas(128) float tileA[2][16][16], tileB[2][16][16];
  __shared__ alignas(8) unsigned long long full[2], empty[2];
  cg::cluster_group cluster = cg::this_cluster();
  dim3 place = cluster.block_index();
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      mbarrier_init(&full[i], 1);
      mbarrier_init(&empty[i], 3); // the blocks of this row and of this column, this one among them once
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  cluster.sync();
  int row = threadIdx.x / 16, column = threadIdx.x % 16, tiles = n / 16;
  unsigned self = cluster.block_rank(), besides = self ^ 1, below = self ^ 2; // ranks count along x
  float sum = 0;
  for (int k = 0; k < tiles; ++k) {
    int stage = k % 2, use = k / 2;
    if (threadIdx.x == 0) {
      mbarrier_expect(&full[stage], 2048);
      if (use > 0)
        mbarrier_wait(&empty[stage], (use - 1) & 1);
      unsigned short inRow = static_cast<unsigned short>(1u << self | 1u << besides), inColumn = static_cast<unsigned short>(1u << self | 1u << below);
      asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(
                       shared32(&tileA[stage][8 * place.x][0])),
                   "l"(&a), "r"(16 * k), "r"(static_cast<int>(16 * blockIdx.y + 8 * place.x)), "r"(shared32(&full[stage])), "h"(inRow)
                   : "memory");
      asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(
                       shared32(&tileB[stage][8 * place.y][0])),
                   "l"(&b), "r"(static_cast<int>(16 * blockIdx.x)), "r"(static_cast<int>(16 * k + 8 * place.y)), "r"(shared32(&full[stage])), "h"(inColumn)
                   : "memory");
    }
    mbarrier_wait(&full[stage], use & 1);
    for (int i = 0; i < 16; ++i)
      sum += tileA[stage][row][i] * tileB[stage][i][column];
    __syncthreads();
    if (threadIdx.x == 0) {
      mbarrier_arrive_remote(&empty[stage], self);
      mbarrier_arrive_remote(&empty[stage], besides);
      mbarrier_arrive_remote(&empty[stage], below);
    }
  }
  c[(16 * blockIdx.y + row) * n + 16 * blockIdx.x + column] = sum;
  cluster.sync();
}

// Bytes of one block's shared memory to the next block's, by the copy engine.
KERNEL cluster_copy(const int *in, int *out) {
  __shared__ alignas(16) int from[128], to[128];
  __shared__ alignas(8) unsigned long long arrived;
  cg::cluster_group cluster = cg::this_cluster();
  from[threadIdx.x] = in[blockIdx.x * 128 + threadIdx.x];
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  cluster.sync();
  if (threadIdx.x == 0) {
    unsigned next = (cluster.block_rank() + 1) % cluster.num_blocks();
    mbarrier_expect(&arrived, 512);
    asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(mapa(shared32(to), next)),
                 "r"(shared32(from)), "r"(512), "r"(mapa(shared32(&arrived), next))
                 : "memory");
  }
  mbarrier_wait(&arrived, 0);
  out[blockIdx.x * 128 + threadIdx.x] = to[threadIdx.x];
  cluster.sync();
}

// Inclusive prefix sums over a cooperative grid: blocks sum their parts, wait for all, add what stands before them.
KERNEL grid_prefix(const int *in, int *out, int *sums, int perBlock) {
  cg::grid_group grid = cg::this_grid();
  extern __shared__ int part[];
  for (int i = threadIdx.x; i < perBlock; i += blockDim.x)
    part[i] = in[blockIdx.x * perBlock + i];
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < perBlock; ++i)
      part[i] += part[i - 1];
    sums[blockIdx.x] = part[perBlock - 1];
  }
  grid.sync();
  int before = 0;
  for (unsigned i = 0; i < blockIdx.x; ++i)
    before += sums[i];
  for (int i = threadIdx.x; i < perBlock; i += blockDim.x)
    out[blockIdx.x * perBlock + i] = part[i] + before;
  grid.sync();
  if (grid.thread_rank() == 0)
    sums[0] = static_cast<int>(grid.size());
}

// The start of a kernel that may overlap with the one before.
KERNEL dependent(int *data) {
  asm volatile("griddepcontrol.wait;" ::: "memory"); // cudaGridDependencySynchronize, which NVRTC does not know
  data[threadIdx.x] += 1;
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
