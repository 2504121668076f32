// cuda::pipeline and cuda::barrier as the CUDA programming guide uses them: copies ahead, a producer and a consumer half of a block.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   nvcc -ptx -arch=sm_80 -O3 -std=c++17 tma_pipeline.cu -o tma_pipeline_sm80.ptx    (and sm_90a)

#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda/pipeline>

namespace cg = cooperative_groups;

constexpr int kStages = 2, kBlock = 128;

// All threads copy and all compute.
extern "C" __global__ void unifiedPipeline(const float *in, float *out, int batches) {
  __shared__ alignas(16) float stage[kStages][kBlock * 4];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, kStages> state;
  auto block = cg::this_thread_block();
  auto pipeline = cuda::make_pipeline(block, &state);
  float sum = 0.0f;
  for (int compute = 0, fetch = 0; compute < batches; ++compute) {
    for (; fetch < batches && fetch < compute + kStages; ++fetch) {
      pipeline.producer_acquire();
      cuda::memcpy_async(block, stage[fetch % kStages], in + fetch * kBlock * 4, cuda::aligned_size_t<16>(sizeof(stage[0])), pipeline);
      pipeline.producer_commit();
    }
    pipeline.consumer_wait();
    for (int i = 0; i < 4; ++i)
      sum += stage[compute % kStages][(threadIdx.x * 5 + i * 31) % (kBlock * 4)];
    pipeline.consumer_release();
  }
  out[blockIdx.x * kBlock + threadIdx.x] = sum;
}

// Half of the warps copy, half compute.
extern "C" __global__ void splitPipeline(const float *in, float *out, int batches) {
  __shared__ alignas(16) float stage[kStages][kBlock];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, kStages> state;
  auto block = cg::this_thread_block();
  bool produces = threadIdx.x < kBlock / 2;
  auto pipeline = cuda::make_pipeline(block, &state, produces ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer);
  if (produces) {
    for (int batch = 0; batch < batches; ++batch) {
      pipeline.producer_acquire();
      for (int i = threadIdx.x; i < kBlock; i += kBlock / 2)
        cuda::memcpy_async(&stage[batch % kStages][i], in + batch * kBlock + i, sizeof(float), pipeline);
      pipeline.producer_commit();
    }
  } else {
    float sum = 0.0f;
    for (int batch = 0; batch < batches; ++batch) {
      pipeline.consumer_wait();
      for (int i = 0; i < kBlock; ++i)
        sum += stage[batch % kStages][i] * static_cast<float>((i + threadIdx.x) % 7);
      pipeline.consumer_release();
    }
    out[blockIdx.x * (kBlock / 2) + threadIdx.x - kBlock / 2] = sum;
  }
  pipeline.quit();
}

// The guide's two barriers a buffer: each side arrives at one and waits for the other.
extern "C" __global__ void twoBarriers(const int *in, int *out, int rounds) {
  __shared__ int buffer[2][64];
  __shared__ cuda::barrier<cuda::thread_scope_block> bars[4]; // 0, 1: ready to be filled; 2, 3: filled
  if (threadIdx.x < 4)
    init(bars + threadIdx.x, 128);
  __syncthreads();
  if (threadIdx.x < 64) {
    for (int i = 0; i < rounds; ++i) {
      bars[i % 2].arrive_and_wait();
      buffer[i % 2][threadIdx.x] = in[i * 64 + threadIdx.x];
      auto token = bars[i % 2 + 2].arrive();
      (void)token;
    }
  } else {
    auto first = bars[0].arrive();
    auto second = bars[1].arrive();
    (void)first;
    (void)second;
    int sum = 0;
    for (int i = 0; i < rounds; ++i) {
      bars[i % 2 + 2].arrive_and_wait();
      sum += buffer[i % 2][127 - threadIdx.x] * (i + 1);
      auto token = bars[i % 2].arrive();
      (void)token;
    }
    out[blockIdx.x * 64 + threadIdx.x - 64] = sum;
  }
}
