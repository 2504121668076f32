// Regions of prologues and epilogues as code that runs on many elements at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_HOST_REGIONCODE_H
#define FOURFOLD_COMPILER_HOST_REGIONCODE_H

#include <cstdint>
#include <vector>

namespace fourfold {
namespace host {

/// How many elements an instruction takes at most.
inline constexpr int64_t kRegionChunk = 256;

/// What an instruction computes; the meaning of each is that of compiler/evaluate/RegionProgram.cpp.
enum class RegionOp : uint8_t {
  Constant, Select, CompareFloats, CompareIntegers,
  Add, Subtract, Multiply, Divide, Maximum, Minimum, MaximumNumber, MinimumNumber, CopySign,
  Negate, Absolute, SquareRoot, Floor, Ceil, Truncate, RoundEven, MultiplyAdd,
  AddInteger, SubtractInteger, MultiplyInteger, And, Or, Xor, MaxSigned, MinSigned, MaxUnsigned, MinUnsigned,
  ShiftLeft, ShiftRightUnsigned, ShiftRightSigned,
  RoundFloat, Move, BitcastToInteger, BitcastToFloat, SignedToFloat, UnsignedToFloat, FloatToSigned, FloatToUnsigned,
  ExtendSigned, ExtendUnsigned, TruncateInteger,
};

/// The type that a float result is rounded to, or that bits are those of.
enum class RegionFloat : uint8_t { F32, BF16, F16 };

/// Outcomes of a comparison that make it true.
enum RegionPredicate : uint8_t { kLess = 1, kEqual = 2, kGreater = 4, kUnordered = 8, kUnsignedCompare = 16 };

/// One instruction: out = op(a, b, c).
struct RegionCode {
  RegionOp op = RegionOp::Move;
  RegionFloat type = RegionFloat::F32;
  /// Bits of the integer operands, and of the result of a conversion.
  uint8_t width = 0, toWidth = 0;
  uint8_t predicate = 0;
  uint16_t out = 0, a = 0, b = 0, c = 0;
  /// Of Constant: the bits of an fp32, or a sign-extended integer (i1 is 0 or 1).
  int64_t constant = 0;
};

/// A value of the region for a chunk of elements: floats as the fp32 they equal, integers sign-extended, i1 as 0 or 1.
union RegionSlot {
  float floats[kRegionChunk];
  int64_t integers[kRegionChunk];
};

/// A region: its arguments are in slots 0, 1, ... when it starts, its result in `resultSlot` when it has run.
struct Region {
  std::vector<RegionCode> codes;
  uint16_t numSlots = 0, resultSlot = 0;
};

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_REGIONCODE_H
