// A plain NVFP4 matmul with cp.async, ldmatrix and mma.sync block_scale, to measure the emulated device and to test it whole.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nvcc -ptx -arch=sm_120a -O3 fp4_matmul.cu -o fp4_matmul_O3.ptx
//
// C (MxN, f32) = A (MxK) * B (NxK)^T; codes two to a byte, one ue4m3 scale for 16 of K, all row-major. M, N, K multiples of 128.

#include <cstdint>

constexpr int kTile = 128, kStages = 4, kRowBytes = 64, kScaleBytes = 8;
constexpr int kOperandBytes = kTile * (kRowBytes + kScaleBytes), kStageBytes = 2 * kOperandBytes;

__device__ void copy(unsigned to, const void *from, int bytes) {
  if (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(from));
}

__device__ int swizzle(int row, int chunk) { return row * kRowBytes + ((chunk ^ (row >> 1 & 3)) << 4); }

extern "C" __global__ __launch_bounds__(256) void fp4_matmul(int n, int k, const uint8_t *a, const uint8_t *scaleA, const uint8_t *b,
                                                             const uint8_t *scaleB, float *c) {
  extern __shared__ __align__(128) uint8_t shared[];
  unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
  int row0 = blockIdx.y * kTile, col0 = blockIdx.x * kTile, warpRow = warp / 4 * 64, warpCol = warp % 4 * 32;
  int steps = k / kTile;
  auto issue = [&](int step) {
    unsigned stage = base + step % kStages * kStageBytes;
    for (int operand = 0; operand < 2; ++operand) {
      const uint8_t *codes = operand ? b : a, *scales = operand ? scaleB : scaleA;
      int first = operand ? col0 : row0;
      unsigned to = stage + operand * kOperandBytes;
      for (int i = tid; i < kTile * 4; i += 256)
        copy(to + swizzle(i / 4, i % 4), codes + size_t(first + i / 4) * (k / 2) + step * kRowBytes + i % 4 * 16, 16);
      if (tid < kTile)
        copy(to + kTile * kRowBytes + tid * 8, scales + size_t(first + tid) * (k / 16) + step * 8, 8);
    }
  };
  float acc[4][4][4] = {};
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps)
      issue(s);
    asm volatile("cp.async.commit_group;");
  }
  for (int step = 0; step < steps; ++step) {
    asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 2));
    __syncthreads();
    if (step + kStages - 1 < steps)
      issue(step + kStages - 1);
    asm volatile("cp.async.commit_group;");
    unsigned stageA = base + step % kStages * kStageBytes, stageB = stageA + kOperandBytes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      unsigned fa[4][4], fb[4][2], sa[4], sb[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int row = warpRow + i * 16 + lane % 16;
        unsigned address = stageA + swizzle(row, half * 2 + lane / 16);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(fa[i][0]), "=r"(fa[i][1]), "=r"(fa[i][2]), "=r"(fa[i][3])
                     : "r"(address));
        int scaleRow = warpRow + i * 16 + lane / 4 + lane % 2 * 8;
        asm volatile("ld.shared.b32 %0, [%1];" : "=r"(sa[i]) : "r"(stageA + kTile * kRowBytes + scaleRow * 8 + half * 4));
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        int row = warpCol + j * 8 + lane % 8;
        unsigned address = stageB + swizzle(row, half * 2 + lane / 8 % 2);
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(fb[j][0]), "=r"(fb[j][1]) : "r"(address));
        int scaleRow = warpCol + j * 8 + lane / 4;
        asm volatile("ld.shared.b32 %0, [%1];" : "=r"(sb[j]) : "r"(stageB + kTile * kRowBytes + scaleRow * 8 + half * 4));
      }
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          asm volatile("mma.sync.aligned.kind::mxf4nvf4.block_scale.scale_vec::4X.m16n8k64.row.col.f32.e2m1.e2m1.f32.ue4m3 "
                       "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}, %10, {0, 0}, %11, {0, 0};"
                       : "+f"(acc[i][j][0]), "+f"(acc[i][j][1]), "+f"(acc[i][j][2]), "+f"(acc[i][j][3])
                       : "r"(fa[i][0]), "r"(fa[i][1]), "r"(fa[i][2]), "r"(fa[i][3]), "r"(fb[j][0]), "r"(fb[j][1]), "r"(sa[i]),
                         "r"(sb[j]));
    }
  }
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      int row = row0 + warpRow + i * 16 + lane / 4, col = col0 + warpCol + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2 *>(c + size_t(row) * n + col) = make_float2(acc[i][j][0], acc[i][j][1]);
      *reinterpret_cast<float2 *>(c + size_t(row + 8) * n + col) = make_float2(acc[i][j][2], acc[i][j][3]);
    }
}
