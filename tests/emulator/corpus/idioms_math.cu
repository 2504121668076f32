// All of math.h in single and double precision, the largest arguments included.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "idioms_math.h"

extern "C" __global__ void mathFloat(float *out, const float *in, const float *positive, int count) {
  int i = threadIdx.x + blockIdx.x * blockDim.x, k = 0;
  if (i >= count)
    return;
  float x = in[i], y = positive[i];
#define ENTRY(device, host, ulps) out[k++ * count + i] = device;
  FOURFOLD_FLOAT_FUNCTIONS(ENTRY)
#undef ENTRY
}

extern "C" __global__ void mathDouble(double *out, const double *in, const double *positive, int count) {
  int i = threadIdx.x + blockIdx.x * blockDim.x, k = 0;
  if (i >= count)
    return;
  double x = in[i], y = positive[i];
#define ENTRY(device, host, ulps) out[k++ * count + i] = device;
  FOURFOLD_DOUBLE_FUNCTIONS(ENTRY)
#undef ENTRY
}
