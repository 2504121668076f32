// Tensor maps: the checks of cuTensorMapEncodeTiled, and which bytes a box of a tensor is (PTX ISA 5.5, tensors).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TensorMap.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

struct DataType {
  const char *name;
  uint32_t bits;
  Type reduction;
  bool isFloat;
  uint64_t nan; // of one element
};
/// By the values of CUtensorMapDataType. Which NaN the device fills with is not documented: these are the canonical ones of PTX.
constexpr DataType kDataTypes[] = {
    {"UINT8", 8, Type::U8, false, 0},
    {"UINT16", 16, Type::U16, false, 0},
    {"UINT32", 32, Type::U32, false, 0},
    {"INT32", 32, Type::S32, false, 0},
    {"UINT64", 64, Type::U64, false, 0},
    {"INT64", 64, Type::S64, false, 0},
    {"FLOAT16", 16, Type::F16, true, 0x7fff},
    {"FLOAT32", 32, Type::F32, true, 0x7fffffff},
    {"FLOAT64", 64, Type::F64, true, 0x7fffffffffffffff},
    {"BFLOAT16", 16, Type::BF16, true, 0x7fff},
    {"FLOAT32_FTZ", 32, Type::F32, true, 0x7fffffff},
    {"TFLOAT32", 32, Type::F32, true, 0x7fffffff},
    {"TFLOAT32_FTZ", 32, Type::F32, true, 0x7fffffff},
    {"16U4_ALIGN8B", 4, Type::B8, false, 0},
};
constexpr int kNumDataTypes = 14, kLastDataType = 15; // 16U4_ALIGN16B and 16U6_ALIGN16B follow
constexpr int kFloat32Ftz = 10, kTFloat32Ftz = 12, kTFloat32 = 11, kPacked4 = 13;

/// By the values of CUtensorMapSwizzle: bytes of the pattern, and of what moves as a whole.
struct Swizzle {
  const char *name;
  uint32_t span, atom;
};
constexpr Swizzle kSwizzles[] = {{"NONE", 0, 16}, {"32B", 32, 16}, {"64B", 64, 16}, {"128B", 128, 16}, {"128B_ATOM_32B", 128, 32}};
constexpr int kNumSwizzles = 5, kLastSwizzle = 6; // 128B_ATOM_32B_FLIP_8B and 128B_ATOM_64B follow

uint32_t sum(const TensorMap &map) { // FNV-1a
  const auto *bytes = reinterpret_cast<const uint8_t *>(&map);
  uint32_t hash = 2166136261u;
  for (size_t i = offsetof(TensorMap, dataType); i < sizeof(TensorMap); ++i)
    hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

} // namespace

uint32_t TensorMap::boxCount(uint32_t dimension) const {
  uint32_t step = dimension ? elementStrides[dimension] : 1; // that of dimension 0 is ignored without interleave
  return (boxDim[dimension] + step - 1) / step;
}

uint32_t TensorMap::elementBits() const { return kDataTypes[dataType].bits; }

uint32_t TensorMap::boxBytes() const {
  uint32_t bytes = rowBytes();
  for (uint32_t i = 1; i < rank; ++i)
    bytes *= boxCount(i);
  return bytes;
}

Type TensorMap::reductionType() const { return kDataTypes[dataType].reduction; }

uint64_t TensorMap::fill() const {
  if (!oobFill)
    return 0;
  const DataType &type = kDataTypes[dataType];
  return type.bits == 16 ? type.nan * 0x0001000100010001ull : type.bits == 32 ? type.nan << 32 | type.nan : type.nan;
}

