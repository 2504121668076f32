// Comparison, selection and predicate logic (PTX ISA 9.7.6, 9.7.8.1 to 9.7.8.4 on predicates).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include "dialect/Numerics.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

enum class Compare : uint8_t { Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan };

/// How a lane is read as a value to compare.
template <class T>
struct Plain {
  using Lane = Container<T>;
  static FOURFOLD_INLINE T get(Lane lane) { return fromLane<T>(lane); }
};
struct FlushedFloat {
  using Lane = uint32_t;
  static FOURFOLD_INLINE float get(Lane lane) {
    return numerics::floatFromBits((lane & 0x7f800000u) ? lane : lane & 0x80000000u);
  }
};
struct Half {
  using Lane = uint32_t;
  static FOURFOLD_INLINE float get(Lane lane) { return numerics::decodeF16(static_cast<uint16_t>(lane)); }
};
struct FlushedHalf {
  using Lane = uint32_t;
  static FOURFOLD_INLINE float get(Lane lane) {
    return numerics::decodeF16(static_cast<uint16_t>((lane & 0x7c00u) ? lane : lane & 0x8000u));
  }
};
struct Brain {
  using Lane = uint32_t;
  static FOURFOLD_INLINE float get(Lane lane) { return numerics::decodeBF16(static_cast<uint16_t>(lane)); }
};

template <Compare kCompare, class T>
FOURFOLD_INLINE bool compareValues(T a, T b) {
  // Unordered forms are the negation of the opposite ordered one, true for NaN.
  switch (kCompare) {
  case Compare::Eq:
    return a == b;
  case Compare::Ne:
    if constexpr (std::is_floating_point_v<T>)
      return a < b || a > b;
    else
      return a != b;
  case Compare::Lt:
    return a < b;
  case Compare::Le:
    return a <= b;
  case Compare::Gt:
    return a > b;
  case Compare::Ge:
    return a >= b;
  case Compare::Equ:
    return !(a < b || a > b);
  case Compare::Neu:
    return !(a == b);
  case Compare::Ltu:
    return !(a >= b);
  case Compare::Leu:
    return !(a > b);
  case Compare::Gtu:
    return !(a <= b);
  case Compare::Geu:
    return !(a < b);
  case Compare::Num:
    return a == a && b == b;
  case Compare::Nan:
    return !(a == a && b == b);
  }
  return false;
}

template <class Reader, Compare kCompare>
FOURFOLD_INLINE uint32_t compareLanes(Warp &warp, const Instr &in) {
  const typename Reader::Lane *a = warp.reg<typename Reader::Lane>(in.src[0]);
  const typename Reader::Lane *b = warp.reg<typename Reader::Lane>(in.src[1]);
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i)
    bits |= static_cast<uint32_t>(compareValues<kCompare>(Reader::get(a[i]), Reader::get(b[i]))) << i;
  return bits;
}

FOURFOLD_INLINE void setPredicate(Warp &warp, uint32_t slot, uint32_t value, uint32_t mask) {
  uint32_t *word = warp.reg<uint32_t>(slot);
  *word = (*word & ~mask) | (value & mask);
}

enum : uint8_t { kBoolNone, kBoolAnd, kBoolOr, kBoolXor };
inline constexpr uint32_t kNegateC = 1, kHasSecond = 2, kFloatResult = 4;

FOURFOLD_INLINE uint32_t combine(const Warp &warp, const Instr &in, uint32_t bits) {
  uint32_t c = warp.predicate(in.src[2]);
  c = in.flags & kNegateC ? ~c : c;
  switch (in.variant) {
  case kBoolAnd:
    return bits & c;
  case kBoolOr:
    return bits | c;
  case kBoolXor:
    return bits ^ c;
  default:
    return bits;
  }
}

template <class Reader, Compare kCompare>
struct Setp {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    uint32_t bits = compareLanes<Reader, kCompare>(warp, in);
    uint32_t p = combine(warp, in, bits), q = combine(warp, in, ~bits);
    setPredicate(warp, in.dst, p, mask);
    if (in.flags & kHasSecond)
      setPredicate(warp, in.dst2, q, mask);
  }
};

template <class Reader, Compare kCompare>
struct Set {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    uint32_t bits = combine(warp, in, compareLanes<Reader, kCompare>(warp, in));
    uint32_t *d = warp.reg<uint32_t>(in.dst);
    uint32_t yes = in.flags & kFloatResult ? static_cast<uint32_t>(in.offset) : 0xffffffffu;
    for (int i = 0; i < kLanes; ++i)
      if (mask >> i & 1)
        d[i] = bits >> i & 1 ? yes : 0;
  }
};

