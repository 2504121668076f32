// Integer and logic instructions (PTX ISA 9.7.1, 9.7.2, 9.7.8).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// Wide arithmetic is done unsigned: signed overflow wraps in PTX.
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
  static FOURFOLD_INLINE int32_t apply(int32_t a, int32_t b) {
    return Max::apply<int32_t>(M::template apply<int32_t>(a, b), 0);
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
struct And {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    return static_cast<T>(~a);
  }
};
struct Cnot {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    return a == 0 ? 1 : 0;
  }
};
// Shift amounts above the width clamp to it (PTX ISA 9.7.8.7).
struct Shl {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, uint32_t n) {
    return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << n);
  }
};
struct Shr {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, uint32_t n) {
    uint32_t last = 8 * sizeof(T) - 1;
    if constexpr (std::is_signed_v<T>)
      return static_cast<T>(a >> (n > last ? last : n));
    else
      return n > last ? T{0} : static_cast<T>(a >> n);
  }
};
template <bool kLeft, bool kWrap>
struct FunnelShift {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    uint32_t n = kWrap ? c & 31u : c > 32 ? 32 : c;
    uint64_t both = static_cast<uint64_t>(b) << 32 | a;
    return kLeft ? static_cast<uint32_t>((both << n) >> 32) : static_cast<uint32_t>(both >> n);
  }
};
struct Bfe {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, uint32_t b, uint32_t c) {
    constexpr uint32_t bits = 8 * sizeof(T);
    uint32_t start = b & 0xff, length = c & 0xff;
    Unsigned<T> value = static_cast<Unsigned<T>>(a);
    if (length == 0)
      return 0;
    Unsigned<T> field = start >= bits ? 0 : value >> start;
    bool sign = false;
    if constexpr (std::is_signed_v<T>) {
      uint32_t top = start + length - 1 < bits - 1 ? start + length - 1 : bits - 1;
      sign = value >> top & 1;
    }
    uint32_t taken = start >= bits ? 0 : (length < bits - start ? length : bits - start);
    Unsigned<T> keep = taken >= bits ? ~Unsigned<T>{0} : (Unsigned<T>{1} << taken) - 1;
    return static_cast<T>((field & keep) | (sign ? ~keep : 0));
  }
};
struct Bfi {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b, uint32_t c, uint32_t d) {
    constexpr uint32_t bits = 8 * sizeof(T);
    uint32_t start = c & 0xff, length = d & 0xff;
    if (start >= bits || length == 0)
      return b;
    T keep = length >= bits ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
    return static_cast<T>((b & ~(keep << start)) | ((a & keep) << start));
  }
};
struct Brev {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    T result = 0;
    for (unsigned i = 0; i < 8 * sizeof(T); ++i)
      result = static_cast<T>(result << 1 | (a >> i & 1));
    return result;
  }
};
struct Clz {
  template <class T>
  static FOURFOLD_INLINE uint32_t apply(T a) {
    if constexpr (sizeof(T) == 8)
      return a ? static_cast<uint32_t>(__builtin_clzll(a)) : 64;
    else
      return a ? static_cast<uint32_t>(__builtin_clz(a)) : 32;
  }
};
struct Popc {
  template <class T>
  static FOURFOLD_INLINE uint32_t apply(T a) {
    return static_cast<uint32_t>(__builtin_popcountll(a));
  }
};
template <bool kShift>
struct Bfind {
  template <class T>
  static FOURFOLD_INLINE uint32_t apply(T a) {
    Unsigned<T> value = static_cast<Unsigned<T>>(std::is_signed_v<T> && a < 0 ? ~a : a);
    if (value == 0)
      return 0xffffffffu;
    uint32_t top = 63u - static_cast<uint32_t>(__builtin_clzll(value));
    return kShift ? static_cast<uint32_t>(8 * sizeof(T)) - 1 - top : top;
  }
};
struct Prmt {
  static FOURFOLD_INLINE uint32_t select(uint64_t bytes, uint32_t selector) {
    uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (selector & 7))) & 0xff;
    return selector & 8 ? (byte & 0x80 ? 0xff : 0) : byte;
  }
  static FOURFOLD_INLINE uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i)
      result |= select(bytes, c >> (4 * i) & 15) << (8 * i);
    return result;
  }
};
template <int kMode>
struct PrmtMode {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    static constexpr uint16_t table[6][4] = {
        {0x3210, 0x4321, 0x5432, 0x6543}, // f4e
        {0x5670, 0x6701, 0x7012, 0x0123}, // b4e
        {0x0000, 0x1111, 0x2222, 0x3333}, // rc8
        {0x3210, 0x3211, 0x3222, 0x3333}, // ecl
        {0x0000, 0x1110, 0x2210, 0x3210}, // ecr
        {0x1010, 0x3232, 0x1010, 0x3232}, // rc16
    };
    return Prmt::apply(a, b, table[kMode][c & 3]);
  }
};
struct Lop3 {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]),
                   *c = warp.reg<uint32_t>(in.src[2]);
    uint32_t *d = warp.reg<uint32_t>(in.dst);
    uint32_t minterms[8];
    for (int k = 0; k < 8; ++k)
      minterms[k] = in.flags >> k & 1 ? 0xffffffffu : 0;
    uint32_t lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      uint32_t x = a[i], y = b[i], z = c[i];
      uint32_t low = (~y & ((~z & minterms[0]) | (z & minterms[1]))) | (y & ((~z & minterms[2]) | (z & minterms[3])));
      uint32_t high = (~y & ((~z & minterms[4]) | (z & minterms[5]))) | (y & ((~z & minterms[6]) | (z & minterms[7])));
      lanes[i] = (~x & low) | (x & high);
    }
    for (int i = 0; i < kLanes; ++i)
      if (mask >> i & 1)
        d[i] = lanes[i];
  }
};
template <class A, class B>
struct Dp4a {
  static FOURFOLD_INLINE int32_t apply(uint32_t a, uint32_t b, int32_t c) {
    uint32_t sum = static_cast<uint32_t>(c);
    for (int i = 0; i < 4; ++i)
      sum += static_cast<uint32_t>(static_cast<int32_t>(static_cast<A>(a >> (8 * i))) *
                                   static_cast<int32_t>(static_cast<B>(b >> (8 * i))));
    return static_cast<int32_t>(sum);
  }
};
template <class A, class B, bool kHigh>
struct Dp2a {
  static FOURFOLD_INLINE int32_t apply(uint32_t a, uint32_t b, int32_t c) {
    uint32_t sum = static_cast<uint32_t>(c);
    for (int i = 0; i < 2; ++i)
      sum += static_cast<uint32_t>(static_cast<int32_t>(static_cast<A>(a >> (16 * i))) *
                                   static_cast<int32_t>(static_cast<B>(b >> (8 * (i + (kHigh ? 2 : 0))))));
    return static_cast<int32_t>(sum);
  }
};
struct Sad {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b, T c) {
    T difference = a < b ? Sub::apply<T>(b, a) : Sub::apply<T>(a, b);
    return Add::apply<T>(difference, c);
  }
};
template <bool kWrap>
struct Szext {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, uint32_t n) {
    uint32_t width = kWrap ? n & 31u : n;
    if (!kWrap && width >= 32)
      return a;
    if (width == 0)
      return 0;
    uint32_t shift = 32 - width;
    return static_cast<T>(static_cast<T>(static_cast<uint32_t>(a) << shift) >> shift);
  }
};
template <bool kWrap>
struct Bmsk {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a, uint32_t b) {
    uint32_t start = kWrap ? a & 31u : a, width = kWrap ? b & 31u : b;
    if (start >= 32 || width == 0)
      return 0;
    uint32_t ones = width >= 32 ? 0xffffffffu : (1u << width) - 1;
    return ones << start;
  }
};
struct Fns {
  static FOURFOLD_INLINE uint32_t apply(uint32_t value, uint32_t base, int32_t offset) {
    if (offset == 0)
      return base < 32 && (value >> base & 1) ? base : 0xffffffffu;
    int32_t step = offset > 0 ? 1 : -1, left = offset > 0 ? offset : -offset;
    for (int32_t i = static_cast<int32_t>(base); i >= 0 && i < 32; i += step)
      if ((value >> i & 1) && --left == 0)
        return static_cast<uint32_t>(i);
    return 0xffffffffu;
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
      T bit = static_cast<T>(carryIn >> i & 1), x = static_cast<T>(a[i]), y = static_cast<T>(b[i]);
      // For subtraction the flag is the borrow.
      T partial = kSubtract ? x - y : x + y;
      T sum = kSubtract ? partial - bit : partial + bit;
      bool out = kSubtract ? (x < y) || (partial < bit) : (partial < x) || (sum < partial);
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

template <class Op>
Handler shift(Type type) {
  switch (type) {
  case Type::S16:
    return binary<Op, int16_t, int16_t, uint32_t>();
  case Type::S32:
    return binary<Op, int32_t, int32_t, uint32_t>();
  case Type::S64:
    return binary<Op, int64_t, int64_t, uint32_t>();
  case Type::U16:
  case Type::B16:
    return binary<Op, uint16_t, uint16_t, uint32_t>();
  case Type::U32:
  case Type::B32:
    return binary<Op, uint32_t, uint32_t, uint32_t>();
  case Type::U64:
  case Type::B64:
    return binary<Op, uint64_t, uint64_t, uint32_t>();
  default:
    return nullptr;
  }
}

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
    if (d.take("relu"))
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

static bool decodeLogic(Decoder &d, const std::string &op) {
  if (op != "and" && op != "or" && op != "xor" && op != "not")
    return false;
  Type type = d.requireType();
  Instr &instr = d.out();
  if (type == Type::Pred) {
    // Predicates are one word: the 32-bit operation on lane 0 of the slot would touch other lanes, so they have
    // handlers of their own in Compare.cpp.
    d.fail("internal: predicate logic is decoded elsewhere");
  }
  if (type != Type::B16 && type != Type::B32 && type != Type::B64)
    d.fail("logic operations take .pred, .b16, .b32 or .b64");
  d.expectOperands(op == "not" ? 2 : 3, op == "not" ? 2 : 3);
  instr.handler = op == "and"   ? binaryInteger<And>(type)
                  : op == "or"  ? binaryInteger<Or>(type)
                  : op == "xor" ? binaryInteger<Xor>(type)
                                : unaryInteger<Not>(type);
  instr.dst = d.destination(d.operand(0), type);
  for (size_t i = 1; i < d.numOperands(); ++i)
    instr.src[i - 1] = d.source(d.operand(i), type);
  return true;
}

static bool decodeBits(Decoder &d, const std::string &op) {
  Instr &instr = d.out();
  auto finish = [&](Handler handler, Type result, std::initializer_list<Type> types) {
    if (!handler)
      d.fail("the type does not fit the instruction");
    instr.handler = handler;
    d.expectOperands(types.size() + 1, types.size() + 1);
    instr.dst = d.destination(d.operand(0), result);
    size_t i = 1;
    for (Type type : types) {
      uint32_t slot = d.source(d.operand(i), type);
      d.out().src[i - 1] = slot;
      ++i;
    }
    return true;
  };
  if (op == "shl" || op == "shr") {
    Type type = d.requireType();
    return finish(op == "shl" ? shift<Shl>(type) : shift<Shr>(type), type, {type, Type::U32});
  }
  if (op == "shf") {
    bool left = d.take("l");
    if (!left && !d.take("r"))
      return false;
    bool wrap = d.take("wrap");
    if (!wrap && !d.take("clamp"))
      return false;
    d.requireType();
    Handler handler = left ? (wrap ? ternary<FunnelShift<true, true>, uint32_t, uint32_t, uint32_t, uint32_t>()
                                   : ternary<FunnelShift<true, false>, uint32_t, uint32_t, uint32_t, uint32_t>())
                           : (wrap ? ternary<FunnelShift<false, true>, uint32_t, uint32_t, uint32_t, uint32_t>()
                                   : ternary<FunnelShift<false, false>, uint32_t, uint32_t, uint32_t, uint32_t>());
    return finish(handler, Type::B32, {Type::B32, Type::B32, Type::U32});
  }
  if (op == "bfe") {
    Type type = d.requireType();
    Handler handler = type == Type::U32   ? ternary<Bfe, uint32_t, uint32_t, uint32_t, uint32_t>()
                      : type == Type::S32 ? ternary<Bfe, int32_t, int32_t, uint32_t, uint32_t>()
                      : type == Type::U64 ? ternary<Bfe, uint64_t, uint64_t, uint32_t, uint32_t>()
                      : type == Type::S64 ? ternary<Bfe, int64_t, int64_t, uint32_t, uint32_t>()
                                          : nullptr;
    return finish(handler, type, {type, Type::U32, Type::U32});
  }
  if (op == "bfi") {
    Type type = d.requireType();
    Handler handler =
        typeBits(type) == 32 ? quaternary<Bfi, uint32_t, uint32_t>() : quaternary<Bfi, uint64_t, uint64_t>();
    return finish(handler, type, {type, type, Type::U32, Type::U32});
  }
  if (op == "brev" || op == "clz" || op == "popc") {
    Type type = d.requireType();
    bool wide = typeBits(type) == 64;
    if (op == "brev")
      return finish(wide ? unary<Brev, uint64_t, uint64_t>() : unary<Brev, uint32_t, uint32_t>(), type, {type});
    if (op == "clz")
      return finish(wide ? unary<Clz, uint32_t, uint64_t>() : unary<Clz, uint32_t, uint32_t>(), Type::U32, {type});
    return finish(wide ? unary<Popc, uint32_t, uint64_t>() : unary<Popc, uint32_t, uint32_t>(), Type::U32, {type});
  }
  if (op == "bfind") {
    bool amount = d.take("shiftamt");
    Type type = d.requireType();
    Handler handler = nullptr;
    if (type == Type::U32)
      handler = amount ? unary<Bfind<true>, uint32_t, uint32_t>() : unary<Bfind<false>, uint32_t, uint32_t>();
    else if (type == Type::S32)
      handler = amount ? unary<Bfind<true>, uint32_t, int32_t>() : unary<Bfind<false>, uint32_t, int32_t>();
    else if (type == Type::U64)
      handler = amount ? unary<Bfind<true>, uint32_t, uint64_t>() : unary<Bfind<false>, uint32_t, uint64_t>();
    else if (type == Type::S64)
      handler = amount ? unary<Bfind<true>, uint32_t, int64_t>() : unary<Bfind<false>, uint32_t, int64_t>();
    return finish(handler, Type::U32, {type});
  }
  if (op == "prmt") {
    d.requireType();
    Handler handler = ternary<Prmt, uint32_t, uint32_t, uint32_t, uint32_t>();
    if (d.take("f4e"))
      handler = ternary<PrmtMode<0>, uint32_t, uint32_t, uint32_t, uint32_t>();
    else if (d.take("b4e"))
      handler = ternary<PrmtMode<1>, uint32_t, uint32_t, uint32_t, uint32_t>();
    else if (d.take("rc8"))
      handler = ternary<PrmtMode<2>, uint32_t, uint32_t, uint32_t, uint32_t>();
    else if (d.take("ecl"))
      handler = ternary<PrmtMode<3>, uint32_t, uint32_t, uint32_t, uint32_t>();
    else if (d.take("ecr"))
      handler = ternary<PrmtMode<4>, uint32_t, uint32_t, uint32_t, uint32_t>();
    else if (d.take("rc16"))
      handler = ternary<PrmtMode<5>, uint32_t, uint32_t, uint32_t, uint32_t>();
    return finish(handler, Type::B32, {Type::B32, Type::B32, Type::B32});
  }
  if (op == "lop3") {
    d.requireType();
    if (d.numOperands() != 5)
      d.fail("lop3 with a predicate result is not supported");
    if (d.operand(4).kind != Operand::Integer)
      d.fail("the table of lop3 must be an immediate");
    instr.handler = handlerOf<Lop3>();
    instr.flags = static_cast<uint32_t>(d.operand(4).value) & 0xff;
    instr.dst = d.destination(d.operand(0), Type::B32);
    for (size_t i = 0; i < 3; ++i)
      instr.src[i] = d.source(d.operand(i + 1), Type::B32);
    return true;
  }
  if (op == "dp4a" || op == "dp2a") {
    bool high = false;
    if (op == "dp2a") {
      high = d.take("hi");
      if (!high)
        d.take("lo");
    }
    bool signedA = isSignedInteger(d.requireType()), signedB = isSignedInteger(d.requireType());
    Handler handler = nullptr;
#define FOURFOLD_DOT(A4, B4, A2)                                                                                       \
  handler = op == "dp4a" ? ternary<Dp4a<A4, B4>, int32_t, uint32_t, uint32_t, int32_t>()                               \
            : high       ? ternary<Dp2a<A2, B4, true>, int32_t, uint32_t, uint32_t, int32_t>()                         \
                         : ternary<Dp2a<A2, B4, false>, int32_t, uint32_t, uint32_t, int32_t>()
    if (signedA && signedB)
      FOURFOLD_DOT(int8_t, int8_t, int16_t);
    else if (signedA)
      FOURFOLD_DOT(int8_t, uint8_t, int16_t);
    else if (signedB)
      FOURFOLD_DOT(uint8_t, int8_t, uint16_t);
    else
      FOURFOLD_DOT(uint8_t, uint8_t, uint16_t);
#undef FOURFOLD_DOT
    return finish(handler, Type::B32, {Type::B32, Type::B32, Type::B32});
  }
  if (op == "szext" || op == "bmsk") {
    bool wrap = d.take("wrap");
    if (!wrap && !d.take("clamp"))
      return false;
    Type type = d.requireType();
    if (op == "bmsk")
      return finish(wrap ? binary<Bmsk<true>, uint32_t, uint32_t, uint32_t>()
                         : binary<Bmsk<false>, uint32_t, uint32_t, uint32_t>(),
                    Type::B32, {Type::U32, Type::U32});
    Handler handler = isSignedInteger(type) ? (wrap ? binary<Szext<true>, int32_t, int32_t, uint32_t>()
                                                    : binary<Szext<false>, int32_t, int32_t, uint32_t>())
                                            : (wrap ? binary<Szext<true>, uint32_t, uint32_t, uint32_t>()
                                                    : binary<Szext<false>, uint32_t, uint32_t, uint32_t>());
    return finish(handler, type, {type, Type::U32});
  }
  if (op == "fns") {
    d.requireType();
    return finish(ternary<Fns, uint32_t, uint32_t, uint32_t, int32_t>(), Type::B32, {Type::B32, Type::B32, Type::S32});
  }
  if (op == "cnot") {
    Type type = d.requireType();
    return finish(unaryInteger<Cnot>(type), type, {type});
  }
  return false;
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
  for (const std::string &mod : d.ast().mods)
    if (mod == "pred")
      return false;
  return decodeLogic(d, op) || decodeBits(d, op);
}

} // namespace emulator
} // namespace fourfold
