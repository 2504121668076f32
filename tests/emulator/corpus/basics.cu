// Third-party PTX for the emulated device: what nvcc makes of ordinary CUDA C++.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nvcc -ptx -arch=sm_120a -O3 basics.cu -o basics_O3.ptx
// nvcc -ptx -arch=sm_120a -G  basics.cu -o basics_G.ptx

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

__constant__ float table[4] = {1.0f, -2.0f, 3.5f, 0.25f};
__device__ int counter = 5;

extern "C" __global__ void saxpy(int n, float a, const float *x, float *y) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    y[i] = a * x[i] + y[i] * table[i & 3];
}

__device__ __noinline__ float warpSum(float v) {
  for (int offset = 16; offset; offset /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}

extern "C" __global__ void blockSum(int n, const float *x, float *out) {
  __shared__ float partial[32];
  float v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    v += x[i];
  v = warpSum(v);
  if (threadIdx.x % 32 == 0)
    partial[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0) {
    float total = 0;
    for (unsigned i = 0; i < blockDim.x / 32; ++i)
      total += partial[i];
    *out = total;
    atomicAdd(&counter, 1);
  }
}

extern "C" __global__ void collatz(int n, const unsigned *start, unsigned *steps) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned long long v = start[i];
  unsigned count = 0;
  while (v != 1) {
    v = v & 1 ? 3 * v + 1 : v / 2;
    if (++count > 1000)
      break;
  }
  steps[i] = count;
}

extern "C" __global__ void transpose(int n, const float *in, float *out) {
  extern __shared__ float tile[];
  int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
  if (x < n && y < n)
    tile[threadIdx.y * 17 + threadIdx.x] = in[y * n + x];
  __syncthreads();
  int tx = blockIdx.y * 16 + threadIdx.x, ty = blockIdx.x * 16 + threadIdx.y;
  if (tx < n && ty < n)
    out[ty * n + tx] = tile[threadIdx.x * 17 + threadIdx.y];
}

struct Item {
  int kind;
  float a;
  double b;
};

extern "C" __global__ void classify(int n, const Item *items, double *out) {
  int i = threadIdx.x;
  if (i >= n)
    return;
  Item item = items[i];
  double local[8];
  for (int k = 0; k < 8; ++k)
    local[k] = item.b * k;
  switch (item.kind) {
  case 0: out[i] = item.a + local[i & 7]; break;
  case 1: out[i] = item.b / 3.0; break;
  case 2: out[i] = sqrt(item.b); break;
  case 3: out[i] = floor(item.a) * 2; break;
  case 4: out[i] = (double)((long long)item.b % 7); break;
  case 5: out[i] = __popc((unsigned)item.a) + __clz((int)item.b); break;
  default: out[i] = -1; break;
  }
}

extern "C" __global__ void halves(int n, const __half *a, const __nv_bfloat16 *b, float *out) {
  int i = threadIdx.x;
  if (i < n) {
    __half h = __hfma(a[i], a[i], __float2half(0.5f));
    out[i] = __half2float(h) + __bfloat162float(__float2bfloat16(__bfloat162float(b[i]) * 1.5f));
  }
}

extern "C" __global__ void histogram(int n, const unsigned char *data, unsigned *bins) {
  __shared__ unsigned local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[data[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    atomicAdd(&bins[i], local[i]);
}