/// set on pairs of halves: each half by itself. `offset` is what is written where the comparison holds.
template <class Reader, Compare kCompare>
struct SetPairs {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]);
    uint32_t *d = warp.reg<uint32_t>(in.dst);
    auto yes = static_cast<uint32_t>(in.offset);
    auto half = [&](uint32_t x, uint32_t y) {
      return compareValues<kCompare>(Reader::get(static_cast<typename Reader::Lane>(x & 0xffff)),
                                     Reader::get(static_cast<typename Reader::Lane>(y & 0xffff)))
                 ? yes
                 : 0;
    };
    for (int i = 0; i < kLanes; ++i)
      if (mask >> i & 1)
        d[i] = half(a[i], b[i]) | half(a[i] >> 16, b[i] >> 16) << 16;
  }
};

/// setp on pairs of halves: the first predicate is of the low halves, the second of the high ones.
template <class Reader, Compare kCompare>
struct SetpPairs {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]);
    uint32_t low = 0, high = 0;
    auto holds = [](uint32_t x, uint32_t y) {
      return static_cast<uint32_t>(compareValues<kCompare>(Reader::get(x & 0xffff), Reader::get(y & 0xffff)));
    };
    for (int i = 0; i < kLanes; ++i) {
      low |= holds(a[i], b[i]) << i;
      high |= holds(a[i] >> 16, b[i] >> 16) << i;
    }
    uint32_t p = combine(warp, in, low), q = combine(warp, in, high);
    setPredicate(warp, in.dst, p, mask);
    if (in.flags & kHasSecond)
      setPredicate(warp, in.dst2, q, mask);
  }
};

template <template <class, Compare> class Body, class Reader>
Handler integerCompare(Compare compare) {
  switch (compare) {
  case Compare::Eq:
    return handlerOf<Body<Reader, Compare::Eq>>();
  case Compare::Ne:
    return handlerOf<Body<Reader, Compare::Ne>>();
  case Compare::Lt:
    return handlerOf<Body<Reader, Compare::Lt>>();
  case Compare::Le:
    return handlerOf<Body<Reader, Compare::Le>>();
  case Compare::Gt:
    return handlerOf<Body<Reader, Compare::Gt>>();
  case Compare::Ge:
    return handlerOf<Body<Reader, Compare::Ge>>();
  default:
    return nullptr;
  }
}

template <template <class, Compare> class Body, class Reader>
Handler floatCompare(Compare compare) {
  switch (compare) {
  case Compare::Equ:
    return handlerOf<Body<Reader, Compare::Equ>>();
  case Compare::Neu:
    return handlerOf<Body<Reader, Compare::Neu>>();
  case Compare::Ltu:
    return handlerOf<Body<Reader, Compare::Ltu>>();
  case Compare::Leu:
    return handlerOf<Body<Reader, Compare::Leu>>();
  case Compare::Gtu:
    return handlerOf<Body<Reader, Compare::Gtu>>();
  case Compare::Geu:
    return handlerOf<Body<Reader, Compare::Geu>>();
  case Compare::Num:
    return handlerOf<Body<Reader, Compare::Num>>();
  case Compare::Nan:
    return handlerOf<Body<Reader, Compare::Nan>>();
  default:
    return integerCompare<Body, Reader>(compare);
  }
}

template <template <class, Compare> class Body>
Handler pick(Type type, Compare compare, bool flush) {
  switch (type) {
  case Type::S16:
    return integerCompare<Body, Plain<int16_t>>(compare);
  case Type::S32:
    return integerCompare<Body, Plain<int32_t>>(compare);
  case Type::S64:
    return integerCompare<Body, Plain<int64_t>>(compare);
  case Type::U16:
  case Type::B16:
    return integerCompare<Body, Plain<uint16_t>>(compare);
  case Type::U32:
  case Type::B32:
    return integerCompare<Body, Plain<uint32_t>>(compare);
  case Type::U64:
  case Type::B64:
    return integerCompare<Body, Plain<uint64_t>>(compare);
  case Type::F32:
    return flush ? floatCompare<Body, FlushedFloat>(compare) : floatCompare<Body, Plain<float>>(compare);
  case Type::F64:
    return floatCompare<Body, Plain<double>>(compare);
  case Type::F16:
    return flush ? floatCompare<Body, FlushedHalf>(compare) : floatCompare<Body, Half>(compare);
  case Type::BF16:
    return floatCompare<Body, Brain>(compare);
  default:
    return nullptr;
  }
}

