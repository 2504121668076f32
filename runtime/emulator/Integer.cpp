// Integer arithmetic and carry chains (PTX ISA 9.7.1, 9.7.2).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "IntegerTypes.h"

namespace fourfold {
namespace emulator {

namespace {

struct Add {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
  }
};
struct Sub {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
  }
};
struct MulLo {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct MulHi {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    if constexpr (sizeof(T) == 8 && std::is_signed_v<T>)
      return static_cast<T>(static_cast<__int128>(a) * b >> 64);
    else if constexpr (sizeof(T) == 8)
      return static_cast<T>(static_cast<unsigned __int128>(a) * b >> 64);
    else if constexpr (std::is_signed_v<T>)
      return static_cast<T>(static_cast<int64_t>(a) * b >> (8 * sizeof(T)));
    else
      return static_cast<T>(static_cast<uint64_t>(a) * b >> (8 * sizeof(T)));
  }
};
template <class W>
struct MulWide {
  template <class T>
  static FOURFOLD_INLINE W apply(T a, T b) {
    return static_cast<W>(static_cast<W>(a) * static_cast<W>(b));
  }
};
struct MadLo {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b, T c) {
    return Add::apply<T>(MulLo::apply<T>(a, b), c);
  }
};
struct MadHi {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b, T c) {
    return Add::apply<T>(MulHi::apply<T>(a, b), c);
  }
};
struct MadHiSat {
  static FOURFOLD_INLINE int32_t apply(int32_t a, int32_t b, int32_t c) {
    int64_t sum = static_cast<int64_t>(MulHi::apply<int32_t>(a, b)) + c;
    return static_cast<int32_t>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
  }
};
template <class W>
struct MadWide {
  template <class T>
  static FOURFOLD_INLINE W apply(T a, T b, W c) {
    return Add::apply<W>(MulWide<W>::template apply<T>(a, b), c);
  }
};
template <class T>
FOURFOLD_INLINE int64_t low24(T a) {
  if constexpr (std::is_signed_v<T>)
    return static_cast<int32_t>(static_cast<uint32_t>(a) << 8) >> 8;
  else
    return static_cast<int64_t>(static_cast<uint32_t>(a) & 0xffffffu);
}
template <bool kHigh>
struct Mul24 {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    int64_t product = low24(a) * low24(b);
    return static_cast<T>(kHigh ? product >> 16 : product);
  }
};
template <bool kHigh>
struct Mad24 {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b, T c) {
    return Add::apply<T>(Mul24<kHigh>::template apply<T>(a, b), c);
  }
};
struct Mad24HiSat {
  static FOURFOLD_INLINE int32_t apply(int32_t a, int32_t b, int32_t c) {
    int64_t sum = static_cast<int64_t>(Mul24<true>::apply<int32_t>(a, b)) + c;
    return static_cast<int32_t>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
  }
};
// Division by zero gives "an unspecified, machine-specific value": what sm_80 gives is all ones, and the dividend for
// rem.
struct Div {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    if (b == 0)
      return static_cast<T>(-1);
    if constexpr (std::is_signed_v<T>)
      if (b == static_cast<T>(-1))
        return Sub::apply<T>(0, a);
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    if (b == 0)
      return a;
    if constexpr (std::is_signed_v<T>)
      if (b == static_cast<T>(-1))
        return 0;
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a > b ? a : b;
  }
};
template <class M>
struct Relu {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return Max::apply<T>(M::template apply<T>(a, b), 0);
  }
};
template <class M>
struct Halves {
  template <class T>
  static FOURFOLD_INLINE uint32_t pair(uint32_t a, uint32_t b) {
    return static_cast<uint16_t>(M::template apply<T>(static_cast<T>(a), static_cast<T>(b))) |
           static_cast<uint32_t>(
               static_cast<uint16_t>(M::template apply<T>(static_cast<T>(a >> 16), static_cast<T>(b >> 16))))
               << 16;
  }
};
template <class M, class T>
struct Packed16 {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a, uint32_t b) { return Halves<M>::template pair<T>(a, b); }
};
struct AddSat {
  static FOURFOLD_INLINE int32_t apply(int32_t a, int32_t b) {
    int64_t sum = static_cast<int64_t>(a) + b;
    return static_cast<int32_t>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
  }
};
struct SubSat {
  static FOURFOLD_INLINE int32_t apply(int32_t a, int32_t b) {
    int64_t sum = static_cast<int64_t>(a) - b;
    return static_cast<int32_t>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
  }
};
struct Abs {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    return a < 0 ? Sub::apply<T>(0, a) : a;
  }
};
struct Neg {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    return Sub::apply<T>(0, a);
  }
};
struct Sad {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b, T c) {
    T difference = a < b ? Sub::apply<T>(b, a) : Sub::apply<T>(a, b);
    return Add::apply<T>(difference, c);
  }
};
/// add.cc and its kin: the carry is a bit a lane in a slot of its own (dst2 out, src[3] in).
template <class T, bool kSubtract, bool kIn, bool kOut>
struct Carry {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const Container<T> *a = warp.reg<Container<T>>(in.src[0]), *b = warp.reg<Container<T>>(in.src[1]);
    Container<T> *d = warp.reg<Container<T>>(in.dst);
    uint32_t carryIn = kIn ? warp.predicate(in.src[3]) : 0, carryOut = 0;
    for (int i = 0; i < kLanes; ++i) {
      if (!(mask >> i & 1))
        continue;
      // A subtraction is an addition of the complement and 1: it leaves and takes the flag inverted, which PTX does not say and the 128-bit
      // division of CUDA C++ rests on: it reads with addc what subc.cc leaves.
      T bit = static_cast<T>((carryIn >> i & 1) ^ (kSubtract && kIn)), x = static_cast<T>(a[i]), y = static_cast<T>(b[i]);
      T partial = kSubtract ? x - y : x + y;
      T sum = kSubtract ? partial - bit : partial + bit;
      bool out = kSubtract ? x >= y && partial >= bit : (partial < x) || (sum < partial);
      d[i] = sum;
      carryOut |= static_cast<uint32_t>(out) << i;
    }
    if (kOut) {
      uint32_t *flags = warp.reg<uint32_t>(in.dst2);
      *flags = (*flags & ~mask) | carryOut;
    }
  }
};

