// Parallel algorithms as people write them: sorting, scans that look back, hash tables, stencils, graphs, producers and consumers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifdef __CUDACC_RTC__ // NVRTC has no headers of the C library.
#include <cuda/std/cstdint>
using namespace cuda::std;
#else
#include <cstdint>
#endif
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

__constant__ float stencilWeights[7] = {-6.f, 1.f, 1.f, 1.f, 1.f, 1.f, 1.f};
__device__ unsigned int blocksDone = 0;

// Bitonic sort of 512 keys in shared memory; the last five strides of each stage inside warps, without a barrier of the block.
extern "C" __global__ void bitonicSort(uint32_t *keys) {
  __shared__ uint32_t s[512];
  s[threadIdx.x] = keys[blockIdx.x * 512 + threadIdx.x];
  s[threadIdx.x + 256] = keys[blockIdx.x * 512 + threadIdx.x + 256];
  for (unsigned size = 2; size <= 512; size *= 2)
    for (unsigned stride = size / 2; stride > 0; stride /= 2) {
      if (stride >= 32 || stride == size / 2)
        __syncthreads();
      else
        __syncwarp();
      unsigned i = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
      bool up = (i & size) == 0;
      uint32_t a = s[i], b = s[i + stride];
      if ((a > b) == up) {
        s[i] = b;
        s[i + stride] = a;
      }
    }
  __syncthreads();
  keys[blockIdx.x * 512 + threadIdx.x] = s[threadIdx.x];
  keys[blockIdx.x * 512 + threadIdx.x + 256] = s[threadIdx.x + 256];
}

// One warp a row of a CSR matrix.
extern "C" __global__ void spmvCsr(int rows, const int *__restrict__ starts, const int *__restrict__ columns, const double *__restrict__ values,
                                   const double *__restrict__ x, double *__restrict__ y) {
  auto tile = cg::tiled_partition<8>(cg::this_thread_block());
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / 8;
  if (row >= rows)
    return;
  double sum = 0;
  for (int i = starts[row] + tile.thread_rank(); i < starts[row + 1]; i += tile.size())
    sum += values[i] * x[columns[i]];
  for (int offset = tile.size() / 2; offset; offset /= 2)
    sum += tile.shfl_down(sum, offset);
  if (tile.thread_rank() == 0)
    y[row] = sum;
}

// Radix sort by one block, four bits a pass, ranks from ballots.
extern "C" __global__ void radixSort(uint32_t *keys, uint32_t *other, int count) {
  __shared__ unsigned counts[16][8], starts[16];
  __shared__ unsigned next[16];
  unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int shift = 0; shift < 32; shift += 4) {
    if (threadIdx.x < 16)
      next[threadIdx.x] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += 256)
      atomicAdd(&next[keys[i] >> shift & 15], 1u);
    __syncthreads();
    if (warp == 0) {
      unsigned mine = lane < 16 ? next[lane] : 0, sum = mine;
      for (int d = 1; d < 16; d *= 2) {
        unsigned below = __shfl_up_sync(~0u, sum, d);
        if (lane >= static_cast<unsigned>(d))
          sum += below;
      }
      if (lane < 16)
        starts[lane] = sum - mine;
    }
    __syncthreads();
    for (int base = 0; base < count; base += 256) {
      int i = base + threadIdx.x;
      bool valid = i < count;
      unsigned key = valid ? keys[i] : 0, digit = key >> shift & 15, peers = __ballot_sync(~0u, valid);
      for (int bit = 0; bit < 4; ++bit) {
        unsigned vote = __ballot_sync(~0u, digit >> bit & 1);
        peers &= digit >> bit & 1 ? vote : ~vote;
      }
      for (unsigned d = lane; d < 16; d += 32)
        counts[d][warp] = 0;
      __syncwarp();
      if (valid && (peers >> lane) == 1)
        counts[digit][warp] = __popc(peers);
      __syncthreads();
      unsigned before = 0;
      if (valid) {
        for (unsigned w = 0; w < warp; ++w)
          before += counts[digit][w];
        other[starts[digit] + before + __popc(peers & ((1u << lane) - 1))] = key;
      }
      __syncthreads();
      if (threadIdx.x < 16)
        for (int w = 0; w < 8; ++w)
          starts[threadIdx.x] += counts[threadIdx.x][w];
      __syncthreads();
    }
    uint32_t *t = keys;
    keys = other;
    other = t;
    __syncthreads();
  }
}

