// Kernels of neural networks as people write them: rows, attention, matrix products, quantised weights, optimisers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifdef __CUDACC_RTC__ // NVRTC has no headers of the C library.
#include <cuda/std/cstdint>
using namespace cuda::std;
#define INFINITY __int_as_float(0x7f800000)
#else
#include <cstdint>
#endif
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_pipeline.h>

namespace {

template <typename T>
__device__ T warpSum(T v) {
  for (int offset = 16; offset > 0; offset /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}

__device__ float warpMax(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
  return v;
}

template <int Threads>
__device__ float2 blockSum(float2 v) {
  __shared__ float2 part[Threads / 32];
  v.x = warpSum(v.x);
  v.y = warpSum(v.y);
  __syncthreads();
  if (threadIdx.x % 32 == 0)
    part[threadIdx.x / 32] = v;
  __syncthreads();
  v = threadIdx.x < Threads / 32 ? part[threadIdx.x] : make_float2(0, 0);
  if (threadIdx.x < 32) {
    v.x = warpSum(v.x);
    v.y = warpSum(v.y);
    if (threadIdx.x == 0)
      part[0] = v;
  }
  __syncthreads();
  return part[0];
}

// clang has no __stcs of four floats.
__device__ void streamOut(float4 *to, float4 v) {
#ifdef __clang__
  *to = v;
#else
  __stcs(to, v);
#endif
}

__device__ void ldmatrix4(uint32_t (&r)[4], const void *p) {
  unsigned a = static_cast<unsigned>(__cvta_generic_to_shared(p));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a));
}
__device__ void ldmatrix2Trans(uint32_t (&r)[2], const void *p) {
  unsigned a = static_cast<unsigned>(__cvta_generic_to_shared(p));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(a));
}
__device__ void ldmatrix2(uint32_t (&r)[2], const void *p) {
  unsigned a = static_cast<unsigned>(__cvta_generic_to_shared(p));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(a));
}
__device__ void mmaHalf(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ void mmaBfloat(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ void copy16(void *to, const void *from, bool valid) {
  unsigned a = static_cast<unsigned>(__cvta_generic_to_shared(to));
  int size = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(a), "l"(from), "r"(size) : "memory");
}

} // namespace

// One block a row, four elements a thread at once, mean and variance in one pass.
extern "C" __global__ void layerNorm(float *out, const float *in, const float *weight, const float *bias, int width) {
  const float4 *row = reinterpret_cast<const float4 *>(in + size_t(blockIdx.x) * width);
  float2 sums = make_float2(0, 0);
  for (int i = threadIdx.x; i < width / 4; i += 128) {
    float4 v = __ldg(row + i);
    sums.x += v.x + v.y + v.z + v.w;
    sums.y += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  sums = blockSum<128>(sums);
  float mean = sums.x / width, inverse = rsqrtf(sums.y / width - mean * mean + 1e-5f);
  float4 *to = reinterpret_cast<float4 *>(out + size_t(blockIdx.x) * width);
  for (int i = threadIdx.x; i < width / 4; i += 128) {
    float4 v = row[i], w = reinterpret_cast<const float4 *>(weight)[i], b = reinterpret_cast<const float4 *>(bias)[i];
    streamOut(to + i, make_float4((v.x - mean) * inverse * w.x + b.x, (v.y - mean) * inverse * w.y + b.y,
                               (v.z - mean) * inverse * w.z + b.z, (v.w - mean) * inverse * w.w + b.w));
  }
}

// One warp a row, maximum and sum kept up to date together.
extern "C" __global__ void __launch_bounds__(128) softmaxOnline(float *out, const float *in, int rows, int width) {
  int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows)
    return;
  float top = -INFINITY, sum = 0;
  for (int i = lane; i < width; i += 32) {
    float v = in[row * width + i], higher = fmaxf(top, v);
    sum = sum * __expf(top - higher) + __expf(v - higher);
    top = higher;
  }
  float all = warpMax(top);
  sum = warpSum(top == -INFINITY ? 0.f : sum * __expf(top - all));
  for (int i = lane; i < width; i += 32)
    out[row * width + i] = __expf(in[row * width + i] - all) / sum;
}

