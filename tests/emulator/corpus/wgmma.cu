// Matrix steps of a warpgroup with CUTLASS's own layouts and descriptors: out = a * b^T for one block of 64 x N, N = 8 J.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// wgmma_O3.ptx: nvcc -O3 -std=c++17 -arch=sm_90a -I<cutlass 4.2>/include -ptx wgmma.cu -o wgmma_O3.ptx (CUDA 13.0, nvidia-cutlass 4.2.0.0 of
// PyPI, whose headers are under BSD-3-Clause).

#include <cute/tensor.hpp>
#include <cutlass/arch/barrier.h>

using namespace cute;

/// a: 64 x K, b: N x K, both row-major in global memory; out: 64 x N, row-major.
template <class Atom, class LayoutA, class LayoutB, class TypeA, class TypeB, class Out, bool kFromRegisters>
__device__ void multiply(const TypeA *a, const TypeB *b, Out *out) {
  TiledMMA mma = make_tiled_mma(Atom{});
  constexpr int kN = tile_size<1>(mma), kK = size<1>(LayoutA{});
  extern __shared__ __align__(1024) unsigned char memory[];
  TypeA *baseA = reinterpret_cast<TypeA *>(memory);
  TypeB *baseB = reinterpret_cast<TypeB *>(memory + (cosize_v<LayoutA> * sizeof(TypeA) + 1023) / 1024 * 1024);
  Tensor sharedA = make_tensor(make_smem_ptr(baseA), LayoutA{});
  Tensor sharedB = make_tensor(make_smem_ptr(baseB), LayoutB{});
  for (int i = threadIdx.x; i < 64 * kK; i += 128)
    sharedA(i / kK, i % kK) = a[i];
  for (int i = threadIdx.x; i < kN * kK; i += 128)
    sharedB(i / kK, i % kK) = b[i];
  cutlass::arch::fence_view_async_shared();
  __syncthreads();

  ThrMMA thread = mma.get_thread_slice(threadIdx.x);
  Tensor result = make_tensor(make_gmem_ptr(out), make_shape(Int<64>{}, Int<kN>{}), make_stride(Int<kN>{}, Int<1>{}));
  Tensor mine = thread.partition_C(result);
  Tensor sums = thread.make_fragment_C(mine);
  clear(sums);
  Tensor partB = thread.partition_B(sharedB);
  Tensor operandB = thread.make_fragment_B(partB);
  Tensor partA = thread.partition_A(sharedA);
  Tensor operandA = thread.make_fragment_A(partA);
  if constexpr (kFromRegisters)
    copy(partA, operandA);
  warpgroup_fence_operand(sums);
  warpgroup_arrive();
  gemm(mma, operandA, operandB, sums);
  warpgroup_commit_batch();
  warpgroup_wait<0>();
  warpgroup_fence_operand(sums);
  copy(sums, mine);
}

#define KERNEL(NAME, ATOM, LAYOUT_A, LAYOUT_B, A, B, OUT, N, K, REGISTERS)                                                            \
  extern "C" __global__ void __launch_bounds__(128) NAME(const A *a, const B *b, OUT *out) {                                           \
    multiply<ATOM, decltype(tile_to_shape(LAYOUT_A<A>{}, make_shape(Int<64>{}, Int<K>{}))),                                            \
             decltype(tile_to_shape(LAYOUT_B<B>{}, make_shape(Int<N>{}, Int<K>{}))), A, B, OUT, REGISTERS>(a, b, out);                 \
  }

namespace S = SM90;
using S::GMMA::Layout_K_INTER_Atom;
using S::GMMA::Layout_K_SW32_Atom;
using S::GMMA::Layout_K_SW64_Atom;
using S::GMMA::Layout_K_SW128_Atom;
using S::GMMA::Layout_MN_INTER_Atom;
using S::GMMA::Layout_MN_SW32_Atom;
using S::GMMA::Layout_MN_SW64_Atom;
using S::GMMA::Layout_MN_SW128_Atom;
using S::GMMA::Major;
using bf16 = cutlass::bfloat16_t;
using f16 = cutlass::half_t;
using tf32 = cutlass::tfloat32_t;
using e4m3 = cutlass::float_e4m3_t;
using e5m2 = cutlass::float_e5m2_t;

using KK = S::GMMA::MMA_64x64x16_F32BF16BF16_SS<Major::K, Major::K>;
KERNEL(bf16_kk_none, KK, Layout_K_INTER_Atom, Layout_K_INTER_Atom, bf16, bf16, float, 64, 128, false)
KERNEL(bf16_kk_32, KK, Layout_K_SW32_Atom, Layout_K_SW32_Atom, bf16, bf16, float, 64, 128, false)
KERNEL(bf16_kk_64, KK, Layout_K_SW64_Atom, Layout_K_SW64_Atom, bf16, bf16, float, 64, 128, false)
KERNEL(bf16_kk_128, KK, Layout_K_SW128_Atom, Layout_K_SW128_Atom, bf16, bf16, float, 64, 128, false)
using MM = S::GMMA::MMA_64x64x16_F32BF16BF16_SS<Major::MN, Major::MN>;
KERNEL(bf16_mn_none, MM, Layout_MN_INTER_Atom, Layout_MN_INTER_Atom, bf16, bf16, float, 64, 64, false)
KERNEL(bf16_mn_32, MM, Layout_MN_SW32_Atom, Layout_MN_SW32_Atom, bf16, bf16, float, 64, 64, false)
KERNEL(bf16_mn_64, MM, Layout_MN_SW64_Atom, Layout_MN_SW64_Atom, bf16, bf16, float, 64, 64, false)
KERNEL(bf16_mn_128, MM, Layout_MN_SW128_Atom, Layout_MN_SW128_Atom, bf16, bf16, float, 64, 64, false)
using WideMixed = S::GMMA::MMA_64x256x16_F32BF16BF16_SS<Major::K, Major::MN>;
KERNEL(bf16_wide_mixed, WideMixed, Layout_K_SW128_Atom, Layout_MN_SW128_Atom, bf16, bf16, float, 256, 64, false)
using Registers = S::GMMA::MMA_64x128x16_F32BF16BF16_RS<Major::K, Major::K>;
KERNEL(bf16_registers, Registers, Layout_K_SW128_Atom, Layout_K_SW64_Atom, bf16, bf16, float, 128, 64, true)
using Half = S::GMMA::MMA_64x32x16_F16F16F16_SS<Major::K, Major::K>;
KERNEL(f16_half, Half, Layout_K_SW128_Atom, Layout_K_SW32_Atom, f16, f16, f16, 32, 64, false)
using TF32 = S::GMMA::MMA_64x32x8_F32TF32TF32_SS_TN<>;
KERNEL(tf32_kk, TF32, Layout_K_SW128_Atom, Layout_K_SW64_Atom, tf32, tf32, float, 32, 64, false)
using Bytes = S::GMMA::MMA_64x96x32_S32S8U8_SS_TN;
KERNEL(s8_u8, Bytes, Layout_K_SW128_Atom, Layout_K_SW64_Atom, int8_t, uint8_t, int, 96, 128, false)
using FP8 = S::GMMA::MMA_64x16x32_F32E4M3E5M2_SS_TN<>;
KERNEL(e4m3_e5m2, FP8, Layout_K_SW128_Atom, Layout_K_SW32_Atom, e4m3, e5m2, float, 16, 128, false)
