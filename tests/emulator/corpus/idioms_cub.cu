// CUB as people use it inside of kernels: loads, sorts, scans, histograms, reductions of a block, merge sort of a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cub/cub.cuh>

template <int ITEMS> __device__ void sortTile(unsigned *keys, int *values) {
  using Load = cub::BlockLoad<unsigned, 128, ITEMS, cub::BLOCK_LOAD_TRANSPOSE>;
  using Sort = cub::BlockRadixSort<unsigned, 128, ITEMS, int>;
  using Store = cub::BlockStore<unsigned, 128, ITEMS, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ union {
    typename Load::TempStorage load;
    typename Sort::TempStorage sort;
    typename Store::TempStorage store;
  } temp;
  unsigned k[ITEMS];
  int v[ITEMS];
  int base = blockIdx.x * 128 * ITEMS;
  Load(temp.load).Load(keys + base, k);
  for (int i = 0; i < ITEMS; ++i)
    v[i] = threadIdx.x * ITEMS + i;
  __syncthreads();
  Sort(temp.sort).Sort(k, v);
  __syncthreads();
  Store(temp.store).Store(keys + base, k);
  for (int i = 0; i < ITEMS; ++i)
    values[base + threadIdx.x * ITEMS + i] = v[i];
}
extern "C" __global__ void blockSort(unsigned *keys, int *values) { sortTile<7>(keys, values); }
extern "C" __global__ void blockScan(int *out, const int *in, int *total) {
  using Scan = cub::BlockScan<int, 256, cub::BLOCK_SCAN_RAKING>;
  __shared__ typename Scan::TempStorage temp;
  int v[4], sum;
  cub::LoadDirectBlocked(threadIdx.x, in + blockIdx.x * 1024, v);
  Scan(temp).ExclusiveSum(v, v, sum);
  cub::StoreDirectBlocked(threadIdx.x, out + blockIdx.x * 1024, v);
  if (threadIdx.x == 0)
    total[blockIdx.x] = sum;
}
extern "C" __global__ void histogram(unsigned *counts, const unsigned char *samples) {
  using Histogram = cub::BlockHistogram<unsigned char, 128, 8, 256, cub::BLOCK_HISTO_SORT>;
  __shared__ typename Histogram::TempStorage temp;
  __shared__ unsigned bins[256];
  unsigned char s[8];
  cub::LoadDirectStriped<128>(threadIdx.x, samples + blockIdx.x * 1024, s);
  Histogram(temp).Histogram(s, bins);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += 128)
    atomicAdd(&counts[i], bins[i]);
}
struct ArgMax {
  __device__ cub::KeyValuePair<int, float> operator()(const cub::KeyValuePair<int, float> &a,
                                                      const cub::KeyValuePair<int, float> &b) const {
    return b.value > a.value || (b.value == a.value && b.key < a.key) ? b : a;
  }
};
extern "C" __global__ void argMax(int *where, float *most, const float *in, int count) {
  using Reduce = cub::BlockReduce<cub::KeyValuePair<int, float>, 256, cub::BLOCK_REDUCE_WARP_REDUCTIONS>;
  __shared__ typename Reduce::TempStorage temp;
  cub::KeyValuePair<int, float> best{0x7fffffff, -1e30f};
  for (int i = threadIdx.x; i < count; i += 256)
    best = ArgMax()(best, {i, in[i]});
  best = Reduce(temp).Reduce(best, ArgMax());
  if (threadIdx.x == 0) {
    *where = best.key;
    *most = best.value;
  }
}
struct Less {
  __device__ bool operator()(int a, int b) const { return a < b; }
};

extern "C" __global__ void warpThings(int *out, const int *in) {
  using Merge = cub::WarpMergeSort<int, 4, 32>;
  using Scan = cub::WarpScan<int>;
  __shared__ typename Merge::TempStorage merge[4];
  __shared__ typename Scan::TempStorage scan[4];
  int warp = threadIdx.x / 32, v[4], base = (blockIdx.x * 128 + threadIdx.x) * 4;
  for (int i = 0; i < 4; ++i)
    v[i] = in[base + i];
  Merge(merge[warp]).Sort(v, Less());
  int s = v[0] + v[1] + v[2] + v[3], e;
  Scan(scan[warp]).InclusiveSum(s, e);
  for (int i = 0; i < 4; ++i)
    out[base + i] = v[i] + e;
}
