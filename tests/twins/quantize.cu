// Quantization as docs/numerics.md words it, one thread a block: slow, plain, and written without a look at the kernels it is compared with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/// What is quantized: a matrix of `rows` x `k` values, k contracted, seen in a source by strides. `sourceK` values along k exist, the
/// others are zero. `mean`, which may be null, is one fp32 a column of the source: along k where `meanAlongK`, else along rows.
struct Matrix {
  const void *source;
  const float *mean;
  u64 rowStride, kStride;
  int rows, k, sourceK;
  int isBF16, meanAlongK;
  int hadamard; // bit i: sign i is negative; -1: no transform
};

__device__ float valueAt(const Matrix &m, int row, int k) {
  if (k >= m.sourceK)
    return 0.0f;
  u64 at = row * m.rowStride + k * m.kStride;
  float value = m.isBF16 ? __uint_as_float((u32)((const u16 *)m.source)[at] << 16) : ((const float *)m.source)[at];
  return m.mean ? value - m.mean[m.meanAlongK ? k : row] : value;
}

/// 16 values from k on, a multiple of 16: signs, four butterfly stages, a quarter.
__device__ void groupAt(const Matrix &m, int row, int k, float *v) {
  for (int i = 0; i < 16; ++i)
    v[i] = k + i < m.k ? valueAt(m, row, k + i) : 0.0f;
  if (m.hadamard < 0)
    return;
  for (int i = 0; i < 16; ++i)
    if (m.hadamard >> i & 1)
      v[i] = -v[i];
  for (int stride = 1; stride < 16; stride *= 2)
    for (int i = 0; i < 16; ++i)
      if (!(i & stride)) {
        float a = v[i], b = v[i + stride];
        v[i] = a + b;
        v[i + stride] = a - b;
      }
  for (int i = 0; i < 16; ++i)
    v[i] *= 0.25f;
}

__device__ bool isNumber(float v) { return (__float_as_uint(v) & 0x7f800000u) != 0x7f800000u; }

/// amax over finite values; `amax` starts as zero. Magnitudes order as their bits.
extern "C" __global__ void twinAmax(Matrix m, u32 *amax) {
  int groups = (m.k + 15) / 16, index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= m.rows * groups)
    return;
  float v[16], largest = 0.0f;
  groupAt(m, index / groups, index % groups * 16, v);
  for (int i = 0; i < 16; ++i)
    if (isNumber(v[i]))
      largest = fmaxf(largest, fabsf(v[i]));
  atomicMax(amax, __float_as_uint(largest));
}

/// e4m3 of a number that is not negative: to the nearest multiple of its quantum, ties to even, at most 448.
__device__ u8 roundE4M3(float v) {
  if (v >= 464.0f)
    return 0x7e;
  int exponent = v < 0.015625f ? -6 : (int)((__float_as_uint(v) >> 23) & 255) - 127;
  float quantum = __uint_as_float((u32)(exponent - 3 + 127) << 23);
  int steps = (int)rintf(v / quantum); // exact: the quantum is a power of two
  if (steps == 16) {
    steps = 8;
    ++exponent;
  }
  if (exponent > 8 || (exponent == 8 && steps == 15)) // 480 does not exist
    return 0x7e;
  return steps < 8 ? (u8)steps : (u8)((exponent + 7) * 8 + (steps - 8));
}

__device__ float valueE4M3(u8 bits) {
  int exponent = bits >> 3 & 15, mantissa = bits & 7;
  float scale = __uint_as_float((u32)((exponent ? exponent : 1) - 7 - 3 + 127) << 23);
  return (exponent ? 8 + mantissa : mantissa) * scale;
}

/// The ties of docs/numerics.md: the midpoint belongs to the even code.
__device__ u8 nearestCode(float v) {
  float a = fabsf(v);
  u8 code = a <= 0.25f ? 0 : a < 0.75f ? 1 : a <= 1.25f ? 2 : a < 1.75f ? 3 : a <= 2.5f ? 4 : a < 3.5f ? 5 : a <= 5.0f ? 6 : 7;
  return code | (__float_as_uint(v) >> 31 ? 8 : 0);
}