// Flash attention of one head: 64 queries a block, 16 a warp, 32 keys a step, 64 wide, causal.
extern "C" __global__ void __launch_bounds__(128) flashAttention(float *out, const __half *q, const __half *k, const __half *v, int length) {
  constexpr int kWidth = 64, kKeys = 32, kPad = 8;
  __shared__ __align__(16) __half sq[64][kWidth + kPad], sk[kKeys][kWidth + kPad], sv[kKeys][kWidth + kPad];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first = blockIdx.x * 64;
  for (int i = threadIdx.x; i < 64 * 8; i += 128)
    copy16(&sq[i / 8][i % 8 * 8], q + (size_t(first) + i / 8) * kWidth + i % 8 * 8, first + i / 8 < length);
  asm volatile("cp.async.commit_group;" ::: "memory");
  float acc[8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  for (int key = 0; key < first + 64 && key < length; key += kKeys) {
    __syncthreads();
    for (int i = threadIdx.x; i < kKeys * 8; i += 128) {
      bool valid = key + i / 8 < length;
      copy16(&sk[i / 8][i % 8 * 8], k + (valid ? (size_t(key) + i / 8) * kWidth + i % 8 * 8 : 0), valid);
      copy16(&sv[i / 8][i % 8 * 8], v + (valid ? (size_t(key) + i / 8) * kWidth + i % 8 * 8 : 0), valid);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    float s[4][4] = {};
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
      uint32_t a[4];
      ldmatrix4(a, &sq[warp * 16 + lane % 16][step * 16 + lane / 16 * 8]);
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        uint32_t b[2];
        ldmatrix2(b, &sk[n * 8 + lane % 8][step * 16 + lane / 8 % 2 * 8]);
        mmaHalf(s[n], a, b);
      }
    }
    for (int half = 0; half < 2; ++half) {
      int row = first + warp * 16 + half * 8 + lane / 4;
      float higher = top[half];
#pragma unroll
      for (int n = 0; n < 4; ++n)
        for (int j = 0; j < 2; ++j) {
          int column = key + n * 8 + lane % 4 * 2 + j;
          float &x = s[n][half * 2 + j];
          x = column <= row && column < length ? x * 0.125f : -INFINITY;
          higher = fmaxf(higher, x);
        }
      higher = fmaxf(higher, __shfl_xor_sync(~0u, higher, 1));
      higher = fmaxf(higher, __shfl_xor_sync(~0u, higher, 2));
      float base = higher == -INFINITY ? 0.f : higher, scale = __expf(top[half] - base), part = 0;
#pragma unroll
      for (int n = 0; n < 4; ++n)
        for (int j = 0; j < 2; ++j)
          part += s[n][half * 2 + j] = __expf(s[n][half * 2 + j] - base);
      part += __shfl_xor_sync(~0u, part, 1);
      part += __shfl_xor_sync(~0u, part, 2);
      sum[half] = sum[half] * scale + part;
      top[half] = higher;
#pragma unroll
      for (int n = 0; n < 8; ++n)
        acc[n][half * 2] *= scale, acc[n][half * 2 + 1] *= scale;
    }
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      uint32_t a[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        __half2 h = __floats2half2_rn(s[step * 2 + i / 2][i % 2 * 2], s[step * 2 + i / 2][i % 2 * 2 + 1]);
        a[i] = reinterpret_cast<uint32_t &>(h);
      }
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        uint32_t b[2];
        ldmatrix2Trans(b, &sv[step * 16 + lane % 16][n * 8]);
        mmaHalf(acc[n], a, b);
      }
    }
  }
  for (int n = 0; n < 8; ++n)
    for (int half = 0; half < 2; ++half) {
      int row = first + warp * 16 + half * 8 + lane / 4;
      if (row < length)
        *reinterpret_cast<float2 *>(out + size_t(row) * kWidth + n * 8 + lane % 4 * 2) =
            make_float2(acc[n][half * 2] / sum[half], acc[n][half * 2 + 1] / sum[half]);
    }
}