/// mad.lo.cc, madc: the product's half plus c plus carry.
template <class T, bool kHigh, bool kIn, bool kOut>
struct MadCarry {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    using C = Container<T>;
    const C *a = warp.reg<C>(in.src[0]), *b = warp.reg<C>(in.src[1]), *c = warp.reg<C>(in.src[2]);
    C *d = warp.reg<C>(in.dst);
    uint32_t carryIn = kIn ? warp.predicate(in.src[3]) : 0, carryOut = 0;
    for (int i = 0; i < kLanes; ++i) {
      if (!(mask >> i & 1))
        continue;
      T x = static_cast<T>(a[i]), y = static_cast<T>(b[i]);
      T product = kHigh ? MulHi::apply<T>(x, y) : MulLo::apply<T>(x, y);
      unsigned __int128 sum = static_cast<unsigned __int128>(static_cast<Unsigned<T>>(product)) +
                              static_cast<Unsigned<T>>(c[i]) + (carryIn >> i & 1);
      d[i] = static_cast<C>(static_cast<Unsigned<T>>(sum));
      carryOut |= static_cast<uint32_t>(sum >> (8 * sizeof(T)) & 1) << i;
    }
    if (kOut) {
      uint32_t *flags = warp.reg<uint32_t>(in.dst2);
      *flags = (*flags & ~mask) | carryOut;
    }
  }
};

template <bool kSubtract, class T>
Handler carry(bool in, bool out) {
  if (in)
    return out ? runBaseline<Carry<T, kSubtract, true, true>> : runBaseline<Carry<T, kSubtract, true, false>>;
  return runBaseline<Carry<T, kSubtract, false, true>>;
}

template <bool kHigh, class T>
Handler madCarry(bool in, bool out) {
  if (in)
    return out ? runBaseline<MadCarry<T, kHigh, true, true>> : runBaseline<MadCarry<T, kHigh, true, false>>;
  return runBaseline<MadCarry<T, kHigh, false, true>>;
}

bool isInteger(Type type) {
  return type == Type::S16 || type == Type::S32 || type == Type::S64 || type == Type::U16 || type == Type::U32 ||
         type == Type::U64;
}

} // namespace

