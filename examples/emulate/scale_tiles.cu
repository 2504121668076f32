// Doubles a matrix tile by tile, tiles copied by the tensor memory accelerator: something to run with fourfold-emulate.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With -DFORGET_FENCE the tile is copied back without the fence that shows it to the copy: right on many a GPU, wrong by the rules.

#include <cuda.h>
#include <cuda/ptx>

namespace ptx = cuda::ptx;

constexpr int kRows = 16, kColumns = 32; // 128 bytes a row, the span of the swizzle

extern "C" __global__ void scale_tiles(const __grid_constant__ CUtensorMap in, const __grid_constant__ CUtensorMap out) {
  __shared__ alignas(1024) float tile[kRows * kColumns];
  __shared__ uint64_t bar;
  int corner[2] = {static_cast<int>(blockIdx.x) * kColumns, static_cast<int>(blockIdx.y) * kRows};
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&bar, 1);
    ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
    ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &bar, sizeof(tile));
    ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, tile, &in, corner, &bar);
  }
  __syncthreads();
  while (!ptx::mbarrier_try_wait_parity(&bar, 0)) {
  }
  for (int i = threadIdx.x; i < kRows * kColumns; i += blockDim.x)
    tile[i] *= 2.0f; // wherever the swizzle has put it
#ifndef FORGET_FENCE
  ptx::fence_proxy_async(ptx::space_shared);
#endif
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, &out, corner, tile);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
  }
}