// bf16 product, 64 x 64 a block, two stages of cp.async, chunks of 16 bytes swizzled so that ldmatrix has no bank conflicts.
extern "C" __global__ void __launch_bounds__(128) matmulPipelined(__nv_bfloat16 *c, const __nv_bfloat16 *a, const __nv_bfloat16 *b, int m, int n, int k) {
  extern __shared__ __align__(128) unsigned char raw[];
  constexpr int kTile = 64 * 32;
  auto *tiles = reinterpret_cast<__nv_bfloat16 *>(raw); // [stage][a, b][64][32]
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row0 = blockIdx.y * 64, column0 = blockIdx.x * 64;
  auto at = [&](int stage, int which, int row, int chunk) {
    return tiles + (stage * 2 + which) * kTile + row * 32 + (chunk ^ (row / 2 & 3)) * 8;
  };
  auto fetch = [&](int stage, int k0) {
#pragma unroll
    for (int i = threadIdx.x; i < 256; i += 128) {
      int row = i / 4, chunk = i % 4;
      bool validA = row0 + row < m && k0 + chunk * 8 < k, validB = column0 + row < n && k0 + chunk * 8 < k;
      copy16(at(stage, 0, row, chunk), validA ? a + size_t(row0 + row) * k + k0 + chunk * 8 : a, validA);
      copy16(at(stage, 1, row, chunk), validB ? b + size_t(column0 + row) * k + k0 + chunk * 8 : b, validB);
    }
  };
  float acc[8][4] = {};
  int steps = (k + 31) / 32;
  fetch(0, 0);
  asm volatile("cp.async.commit_group;" ::: "memory");
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps)
      fetch((step + 1) & 1, (step + 1) * 32);
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
#pragma unroll
    for (int kk = 0; kk < 2; ++kk) {
      uint32_t fa[4];
      ldmatrix4(fa, at(step & 1, 0, warp * 16 + lane % 16, kk * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        uint32_t fb[2];
        ldmatrix2(fb, at(step & 1, 1, j * 8 + lane % 8, kk * 2 + lane / 8 % 2));
        mmaBfloat(acc[j], fa, fb);
      }
    }
    __syncthreads();
  }
  for (int j = 0; j < 8; ++j)
    for (int half = 0; half < 2; ++half) {
      int row = row0 + warp * 16 + half * 8 + lane / 4, column = column0 + j * 8 + lane % 4 * 2;
      if (row < m && column < n)
        *reinterpret_cast<__nv_bfloat162 *>(c + size_t(row) * n + column) = __floats2bfloat162_rn(acc[j][half * 2], acc[j][half * 2 + 1]);
    }
}

// int8 product with dp4a, 32 x 32 a block, scaled and clamped.
extern "C" __global__ void gemmInt8(int8_t *c, const int *a, const int *b, int m, int n, int words, float scale) {
  __shared__ int sa[32][9], sb[32][9];
  int x = threadIdx.x, y = threadIdx.y, acc[4] = {};
  for (int k0 = 0; k0 < words; k0 += 8) {
    sa[y * 4 + x / 8][x % 8] = blockIdx.y * 32 + y * 4 + x / 8 < m ? a[(blockIdx.y * 32 + y * 4 + x / 8) * words + k0 + x % 8] : 0;
    sb[y * 4 + x / 8][x % 8] = blockIdx.x * 32 + y * 4 + x / 8 < n ? b[(blockIdx.x * 32 + y * 4 + x / 8) * words + k0 + x % 8] : 0;
    __syncthreads();
    for (int k = 0; k < 8; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        acc[i] = __dp4a(sa[y + i * 8][k], sb[x][k], acc[i]);
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i) {
    int row = blockIdx.y * 32 + y + i * 8, column = blockIdx.x * 32 + x;
    if (row < m && column < n)
      c[row * n + column] = static_cast<int8_t>(max(-128, min(127, __float2int_rn(acc[i] * scale))));
  }
}

// Weights of 4 bits in blocks of 32 with a half scale, as llama.cpp's Q4_0, times a vector.
struct BlockQ4 {
  __half scale;
  uint8_t quants[16];
};
extern "C" __global__ void matvecQ4(float *y, const BlockQ4 *w, const __half *x, int blocks) {
  int row = blockIdx.x * blockDim.y + threadIdx.y;
  float sum = 0;
  for (int block = threadIdx.x; block < blocks; block += 32) {
    const BlockQ4 &q = w[row * blocks + block];
    float d = __half2float(q.scale);
    for (int i = 0; i < 16; ++i) {
      int low = q.quants[i] & 15, high = q.quants[i] >> 4;
      __half2 pair = __halves2half2(x[block * 32 + i], x[block * 32 + 16 + i]);
      sum += d * ((low - 8) * __low2float(pair) + (high - 8) * __high2float(pair));
    }
  }
  sum = warpSum(sum);
  if (threadIdx.x == 0)
    y[row] = sum;
}

// Rotary position embedding and GELU in place on halves, two at a time.
extern "C" __global__ void ropeGelu(__half2 *x, int pairs, int total) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= total)
    return;
  int position = i / pairs, j = i % pairs;
  float sine, cosine;
  sincosf(position * powf(10000.f, -static_cast<float>(j) / pairs), &sine, &cosine);
  float2 v = __half22float2(x[i]);
  float2 r = make_float2(v.x * cosine - v.y * sine, v.x * sine + v.y * cosine);
  auto gelu = [](float t) { return 0.5f * t * (1.f + tanhf(0.7978845608f * (t + 0.044715f * t * t * t))); };
  x[i] = __float22half2_rn(make_float2(gelu(r.x), erff(r.y)));
}

