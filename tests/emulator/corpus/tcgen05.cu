// The fifth-generation tensor core with libcu++'s own wrappers, and inline PTX where it has none: products of operands whose shared-memory image and
// descriptors the host makes, fragments of loads and stores, copies into tensor memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// tcgen05_O3.ptx: nvcc -O3 -std=c++17 -arch=sm_100a -ptx tcgen05.cu -o tcgen05_O3.ptx (CUDA 13.0)

#include <cstdint>
#include <cuda/ptx>

namespace ptx = cuda::ptx;

/// What the host says about a product of `steps` steps of K.
struct Job {
  const uint4 *image; // copied to the start of shared memory
  uint64_t a, b;      // descriptors, addresses from the start of it
  uint64_t strideA, strideB; // added for each step
  uint32_t *out;      // 128 lanes by `columns`
  uint32_t chunks, instruction, steps, columns;
  uint32_t scalesA, scalesB, scaleStride; // bytes in the image: of 128 rows 512, of the next step
  uint32_t scaleIdStep; // added to the scale ids of the instruction descriptor each step, instead
  uint32_t tensorA;   // from this column on A stands in tensor memory: `out` holds it, 8 columns a step
  uint32_t lane;      // of D
};

extern __shared__ __align__(1024) unsigned char memory[];

__device__ uint64_t descriptorOf(uint32_t offset) { // 8 x 16 bytes stand together, 128 bytes to the next eight rows
  uint64_t address = static_cast<uint32_t>(__cvta_generic_to_shared(memory)) + offset;
  return address >> 4 | uint64_t{8} << 32 | uint64_t{1} << 46;
}

template <class Step>
__device__ void product(const Job &job, Step step) {
  __shared__ uint32_t place;
  __shared__ uint64_t done;
  bool isFirst = threadIdx.x == 0;
#pragma unroll 1
  for (uint32_t i = threadIdx.x; i < job.chunks; i += blockDim.x)
    reinterpret_cast<uint4 *>(memory)[i] = job.image[i];
  if (threadIdx.x < 32) {
    ptx::tcgen05_alloc(ptx::cta_group_1, &place, 512);
    ptx::tcgen05_relinquish_alloc_permit(ptx::cta_group_1);
  }
  if (isFirst)
    ptx::mbarrier_init(&done, 1);
  ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  uint32_t base = place, mine = base + (threadIdx.x / 32 << 21);
#pragma unroll 1
  for (uint32_t i = 0; i < job.columns; ++i) {
    uint32_t value[1] = {job.out[threadIdx.x * job.columns + i]};
    ptx::tcgen05_st_32x32b(mine + i, value);
  }
  ptx::tcgen05_wait_st();
  ptx::tcgen05_fence_before_thread_sync();
  __syncthreads();
  ptx::tcgen05_fence_after_thread_sync();
  if (isFirst) {
    uint64_t start = static_cast<uint32_t>(__cvta_generic_to_shared(memory)) >> 4;
#pragma unroll 1
    for (uint32_t i = 0; i < job.steps; ++i)
      step(base, job.a + start + i * job.strideA, job.b + start + i * job.strideB, i);
    ptx::tcgen05_commit(ptx::cta_group_1, &done);
  }
  while (!ptx::mbarrier_try_wait_parity(&done, 0))
    ;
  ptx::tcgen05_fence_after_thread_sync();
#pragma unroll 1
  for (uint32_t i = 0; i < job.columns; ++i) {
    uint32_t value[1];
    ptx::tcgen05_ld_32x32b(value, mine + i);
    ptx::tcgen05_wait_ld();
    job.out[threadIdx.x * job.columns + i] = value[0];
  }
  ptx::tcgen05_fence_before_thread_sync();
  __syncthreads();
  if (threadIdx.x < 32)
    ptx::tcgen05_dealloc(ptx::cta_group_1, base, 512);
}

