// The one scalar truth of every number format and rounding rule of Fourfold.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain C++17 without dependencies: the evaluator, the emulated device, the runtime and the tests all call these functions, and
// the kernel generators are tested against them bit for bit. Compile users with -ffp-contract=off; a fused multiply-add would change
// codes.

#ifndef FOURFOLD_DIALECT_NUMERICS_H
#define FOURFOLD_DIALECT_NUMERICS_H

#include <array>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace fourfold {
namespace numerics {

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

/// The bit pattern of an fp32 value.
inline uint32_t floatBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

/// The fp32 value of a bit pattern.
inline float floatFromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// True unless the value is NaN or an infinity; independent of -ffast-math.
inline bool isFinite(float value) {
  return (floatBits(value) & 0x7fffffffu) < 0x7f800000u;
}

//===----------------------------------------------------------------------===//
// 16-bit floats
//===----------------------------------------------------------------------===//

/// Rounds fp32 to bf16, nearest even; NaN becomes the canonical 0x7fff (as PTX `cvt.rn.bf16.f32` does).
inline uint16_t encodeBF16(float value) {
  uint32_t bits = floatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// The fp32 value of a bf16 pattern; exact.
inline float decodeBF16(uint16_t bits) {
  return floatFromBits(static_cast<uint32_t>(bits) << 16);
}

/// Rounds fp32 to IEEE binary16, nearest even; overflow gives infinity, NaN the canonical 0x7fff.
inline uint16_t encodeF16(float value) {
  uint32_t bits = floatBits(value);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return 0x7fff;
  if (magnitude >= 0x477ff000u) // 65520, the first value that rounds to infinity
    return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) { // below 2^-14: subnormal, unit 2^-24
    float scaled = floatFromBits(magnitude) * 16777216.0f;
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyintf(scaled)));
  }
  uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

