// Rows of a matrix reversed, each by a cluster whose blocks hold a part of it: something to run with fourfold-emulate.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With -DFORGET_SYNC a block may end while another still reads from its shared memory.

#include <cooperative_groups.h>

extern "C" __global__ void reversed(const float *x, float *y) {
  namespace cg = cooperative_groups;
  cg::cluster_group cluster = cg::this_cluster();
  __shared__ float part[1024];
  part[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  cluster.sync();
  unsigned other = cluster.num_blocks() - 1 - cluster.block_rank();
  const float *far = cluster.map_shared_rank(part, other);
  y[blockIdx.x * blockDim.x + threadIdx.x] = far[blockDim.x - 1 - threadIdx.x];
#ifndef FORGET_SYNC
  cluster.sync();
#endif
}