// Seven points of a grid in three dimensions, planes carried in registers, halo in shared memory.
extern "C" __global__ void stencil3d(float *out, const float *in, int nx, int ny, int nz) {
  __shared__ float plane[10][34];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y, tx = threadIdx.x + 1, ty = threadIdx.y + 1;
  auto at = [&](int i, int j, int k) { return i >= 0 && i < nx && j >= 0 && j < ny && k >= 0 && k < nz ? in[(k * ny + j) * nx + i] : 0.f; };
  float below = 0, here = at(x, y, 0), above;
  for (int z = 0; z < nz; ++z) {
    above = at(x, y, z + 1);
    __syncthreads();
    plane[ty][tx] = here;
    if (threadIdx.y == 0)
      plane[0][tx] = at(x, y - 1, z);
    if (threadIdx.y == 7)
      plane[9][tx] = at(x, y + 1, z);
    if (threadIdx.x == 0)
      plane[ty][0] = at(x - 1, y, z);
    if (threadIdx.x == 31)
      plane[ty][33] = at(x + 1, y, z);
    __syncthreads();
    if (x < nx && y < ny)
      out[(z * ny + y) * nx + x] = stencilWeights[0] * here + stencilWeights[1] * below + stencilWeights[2] * above +
                                   stencilWeights[3] * plane[ty][tx - 1] + stencilWeights[4] * plane[ty][tx + 1] +
                                   stencilWeights[5] * plane[ty - 1][tx] + stencilWeights[6] * plane[ty + 1][tx];
    below = here;
    here = above;
  }
}

// Scan of the whole array in one pass: blocks take numbers in the order they start and look back for their predecessors' sums.
extern "C" __global__ void scanLookBack(int *out, const int *in, int count, unsigned *ticket, volatile unsigned long long *state) {
  __shared__ unsigned number;
  __shared__ int sums[4], before;
  if (threadIdx.x == 0)
    number = atomicAdd(ticket, 1u);
  __syncthreads();
  int i = number * 128 + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int v = i < count ? in[i] : 0;
  for (int d = 1; d < 32; d *= 2) {
    int below = __shfl_up_sync(~0u, v, d);
    if (lane >= d)
      v += below;
  }
  if (lane == 31)
    sums[warp] = v;
  __syncthreads();
  int base = 0, total = 0;
  for (int w = 0; w < 4; ++w) {
    base += w < warp ? sums[w] : 0;
    total += sums[w];
  }
  if (threadIdx.x == 0) {
    int prefix = 0;
    state[number] = (number ? 1ull : 2ull) << 32 | static_cast<unsigned>(total);
    for (int j = static_cast<int>(number) - 1; j >= 0; --j) {
      unsigned long long s;
      while ((s = state[j]) >> 32 == 0)
        ;
      prefix += static_cast<int>(s);
      if (s >> 32 == 2)
        break;
    }
    state[number] = 2ull << 32 | static_cast<unsigned>(prefix + total);
    before = prefix;
  }
  __syncthreads();
  if (i < count)
    out[i] = before + base + v;
}

// Sum of everything: the last block to finish adds up what the others left, as the threadFenceReduction sample.
extern "C" __global__ void sumLastBlock(float *result, float *partial, const float *in, int count) {
  __shared__ float s[128];
  __shared__ bool last;
  float sum = 0;
  for (int i = blockIdx.x * 128 + threadIdx.x; i < count; i += gridDim.x * 128)
    sum += in[i];
  auto reduce = [&] {
    s[threadIdx.x] = sum;
    for (int stride = 64; stride > 0; stride /= 2) {
      __syncthreads();
      if (threadIdx.x < stride)
        s[threadIdx.x] += s[threadIdx.x + stride];
    }
  };
  reduce();
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = s[0];
    __threadfence();
    last = atomicInc(&blocksDone, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last)
    return;
  sum = threadIdx.x < gridDim.x ? __ldcg(partial + threadIdx.x) : 0;
  reduce();
  if (threadIdx.x == 0)
    *result = s[0];
}

// Open addressing, keys claimed with compare and swap; returns where each key is.
extern "C" __global__ void hashInsert(unsigned long long *table, unsigned slots, const uint32_t *keys, uint32_t *where, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  unsigned slot = keys[i] * 2654435761u % slots;
  for (;;) {
    unsigned long long found = atomicCAS(&table[slot], ~0ull, (static_cast<unsigned long long>(keys[i]) << 32) | i);
    if (found == ~0ull || found >> 32 == keys[i])
      break;
    slot = (slot + 1) % slots;
  }
  where[i] = slot;
}