#define PLAIN(NAME, KIND)                                                                                                               \
  extern "C" __global__ void __launch_bounds__(128) NAME(const __grid_constant__ Job job) {                                               \
    product(job, [&](uint32_t base, uint64_t a, uint64_t b, uint32_t i) {                                                                \
      ptx::tcgen05_mma(KIND, ptx::cta_group_1, base + (job.lane << 16), a, b, job.instruction, true);                                     \
    });                                                                                                                                   \
  }                                                                                                                                       \
  extern "C" __global__ void __launch_bounds__(128) NAME##_ts(const __grid_constant__ Job job) {                                          \
    product(job, [&](uint32_t base, uint64_t, uint64_t b, uint32_t i) {                                                                  \
      ptx::tcgen05_mma_tmem_a(KIND, ptx::cta_group_1, base + (job.lane << 16), base + job.tensorA + 8 * i + (job.lane << 16), b,            \
                              job.instruction, i > 0);                                                                                    \
    });                                                                                                                                   \
  }
PLAIN(product_f16, ptx::kind_f16)
PLAIN(product_tf32, ptx::kind_tf32)
PLAIN(product_f8f6f4, ptx::kind_f8f6f4)
PLAIN(product_i8, ptx::kind_i8)

/// Some lanes of D are left alone; what is there counts 2^-3.
extern "C" __global__ void __launch_bounds__(128) product_masked(const __grid_constant__ Job job) {
  product(job, [&](uint32_t base, uint64_t a, uint64_t b, uint32_t) {
    uint32_t disabled[4] = {0x0000000f, 0, 0x80000000, 0xffff0000};
    ptx::tcgen05_mma(ptx::kind_f16, ptx::cta_group_1, base, a, b, job.instruction, disabled, true, ptx::n32_t<3>());
  });
}

/// Block-scaled: 128 rows of scales of A, 128 or 256 of B, a copy each 128 for each step.
#define SCALED(NAME, QUALIFIERS, COLUMNS)                                                                                               \
  extern "C" __global__ void __launch_bounds__(128) NAME(const __grid_constant__ Job job) {                                               \
    product(job, [&](uint32_t base, uint64_t a, uint64_t b, uint32_t i) {                                                                \
      uint32_t scalesA = base + COLUMNS, scalesB = scalesA + 4;                                                                          \
      if (i == 0 || job.scaleStride) {                                                                                                    \
        uint64_t from = descriptorOf(job.scalesA + i * job.scaleStride);                                                                 \
        ptx::tcgen05_cp_32x128b_warpx4(ptx::cta_group_1, scalesA, from);                                                                  \
        for (uint32_t half = 0; half < 2; ++half)                                                                                        \
          ptx::tcgen05_cp_32x128b_warpx4(ptx::cta_group_1, scalesB + 4 * half,                                                           \
                                         descriptorOf(job.scalesB + 512 * half + i * 2 * job.scaleStride));                              \
      }                                                                                                                                   \
      uint32_t instruction = job.instruction + i * job.scaleIdStep;                                                                       \
      asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %6, 0;\n\ttcgen05.mma.cta_group::1." QUALIFIERS                                  \
                   " [%0], %1, %2, %3, [%4], [%5], p;\n\t}"                                                                              \
                   :                                                                                                                      \
                   : "r"(base), "l"(a), "l"(b), "r"(instruction), "r"(scalesA), "r"(scalesB), "r"(i)                                      \
                   : "memory");                                                                                                           \
    });                                                                                                                                   \
  }
SCALED(product_mxf8f6f4, "kind::mxf8f6f4.block_scale.scale_vec::1X", 256)
SCALED(product_mxf4, "kind::mxf4.block_scale.block32", 256)
SCALED(product_nvf4_2x, "kind::mxf4nvf4.block_scale.scale_vec::2X", 256)
SCALED(product_nvf4_4x, "kind::mxf4nvf4.block_scale.scale_vec::4X", 256)
SCALED(product_nvf4_16, "kind::mxf4nvf4.block_scale.block16.collector::a::fill", 256)

/// What 32 lanes by 64 columns hold, stored by 32x32b, as the registers of another shape see it; and back.
template <class Move>
__device__ void fragments(const uint32_t *in, uint32_t *out, Move move) {
  __shared__ uint32_t place;
  ptx::tcgen05_alloc(ptx::cta_group_1, &place, 64);
  __syncwarp();
  uint32_t base = place;
#pragma unroll 1
  for (uint32_t i = 0; i < 64; ++i) {
    uint32_t value[1] = {in[threadIdx.x * 64 + i]};
    ptx::tcgen05_st_32x32b(base + i, value);
  }
  ptx::tcgen05_wait_st();
  move(base);
  ptx::tcgen05_wait_st();
  ptx::tcgen05_dealloc(ptx::cta_group_1, base, 64);
}

#define FRAGMENT(SHAPE, NUMBER, SUFFIX, ...)                                                                                            \
  extern "C" __global__ void ld_##SHAPE##SUFFIX(const uint32_t *in, uint32_t *out) {                                                      \
    fragments(in, out, [&](uint32_t base) {                                                                                              \
      uint32_t values[NUMBER];                                                                                                            \
      ptx::tcgen05_ld_##SHAPE##SUFFIX(values, base __VA_ARGS__);                                                                          \
      ptx::tcgen05_wait_ld();                                                                                                             \
      for (int i = 0; i < NUMBER; ++i)                                                                                                    \
        out[threadIdx.x * NUMBER + i] = values[i];                                                                                        \
    });                                                                                                                                   \
  }
#define STORE(SHAPE, NUMBER, SUFFIX, ...)                                                                                               \
  extern "C" __global__ void st_##SHAPE##SUFFIX(const uint32_t *in, uint32_t *out) {                                                      \
    fragments(in, out, [&](uint32_t base) {                                                                                              \
      uint32_t values[NUMBER];                                                                                                            \
      for (int i = 0; i < NUMBER; ++i)                                                                                                    \
        values[i] = 0x10000 * (threadIdx.x + 1) + i;                                                                                      \
      ptx::tcgen05_st_##SHAPE##SUFFIX(base __VA_ARGS__, values);                                                                          \
      ptx::tcgen05_wait_st();                                                                                                             \
      uint32_t all[64];                                                                                                                   \
      ptx::tcgen05_ld_32x32b(all, base);                                                                                                  \
      ptx::tcgen05_wait_ld();                                                                                                             \
      for (int i = 0; i < 64; ++i)                                                                                                        \
        out[threadIdx.x * 64 + i] = all[i];                                                                                               \
    });                                                                                                                                   \
  }
