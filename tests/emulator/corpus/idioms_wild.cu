// Kernels as one finds them in other people's repositories: N-body, split-K and FP8 matrix products, NVFP4, top-k, a stencil with a halo.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifdef __CUDACC_RTC__ // NVRTC has no headers of the C library.
#include <cuda/std/cstdint>
using namespace cuda::std;
#else
#include <cstdint>
#endif
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>

// All pairs, tiles of bodies in shared memory.
extern "C" __global__ void __launch_bounds__(64) nBody(float4 *out, const float4 *bodies, int count) {
  __shared__ float4 tile[64];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float4 me = bodies[i < count ? i : count - 1];
  float3 force = {0, 0, 0};
  for (int start = 0; start < count; start += 64) {
    if (start + threadIdx.x < count)
      tile[threadIdx.x] = bodies[start + threadIdx.x];
    else
      tile[threadIdx.x] = make_float4(0, 0, 0, 0);
    __syncthreads();
#pragma unroll 8
    for (int j = 0; j < 64; ++j) {
      float4 other = tile[j];
      float dx = other.x - me.x, dy = other.y - me.y, dz = other.z - me.z;
      float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + 1e-2f);
      float s = other.w * inverse * inverse * inverse;
      force.x += dx * s;
      force.y += dy * s;
      force.z += dz * s;
    }
    __syncthreads();
  }
  if (i < count)
    out[i] = make_float4(force.x, force.y, force.z, me.w);
}

__device__ inline uint32_t sharedAddress(const void *p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// C += A B over a slice of K: 16 x 8 of a warp, copies of 16 bytes, ldmatrix, mma, atomics at the end. K of a slice is a multiple of 32.
extern "C" __global__ void splitK(float *c, const __nv_bfloat16 *a, const __nv_bfloat16 *b, int n, int k, int slice) {
  __shared__ __align__(16) __nv_bfloat16 as[2][16][40], bs[2][32][8];
  int lane = threadIdx.x, row0 = blockIdx.x * 16, column0 = blockIdx.y * 8, first = blockIdx.z * slice;
  auto fetch = [&](int stage, int k0) {
    for (int i = lane; i < 64; i += 32) // rows of 32: four pieces each
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(&as[stage][i / 4][i % 4 * 8])),
                   "l"(a + static_cast<size_t>(row0 + i / 4) * k + k0 + i % 4 * 8));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(&bs[stage][lane][0])),
                 "l"(b + static_cast<size_t>(k0 + lane) * n + column0));
    asm volatile("cp.async.commit_group;");
  };
  float sum[4] = {0, 0, 0, 0};
  fetch(0, first);
  for (int step = 0; step < slice / 32; ++step) {
    if (step + 1 < slice / 32) {
      fetch((step + 1) % 2, first + (step + 1) * 32);
      asm volatile("cp.async.wait_group 1;");
    } else {
      asm volatile("cp.async.wait_group 0;");
    }
    __syncwarp();
    for (int half = 0; half < 2; ++half) {
      uint32_t x[4], y[2];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"(sharedAddress(&as[step % 2][lane % 16][half * 16 + lane / 16 * 8])));
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                   : "=r"(y[0]), "=r"(y[1])
                   : "r"(sharedAddress(&bs[step % 2][half * 16 + lane % 16][0])));
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                   : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                   : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
    }
    __syncwarp();
  }
  for (int i = 0; i < 4; ++i)
    atomicAdd(&c[static_cast<size_t>(row0 + lane / 4 + i / 2 * 8) * n + column0 + lane % 4 * 2 + i % 2], sum[i]);
}

// FP8: the tensor cores' instruction where there is one, conversions to half before.
extern "C" __global__ void gemmFp8(float *c, const __nv_fp8_e4m3 *a, const __nv_fp8_e4m3 *b, int n, int k, const float *scale) {
  int lane = threadIdx.x, row = blockIdx.x * 16 + lane / 4, column = blockIdx.y * 8 + lane / 4;
  float sum[4] = {0, 0, 0, 0};
  for (int k0 = 0; k0 < k; k0 += 32) {
    uint32_t x[4], y[2];
    for (int i = 0; i < 4; ++i)
      x[i] = *reinterpret_cast<const uint32_t *>(a + static_cast<size_t>(row + i % 2 * 8) * k + k0 + lane % 4 * 4 + i / 2 * 16);
    for (int i = 0; i < 2; ++i)
      y[i] = *reinterpret_cast<const uint32_t *>(b + static_cast<size_t>(column) * k + k0 + lane % 4 * 4 + i * 16);
#if __CUDA_ARCH__ >= 890
    asm("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
#else
    // The order of k within a step does not matter: both sides take the same.
    for (int half = 0; half < 2; ++half) {
      auto widen = [&](uint32_t word) {
        __half2_raw pair = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(word >> (16 * half)), __NV_E4M3);
        return static_cast<uint32_t>(pair.y) << 16 | pair.x;
      };
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
          : "r"(widen(x[0])), "r"(widen(x[1])), "r"(widen(x[2])), "r"(widen(x[3])), "r"(widen(y[0])), "r"(widen(y[1])));
    }
#endif
  }
  for (int i = 0; i < 4; ++i)
    c[static_cast<size_t>(row + i / 2 * 8) * n + blockIdx.y * 8 + lane % 4 * 2 + i % 2] = sum[i] * *scale;
}