__device__ u8 stochasticCode(float v, u32 random16) {
  const float values[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  float a = fabsf(v);
  u8 sign = __float_as_uint(v) >> 31 ? 8 : 0;
  if (a >= 6.0f)
    return sign | 7;
  u8 code = 0;
  while (a >= values[code + 1])
    ++code;
  // P(upper) = (|v| - lo) / (hi - lo), in units of 2^-16, to the nearest of them.
  double chance = ((double)a - values[code]) / ((double)values[code + 1] - values[code]) * 65536.0;
  return sign | (code + (chance > random16 + 0.5 ? 1 : 0));
}

/// Philox4x32-10 of the counter (k / 8, row, offset low, offset high) and the key seed: 16 bits an element, low half first.
__device__ u32 randomBits(u64 seed, u64 offset, u32 row, u32 k) {
  u32 c[4] = {k / 8, row, (u32)offset, (u32)(offset >> 32)}, key[2] = {(u32)seed, (u32)(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    u32 high0 = __umulhi(0xD2511F53u, c[0]), low0 = 0xD2511F53u * c[0];
    u32 high1 = __umulhi(0xCD9E8D57u, c[2]), low1 = 0xCD9E8D57u * c[2];
    u32 next[4] = {high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0};
    for (int i = 0; i < 4; ++i)
      c[i] = next[i];
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  u32 word = c[k % 8 / 2];
  return k % 2 ? word >> 16 : word & 0xffff;
}

/// Codes and scales of one block a thread; both outputs start as zero. `amax` null: mxfp4, blocks of 1x32; else nvfp4, blocks of
/// `blockRows` x 16. `seed` null: nearest.
extern "C" __global__ void twinQuantize(Matrix m, const float *amax, int blockRows, const u64 *seed, const u64 *offset, u32 stream,
                                        u8 *codes, u8 *scales) {
  int along = amax ? 16 : 32, blocks = (m.k + along - 1) / along, index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= m.rows * blocks)
    return;
  int row = index / blocks, block = index % blocks;
  float v[16], largest = 0.0f;
  bool poisoned = false;
  int first = row / blockRows * blockRows;
  for (int r = first; r < first + blockRows && r < m.rows; ++r)
    for (int k = block * along; k < (block + 1) * along && k < m.k; k += 16) {
      groupAt(m, r, k, v);
      for (int i = 0; i < 16; ++i) {
        poisoned |= !isNumber(v[i]);
        largest = fmaxf(largest, fabsf(v[i]));
      }
    }
  u8 scale;
  float encode;
  if (amax) {
    const float greatest = __uint_as_float(0x7f7fffffu);
    float tensor = *amax == 0.0f ? 1.0f : fminf(2688.0f / *amax, greatest);
    if (tensor == 0.0f)
      tensor = 1.0f;
    scale = poisoned ? 0x7f : roundE4M3(fminf(largest * (tensor * (1.0f / 6.0f)), greatest));
    encode = fminf(1.0f / (valueE4M3(scale) * (1.0f / tensor)), greatest);
  } else {
    int exponent = (int)(__float_as_uint(largest) >> 23) - 2;
    scale = poisoned ? 0xff : exponent > 0 ? (u8)exponent : 0;
    encode = (float)exp2(127.0 - (double)scale);
  }
  int tilesK = (blocks + 3) / 4;
  scales[((u64)(row / 128) * tilesK + block / 4) * 512 + row % 32 * 16 + row % 128 / 32 * 4 + block % 4] = scale;
  u8 *line = codes + (u64)row * ((m.k + 63) / 64 * 32);
  for (int k = block * along; k < (block + 1) * along && k < m.k; k += 16) {
    groupAt(m, row, k, v);
    for (int i = 0; i < 16 && k + i < m.k; ++i) {
      u8 code = 0;
      if (!poisoned)
        code = seed ? stochasticCode(v[i] * encode,
                                     randomBits(*seed, *offset + ((u64)stream << 56), row, k + i))
                    : nearestCode(v[i] * encode);
      line[(k + i) / 2] |= (k + i) % 2 ? code << 4 : code; // a block is one thread's: no other writes this byte
    }
  }
}