static Handler decodeArithmetic(Decoder &d, const std::string &op, Type type, bool &wide) {
  bool isSigned = isSignedInteger(type);
  if (op == "add" || op == "sub") {
    if (d.take("sat"))
      return type != Type::S32 ? nullptr
             : op == "add"     ? binary<AddSat, int32_t, int32_t, int32_t>()
                               : binary<SubSat, int32_t, int32_t, int32_t>();
    if (type == Type::S16x2 || type == Type::U16x2)
      return op == "add" ? binary<Packed16<Add, uint16_t>, uint32_t, uint32_t, uint32_t>() : nullptr;
    return op == "add" ? binaryInteger<Add>(type) : binaryInteger<Sub>(type);
  }
  if (op == "mul" || op == "mad") {
    bool isMad = op == "mad";
    if (d.take("wide")) {
      wide = true;
      if (isMad)
        switch (type) {
        case Type::S16:
          return ternary<MadWide<int32_t>, int32_t, int16_t, int16_t, int32_t>();
        case Type::U16:
          return ternary<MadWide<uint32_t>, uint32_t, uint16_t, uint16_t, uint32_t>();
        case Type::S32:
          return ternary<MadWide<int64_t>, int64_t, int32_t, int32_t, int64_t>();
        case Type::U32:
          return ternary<MadWide<uint64_t>, uint64_t, uint32_t, uint32_t, uint64_t>();
        default:
          return nullptr;
        }
      switch (type) {
      case Type::S16:
        return binary<MulWide<int32_t>, int32_t, int16_t, int16_t>();
      case Type::U16:
        return binary<MulWide<uint32_t>, uint32_t, uint16_t, uint16_t>();
      case Type::S32:
        return binary<MulWide<int64_t>, int64_t, int32_t, int32_t>();
      case Type::U32:
        return binary<MulWide<uint64_t>, uint64_t, uint32_t, uint32_t>();
      default:
        return nullptr;
      }
    }
    if (d.take("hi")) {
      if (isMad && d.take("sat"))
        return type == Type::S32 ? ternary<MadHiSat, int32_t, int32_t, int32_t, int32_t>() : nullptr;
      return isMad ? ternaryInteger<MadHi>(type) : binaryInteger<MulHi>(type);
    }
    if (!d.take("lo"))
      return nullptr;
    return isMad ? ternaryInteger<MadLo>(type) : binaryInteger<MulLo>(type);
  }
  if (op == "mul24" || op == "mad24") {
    bool high = d.take("hi");
    if (high && op == "mad24" && d.take("sat"))
      return type == Type::S32 ? ternary<Mad24HiSat, int32_t, int32_t, int32_t, int32_t>() : nullptr;
    if (!high && !d.take("lo"))
      return nullptr;
    if (typeBits(type) != 32)
      return nullptr;
    if (op == "mul24")
      return isSigned ? (high ? binary<Mul24<true>, int32_t, int32_t, int32_t>()
                              : binary<Mul24<false>, int32_t, int32_t, int32_t>())
                      : (high ? binary<Mul24<true>, uint32_t, uint32_t, uint32_t>()
                              : binary<Mul24<false>, uint32_t, uint32_t, uint32_t>());
    return isSigned ? (high ? ternary<Mad24<true>, int32_t, int32_t, int32_t, int32_t>()
                            : ternary<Mad24<false>, int32_t, int32_t, int32_t, int32_t>())
                    : (high ? ternary<Mad24<true>, uint32_t, uint32_t, uint32_t, uint32_t>()
                            : ternary<Mad24<false>, uint32_t, uint32_t, uint32_t, uint32_t>());
  }
  if (op == "div")
    return binaryInteger<Div>(type);
  if (op == "rem")
    return binaryInteger<Rem>(type);
  if (op == "min" || op == "max") {
    bool isMin = op == "min";
    bool relu = d.take("relu");
    if (relu && type == Type::S16x2)
      return isMin ? binary<Packed16<Relu<Min>, int16_t>, uint32_t, uint32_t, uint32_t>()
                   : binary<Packed16<Relu<Max>, int16_t>, uint32_t, uint32_t, uint32_t>();
    if (relu)
      return type == Type::S32 ? (isMin ? binary<Relu<Min>, int32_t, int32_t, int32_t>()
                                        : binary<Relu<Max>, int32_t, int32_t, int32_t>())
                               : nullptr;
    if (type == Type::S16x2)
      return isMin ? binary<Packed16<Min, int16_t>, uint32_t, uint32_t, uint32_t>()
                   : binary<Packed16<Max, int16_t>, uint32_t, uint32_t, uint32_t>();
    if (type == Type::U16x2)
      return isMin ? binary<Packed16<Min, uint16_t>, uint32_t, uint32_t, uint32_t>()
                   : binary<Packed16<Max, uint16_t>, uint32_t, uint32_t, uint32_t>();
    return isMin ? binaryInteger<Min>(type) : binaryInteger<Max>(type);
  }
  if (op == "sad")
    return ternaryInteger<Sad>(type);
  if (op == "abs")
    return isSigned ? unaryInteger<Abs>(type) : nullptr;
  if (op == "neg")
    return isSigned ? unaryInteger<Neg>(type) : nullptr;
  return nullptr;
}

