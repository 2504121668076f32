// Sums of the rows of a matrix, a block a row: something to run with fourfold-emulate.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With -DFORGET_BARRIER the block does not wait before it adds up the warps' sums: right on many a GPU, wrong by the rules.

extern "C" __global__ void row_sums(const float *x, float *sums, int columns) {
  __shared__ float partial[32];
  float sum = 0.0f;
  for (int i = threadIdx.x; i < columns; i += blockDim.x)
    sum += x[blockIdx.x * columns + i];
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0)
    partial[threadIdx.x / 32] = sum;
#ifndef FORGET_BARRIER
  __syncthreads();
#endif
  if (threadIdx.x == 0) {
    float total = 0.0f;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp)
      total += partial[warp];
    sums[blockIdx.x] = total;
  }
}