FRAGMENT(32x32b, 16, )
FRAGMENT(32x32b, 16, _pack_16b)
FRAGMENT(16x64b, 16, )
FRAGMENT(16x64b, 16, _pack_16b)
FRAGMENT(16x128b, 16, )
FRAGMENT(16x128b, 16, _pack_16b)
FRAGMENT(16x256b, 16, )
FRAGMENT(16x256b, 16, _pack_16b)
FRAGMENT(16x32bx2, 8, , , ptx::n32_t<24>())
FRAGMENT(16x32bx2, 8, _pack_16b, , ptx::n32_t<24>())
STORE(32x32b, 16, )
STORE(32x32b, 16, _unpack_16b)
STORE(16x64b, 16, )
STORE(16x64b, 16, _unpack_16b)
STORE(16x128b, 16, )
STORE(16x128b, 16, _unpack_16b)
STORE(16x256b, 16, )
STORE(16x256b, 16, _unpack_16b)
STORE(16x32bx2, 8, , , ptx::n32_t<24>())
STORE(16x32bx2, 8, _unpack_16b, , ptx::n32_t<24>())

/// A copy of each shape, of a source whose image the host makes; 8 columns of all lanes come back, those not written as they were.
#define COPY(SHAPE)                                                                                                                     \
  extern "C" __global__ void __launch_bounds__(128) cp_##SHAPE(const __grid_constant__ Job job) {                                         \
    product(job, [&](uint32_t base, uint64_t a, uint64_t, uint32_t) {                                                                    \
      ptx::tcgen05_cp_##SHAPE(ptx::cta_group_1, base + (job.lane << 16), a);                                                              \
    });                                                                                                                                   \
  }
COPY(128x256b)
COPY(128x128b)
COPY(4x256b)
COPY(64x128b_warpx2_02_13)
COPY(64x128b_warpx2_01_23)
COPY(32x128b_warpx4)
