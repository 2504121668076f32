// printf from a kernel: what fourfold-emulate shows of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdio>

extern "C" __global__ void print(const float *x, long long big) {
  if (threadIdx.x < 2)
    printf("thread %u of %-4d|%6.2f%%|%s|%lld|%c|%#x|%*d\n", threadIdx.x, (int)blockDim.x, x[threadIdx.x], "text", big, 'c', 255u, 4, -7);
}
