// Kernels of libraries that come with CUDA: CUB, cuRAND, libcu++, cooperative groups, WMMA, and 128-bit integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nvcc -O3 -std=c++17 -w -arch=sm_80 -ptx libraries.cu -o - | sed "/^.global .*\(xorwow\|mrg32k3a\)/d" > libraries_O3_sm_80.ptx
// and so for sm_90a and sm_120a, with CUDA 13.0.
// Tables that no kernel reads are left out.

#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cub/block/block_histogram.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_store.cuh>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/std/complex>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <curand_kernel.h>
#include <mma.h>

namespace cg = cooperative_groups;

extern "C" __global__ void radix(int *o, const int *x) {
  typedef cub::BlockRadixSort<int, 128, 4> S;
  __shared__ typename S::TempStorage t;
  int k[4];
  for (int i = 0; i < 4; i++)
    k[i] = x[threadIdx.x * 4 + i];
  S(t).Sort(k);
  for (int i = 0; i < 4; i++)
    o[threadIdx.x * 4 + i] = k[i];
}
extern "C" __global__ void bscan(int *o, const int *x) {
  typedef cub::BlockScan<int, 128> S;
  __shared__ typename S::TempStorage t;
  int v = x[threadIdx.x], r;
  S(t).InclusiveSum(v, r);
  o[threadIdx.x] = r;
}
extern "C" __global__ void breduce(float *o, const float *x) {
  typedef cub::BlockReduce<float, 128> S;
  __shared__ typename S::TempStorage t;
  float r = S(t).Sum(x[threadIdx.x]);
  if (!threadIdx.x)
    *o = r;
}
extern "C" __global__ void bload(int *o, const int *x) {
  typedef cub::BlockLoad<int, 128, 4, cub::BLOCK_LOAD_TRANSPOSE> L;
  typedef cub::BlockStore<int, 128, 4, cub::BLOCK_STORE_WARP_TRANSPOSE> S;
  __shared__ union {
    typename L::TempStorage l;
    typename S::TempStorage s;
  } t;
  int k[4];
  L(t.l).Load(x, k);
  __syncthreads();
  for (int &v : k)
    v = v * 2 + 1;
  S(t.s).Store(o, k);
}
extern "C" __global__ void bhist(unsigned *o, const unsigned char *x) {
  typedef cub::BlockHistogram<unsigned char, 128, 4, 256> S;
  __shared__ typename S::TempStorage t;
  __shared__ unsigned h[256];
  unsigned char k[4];
  for (int i = 0; i < 4; i++)
    k[i] = x[threadIdx.x * 4 + i];
  S(t).Histogram(k, h);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += 128)
    o[i] = h[i];
}
extern "C" __global__ void rng(float *o, unsigned *u) {
  curandStatePhilox4_32_10_t s;
  curand_init(1234, threadIdx.x, 0, &s);
  float4 v = curand_normal4(&s);
  o[threadIdx.x * 4] = v.x;
  o[threadIdx.x * 4 + 1] = v.y;
  o[threadIdx.x * 4 + 2] = v.z;
  o[threadIdx.x * 4 + 3] = v.w;
  u[threadIdx.x] = curand(&s);
}
extern "C" __global__ void latom(int *o, cuda::atomic<int> *a, double *d) {
  a[0].fetch_add(1);
  a[1].fetch_max((int)threadIdx.x);
  cuda::atomic_ref<double, cuda::thread_scope_device> r(*d);
  r.fetch_add(0.5);
  cuda::atomic_ref<int, cuda::thread_scope_block> q(o[0]);
  q.fetch_add(1, cuda::memory_order_relaxed);
  a[2].fetch_xor(threadIdx.x);
  int e = 0;
  a[3].compare_exchange_strong(e, 5);
}
extern "C" __global__ void lbar(float *o, const float *x) {
  __shared__ cuda::barrier<cuda::thread_scope_block> b;
  __shared__ float s[128];
  if (threadIdx.x == 0)
    init(&b, blockDim.x);
  __syncthreads();
  s[threadIdx.x] = x[threadIdx.x];
  b.arrive_and_wait();
  o[threadIdx.x] = s[127 - threadIdx.x];
  auto t = b.arrive();
  b.wait(std::move(t));
  s[threadIdx.x] = o[threadIdx.x] * 2;
  b.arrive_and_wait();
  o[threadIdx.x] += s[(threadIdx.x + 1) % 128];
}

