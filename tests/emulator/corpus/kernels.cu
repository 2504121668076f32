// Kernels as CUDA programs have them: reductions by shuffles, scan, transpose, histogram, double-buffered cp.async.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nvcc -ptx -arch=sm_80   -O3 kernels.cu -o kernels_sm80.ptx
// nvcc -ptx -arch=sm_90a  -O3 kernels.cu -o kernels_sm90a.ptx
// nvcc -ptx -arch=sm_120a -O3 kernels.cu -o kernels_sm120a.ptx

#include <cassert>
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cstdint>
#include <cuda_pipeline.h>

namespace cg = cooperative_groups;

__device__ int warpReduce(int v) {
  for (int offset = 16; offset; offset >>= 1)
    v += __shfl_down_sync(0xffffffffu, v, offset);
  return v;
}

extern "C" __global__ void reduceSum(const int *in, int n, int *total) {
  __shared__ int partial[32];
  int v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    v += in[i];
  v = warpReduce(v);
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  if (lane == 0)
    partial[warp] = v;
  __syncthreads();
  if (warp == 0) {
    v = lane < (blockDim.x >> 5) ? partial[lane] : 0;
    v = warpReduce(v);
    if (lane == 0)
      atomicAdd(total, v);
  }
}

// redux.sync and the cooperative groups around it.
extern "C" __global__ void reduceGroups(const unsigned *in, int n, unsigned *out) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned v = i < n ? in[i] : 0;
  unsigned sum = cg::reduce(tile, v, cg::plus<unsigned>());
  unsigned low = __reduce_min_sync(0xffffffffu, v), high = __reduce_max_sync(0xffffffffu, v);
  unsigned all = __reduce_xor_sync(0xffffffffu, v);
  unsigned same = __match_any_sync(0xffffffffu, v & 3), odd = __ballot_sync(0xffffffffu, v & 1);
  if (tile.thread_rank() == 0) {
    unsigned *to = out + 6 * (i / 32);
    to[0] = sum;
    to[1] = low;
    to[2] = high;
    to[3] = all;
    to[4] = same;
    to[5] = odd;
  }
}

// Inclusive scan of a block: shuffles in the warp, then over the warps' totals.
extern "C" __global__ void scan(const int *in, int *out, int n) {
  __shared__ int totals[32];
  int i = threadIdx.x, lane = i & 31, warp = i >> 5;
  int v = i < n ? in[i] : 0;
  for (int d = 1; d < 32; d <<= 1) {
    int other = __shfl_up_sync(0xffffffffu, v, d);
    if (lane >= d)
      v += other;
  }
  if (lane == 31)
    totals[warp] = v;
  __syncthreads();
  if (warp == 0) {
    int t = lane < (blockDim.x + 31) / 32 ? totals[lane] : 0;
    for (int d = 1; d < 32; d <<= 1) {
      int other = __shfl_up_sync(0xffffffffu, t, d);
      if (lane >= d)
        t += other;
    }
    totals[lane] = t;
  }
  __syncthreads();
  if (warp > 0)
    v += totals[warp - 1];
  if (i < n)
    out[i] = v;
}

extern "C" __global__ void tiledTranspose(const float *__restrict__ in, float *__restrict__ out, int rows, int columns) {
  __shared__ float tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
#pragma unroll
  for (int j = 0; j < 32; j += 8)
    if (x < columns && y + j < rows)
      tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * columns + x];
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
#pragma unroll
  for (int j = 0; j < 32; j += 8)
    if (x < rows && y + j < columns)
      out[(y + j) * rows + x] = tile[threadIdx.x][threadIdx.y + j];
}

extern "C" __global__ void sharedHistogram(const uint4 *data, int n, unsigned *bins) {
  __shared__ unsigned local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    uint4 v = __ldcs(data + i);
    const unsigned words[4] = {v.x, v.y, v.z, v.w};
    for (unsigned word : words)
      for (int k = 0; k < 4; ++k)
        atomicAdd(&local[word >> (8 * k) & 255], 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    if (local[i])
      atomicAdd(&bins[i], local[i]);
}

// y = sum over chunks of x * weight: two buffers, one in flight while the other is read.
extern "C" __global__ void doubleBuffer(const float4 *x, const float4 *weight, float *out, int chunks) {
  __shared__ float4 xs[2][128], ws[2][128];
  int t = threadIdx.x;
  auto fetch = [&](int chunk) {
    __pipeline_memcpy_async(&xs[chunk & 1][t], x + chunk * 128 + t, 16);
    __pipeline_memcpy_async(&ws[chunk & 1][t], weight + chunk * 128 + t, 16);
    __pipeline_commit();
  };
  fetch(0);
  float sum = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    if (chunk + 1 < chunks) {
      fetch(chunk + 1);
      __pipeline_wait_prior(1);
    } else {
      __pipeline_wait_prior(0);
    }
    __syncthreads();
    // The neighbour's data: the barrier is needed.
    float4 a = xs[chunk & 1][t ^ 33], b = ws[chunk & 1][t ^ 33];
    sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
    __syncthreads();
  }
  out[t] = sum;
}

// An assertion that may fail, and calls that the compiler keeps.
extern "C" __global__ void checkedIndex(const int *index, const int *table, int size, int *out) {
  int i = index[threadIdx.x];
  assert(i >= 0 && i < size);
  out[threadIdx.x] = table[i];
}

// Locks and other atomics: compare-and-swap loop on floats, 64-bit, fences.
extern "C" __global__ void atomics(const float *in, int n, float *maximum, double *sum, unsigned long long *count,
                                   unsigned *last) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    int *bits = reinterpret_cast<int *>(maximum);
    int old = *reinterpret_cast<volatile int *>(bits);
    while (__int_as_float(old) < in[i]) {
      int seen = atomicCAS(bits, old, __float_as_int(in[i]));
      if (seen == old)
        break;
      old = seen;
    }
    atomicAdd(sum, static_cast<double>(in[i]));
    atomicAdd(count, 1ull);
  }
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0)
    atomicInc(last, gridDim.x - 1);
}