/// Carry-chain forms: the condition register of a thread is one hidden predicate.
static bool decodeCarry(Decoder &d, const std::string &op) {
  bool isMad = op == "mad" || op == "madc";
  bool in = op == "addc" || op == "subc" || op == "madc", out = d.take("cc");
  if (!in && !out)
    return false;
  Type type = d.requireType();
  if (typeBits(type) != 32 && typeBits(type) != 64)
    d.fail("carry arithmetic takes 32 or 64 bits");
  bool wide = typeBits(type) == 64;
  uint32_t flag = d.special("%cc");
  Instr &instr = d.out();
  instr.instrClass = InstrClass::Integer;
  if (isMad) {
    bool high = d.take("hi");
    if (!high && !d.take("lo"))
      d.fail("mad needs .lo or .hi");
    d.expectOperands(4, 4);
    bool isSigned = isSignedInteger(type);
    if (high)
      instr.handler = wide ? (isSigned ? madCarry<true, int64_t>(in, out) : madCarry<true, uint64_t>(in, out))
                           : (isSigned ? madCarry<true, int32_t>(in, out) : madCarry<true, uint32_t>(in, out));
    else
      instr.handler = wide ? madCarry<false, uint64_t>(in, out) : madCarry<false, uint32_t>(in, out);
  } else {
    d.expectOperands(3, 3);
    bool subtract = op[0] == 's';
    if (subtract)
      instr.handler = wide ? carry<true, uint64_t>(in, out) : carry<true, uint32_t>(in, out);
    else
      instr.handler = wide ? carry<false, uint64_t>(in, out) : carry<false, uint32_t>(in, out);
  }
  instr.dst = d.destination(d.operand(0), type);
  for (size_t i = 1; i < d.numOperands(); ++i)
    d.out().src[i - 1] = d.source(d.operand(i), type);
  if (in)
    d.out().src[3] = flag;
  if (out)
    d.out().dst2 = flag;
  return true;
}

bool decodeInteger(Decoder &d) {
  const std::string &op = d.ast().opcode;
  d.out().instrClass = InstrClass::Integer;
  static const char *const chains[] = {"add", "addc", "sub", "subc", "mad", "madc"};
  for (const char *name : chains)
    if (op == name && decodeCarry(d, op))
      return true;
  static const char *const arithmetic[] = {"add", "sub", "mul", "mad", "mul24", "mad24", "div",
                                           "rem", "min", "max", "sad", "abs",   "neg"};
  for (const char *name : arithmetic) {
    if (op != name)
      continue;
    // Floats share the opcodes: look before taking.
    Type type = Type::None;
    for (const std::string &mod : d.ast().mods)
      if (type == Type::None)
        type = parseType(mod);
    if (!isInteger(type) && type != Type::S16x2 && type != Type::U16x2)
      return false;
    d.requireType();
    bool wide = false;
    Handler handler = decodeArithmetic(d, op, type, wide);
    if (!handler)
      return false;
    Type wideType = typeBits(type) == 16 ? Type::B32 : Type::B64;
    Instr &instr = d.out();
    instr.handler = handler;
    instr.dst = d.destination(d.operand(0), wide ? wideType : type);
    size_t count = op == "abs" || op == "neg" ? 2 : op == "mad" || op == "mad24" || op == "sad" ? 4 : 3;
    d.expectOperands(count, count);
    for (size_t i = 1; i < count; ++i)
      instr.src[i - 1] = d.source(d.operand(i), i == 3 && wide ? wideType : type);
    return true;
  }
  return false;
}

} // namespace emulator
} // namespace fourfold
