// Copies of tiles by tensor maps, as CUDA C++ programs write them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   nvcc -ptx -arch=sm_90a -O3 -std=c++17 tma_tensor.cu -o tma_tensor_O3.ptx
// and with -G, without the lines for debuggers, as `make` here drops them.

#include <cuda/barrier>
#include <cuda/ptx>
#include <cuda.h>
#include <cstdint>
#include <utility>

namespace ptx = cuda::ptx;
using Barrier = cuda::barrier<cuda::thread_scope_block>;

// The example of the CUDA programming guide: a tile of 8 x 64 integers in, one added, and out again.
extern "C" __global__ void addOneTile(const __grid_constant__ CUtensorMap map, int x, int y) {
  __shared__ alignas(128) int tile[8][64];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ Barrier bar;
  if (threadIdx.x == 0) {
    init(&bar, blockDim.x);
    ptx::fence_proxy_async(ptx::space_shared);
  }
  __syncthreads();
  Barrier::arrival_token token;
  int32_t at[2] = {x, y};
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, &tile, &map, at, cuda::device::barrier_native_handle(bar));
    token = cuda::device::barrier_arrive_tx(bar, 1, sizeof(tile));
  } else {
    token = bar.arrive();
  }
  bar.wait(std::move(token));
  for (int i = threadIdx.x; i < 8 * 64; i += blockDim.x)
    tile[i / 64][i % 64] += 1;
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, &map, at, &tile);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
  }
}

// A box of any rank as it stands in shared memory: `bytes` of it go to `out`.
template <int kRank>
__device__ void dumpBox(const CUtensorMap *map, const int *coordinates, uint8_t *out, int bytes) {
  extern __shared__ __align__(1024) uint8_t box[];
  __shared__ Barrier bar;
  if (threadIdx.x == 0) {
    init(&bar, blockDim.x);
    ptx::fence_proxy_async(ptx::space_shared);
  }
  __syncthreads();
  Barrier::arrival_token token;
  if (threadIdx.x == 0) {
    int32_t at[kRank];
    for (int i = 0; i < kRank; ++i)
      at[i] = coordinates[i];
    ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, box, map, at, cuda::device::barrier_native_handle(bar));
    token = cuda::device::barrier_arrive_tx(bar, 1, bytes);
  } else {
    token = bar.arrive();
  }
  bar.wait(std::move(token));
  for (int i = threadIdx.x; i < bytes; i += blockDim.x)
    out[i] = box[i];
}
extern "C" __global__ void dump1d(const __grid_constant__ CUtensorMap map, const int *at, uint8_t *out, int bytes) { dumpBox<1>(&map, at, out, bytes); }
extern "C" __global__ void dump2d(const __grid_constant__ CUtensorMap map, const int *at, uint8_t *out, int bytes) { dumpBox<2>(&map, at, out, bytes); }
extern "C" __global__ void dump3d(const __grid_constant__ CUtensorMap map, const int *at, uint8_t *out, int bytes) { dumpBox<3>(&map, at, out, bytes); }
extern "C" __global__ void dump4d(const __grid_constant__ CUtensorMap map, const int *at, uint8_t *out, int bytes) { dumpBox<4>(&map, at, out, bytes); }
extern "C" __global__ void dump5d(const __grid_constant__ CUtensorMap map, const int *at, uint8_t *out, int bytes) { dumpBox<5>(&map, at, out, bytes); }
// The map in global memory, as a library that makes maps on the fly has it.
extern "C" __global__ void dumpGlobal(const CUtensorMap *map, const int *at, uint8_t *out, int bytes) {
  ptx::fence_proxy_tensormap_generic(ptx::sem_acquire, ptx::scope_gpu, map, ptx::n32_t<128>());
  dumpBox<2>(map, at, out, bytes);
}
__constant__ CUtensorMap constantMap;
extern "C" __global__ void dumpConstant(const int *at, uint8_t *out, int bytes) { dumpBox<2>(&constantMap, at, out, bytes); }

// The reverse, and sums: `in` goes through shared memory to the box.
template <int kRank>
__device__ void putBox(const CUtensorMap *map, const int *coordinates, const uint8_t *in, int bytes, bool adds) {
  extern __shared__ __align__(1024) uint8_t box[];
  for (int i = threadIdx.x; i < bytes; i += blockDim.x)
    box[i] = in[i];
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  if (threadIdx.x)
    return;
  int32_t at[kRank];
  for (int i = 0; i < kRank; ++i)
    at[i] = coordinates[i];
  if (adds)
    ptx::cp_reduce_async_bulk_tensor(ptx::space_global, ptx::space_shared, ptx::op_add, map, at, box);
  else
    ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, map, at, box);
  ptx::cp_async_bulk_commit_group();
  ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
}
extern "C" __global__ void put2d(const __grid_constant__ CUtensorMap map, const int *at, const uint8_t *in, int bytes) { putBox<2>(&map, at, in, bytes, false); }
extern "C" __global__ void put3d(const __grid_constant__ CUtensorMap map, const int *at, const uint8_t *in, int bytes) { putBox<3>(&map, at, in, bytes, false); }
extern "C" __global__ void add2d(const __grid_constant__ CUtensorMap map, const int *at, const uint8_t *in, int bytes) { putBox<2>(&map, at, in, bytes, true); }