// Frontier of a breadth-first search: one atomic a warp for all lanes that found something.
extern "C" __global__ void breadthFirst(int *distance, const int *starts, const int *edges, const int *frontier, int size, int *next, int *nextSize, int level) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < size; i += gridDim.x * blockDim.x)
    for (int e = starts[frontier[i]]; e < starts[frontier[i] + 1]; ++e)
      if (atomicCAS(&distance[edges[e]], -1, level) == -1) {
        cg::coalesced_group active = cg::coalesced_threads();
        int base;
        if (active.thread_rank() == 0)
          base = atomicAdd(nextSize, static_cast<int>(active.size()));
        next[active.shfl(base, 0) + active.thread_rank()] = edges[e];
      }
}

// Warps that produce and warps that consume, handed over with named barriers of 64 threads.
extern "C" __global__ void namedBarriers(int *out, const int *in, int rounds) {
  __shared__ int buffer[2][32];
  int lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    for (int i = 0; i < rounds; ++i) {
      asm volatile("bar.sync %0, 64;" ::"r"(i % 2 + 3) : "memory"); // empty
      buffer[i % 2][lane] = in[i * 32 + lane] * 3;
      asm volatile("bar.arrive %0, 64;" ::"r"(i % 2 + 1) : "memory"); // full
    }
  } else {
    asm volatile("bar.arrive 3, 64;" ::: "memory");
    asm volatile("bar.arrive 4, 64;" ::: "memory");
    for (int i = 0; i < rounds; ++i) {
      asm volatile("bar.sync %0, 64;" ::"r"(i % 2 + 1) : "memory");
      out[i * 32 + lane] = buffer[i % 2][31 - lane];
      if (i + 2 < rounds)
        asm volatile("bar.arrive %0, 64;" ::"r"(i % 2 + 3) : "memory");
    }
  }
}

// FFT of 64 points in shared memory, then a transform back with the conjugate.
extern "C" __global__ void fft64(float2 *data) {
  __shared__ float2 s[64];
  int t = threadIdx.x;
  for (int direction = -1; direction <= 1; direction += 2) {
    s[__brev(t) >> 26] = data[blockIdx.x * 64 + t];
    s[__brev(t + 32) >> 26] = data[blockIdx.x * 64 + t + 32];
    __syncwarp();
    for (int half = 1; half < 64; half *= 2) {
      int i = t / half * half * 2 + t % half;
      float sine, cosine;
      sincospif(static_cast<float>(direction * (t % half)) / half, &sine, &cosine);
      float2 a = s[i], b = s[i + half], w = make_float2(b.x * cosine - b.y * sine, b.x * sine + b.y * cosine);
      s[i] = make_float2(a.x + w.x, a.y + w.y);
      s[i + half] = make_float2(a.x - w.x, a.y - w.y);
      __syncwarp();
    }
    float scale = direction > 0 ? 1.f / 64 : 1.f;
    data[blockIdx.x * 64 + t] = make_float2(s[t].x * scale, s[t].y * scale);
    data[blockIdx.x * 64 + t + 32] = make_float2(s[t + 32].x * scale, s[t + 32].y * scale);
    __syncwarp();
  }
}

// Games of life in bits: 32 cells a word, neighbours with funnel shifts and full adders.
extern "C" __global__ void lifeBits(uint32_t *out, const uint32_t *in, int words, int rows) {
  int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
  if (x >= words)
    return;
  uint32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0, self = in[y * words + x];
  auto add = [&](uint32_t v) {
    uint32_t c0 = sum0 & v;
    sum0 ^= v;
    uint32_t c1 = sum1 & c0;
    sum1 ^= c0;
    uint32_t c2 = sum2 & c1;
    sum2 ^= c1;
    sum3 |= c2;
  };
  for (int dy = -1; dy <= 1; ++dy) {
    const uint32_t *row = in + (y + dy + rows) % rows * words;
    uint32_t middle = row[x], left = row[(x + words - 1) % words], right = row[(x + 1) % words];
    add(__funnelshift_l(left, middle, 1));
    add(__funnelshift_r(middle, right, 1));
    if (dy)
      add(middle);
  }
  out[y * words + x] = ~sum3 & ~sum2 & sum1 & (sum0 | self);
}