template <class T>
struct Selp {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const T *a = warp.reg<T>(in.src[0]), *b = warp.reg<T>(in.src[1]);
    T *d = warp.reg<T>(in.dst);
    uint32_t p = warp.predicate(in.src[2]);
    p = in.flags & kNegateC ? ~p : p;
    if (mask == kAllLanes) {
#pragma GCC ivdep
      for (int i = 0; i < kLanes; ++i)
        d[i] = p >> i & 1 ? a[i] : b[i];
    } else {
      for (int i = 0; i < kLanes; ++i)
        if (mask >> i & 1)
          d[i] = p >> i & 1 ? a[i] : b[i];
    }
    // What was not selected does not matter.
    if (warp.checks) {
      uint32_t good = warp.init[in.src[2]] & ((p & warp.init[in.src[0]]) | (~p & warp.init[in.src[1]]));
      warp.setInit(in.dst, mask, good);
    }
  }
};

template <class T, bool kFloatSelector>
struct Slct {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const T *a = warp.reg<T>(in.src[0]), *b = warp.reg<T>(in.src[1]);
    const uint32_t *c = warp.reg<uint32_t>(in.src[2]);
    T *d = warp.reg<T>(in.dst);
    bool flush = in.flags != 0;
    auto selector = [&](uint32_t lane) { return flush ? FlushedFloat::get(lane) : fromLane<float>(lane); };
    for (int i = 0; i < kLanes; ++i)
      if (mask >> i & 1)
        d[i] = (kFloatSelector ? selector(c[i]) >= 0.0f : static_cast<int32_t>(c[i]) >= 0) ? a[i] : b[i];
  }
};

void predicateLogic(Warp &warp, const Instr &in, uint32_t mask) {
  uint32_t a = warp.predicate(in.src[0]), b = warp.predicate(in.src[1]);
  a = in.flags & 1 ? ~a : a;
  b = in.flags & 2 ? ~b : b;
  uint32_t value = in.variant == 0   ? a & b
                   : in.variant == 1 ? a | b
                   : in.variant == 2 ? a ^ b
                   : in.variant == 3 ? ~a
                                     : a;
  setPredicate(warp, in.dst, value, mask);
}

bool parseCompare(Decoder &d, Type type, Compare &compare) {
  static const std::pair<const char *, Compare> names[] = {
      {"eq", Compare::Eq},   {"ne", Compare::Ne},   {"lt", Compare::Lt},   {"le", Compare::Le},   {"gt", Compare::Gt},
      {"ge", Compare::Ge},   {"lo", Compare::Lt},   {"ls", Compare::Le},   {"hi", Compare::Gt},   {"hs", Compare::Ge},
      {"equ", Compare::Equ}, {"neu", Compare::Neu}, {"ltu", Compare::Ltu}, {"leu", Compare::Leu}, {"gtu", Compare::Gtu},
      {"geu", Compare::Geu}, {"num", Compare::Num}, {"nan", Compare::Nan},
  };
  (void)type;
  for (const auto &[name, value] : names)
    if (d.take(name)) {
      compare = value;
      return true;
    }
  return false;
}

uint8_t parseBool(Decoder &d) {
  return d.take("and") ? kBoolAnd : d.take("or") ? kBoolOr : d.take("xor") ? kBoolXor : kBoolNone;
}

/// set.CmpOp{.ftz}.dtype.f16x2 and .bf16x2, without a Boolean operand (PTX ISA 9.7.7.1).
bool decodeSetPairs(Decoder &d, Type result, Type type, Compare compare, bool flush) {
  bool isBF16 = type == Type::BF16x2;
  if (result != type && result != Type::U32 && result != Type::S32)
    d.fail("set on pairs gives pairs of the same type, or u32 or s32 masks");
  Instr &instr = d.out();
  instr.handler = pick<SetPairs>(isBF16 ? Type::BF16 : Type::F16, compare, flush);
  if (!instr.handler)
    d.fail("the comparison does not fit the type");
  instr.instrClass = InstrClass::Float;
  instr.offset = result != type ? 0xffff : isBF16 ? 0x3f80 : 0x3c00;
  d.expectOperands(3, 3);
  instr.dst = d.destination(d.operand(0), result);
  instr.src[0] = d.source(d.operand(1), type);
  instr.src[1] = d.source(d.operand(2), type);
  return true;
}