// AdamW with state passed by value in a struct, grid-stride.
struct AdamState {
  float rate, beta1, beta2, epsilon, decay;
  int step;
  float *first, *second;
};
extern "C" __global__ void adamw(float *p, const __nv_bfloat16 *g, AdamState s, size_t count) {
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += size_t(gridDim.x) * blockDim.x) {
    float grad = __bfloat162float(g[i]);
    float m = s.first[i] = s.beta1 * s.first[i] + (1 - s.beta1) * grad;
    float v = s.second[i] = s.beta2 * s.second[i] + (1 - s.beta2) * grad * grad;
    float mHat = m / (1 - powf(s.beta1, s.step)), vHat = v / (1 - powf(s.beta2, s.step));
    p[i] -= s.rate * (mHat / (sqrtf(vHat) + s.epsilon) + s.decay * p[i]);
  }
}

// A row's largest magnitude, then e4m3 with one scale a row; one warp a row, eight elements a lane and step.
extern "C" __global__ void quantizeRows(__nv_fp8_e4m3 *out, float *scales, const __nv_bfloat16 *in, int width) {
  int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x & 31;
  __nv_bfloat162 top = __float2bfloat162_rn(0.f);
  const uint4 *from = reinterpret_cast<const uint4 *>(in + size_t(row) * width);
  for (int i = lane; i < width / 8; i += 32) {
    uint4 v = from[i];
    const __nv_bfloat162 *pairs = reinterpret_cast<const __nv_bfloat162 *>(&v);
    for (int j = 0; j < 4; ++j)
      top = __hmax2(top, __habs2(pairs[j]));
  }
  float most = warpMax(fmaxf(__low2float(top), __high2float(top))), scale = most / 448.f;
  if (!lane)
    scales[row] = scale;
  for (int i = lane; i < width / 2; i += 32) {
    float2 v = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162 *>(in + size_t(row) * width)[i]);
    __nv_fp8x2_e4m3 q(make_float2(v.x / scale, v.y / scale));
    reinterpret_cast<__nv_fp8x2_e4m3 *>(out + size_t(row) * width)[i] = q;
  }
}

// Cross entropy with the gradient, dropout by a hash, atomics on a mean.
extern "C" __global__ void crossEntropy(float *loss, float *gradient, const float *logits, const int *labels, int classes) {
  extern __shared__ float cached[];
  const float *row = logits + blockIdx.x * classes;
  float top = -INFINITY;
  for (int i = threadIdx.x; i < classes; i += blockDim.x)
    top = fmaxf(top, cached[i] = row[i]);
  __shared__ float shared;
  if (threadIdx.x == 0)
    shared = -INFINITY;
  __syncthreads();
  // The trick for the maximum of floats: their bits, compared as integers.
  if (top >= 0)
    atomicMax(reinterpret_cast<int *>(&shared), __float_as_int(top));
  else
    atomicMin(reinterpret_cast<unsigned *>(&shared), __float_as_uint(top));
  __syncthreads();
  top = shared;
  float2 sum = make_float2(0, 0);
  for (int i = threadIdx.x; i < classes; i += blockDim.x)
    sum.x += expf(cached[i] - top);
  sum = blockSum<128>(sum);
  int label = labels[blockIdx.x];
  for (int i = threadIdx.x; i < classes; i += blockDim.x)
    gradient[blockIdx.x * classes + i] = (expf(cached[i] - top) / sum.x - (i == label)) / gridDim.x;
  if (threadIdx.x == 0)
    atomicAdd(loss, (logf(sum.x) + top - cached[label]) / gridDim.x);
}
