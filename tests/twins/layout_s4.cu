// The fragment layout of FP4 `mma` on integers: m16n8k64 of s4 has the same indices, runs on every GPU since sm_80, and is exact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands are packed as codes are: row by row along K, two to a byte, the lower index in the low nibble. They pass through shared
// memory as in the matmul kernels, in 16-byte chunks that are permuted by the row, and through ldmatrix.

typedef unsigned char u8;
typedef unsigned int u32;

/// Rows of 32 bytes (K = 64): two chunks a row; four rows make a line of 128 bytes, in which ldmatrix must not find a bank twice.
__device__ u32 chunkAt(u32 row, u32 chunk) { return row * 32 + ((chunk ^ (row >> 2 & 1)) * 16); }

__device__ void stage(u8 *shared, const u8 *packed, u32 pitch, u32 rows, u32 step) {
  for (u32 i = threadIdx.x; i < rows * 2; i += 32)
    *(uint4 *)(shared + chunkAt(i / 2, i % 2)) = *(const uint4 *)(packed + i / 2 * pitch + step * 32 + i % 2 * 16);
}

/// c (16 x 8, row-major) = a (16 x k) times b (8 x k) transposed, k a multiple of 64. One warp a block; block n has operands of its own.
extern "C" __global__ void layoutS4(const u8 *a, const u8 *b, int *c, u32 k) {
  __shared__ __align__(128) u8 sharedA[16 * 32], sharedB[8 * 32];
  u32 lane = threadIdx.x, pitch = k / 2;
  a += blockIdx.x * 16 * pitch;
  b += blockIdx.x * 8 * pitch;
  c += blockIdx.x * 128;
  int d[4] = {0, 0, 0, 0};
  for (u32 step = 0; step < k / 64; ++step) {
    stage(sharedA, a, pitch, 16, step);
    stage(sharedB, b, pitch, 8, step);
    __syncthreads();
    u32 fa[4], fb[2];
    // Matrices 0..3: rows 0-7 and 8-15 of the first 16 bytes, then of the second.
    u32 atA = (u32)__cvta_generic_to_shared(sharedA + chunkAt(lane % 16, lane / 16));
    u32 atB = (u32)__cvta_generic_to_shared(sharedB + chunkAt(lane % 8, lane / 8 % 2));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3]) : "r"(atA) : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(fb[0]), "=r"(fb[1]) : "r"(atB) : "memory");
    asm volatile("mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    __syncthreads();
  }
  for (u32 i = 0; i < 4; ++i)
    c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
}