bool decodeSet(Decoder &d, bool isSetp) {
  Compare compare;
  if (!parseCompare(d, Type::None, compare))
    d.fail("the comparison operator is missing or not supported");
  bool flush = d.take("ftz");
  uint8_t boolean = parseBool(d);
  Type result = isSetp ? Type::Pred : d.requireType();
  Type type = d.requireType();
  if (!isSetp && boolean == kBoolNone && (type == Type::F16x2 || type == Type::BF16x2))
    return decodeSetPairs(d, result, type, compare, flush);
  Instr &instr = d.out();
  bool isPair = type == Type::F16x2 || type == Type::BF16x2;
  instr.handler = isSetp && isPair ? pick<SetpPairs>(type == Type::BF16x2 ? Type::BF16 : Type::F16, compare, flush)
                  : isSetp         ? pick<Setp>(type, compare, flush)
                                   : pick<Set>(type, compare, flush);
  if (!instr.handler)
    d.fail("the comparison does not fit the type");
  instr.instrClass = isFloat(type) ? InstrClass::Float : InstrClass::Integer;
  instr.variant = boolean;
  size_t count = boolean == kBoolNone ? 3 : 4;
  d.expectOperands(count, count);
  const Operand &to = d.operand(0);
  if (isSetp) {
    instr.dst = d.predicateDestination(to);
    if (!to.paired.empty()) {
      instr.flags |= kHasSecond;
      instr.dst2 = d.predicateDestination(to.paired[0]);
    }
  } else {
    if (result != Type::U32 && result != Type::S32 && result != Type::F32 && typeBits(result) != 16)
      d.fail("set gives integers or floats of 16 or 32 bits");
    instr.dst = d.destination(to, result);
    if (result != Type::U32 && result != Type::S32) {
      instr.flags |= kFloatResult;
      instr.offset = result == Type::F32 ? 0x3f800000 : result == Type::F16 ? 0x3c00 : result == Type::BF16 ? 0x3f80 : 0xffff;
    }
  }
  instr.src[0] = d.source(d.operand(1), type);
  instr.src[1] = d.source(d.operand(2), type);
  if (boolean != kBoolNone) {
    bool negated;
    instr.src[2] = d.predicate(d.operand(3), negated);
    instr.flags |= negated ? kNegateC : 0;
  }
  return true;
}

} // namespace

bool decodeCompare(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &instr = d.out();
  if (op == "setp" || op == "set")
    return decodeSet(d, op == "setp");
  if (op == "selp") {
    Type type = d.requireType();
    d.expectOperands(4, 4);
    bool negated;
    instr.handler = typeBits(type) == 64 ? handlerOf<Selp<uint64_t>>() : handlerOf<Selp<uint32_t>>();
    instr.instrClass = InstrClass::Move;
    instr.ownInit = true;
    instr.dst = d.destination(d.operand(0), type);
    instr.src[0] = d.source(d.operand(1), type);
    instr.src[1] = d.source(d.operand(2), type);
    instr.src[2] = d.predicate(d.operand(3), negated);
    instr.flags = negated ? kNegateC : 0;
    return true;
  }
  if (op == "slct") {
    instr.flags = d.take("ftz");
    Type type = d.requireType(), selector = d.requireType();
    d.expectOperands(4, 4);
    bool isFloatSelector = selector == Type::F32;
    instr.handler = typeBits(type) == 64
                        ? (isFloatSelector ? handlerOf<Slct<uint64_t, true>>() : handlerOf<Slct<uint64_t, false>>())
                        : (isFloatSelector ? handlerOf<Slct<uint32_t, true>>() : handlerOf<Slct<uint32_t, false>>());
    instr.instrClass = InstrClass::Move;
    instr.dst = d.destination(d.operand(0), type);
    instr.src[0] = d.source(d.operand(1), type);
    instr.src[1] = d.source(d.operand(2), type);
    instr.src[2] = d.source(d.operand(3), selector);
    return true;
  }
  if ((op == "and" || op == "or" || op == "xor" || op == "not" || op == "mov") && d.take("pred")) {
    bool unary = op == "not" || op == "mov";
    d.expectOperands(unary ? 2 : 3, unary ? 2 : 3);
    instr.handler = predicateLogic;
    instr.instrClass = InstrClass::Integer;
    instr.variant = op == "and" ? 0 : op == "or" ? 1 : op == "xor" ? 2 : op == "not" ? 3 : 4;
    instr.dst = d.predicateDestination(d.operand(0));
    bool negated;
    instr.src[0] = d.predicate(d.operand(1), negated);
    instr.flags = negated ? 1 : 0;
    if (!unary) {
      instr.src[1] = d.predicate(d.operand(2), negated);
      instr.flags |= negated ? 2 : 0;
    }
    return true;
  }
  return false;
}

} // namespace emulator
} // namespace fourfold
