// Bulk copies and mbarriers as CUDA C++ programs write them: cuda::ptx, cuda::barrier with memcpy_async, and inline PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   nvcc -ptx -arch=sm_90a -O3 -std=c++17 tma_bulk.cu -o tma_bulk_O3.ptx
// and with -G, without the lines for debuggers, as `make` here drops them.

#include <cuda/barrier>
#include <cuda/ptx>
#include <cstdint>
#include <utility>

namespace ptx = cuda::ptx;

constexpr int kTile = 1024;

// The example of the CUDA programming guide: one thread copies, all add one, one thread copies back.
extern "C" __global__ void addOne(int *data, int offset) {
  __shared__ alignas(16) int tile[kTile];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::barrier<cuda::thread_scope_block> bar;
  if (threadIdx.x == 0) {
    init(&bar, blockDim.x);
    ptx::fence_proxy_async(ptx::space_shared);
  }
  __syncthreads();
  cuda::barrier<cuda::thread_scope_block>::arrival_token token;
  int *global = data + offset + blockIdx.x * kTile;
  if (threadIdx.x == 0) {
    cuda::memcpy_async(tile, global, cuda::aligned_size_t<16>(sizeof(tile)), bar);
    token = bar.arrive();
  } else {
    token = bar.arrive();
  }
  bar.wait(std::move(token));
  for (int i = threadIdx.x; i < kTile; i += blockDim.x)
    tile[i] += 1;
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk(ptx::space_global, ptx::space_shared, global, tile, sizeof(tile));
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
  }
}

__device__ inline uint32_t sharedAddress(const void *p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ inline void waitParity(uint64_t *bar, uint32_t parity) {
  asm volatile("{\n"
               ".reg .pred p;\n"
               "LAB_WAIT:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
               "@p bra DONE;\n"
               "bra LAB_WAIT;\n"
               "DONE:\n"
               "}\n" ::"r"(sharedAddress(bar)), "r"(parity));
}

// A ring of stages: the warp that produces copies ahead of those that consume, as CUTLASS's pipelines do.
constexpr int kStages = 3, kStageWords = 256;
extern "C" __global__ void pipelinedSum(const uint32_t *in, uint32_t *out, int count) {
  __shared__ alignas(128) uint32_t stage[kStages][kStageWords];
  __shared__ uint64_t full[kStages], empty[kStages];
  int warp = threadIdx.x / 32, consumers = blockDim.x / 32 - 1;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(&full[i])), "r"(1));
      asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(&empty[i])), "r"(consumers * 32));
    }
    asm volatile("fence.mbarrier_init.release.cluster;");
  }
  __syncthreads();
  if (warp == 0) {
    if (threadIdx.x == 0)
      for (int i = 0; i < count; ++i) {
        int slot = i % kStages;
        waitParity(&empty[slot], (i / kStages & 1) ^ 1);
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(sharedAddress(&full[slot])), "r"(kStageWords * 4) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         sharedAddress(stage[slot])),
                     "l"(in + i * kStageWords), "r"(kStageWords * 4), "r"(sharedAddress(&full[slot]))
                     : "memory");
      }
    return;
  }
  uint32_t sum = 0;
  for (int i = 0; i < count; ++i) {
    int slot = i % kStages;
    waitParity(&full[slot], i / kStages & 1);
    for (int j = threadIdx.x - 32; j < kStageWords; j += consumers * 32)
      sum += stage[slot][j] * (i + 1);
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(&empty[slot])) : "memory");
  }
  atomicAdd(out + blockIdx.x, sum);
}

// Every block adds its histogram to the one in global memory in one reduction.
extern "C" __global__ void histogram(const uint8_t *in, uint32_t *bins, int each) {
  __shared__ alignas(16) uint32_t own[256];
  own[threadIdx.x] = 0;
  const uint8_t *mine = in + (size_t)blockIdx.x * each;
  uint32_t count = 0;
  for (int i = 0; i < each; ++i)
    count += mine[i] == threadIdx.x;
  own[threadIdx.x] = count;
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_reduce_async_bulk(ptx::space_global, ptx::space_shared, ptx::op_add, bins, own, sizeof(own));
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
  }
}

// cp.async of every thread, waited for at an mbarrier that tracks them.
extern "C" __global__ void trackedCopies(const uint32_t *in, uint32_t *out) {
  __shared__ alignas(16) uint32_t tile[1024];
  __shared__ uint64_t bar;
  uint32_t address = sharedAddress(&bar);
  if (threadIdx.x == 0)
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(blockDim.x));
  __syncthreads();
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(tile + 4 * threadIdx.x)), "l"(in + 4 * threadIdx.x) : "memory");
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(address) : "memory");
  waitParity(&bar, 0);
  for (int i = 0; i < 4; ++i)
    out[threadIdx.x + i * blockDim.x] = tile[4 * blockDim.x - 1 - threadIdx.x - i * blockDim.x];
}
