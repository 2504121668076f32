// libcu++ as people use it: a pipeline of two stages, a latch, a semaphore, waiting for an atomic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cooperative_groups.h>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/latch>
#include <cuda/pipeline>
#include <cuda/semaphore>

namespace cg = cooperative_groups;

#pragma nv_diag_suppress 20054 // the shared state of a pipeline is initialised by make_pipeline

// Two stages of a pipeline of libcu++ with the block's threads all producing and consuming.
extern "C" __global__ void pipelined(int *out, const int *in, int batches) {
  constexpr int kStages = 2;
  __shared__ int buffer[kStages][128];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, kStages> state;
  auto block = cg::this_thread_block();
  auto pipe = cuda::make_pipeline(block, &state);
  for (int compute = 0, fetch = 0; compute < batches; ++compute) {
    for (; fetch < batches && fetch < compute + kStages; ++fetch) {
      pipe.producer_acquire();
      cuda::memcpy_async(block, buffer[fetch % kStages], in + fetch * 128, sizeof(int) * 128, pipe);
      pipe.producer_commit();
    }
    pipe.consumer_wait();
    out[compute * 128 + threadIdx.x] = buffer[compute % kStages][127 - threadIdx.x] + compute;
    pipe.consumer_release();
  }
}

// A latch, a semaphore and an atomic wait of libcu++.
extern "C" __global__ void standardLibrary(int *out, int *counter) {
  using Latch = cuda::latch<cuda::thread_scope_block>;
  using Semaphore = cuda::counting_semaphore<cuda::thread_scope_block, 4>;
  using Flag = cuda::atomic<int, cuda::thread_scope_block>;
  __shared__ __align__(16) char latchBytes[sizeof(Latch)], semaphoreBytes[sizeof(Semaphore)], flagBytes[sizeof(Flag)];
  Latch &latch = *reinterpret_cast<Latch *>(latchBytes);
  Semaphore &semaphore = *reinterpret_cast<Semaphore *>(semaphoreBytes);
  Flag &flag = *reinterpret_cast<Flag *>(flagBytes);
  if (threadIdx.x == 0) {
    new (&latch) Latch(2);
    new (&semaphore) Semaphore(1);
    new (&flag) Flag(0);
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) {
    semaphore.acquire();
    int seen = *counter;
    *counter = seen + 1 + threadIdx.x / 32;
    semaphore.release();
    latch.arrive_and_wait();
    if (threadIdx.x == 0) {
      flag.store(42, cuda::memory_order_release);
      flag.notify_all();
    } else {
      flag.wait(0, cuda::memory_order_acquire);
    }
    out[threadIdx.x / 32] = flag.load();
  }
}
