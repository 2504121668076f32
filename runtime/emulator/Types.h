// The scalar types of PTX instructions and registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_TYPES_H
#define FOURFOLD_RUNTIME_EMULATOR_TYPES_H

#include <cstdint>
#include <string_view>

namespace fourfold {
namespace emulator {

/// A PTX type suffix (PTX ISA 5.2). `None` marks "not a type".
enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  F32,
  F64,
  TF32,
  E4M3x2,
  E5M2x2,
  E2M1x2,
  UE8M0x2,
  E2M3x2,
  E3M2x2,
  S16x2,
  U16x2,
  F32x2,
};

/// The type that a suffix such as "u32" names, or Type::None.
inline Type parseType(std::string_view text) {
  struct Entry {
    std::string_view name;
    Type type;
  };
  static constexpr Entry entries[] = {
      {"pred", Type::Pred},       {"b8", Type::B8},         {"b16", Type::B16},       {"b32", Type::B32},
      {"b64", Type::B64},         {"b128", Type::B128},     {"u8", Type::U8},         {"u16", Type::U16},
      {"u32", Type::U32},         {"u64", Type::U64},       {"s8", Type::S8},         {"s16", Type::S16},
      {"s32", Type::S32},         {"s64", Type::S64},       {"f16", Type::F16},       {"f16x2", Type::F16x2},
      {"bf16", Type::BF16},       {"bf16x2", Type::BF16x2}, {"f32", Type::F32},       {"f64", Type::F64},
      {"tf32", Type::TF32},       {"e4m3x2", Type::E4M3x2}, {"e5m2x2", Type::E5M2x2}, {"e2m1x2", Type::E2M1x2},
      {"ue8m0x2", Type::UE8M0x2}, {"e2m3x2", Type::E2M3x2},   {"e3m2x2", Type::E3M2x2},   {"s16x2", Type::S16x2},   {"u16x2", Type::U16x2},   {"f32x2", Type::F32x2},
  };
  for (const Entry &entry : entries)
    if (entry.name == text)
      return entry.type;
  return Type::None;
}

/// Bits of a value of the type; 1 for predicates.
inline int typeBits(Type type) {
  switch (type) {
  case Type::None:
    return 0;
  case Type::Pred:
    return 1;
  case Type::B8:
  case Type::U8:
  case Type::S8:
  case Type::E2M1x2:
    return 8;
  case Type::B16:
  case Type::U16:
  case Type::S16:
  case Type::F16:
  case Type::BF16:
  case Type::E4M3x2:
  case Type::E5M2x2:
  case Type::UE8M0x2:
  case Type::E2M3x2:
  case Type::E3M2x2:
    return 16;
  case Type::B64:
  case Type::U64:
  case Type::S64:
  case Type::F64:
  case Type::F32x2:
    return 64;
  case Type::B128:
    return 128;
  default:
    return 32;
  }
}

inline int typeBytes(Type type) { return (typeBits(type) + 7) / 8; }

inline bool isSignedInteger(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64;
}

inline bool isFloat(Type type) {
  return type == Type::F16 || type == Type::F16x2 || type == Type::BF16 || type == Type::BF16x2 || type == Type::F32 ||
         type == Type::F64 || type == Type::F32x2;
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_TYPES_H
