// Picks the instance of an operation for an integer type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_INTEGERTYPES_H
#define FOURFOLD_RUNTIME_EMULATOR_INTEGERTYPES_H

#include "Lanes.h"

namespace fourfold {
namespace emulator {

/// Wide arithmetic is done unsigned: signed overflow wraps in PTX.
template <class T>
using Unsigned = std::make_unsigned_t<T>;

/// The handler of `Op` of one operand for a type; null if the type does not fit.
template <class Op>
Handler unaryInteger(Type type) {
  switch (type) {
  case Type::S16:
    return unary<Op, int16_t, int16_t>();
  case Type::S32:
    return unary<Op, int32_t, int32_t>();
  case Type::S64:
    return unary<Op, int64_t, int64_t>();
  case Type::B16:
    return unary<Op, uint16_t, uint16_t>();
  case Type::B32:
    return unary<Op, uint32_t, uint32_t>();
  case Type::B64:
    return unary<Op, uint64_t, uint64_t>();
  default:
    return nullptr;
  }
}

/// The same for two operands of the type.
template <class Op>
Handler binaryInteger(Type type) {
  switch (type) {
  case Type::S16:
    return binary<Op, int16_t, int16_t, int16_t>();
  case Type::S32:
    return binary<Op, int32_t, int32_t, int32_t>();
  case Type::S64:
    return binary<Op, int64_t, int64_t, int64_t>();
  case Type::U16:
  case Type::B16:
    return binary<Op, uint16_t, uint16_t, uint16_t>();
  case Type::U32:
  case Type::B32:
    return binary<Op, uint32_t, uint32_t, uint32_t>();
  case Type::U64:
  case Type::B64:
    return binary<Op, uint64_t, uint64_t, uint64_t>();
  default:
    return nullptr;
  }
}

/// The same for three.
template <class Op>
Handler ternaryInteger(Type type) {
  switch (type) {
  case Type::S16:
    return ternary<Op, int16_t, int16_t, int16_t, int16_t>();
  case Type::S32:
    return ternary<Op, int32_t, int32_t, int32_t, int32_t>();
  case Type::S64:
    return ternary<Op, int64_t, int64_t, int64_t, int64_t>();
  case Type::U16:
    return ternary<Op, uint16_t, uint16_t, uint16_t, uint16_t>();
  case Type::U32:
    return ternary<Op, uint32_t, uint32_t, uint32_t, uint32_t>();
  case Type::U64:
    return ternary<Op, uint64_t, uint64_t, uint64_t, uint64_t>();
  default:
    return nullptr;
  }
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_INTEGERTYPES_H