// Sixteen values a thread: their largest magnitude / 6 as E4M3, the quotients as E2M1, two a byte.
extern "C" __global__ void quantizeNvfp4(uint8_t *out, __nv_fp8_e4m3 *scales, const __nv_bfloat16 *in, int blocks) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= blocks)
    return;
  float v[16], most = 0;
  for (int j = 0; j < 16; ++j) {
    v[j] = __bfloat162float(in[i * 16 + j]);
    most = fmaxf(most, fabsf(v[j]));
  }
  __nv_fp8_e4m3 scale(most / 6.0f);
  scales[i] = scale;
  float back = static_cast<float>(scale), inverse = back > 0 ? 1.0f / back : 0.0f;
  uint32_t words[2] = {0, 0};
  for (int j = 0; j < 16; j += 2) {
    __nv_fp4x2_e2m1 pair(make_float2(v[j] * inverse, v[j + 1] * inverse));
    words[j / 8] |= static_cast<uint32_t>(pair.__x) << (4 * (j % 8));
  }
  *reinterpret_cast<uint2 *>(out + i * 8) = make_uint2(words[0], words[1]);
}

// The eight largest of a row, a warp a row: each lane keeps its own eight sorted, the warp takes the largest head eight times.
extern "C" __global__ void topK(float *values, int *where, const float *in, int width) {
  constexpr int kKept = 8;
  const float *row = in + static_cast<size_t>(blockIdx.x) * width;
  float best[kKept];
  int at[kKept];
  for (int i = 0; i < kKept; ++i)
    best[i] = -3.0e38f, at[i] = -1;
  for (int i = threadIdx.x; i < width; i += 32) {
    float v = row[i];
    if (v <= best[kKept - 1])
      continue;
    int place = i;
#pragma unroll
    for (int j = 0; j < kKept; ++j)
      if (v > best[j]) {
        float t = best[j];
        int u = at[j];
        best[j] = v, at[j] = place;
        v = t, place = u;
      }
  }
  for (int round = 0; round < kKept; ++round) {
    float v = best[0];
    int lane = threadIdx.x;
    for (int offset = 16; offset; offset /= 2) {
      float other = __shfl_xor_sync(0xffffffffu, v, offset);
      int from = __shfl_xor_sync(0xffffffffu, lane, offset);
      if (other > v || (other == v && from < lane))
        v = other, lane = from;
    }
    int place = __shfl_sync(0xffffffffu, at[0], lane);
    if (threadIdx.x == 0)
      values[blockIdx.x * kKept + round] = v, where[blockIdx.x * kKept + round] = place;
    if (static_cast<int>(threadIdx.x) == lane)
#pragma unroll
      for (int j = 0; j + 1 < kKept; ++j)
        best[j] = best[j + 1], at[j] = at[j + 1];
  }
}

// A blur of radius 2 over tiles of 16 x 16; threads at the edges fetch the halo, and what lies outside is repeated.
extern "C" __global__ void blurHalo(float *out, const float *in, int width, int height) {
  __shared__ float tile[20][21];
  int x0 = blockIdx.x * 16, y0 = blockIdx.y * 16;
  for (int i = threadIdx.y * 16 + threadIdx.x; i < 400; i += 256) {
    int x = min(max(x0 + i % 20 - 2, 0), width - 1), y = min(max(y0 + i / 20 - 2, 0), height - 1);
    tile[i / 20][i % 20] = __ldg(&in[y * width + x]);
  }
  __syncthreads();
  int x = x0 + threadIdx.x, y = y0 + threadIdx.y;
  if (x >= width || y >= height)
    return;
  float sum = 0;
#pragma unroll
  for (int dy = 0; dy < 5; ++dy)
#pragma unroll
    for (int dx = 0; dx < 5; ++dx)
      sum += tile[threadIdx.y + dy][threadIdx.x + dx];
  out[y * width + x] = sum * 0.04f;
}