std::string encodeTensorMap(const TensorMapRequest &r, TensorMap *map, bool *isSupported) {
  *isSupported = true;
  auto unsupported = [&](std::string text) {
    *isSupported = false;
    return text + " is not supported by the emulated device";
  };
  if (!r.globalDim || !r.boxDim || !r.elementStrides || (r.rank > 1 && !r.globalStrides))
    return "globalDim, globalStrides, boxDim or elementStrides is null";
  if (r.dataType < 0 || r.dataType > kLastDataType)
    return fmt::format("tensorDataType {} is not one of CUtensorMapDataType", r.dataType);
  if (r.dataType >= kNumDataTypes)
    return unsupported(r.dataType == kNumDataTypes ? "tensorDataType 16U4_ALIGN16B" : "tensorDataType 16U6_ALIGN16B");
  const DataType &type = kDataTypes[r.dataType];
  if (r.rank < 1 || r.rank > kMaxRank)
    return fmt::format("tensorRank is {}, it must be 1 to {}", r.rank, kMaxRank);
  if (r.interleave < 0 || r.interleave > 2)
    return fmt::format("interleave {} is not one of CUtensorMapInterleave", r.interleave);
  if (r.interleave)
    return unsupported(r.interleave == 1 ? "interleave 16B" : "interleave 32B");
  if (r.swizzle < 0 || r.swizzle > kLastSwizzle)
    return fmt::format("swizzle {} is not one of CUtensorMapSwizzle", r.swizzle);
  if (r.swizzle >= kNumSwizzles)
    return unsupported(r.swizzle == kNumSwizzles ? "swizzle 128B_ATOM_32B_FLIP_8B" : "swizzle 128B_ATOM_64B");
  if (r.l2Promotion < 0 || r.l2Promotion > 3)
    return fmt::format("l2Promotion {} is not one of CUtensorMapL2promotion", r.l2Promotion);
  if (r.oobFill < 0 || r.oobFill > 1)
    return fmt::format("oobFill {} is not one of CUtensorMapFloatOOBfill", r.oobFill);
  if (r.oobFill && !type.isFloat)
    return fmt::format("oobFill NAN_REQUEST_ZERO_FMA needs a floating-point type, tensorDataType is {}", type.name);
  if (r.dataType == kFloat32Ftz || r.dataType == kTFloat32 || r.dataType == kTFloat32Ftz)
    return unsupported(fmt::format("tensorDataType {}, which changes values while they are copied,", type.name));
  if (r.globalAddress == 0 || r.globalAddress % 16)
    return fmt::format("globalAddress is {:#x}, it must be a multiple of 16", r.globalAddress);

  *map = TensorMap();
  std::memset(static_cast<void *>(map), 0, sizeof(*map));
  const Swizzle &swizzle = kSwizzles[r.swizzle];
  uint64_t extent = 0; // of the dimensions below, bytes
  for (uint32_t i = 0; i < r.rank; ++i) {
    if (r.globalDim[i] == 0 || r.globalDim[i] > uint64_t{1} << 32)
      return fmt::format("globalDim[{}] is {}, it must be 1 to 2^32", i, r.globalDim[i]);
    if (r.boxDim[i] == 0 || r.boxDim[i] > 256)
      return fmt::format("boxDim[{}] is {}, it must be 1 to 256", i, r.boxDim[i]);
    if (r.elementStrides[i] == 0 || r.elementStrides[i] > 8)
      return fmt::format("elementStrides[{}] is {}, it must be 1 to 8", i, r.elementStrides[i]);
    if (i > 0) {
      uint64_t stride = r.globalStrides[i - 1];
      if (stride % 16 || stride >= uint64_t{1} << 40)
        return fmt::format("globalStrides[{}] is {}, it must be a multiple of 16 below 2^40", i - 1, stride);
      // CUTLASS gives 0 to a dimension of one element; with 0 the device repeats what is below.
      if (stride < extent && stride != 0 && r.globalDim[i] > 1)
        return fmt::format("globalStrides[{}] is {}, below the {} bytes that dimension {} takes", i - 1, stride, extent, i - 1);
      map->strides[i - 1] = stride;
      extent = std::max(extent, stride);
    } else {
      extent = r.globalDim[0] * type.bits / 8;
    }
    map->lastIndex[i] = static_cast<uint32_t>(r.globalDim[i] - 1);
    map->boxDim[i] = static_cast<uint16_t>(r.boxDim[i]);
    map->elementStrides[i] = static_cast<uint8_t>(r.elementStrides[i]);
  }
  if (r.dataType == kPacked4 && r.globalDim[0] % 2)
    return fmt::format("globalDim[0] is {}, it must be a multiple of 2 for 16U4_ALIGN8B", r.globalDim[0]);
  uint32_t rowBits = r.boxDim[0] * type.bits;
  if (rowBits % 128)
    return fmt::format("boxDim[0] is {} elements of {} bits: the inner dimension of the box must be a multiple of 16 bytes", r.boxDim[0],
                       type.bits);
  if (swizzle.span && rowBits / 8 > swizzle.span)
    return fmt::format("boxDim[0] is {} elements of {} bits, {} bytes: with swizzle {} it takes at most {}", r.boxDim[0], type.bits,
                       rowBits / 8, swizzle.name, swizzle.span);
  if (swizzle.span && rowBits / 8 < swizzle.span)
    return unsupported(fmt::format("an inner dimension of the box of {} bytes, less than the pattern of swizzle {},", rowBits / 8, swizzle.name));
  map->magic = kTensorMapMagic;
  map->dataType = static_cast<uint8_t>(r.dataType);
  map->rank = static_cast<uint8_t>(r.rank);
  map->swizzle = static_cast<uint8_t>(r.swizzle);
  map->oobFill = static_cast<uint8_t>(r.oobFill);
  map->l2Promotion = static_cast<uint8_t>(r.l2Promotion);
  map->globalAddress = r.globalAddress;
  map->checksum = sum(*map);
  return "";
}

