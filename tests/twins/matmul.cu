// The product of two quantized matrices from its definition: exact in fp64, with the bound of docs/numerics.md beside it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

struct Quantized {
  const u8 *codes, *scales;
  const float *amax; // null: mxfp4
};

__device__ int halvesAt(const Quantized &q, int k, int row, int at) {
  u8 byte = q.codes[(u64)row * ((k + 63) / 64 * 32) + at / 2], code = at % 2 ? byte >> 4 : byte & 15;
  const int halves[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  return code & 8 ? -halves[code & 7] : halves[code & 7];
}

__device__ double scaleAt(const Quantized &q, int k, int row, int at) {
  int along = q.amax ? 16 : 32, block = at / along, blocks = (k + along - 1) / along, tilesK = (blocks + 3) / 4;
  u8 bits = q.scales[((u64)(row / 128) * tilesK + block / 4) * 512 + row % 32 * 16 + row % 128 / 32 * 4 + block % 4];
  const double nan = __longlong_as_double(0x7ff8000000000000ll);
  if (!q.amax)
    return bits == 255 ? nan : exp2(bits - 127.0);
  int exponent = bits >> 3 & 15;
  return bits == 127 ? nan : (exponent ? 8 + (bits & 7) : bits & 7) * exp2((exponent ? exponent : 1) - 10.0);
}

__device__ double exponentOf(double v) { return v == 0.0 ? -139.0 : floor(log2(fabs(v))); }

/// value[i, j] = sum_k a[i, k] b[j, k], with alpha; bound[i, j]: how far a tensor core may be off. NaN where a scale is.
extern "C" __global__ void twinMatmul(Quantized a, Quantized b, int rows, int columns, int k, float *value, float *bound) {
  int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= rows * columns)
    return;
  int i = index / columns, j = index % columns;
  double sum = 0.0, slack = 0.0;
  for (int step = 0; step < k; step += 64) {
    double largest = exponentOf(sum);
    for (int group = step; group < step + 64 && group < k; group += 16) {
      int products = 0; // in quarters
      for (int at = group; at < group + 16 && at < k; ++at)
        products += halvesAt(a, k, i, at) * halvesAt(b, k, j, at);
      double scale = scaleAt(a, k, i, group) * scaleAt(b, k, j, group);
      sum += 0.25 * products * scale;
      largest = fmax(largest, exponentOf(scale) + 1.0);
    }
    slack += exp2(-23.0) * fabs(sum) + 5.0 * exp2(-35.0) * exp2(largest);
  }
  float alpha = a.amax ? *a.amax * *b.amax / (2688.0f * 2688.0f) : 1.0f;
  value[index] = (float)sum * alpha;
  bound[index] = (float)((slack * 1.0001 + fabs(sum) * exp2(-23.0)) * fabs((double)alpha) + fabs(sum * alpha) * exp2(-22.0));
}