/// The fp32 value of a binary16 pattern; exact.
inline float decodeF16(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
  if (exponent == 31)
    return floatFromBits(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-08f; // 2^-24
    return sign ? -magnitude : magnitude;
  }
  return floatFromBits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

//===----------------------------------------------------------------------===//
// e2m1: the 4-bit element (OCP MX 1.0, 5.3.3; PTX ISA 5.2.3)
//===----------------------------------------------------------------------===//

inline constexpr float kE2M1Max = 6.0f;

/// The value of the low four bits: `s e e m`.
inline float decodeE2M1(uint8_t code) {
  constexpr float magnitudes[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  float magnitude = magnitudes[code & 7u];
  return (code & 8u) ? -magnitude : magnitude;
}

/// Rounds to e2m1, nearest even, saturating at 6; the sign of zero is kept. NaN gives +6 (0x7), as PTX
/// `cvt.rn.satfinite.e2m1x2.f32` does (PTX ISA 9.7.9.21): callers decide about NaN before they round.
inline uint8_t encodeE2M1(float value) {
  uint32_t bits = floatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return 0x7;
  uint8_t sign = static_cast<uint8_t>((bits >> 28) & 8u);
  float magnitude = floatFromBits(bits & 0x7fffffffu);
  // Each bound is the midpoint of two neighbours; a tie goes to the even code.
  uint8_t code = magnitude <= 0.25f   ? 0
                 : magnitude < 0.75f  ? 1
                 : magnitude <= 1.25f ? 2
                 : magnitude < 1.75f  ? 3
                 : magnitude <= 2.5f  ? 4
                 : magnitude < 3.5f   ? 5
                 : magnitude <= 5.0f  ? 6
                                      : 7;
  return static_cast<uint8_t>(sign | code);
}

/// Rounds to e2m1 stochastically with 16 random bits: to the upper neighbour in magnitude with probability
/// round(2^16 (|v|-lo)/(hi-lo)) / 2^16, so the bias is at most 2^-17 of the interval. Every step is exact in fp32, hence the same
/// on every target. Saturates at 6; NaN gives +6.
inline uint8_t encodeE2M1Stochastic(float value, uint32_t random16) {
  uint32_t bits = floatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return 0x7;
  uint8_t sign = static_cast<uint8_t>((bits >> 28) & 8u);
  float magnitude = floatFromBits(bits & 0x7fffffffu);
  if (magnitude >= kE2M1Max)
    return static_cast<uint8_t>(sign | 7u);
  // The spacing of e2m1 is .5 below 2, 1 below 4, 2 below 6: `perUnit` is its reciprocal, `base` the code at the range's start.
  float start = magnitude < 2.0f ? 0.0f : magnitude < 4.0f ? 2.0f : 4.0f;
  float perUnit = magnitude < 2.0f ? 2.0f : magnitude < 4.0f ? 1.0f : 0.5f;
  uint32_t base = magnitude < 2.0f ? 0u : magnitude < 4.0f ? 4u : 6u;
  float steps = (magnitude - start) * perUnit;
  float whole = std::floor(steps);
  float fraction = (steps - whole) * 65536.0f;
  uint32_t up = fraction > static_cast<float>(random16 & 0xffffu) + 0.5f ? 1u : 0u;
  return static_cast<uint8_t>(sign | (base + static_cast<uint32_t>(whole) + up));
}

//===----------------------------------------------------------------------===//
// e4m3 and ue8m0: the block scales
//===----------------------------------------------------------------------===//

inline constexpr float kE4M3Max = 448.0f;
inline constexpr uint8_t kE4M3NaN = 0x7f;
inline constexpr uint8_t kUE8M0NaN = 0xff;

/// The value of an e4m3fn byte; 0x7f and 0xff are NaN, there is no infinity.
inline float decodeE4M3(uint8_t bits) {
  uint32_t exponent = (bits >> 3) & 15u, mantissa = bits & 7u;
  float magnitude;
  if (exponent == 15 && mantissa == 7)
    magnitude = floatFromBits(0x7fffffffu);
  else if (exponent == 0)
    magnitude = static_cast<float>(mantissa) * 0.001953125f; // 2^-9
  else
    magnitude = floatFromBits(((exponent + 120u) << 23) | (mantissa << 20));
  return (bits & 0x80u) ? -magnitude : magnitude;
}

/// Rounds to e4m3fn, nearest even, saturating at 448 (`cvt.rn.satfinite.e4m3x2.f32`); NaN gives 0x7f.
inline uint8_t encodeE4M3(float value) {
  uint32_t bits = floatBits(value);
  uint8_t sign = static_cast<uint8_t>((bits >> 24) & 0x80u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return kE4M3NaN;
  if (magnitude >= 0x43e00000u) // 448
    return static_cast<uint8_t>(sign | 0x7eu);
  if (magnitude < 0x3c800000u) { // below 2^-6: subnormal, unit 2^-9
    float scaled = floatFromBits(magnitude) * 512.0f;
    return static_cast<uint8_t>(sign | static_cast<uint8_t>(std::nearbyintf(scaled)));
  }
  uint32_t rounded = magnitude + 0x7ffffu + ((magnitude >> 20) & 1u);
  return static_cast<uint8_t>(sign | ((rounded - 0x3c000000u) >> 20));
}

/// The value 2^(byte-127) of a ue8m0 byte; 0xff is NaN.
inline float decodeUE8M0(uint8_t bits) {
  if (bits == kUE8M0NaN)
    return floatFromBits(0x7fffffffu);
  return bits == 0 ? floatFromBits(0x00400000u) : floatFromBits(static_cast<uint32_t>(bits) << 23);
}

//===----------------------------------------------------------------------===//
// nvfp4 (exact, in this order; bitwise Transformer Engine's default)
//===----------------------------------------------------------------------===//

/// 448 * 6: the largest magnitude that an e4m3 scale times an e2m1 code reaches.
inline constexpr float kNVFP4Range = 2688.0f;
inline constexpr uint32_t kNonFiniteBits = 0x7f800000u;

/// S, the factor that brings a tensor of the given largest finite magnitude into e4m3 x e2m1.
inline float nvfp4EncodeTensorScale(float amaxTensor) {
  if (amaxTensor == 0.0f)
    return 1.0f;
  float scale = std::fmin(kNVFP4Range / amaxTensor, FLT_MAX);
  return scale == 0.0f ? 1.0f : scale;
}

/// The e4m3 block scale of a block whose largest magnitude is `amaxBlock`; NaN (0x7f) where that is NaN or an infinity. There is
/// no lower clamp: it may be 0x00.
inline uint8_t nvfp4BlockScale(float amaxBlock, float tensorScale) {
  if (!isFinite(amaxBlock))
    return kE4M3NaN;
  return encodeE4M3(std::fmin(amaxBlock * (tensorScale * (1.0f / 6.0f)), FLT_MAX));
}

/// The factor that elements are multiplied by before they are rounded to e2m1; 0 for a NaN scale, whose codes are all +0 or -0.
inline float nvfp4EncodeScale(uint8_t blockScale, float tensorScale) {
  if ((blockScale & 0x7fu) == kE4M3NaN)
    return 0.0f;
  return std::fmin(1.0f / (decodeE4M3(blockScale) * (1.0f / tensorScale)), FLT_MAX);
}

/// The value of a code: e2m1 times the block scale times 1/S.
inline float nvfp4Decode(uint8_t code, uint8_t blockScale, float tensorScale) {
  return decodeE2M1(code) * decodeE4M3(blockScale) * (1.0f / tensorScale);
}

/// The factor of a product of two nvfp4 tensors: amaxA * amaxB / 2688^2.
inline float nvfp4Alpha(float amaxA, float amaxB) {
  return amaxA * amaxB / (kNVFP4Range * kNVFP4Range);
}

/// How kernels divide by 2688^2, to the bit, without a division.
///
/// From `from` on by fma(x, high, x * low), where `high + low` is the inverse; below, x * low is a subnormal, and infinity would be NaN. For which divisors this is the
/// rounded quotient: Brisebarre, Muller, Raina, IEEE Trans. Computers 53(8), 2004; for this one a test asks every mantissa.
///
/// Else in double: 2688^2 is 441 * 2^14, so that a quotient is the middle of two floats or at least 1/882 of their distance away from it; and
/// where it is the middle, the product is exact, since `inverse` is within 2^-54 of the inverse.
struct RangeQuotient {
  static constexpr double inverse = 1.0 / (2688.0 * 2688.0);
  static constexpr float high = static_cast<float>(inverse), low = static_cast<float>(inverse - static_cast<double>(high));
  static constexpr float from = 0x1p-94f;

  /// x / 2688^2, for x >= 0 or NaN.
  static float of(float x) {
    return x >= from && x < HUGE_VALF ? std::fma(x, high, x * low) : static_cast<float>(static_cast<double>(x) * inverse);
  }
};

//===----------------------------------------------------------------------===//
// mxfp4 (OCP MX 1.0, 6.3: shared exponent floor(log2(amax)) - 2)
//===----------------------------------------------------------------------===//

/// The ue8m0 scale of a block; 0xff for NaN or infinity, 0 (2^-127) for an all-zero block.
inline uint8_t mxfp4BlockScale(float amaxBlock) {
  if (!isFinite(amaxBlock))
    return kUE8M0NaN;
  uint32_t exponent = (floatBits(amaxBlock) >> 23) & 0xffu;
  return static_cast<uint8_t>(exponent > 2 ? exponent - 2 : 0);
}

/// The factor that elements are multiplied by: 2^(127-scale), exact; 0 for a NaN scale.
inline float mxfp4EncodeScale(uint8_t blockScale) {
  if (blockScale == kUE8M0NaN)
    return 0.0f;
  return blockScale == 254 ? floatFromBits(0x00400000u) : floatFromBits((254u - blockScale) << 23);
}

/// The value of a code under its block scale.
inline float mxfp4Decode(uint8_t code, uint8_t blockScale) {
  return decodeE2M1(code) * decodeUE8M0(blockScale);
}

/// Rounds one element with the block's encode factor. A factor of 0 marks a NaN block, whose elements may themselves be NaN or
/// infinite (0 * Inf is NaN): every code of such a block is 0x0.
inline uint8_t quantizeNearest(float value, float encodeScale) {
  return encodeScale == 0.0f ? uint8_t{0} : encodeE2M1(value * encodeScale);
}
inline uint8_t quantizeStochastic(float value, float encodeScale, uint32_t random16) {
  return encodeScale == 0.0f ? uint8_t{0} : encodeE2M1Stochastic(value * encodeScale, random16);
}

//===----------------------------------------------------------------------===//
// Philox4x32-10 (Salmon et al., SC'11)
//===----------------------------------------------------------------------===//

/// Four 32-bit random words for a 128-bit counter and a 64-bit key.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, uint64_t key) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// The offset of a stream: tensors rounded in one step with one seed and offset take different streams.
inline uint64_t streamOffset(uint64_t offset, uint64_t stream) { return offset + (stream << 56); }

/// The 16 random bits of element (row, column) of a logical tensor: one Philox call serves eight neighbours of a row. The key is
/// the seed; the counter is {column / 8, row, offset low, offset high}.
inline uint32_t elementRandom16(uint64_t seed, uint64_t offset, uint32_t row, uint32_t column) {
  std::array<uint32_t, 4> words = philox4x32(
      {column >> 3, row, static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32)}, seed);
  return (words[(column & 7u) >> 1] >> ((column & 1u) * 16u)) & 0xffffu;
}

//===----------------------------------------------------------------------===//
// Random Hadamard transform
//===----------------------------------------------------------------------===//

/// Transformer Engine's published sign vector, the default of `fp4.hadamard`.
inline constexpr std::array<int, 16> kHadamardSigns = {1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1};

/// In place: signs, then the 16-point Sylvester transform as four butterfly stages of stride 1, 2, 4, 8 in fp32, then times 1/4.
inline void hadamard16(float *values, const int *signs) {
  for (int i = 0; i < 16; ++i)
    values[i] = signs[i] < 0 ? -values[i] : values[i];
  for (int stride = 1; stride < 16; stride *= 2)
    for (int i = 0; i < 16; ++i)
      if (!(i & stride)) {
        float low = values[i], high = values[i + stride];
        values[i] = low + high;
        values[i + stride] = low - high;
      }
  for (int i = 0; i < 16; ++i)
    values[i] *= 0.25f;
}

//===----------------------------------------------------------------------===//
// Storage of a quantized matrix (rows by K)
//===----------------------------------------------------------------------===//

/// Codes are row-major along K, two to a byte (the lower index in the low nibble), K padded to 64 with zero codes: one K step of
/// the tensor core. Scales stand in the 128x4 tiles that tcgen05 and cuBLASLt read, rows padded to 128, K-blocks to 4.
inline constexpr int64_t kCodesPadK = 64;

inline int64_t ceilDiv(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

/// Bytes from one row of codes to the next.
inline int64_t codesPitch(int64_t k) { return ceilDiv(k, kCodesPadK) * (kCodesPadK / 2); }

/// Tiles along K of a scale matrix.
inline int64_t scaleTilesK(int64_t k, int64_t blockSize) { return ceilDiv(ceilDiv(k, blockSize), 4); }

/// Bytes of a tiled scale matrix.
inline int64_t scaleBytes(int64_t rows, int64_t k, int64_t blockSize) {
  return ceilDiv(rows, 128) * scaleTilesK(k, blockSize) * 512;
}

/// Byte offset of the scale of (row, K-block) in 128x4 tile order.
inline int64_t scaleTileOffset(int64_t row, int64_t kBlock, int64_t tilesK) {
  int64_t r = row % 128;
  return ((row / 128) * tilesK + kBlock / 4) * 512 + (r % 32) * 16 + (r / 32) * 4 + kBlock % 4;
}

//===----------------------------------------------------------------------===//
// Fixed-order column sums
//===----------------------------------------------------------------------===//

/// Column sums are reduced over chunks of 128 rows. Inside a chunk, lane w (0..7) adds rows w, w+8, ... in order, starting from
/// +0; the eight lanes are added in order; chunks are added in order. No floating-point atomics: the same bits, always.
inline constexpr int64_t kSumChunkRows = 128;
inline constexpr int64_t kSumLanes = 8;

/// The column sum in that order. `load(row)` gives the fp32 element; rows not taken (masked) contribute +0.
template <typename LoadFn> float columnSum(int64_t rows, LoadFn load) {
  float total = 0.0f;
  for (int64_t chunk = 0; chunk < rows; chunk += kSumChunkRows) {
    float chunkSum = 0.0f;
    for (int64_t lane = 0; lane < kSumLanes; ++lane) {
      float laneSum = 0.0f;
      for (int64_t row = chunk + lane; row < rows && row < chunk + kSumChunkRows; row += kSumLanes)
        laneSum += load(row);
      chunkSum = lane == 0 ? laneSum : chunkSum + laneSum;
    }
    total = chunk == 0 ? chunkSum : total + chunkSum;
  }
  return total;
}

//===----------------------------------------------------------------------===//
// Fixed-order dot products
//===----------------------------------------------------------------------===//

/// A dot product has 32 partial sums, one a lane of a warp; a lane takes eight consecutive elements at a time, one 16-byte load of
/// bf16.
inline constexpr int64_t kDotLanes = 32;
inline constexpr int64_t kDotGroup = 8;

/// sum of lhs(j) * rhs(j) for j in [0, count), the order that `fp4.matvec` promises: element j belongs to lane (j / 8) % 32; each lane
/// takes its elements in increasing order by fused multiply-add from +0; lanes are combined by butterflies of stride 16, 8, 4, 2, 1.
template <typename LhsFn, typename RhsFn> float dotProduct(int64_t count, LhsFn lhs, RhsFn rhs) {
  std::array<float, kDotLanes> lanes = {};
  for (int64_t j = 0; j < count; ++j) {
    float &lane = lanes[static_cast<size_t>((j / kDotGroup) % kDotLanes)];
    lane = std::fma(lhs(j), rhs(j), lane);
  }
  for (size_t stride = kDotLanes / 2; stride >= 1; stride /= 2)
    for (size_t lane = 0; lane < stride; ++lane)
      lanes[lane] += lanes[lane + stride];
  return lanes[0];
}

} // namespace numerics
} // namespace fourfold

#endif // FOURFOLD_DIALECT_NUMERICS_H