extern "C" __global__ void wm(float *o, const __half *a, const __half *b) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 16, 16, 16, __half, row_major> A;
  fragment<matrix_b, 16, 16, 16, __half, col_major> B;
  fragment<accumulator, 16, 16, 16, float> C;
  fill_fragment(C, 0.f);
  load_matrix_sync(A, a, 16);
  load_matrix_sync(B, b, 16);
  mma_sync(C, A, B, C);
  store_matrix_sync(o, C, 16, mem_row_major);
}
extern "C" __global__ void wmi(int *o, const signed char *a, const signed char *b) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 16, 16, 16, signed char, row_major> A;
  fragment<matrix_b, 16, 16, 16, signed char, col_major> B;
  fragment<accumulator, 16, 16, 16, int> C;
  fill_fragment(C, 0);
  load_matrix_sync(A, a, 16);
  load_matrix_sync(B, b, 16);
  mma_sync(C, A, B, C);
  store_matrix_sync(o, C, 16, mem_row_major);
}
extern "C" __global__ void wmb(float *o, const __nv_bfloat16 *a, const __nv_bfloat16 *b) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 16, 16, 16, __nv_bfloat16, row_major> A;
  fragment<matrix_b, 16, 16, 16, __nv_bfloat16, row_major> B;
  fragment<accumulator, 16, 16, 16, float> C;
  fill_fragment(C, 0.f);
  load_matrix_sync(A, a, 16);
  load_matrix_sync(B, b, 16);
  mma_sync(C, A, B, C);
  store_matrix_sync(o, C, 16, mem_col_major);
}
extern "C" __global__ void wmt(float *o, const float *a, const float *b) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 16, 16, 8, precision::tf32, row_major> A;
  fragment<matrix_b, 16, 16, 8, precision::tf32, col_major> B;
  fragment<accumulator, 16, 16, 8, float> C;
  fill_fragment(C, 0.f);
  load_matrix_sync(A, a, 8);
  load_matrix_sync(B, b, 8);
  for (int i = 0; i < A.num_elements; i++)
    A.x[i] = __float_to_tf32(A.x[i]);
  mma_sync(C, A, B, C);
  store_matrix_sync(o, C, 16, mem_row_major);
}
extern "C" __global__ void wmd(double *o, const double *a, const double *b) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 8, 8, 4, double, row_major> A;
  fragment<matrix_b, 8, 8, 4, double, col_major> B;
  fragment<accumulator, 8, 8, 4, double> C;
  fill_fragment(C, 0.);
  load_matrix_sync(A, a, 4);
  load_matrix_sync(B, b, 4);
  mma_sync(C, A, B, C);
  store_matrix_sync(o, C, 8, mem_row_major);
}
extern "C" __global__ void cgs(int *o, const int *x) {
  auto b = cg::this_thread_block();
  auto w = cg::tiled_partition<32>(b);
  int v = cg::inclusive_scan(w, x[threadIdx.x]);
  v += cg::exclusive_scan(w, x[threadIdx.x], cg::plus<int>());
  auto t = cg::tiled_partition<128>(b);
  t.sync();
  v += cg::reduce(t, x[threadIdx.x], cg::plus<int>());
  auto l = cg::labeled_partition(w, (int)threadIdx.x % 3);
  v += cg::reduce(l, 1, cg::plus<int>());
  auto bp = cg::binary_partition(w, threadIdx.x % 5 < 2);
  v += bp.size();
  o[threadIdx.x] = v;
}
extern "C" __global__ void cplx(float *o, const float *x) {
  cuda::std::complex<float> c(x[threadIdx.x], 1.f);
  c = cuda::std::sqrt(c * c + cuda::std::exp(c)) / c;
  o[threadIdx.x] = cuda::std::abs(c) + c.real();
}
extern "C" __global__ void i128(unsigned long long *o, const unsigned long long *x) {
  unsigned __int128 a = x[threadIdx.x];
  a = a * a + 12345;
  __int128 b = -(__int128)a / 1000003;
  a %= 999999937;
  o[threadIdx.x * 2] = (unsigned long long)a;
  o[threadIdx.x * 2 + 1] = (unsigned long long)(b >> 7);
}
extern "C" __global__ void fatom(float *f, float2 *f2, float4 *f4, __nv_bfloat162 *b2) {
  atomicAdd(f, 1.f);
#if __CUDA_ARCH__ >= 900
  atomicAdd(f2, make_float2(1, 2));
  atomicAdd(f4, make_float4(1, 2, 3, 4));
#endif
  atomicAdd(b2, __floats2bfloat162_rn(1.f, 2.f));
}
extern "C" __global__ void a128(ulonglong2 *o) {
#if __CUDA_ARCH__ >= 900
  struct alignas(16) T {
    unsigned long long a, b;
  };
  T c{0, 0}, v{threadIdx.x + 1ull, 7};
  T r = atomicCAS((T *)o, c, v);
  T q = atomicExch((T *)o + 1, v);
  o[2 + threadIdx.x] = make_ulonglong2(r.a + q.a, r.b);
#endif
}
