// Logic, shift and bit-field instructions (PTX ISA 9.7.1.13 to 9.7.1.24, 9.7.8).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "IntegerTypes.h"

namespace fourfold {
namespace emulator {

namespace {

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
template <bool kOr>
struct Lop3Predicate {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    uint32_t q = warp.predicate(in.src[3]) ^ (in.variant ? kAllLanes : 0), nonzero = 0;
    Lop3::run(warp, in, mask);
    const uint32_t *d = warp.reg<uint32_t>(in.dst);
    for (int i = 0; i < kLanes; ++i)
      nonzero |= static_cast<uint32_t>(d[i] != 0) << i;
    uint32_t *p = warp.reg<uint32_t>(in.dst2);
    *p = (*p & ~mask) | ((kOr ? nonzero | q : nonzero & q) & mask);
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

} // namespace

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

static bool decodeFields(Decoder &d, const std::string &op) {
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
    bool isOr = d.take("or"), hasPredicate = isOr || d.take("and");
    d.requireType();
    d.expectOperands(hasPredicate ? 6 : 5, hasPredicate ? 6 : 5);
    if (d.operand(4).kind != Operand::Integer)
      d.fail("the table of lop3 must be an immediate");
    instr.handler = handlerOf<Lop3>();
    if (hasPredicate) {
      // lop3.BoolOp d|p: p is (d != 0) BoolOp q.
      if (d.operand(0).paired.empty())
        d.fail("lop3 with a boolean operation needs a predicate result, 'd|p'");
      bool negated;
      instr.handler = isOr ? runBaseline<Lop3Predicate<true>> : runBaseline<Lop3Predicate<false>>;
      instr.src[3] = d.predicate(d.operand(5), negated);
      instr.variant = negated;
      instr.dst2 = d.predicateDestination(d.operand(0).paired[0]);
    }
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

bool decodeBits(Decoder &d) {
  // Predicates share the opcodes.
  for (const std::string &mod : d.ast().mods)
    if (mod == "pred")
      return false;
  const std::string &op = d.ast().opcode;
  d.out().instrClass = InstrClass::Integer;
  return decodeLogic(d, op) || decodeFields(d, op);
}

} // namespace emulator
} // namespace fourfold