std::string checkTensorMap(const TensorMap &map) {
  if (map.magic != kTensorMapMagic)
    return "it is no tensor map that cuTensorMapEncodeTiled of this device made";
  if (map.checksum != sum(map))
    return "its bytes were changed after cuTensorMapEncodeTiled";
  return "";
}

std::string replaceField(TensorMap *map, MapField field, uint32_t index, uint64_t value) {
  static const TensorMap none = {};
  if (std::memcmp(map, &none, sizeof(none)) == 0) {
    map->magic = kTensorMapMagic;
    map->checksum = sum(*map);
    std::fill(map->elementStrides, map->elementStrides + kMaxRank, 1);
  } else if (std::string wrong = checkTensorMap(*map); !wrong.empty()) {
    return wrong;
  }
  // The numbers of element types are those of PTX ISA 9.7.9.28, not those of cuda.h.
  static const uint8_t dataTypes[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 8, 9, 11, 12, 13, 14, 15};
  auto most = [&](uint64_t limit, const char *what) {
    return value > limit ? fmt::format("the {} {} is above {}", what, value, limit) : std::string();
  };
  std::string wrong;
  if (index >= (field == MapField::GlobalStride ? kMaxRank - 1 : kMaxRank))
    return fmt::format("there is no dimension {}", index);
  switch (field) {
  case MapField::GlobalAddress:
    map->globalAddress = value;
    break;
  case MapField::Rank:
    wrong = most(kMaxRank - 1, "rank, counted from 0,");
    map->rank = static_cast<uint8_t>(value + 1);
    break;
  case MapField::BoxDim:
    wrong = most(256, "dimension of the box");
    map->boxDim[index] = static_cast<uint16_t>(value);
    break;
  case MapField::GlobalDim:
    map->lastIndex[index] = static_cast<uint32_t>(value - 1);
    break;
  case MapField::GlobalStride:
    map->strides[index] = value;
    break;
  case MapField::ElementStride:
    wrong = most(8, "element stride");
    map->elementStrides[index] = static_cast<uint8_t>(value);
    break;
  case MapField::ElementType:
    wrong = most(15, "element type");
    map->dataType = wrong.empty() ? dataTypes[value] : 0;
    break;
  case MapField::Interleave:
    wrong = most(2, "interleave layout");
    map->interleave = static_cast<uint8_t>(value);
    break;
  case MapField::SwizzleMode:
  case MapField::SwizzleAtomicity:
    if (map->swizzle >= 4) { // as cuTensorMapEncodeTiled leaves it
      map->atomicity = static_cast<uint8_t>(map->swizzle - 3);
      map->swizzle = 3;
    }
    wrong = most(field == MapField::SwizzleMode ? 4 : 3, "swizzle");
    if (field == MapField::SwizzleMode && value == 4)
      return "the swizzle of 96 bytes is not supported by the emulated device";
    (field == MapField::SwizzleMode ? map->swizzle : map->atomicity) = static_cast<uint8_t>(value);
    break;
  case MapField::FillMode:
    wrong = most(1, "fill mode");
    map->oobFill = static_cast<uint8_t>(value);
    break;
  }
  map->wasReplaced = 1;
  map->checksum = sum(*map);
  return wrong;
}

