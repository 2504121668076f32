// Tensor maps (CUtensorMap): what the emulated device keeps in the 128 bytes, and which bytes a box of a tensor is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_TENSORMAP_H
#define FOURFOLD_RUNTIME_EMULATOR_TENSORMAP_H

#include "Types.h"

#include <cstdint>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

inline constexpr uint32_t kTensorMapBytes = 128;
inline constexpr uint32_t kMaxRank = 5;

/// The arguments of cuTensorMapEncodeTiled, enumerations by their values.
struct TensorMapRequest {
  int dataType = 0;
  uint32_t rank = 0;
  uint64_t globalAddress = 0;
  const uint64_t *globalDim = nullptr, *globalStrides = nullptr;
  const uint32_t *boxDim = nullptr, *elementStrides = nullptr;
  int interleave = 0, swizzle = 0, l2Promotion = 0, oobFill = 0;
};

/// The layout of the opaque 128 bytes. NVIDIA's own is not documented; this one says so by its first field.
struct TensorMap {
  uint32_t magic;    // kTensorMapMagic
  uint32_t checksum; // of what follows
  uint8_t dataType, rank, swizzle, oobFill;
  uint8_t l2Promotion, elementStrides[kMaxRank];
  uint16_t boxDim[kMaxRank];
  uint32_t lastIndex[kMaxRank]; // dimension - 1
  uint64_t globalAddress;
  uint64_t strides[kMaxRank - 1]; // bytes, of dimension 1 and up
  // What tensormap.replace sets apart, or to what no copy here can do: told by the copy. `swizzle` is then without its atomicity.
  uint8_t atomicity, interleave, wasReplaced;
  uint8_t reserved[37];

  /// Elements of the box along a dimension, after element strides.
  uint32_t boxCount(uint32_t dimension) const;
  uint32_t elementBits() const;
  uint32_t rowBytes() const { return boxDim[0] * elementBits() / 8; }
  /// Of the whole box, as a transaction count.
  uint32_t boxBytes() const;
  /// The type by which reductions compute.
  Type reductionType() const;
  /// A special NaN, or 0, repeated over eight bytes.
  uint64_t fill() const;
};
static_assert(sizeof(TensorMap) == kTensorMapBytes);
inline constexpr uint32_t kTensorMapMagic = 0x4d544646; // "FFTM"

/// Returns what is wrong with the request, or "" with `map` filled. `isSupported` false: right, but not for this device.
std::string encodeTensorMap(const TensorMapRequest &request, TensorMap *map, bool *isSupported);

/// Returns what is wrong with the bytes, or "".
std::string checkTensorMap(const TensorMap &map);

/// The fields that tensormap.replace knows (PTX ISA 9.7.9.28).
enum class MapField : uint8_t {
  GlobalAddress, Rank, BoxDim, GlobalDim, GlobalStride, ElementStride, ElementType, Interleave, SwizzleMode, SwizzleAtomicity, FillMode
};

/// Sets a field; `index` is that of fields of each dimension. 128 bytes of zeros are a map without a value. Returns what is wrong, or "".
std::string replaceField(TensorMap *map, MapField field, uint32_t index, uint64_t value);

/// A map that tensormap.replace made, as cuTensorMapEncodeTiled would have. Returns what is wrong with it, or "".
std::string settleTensorMap(TensorMap *map);

/// Bytes of a box that stand together in shared and in global memory.
struct BoxPiece {
  uint32_t shared, bytes;
  uint64_t global;
  bool isInside; // of the tensor
};

/// The box at these coordinates; `shared` is where it stands in shared memory.
std::vector<BoxPiece> boxPieces(const TensorMap &map, const int32_t *coordinates, uint32_t shared);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_TENSORMAP_H
