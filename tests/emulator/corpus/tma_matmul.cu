// A matrix product whose tiles a warp of its own copies ahead with tensor maps, while a warpgroup multiplies: what kernels for Hopper look like.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   nvcc -ptx -arch=sm_90a -O3 -std=c++17 tma_matmul.cu -o tma_matmul_O3.ptx

#include <cuda.h>
#include <cuda/ptx>
#include <cuda_fp16.h>

namespace ptx = cuda::ptx;

constexpr int kTile = 64; // of M, N and K: 64 f16 are the 128 bytes of the swizzle
constexpr int kStages = 3;

struct Shared {
  __half a[kStages][kTile * kTile], b[kStages][kTile * kTile];
  float c[kTile * kTile];
  uint64_t full[kStages], empty[kStages];
};

__device__ inline uint64_t descriptorOf(const void *tile) {
  uint64_t address = __cvta_generic_to_shared(tile);
  return (address & 0x3ffff) >> 4 | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
}

__device__ inline void multiply(float (&d)[32], uint64_t a, uint64_t b, int accumulates) {
  asm volatile("{\n"
               ".reg .pred p;\n"
               "setp.ne.b32 p, %34, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, p, 1, 1, 0, 0;\n"
               "}\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
                 "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
                 "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
                 "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
               : "l"(a), "l"(b), "r"(accumulates));
}

/// c (m x n, f32) = a (m x k, f16) times b (n x k, f16) transposed; four warps multiply, the fifth copies.
extern "C" __global__ void __launch_bounds__(160) matmul(const __grid_constant__ CUtensorMap mapA, const __grid_constant__ CUtensorMap mapB,
                                                        const __grid_constant__ CUtensorMap mapC, int steps) {
  extern __shared__ __align__(1024) uint8_t memory[];
  Shared &shared = *reinterpret_cast<Shared *>(memory);
  int row = blockIdx.y * kTile, column = blockIdx.x * kTile, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(&shared.full[i], 1);
      ptx::mbarrier_init(&shared.empty[i], 4);
    }
    ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
  }
  __syncthreads();
  if (warp == 4) {
    if (lane == 0) {
      for (int step = 0; step < steps; ++step) {
        int stage = step % kStages;
        while (!ptx::mbarrier_try_wait_parity(&shared.empty[stage], (step / kStages & 1) ^ 1)) {
        }
        ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &shared.full[stage], 2 * kTile * kTile * 2);
        int atA[2] = {step * kTile, row}, atB[2] = {step * kTile, column};
        ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, shared.a[stage], &mapA, atA, &shared.full[stage]);
        ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, shared.b[stage], &mapB, atB, &shared.full[stage]);
      }
    }
    return;
  }
  float d[32];
  for (float &value : d)
    value = 0.0f;
  for (int step = 0; step < steps; ++step) {
    int stage = step % kStages;
    while (!ptx::mbarrier_try_wait_parity(&shared.full[stage], step / kStages & 1)) {
    }
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int k = 0; k < kTile / 16; ++k)
      multiply(d, descriptorOf(shared.a[stage]) + 2 * k, descriptorOf(shared.b[stage]) + 2 * k, 1);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    if (lane == 0)
      ptx::mbarrier_arrive(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &shared.empty[stage]);
  }
  for (int i = 0; i < 32; ++i)
    shared.c[(16 * warp + lane / 4 + 8 * (i / 2 % 2)) * kTile + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
  ptx::fence_proxy_async(ptx::space_shared);
  asm volatile("bar.sync 1, 128;" ::: "memory");
  if (threadIdx.x == 0) {
    int at[2] = {column, row};
    ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, &mapC, at, shared.c);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
  }
}