std::string settleTensorMap(TensorMap *map) {
  if (!map->wasReplaced)
    return "";
  int swizzle = map->swizzle == 3 && map->atomicity ? 3 + map->atomicity : map->swizzle;
  if (map->atomicity && map->swizzle != 3)
    return fmt::format("a swizzle of {} with an atomicity other than 16 bytes is not one", kSwizzles[map->swizzle].name);
  uint64_t dimensions[kMaxRank];
  uint32_t box[kMaxRank], steps[kMaxRank];
  for (uint32_t i = 0; i < kMaxRank; ++i) {
    dimensions[i] = uint64_t{map->lastIndex[i]} + 1;
    box[i] = map->boxDim[i];
    steps[i] = map->elementStrides[i];
  }
  TensorMapRequest request{map->dataType, map->rank, map->globalAddress, dimensions, map->strides, box, steps,
                           map->interleave, swizzle, map->l2Promotion, map->oobFill};
  bool isSupported;
  TensorMap settled;
  std::string wrong = encodeTensorMap(request, &settled, &isSupported);
  if (wrong.empty())
    *map = settled;
  return wrong;
}

std::vector<BoxPiece> boxPieces(const TensorMap &map, const int32_t *coordinates, uint32_t shared) {
  const Swizzle &swizzle = kSwizzles[map.swizzle];
  uint32_t bits = map.elementBits(), rowBytes = map.rowBytes();
  // Along dimension 0, in bytes: the box stands at [first, first + rowBytes) of a row of the tensor.
  int64_t first = int64_t{coordinates[0]} * bits / 8, limit = (int64_t{map.lastIndex[0]} + 1) * bits / 8;
  uint32_t atom = swizzle.span ? swizzle.atom : rowBytes;
  uint32_t atomsASpan = swizzle.span ? swizzle.span / swizzle.atom : 1, shift = swizzle.atom == 32 ? 5 : 4;

  std::vector<BoxPiece> pieces;
  uint32_t index[kMaxRank] = {}, rows = map.boxBytes() / rowBytes;
  for (uint32_t row = 0; row < rows; ++row) {
    bool isInside = true;
    uint64_t global = map.globalAddress;
    for (uint32_t i = 1; i < map.rank; ++i) {
      int64_t at = int64_t{coordinates[i]} + int64_t{index[i]} * map.elementStrides[i];
      isInside &= at >= 0 && at <= int64_t{map.lastIndex[i]};
      global += static_cast<uint64_t>(at) * map.strides[i - 1];
    }
    for (uint32_t column = 0; column < rowBytes; column += atom) {
      uint32_t to = shared + row * rowBytes + column;
      to ^= (to >> 7 & (atomsASpan - 1)) << shift; // the chunk of 128 bytes moves by the number of the 128 bytes
      int64_t start = first + column, low = std::clamp<int64_t>(-start, 0, atom), high = std::clamp<int64_t>(limit - start, low, atom);
      if (!isInside)
        low = high = atom;
      auto add = [&](int64_t begin, int64_t end, bool inside) {
        if (begin < end)
          pieces.push_back({to + static_cast<uint32_t>(begin), static_cast<uint32_t>(end - begin),
                            global + static_cast<uint64_t>(start + begin), inside});
      };
      add(0, low, false);
      add(low, high, true);
      add(high, atom, false);
    }
    for (uint32_t i = 1; i < map.rank; ++i) {
      if (++index[i] < map.boxCount(i))
        break;
      index[i] = 0;
    }
  }
  return pieces;
}

} // namespace emulator
} // namespace fourfold
