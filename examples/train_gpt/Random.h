// Random numbers without state: a value is a function of the seed, a stream and an index.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_RANDOM_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_RANDOM_H

#include "dialect/Numerics.h"

#include <array>
#include <cmath>
#include <cstdint>

namespace traingpt {

/// What a stream of random numbers is for; streams never meet.
enum class Stream : uint32_t { Parameters = 1, DataOrder = 2, MeanBias = 3 };

inline std::array<uint32_t, 4> randomWords(uint64_t seed, Stream stream, uint32_t part, uint64_t index) {
  return fourfold::numerics::philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), part,
                                         static_cast<uint32_t>(stream)},
                                        seed);
}

/// A value of N(0, 1) (Box-Muller).
inline float randomNormal(uint64_t seed, Stream stream, uint32_t part, uint64_t index) {
  std::array<uint32_t, 4> words = randomWords(seed, stream, part, index);
  double u = (static_cast<double>(words[0]) + 0.5) / 4294967296.0;
  double angle = 6.283185307179586 * (static_cast<double>(words[1]) + 0.5) / 4294967296.0;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(angle));
}

/// A value in [0, count).
inline uint64_t randomBelow(uint64_t seed, Stream stream, uint32_t part, uint64_t index, uint64_t count) {
  std::array<uint32_t, 4> words = randomWords(seed, stream, part, index);
  uint64_t word = (static_cast<uint64_t>(words[0]) << 32) | words[1];
  return word % count; // a bias of count / 2^64
}

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_RANDOM_H
