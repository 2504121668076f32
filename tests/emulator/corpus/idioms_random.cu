// cuRAND's generators in a kernel. (A megabyte of PTX each, most of it the generators' tables.)
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <curand_kernel.h>

// Random walks from the two generators people use most.
extern "C" __global__ void randomWalks(float *out, unsigned *bits, unsigned long long seed) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  curandStatePhilox4_32_10_t philox;
  curand_init(seed, i, 5, &philox);
  curandState xorwow;
  curand_init(seed, i, 0, &xorwow);
  uint4 four = curand4(&philox);
  bits[i * 2] = four.x ^ four.w;
  bits[i * 2 + 1] = curand(&xorwow);
  float inside = 0;
  for (int j = 0; j < 50; ++j) {
    float x = curand_uniform(&philox), y = curand_uniform(&xorwow);
    inside += x * x + y * y <= 1.f;
  }
  out[i] = inside / 50;
}
