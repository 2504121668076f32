// Single- and double-precision arithmetic (PTX ISA 9.7.3).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include "dialect/Numerics.h"

#include <cfenv>
#include <cmath>

namespace fourfold {
namespace emulator {

namespace {

template <class T>
FOURFOLD_INLINE T flush(T value) {
  if constexpr (sizeof(T) == 4) {
    uint32_t bits = toLane<float>(value);
    return fromLane<float>((bits & 0x7f800000u) ? bits : bits & 0x80000000u);
  } else {
    return value;
  }
}

/// NaN results are canonical (PTX ISA 9.7.3: 0x7fffffff for single precision).
template <class T>
FOURFOLD_INLINE T canonical(T value) {
  if constexpr (sizeof(T) == 4)
    return value == value ? value : fromLane<float>(0x7fffffffu);
  else
    return value == value ? value : fromLane<double>(0x7fffffffffffffffull);
}

template <class T>
FOURFOLD_INLINE T saturate(T value) {
  return value > T(0) ? (value < T(1) ? value : T(1)) : T(0); // NaN gives +0
}

/// Wraps an operation: inputs flushed, the result canonical, flushed, saturated.
template <class Op, bool kFlush, bool kSaturate>
struct Wrap {
  template <class... T>
  static FOURFOLD_INLINE auto apply(T... args) {
    auto result = canonical(Op::apply((kFlush ? flush(args) : args)...));
    if (kFlush)
      result = flush(result);
    if (kSaturate)
      result = saturate(result);
    return result;
  }
};

struct FAdd {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a + b;
  }
};
struct FSub {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a - b;
  }
};
struct FMul {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a * b;
  }
};
struct FFma {
  static FOURFOLD_INLINE float apply(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static FOURFOLD_INLINE double apply(double a, double b, double c) { return __builtin_fma(a, b, c); }
};
struct FDiv {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    return a / b;
  }
};
/// div.approx, div.full: a * (1/b) with 2 ulp; the quotient rounded to nearest is within that.
struct FRcp {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    return T(1) / a;
  }
};
struct FSqrt {
  static FOURFOLD_INLINE float apply(float a) { return __builtin_sqrtf(a); }
  static FOURFOLD_INLINE double apply(double a) { return __builtin_sqrt(a); }
};
struct FRsqrt {
  static FOURFOLD_INLINE float apply(float a) {
    return static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(a)));
  }
  static FOURFOLD_INLINE double apply(double a) { return 1.0 / __builtin_sqrt(a); }
};
struct FEx2 {
  static float apply(float a) { return static_cast<float>(std::exp2(static_cast<double>(a))); }
};
struct FLg2 {
  static float apply(float a) { return static_cast<float>(std::log2(static_cast<double>(a))); }
};
struct FSin {
  static float apply(float a) { return static_cast<float>(std::sin(static_cast<double>(a))); }
};
struct FCos {
  static float apply(float a) { return static_cast<float>(std::cos(static_cast<double>(a))); }
};
struct FTanh {
  static float apply(float a) { return static_cast<float>(std::tanh(static_cast<double>(a))); }
};
template <bool kMax, bool kNaN>
struct FMinMax {
  template <class T>
  static FOURFOLD_INLINE T apply(T a, T b) {
    bool nanA = !(a == a), nanB = !(b == b);
    if (kNaN && (nanA || nanB))
      return a + b;
    if (nanA)
      return b;
    if (nanB)
      return a;
    // +0 is greater than -0.
    if (a == b)
      return (kMax ? std::signbit(a) : !std::signbit(a)) ? b : a;
    return (kMax ? a > b : a < b) ? a : b;
  }
};
template <bool kMax, bool kNaN>
struct FMinMaxXorSign {
  static FOURFOLD_INLINE float apply(float a, float b) {
    float magnitude = FMinMax<kMax, kNaN>::apply(__builtin_fabsf(a), __builtin_fabsf(b));
    uint32_t sign = (toLane<float>(a) ^ toLane<float>(b)) & 0x80000000u;
    if (magnitude != magnitude)
      return canonical(magnitude);
    return fromLane<float>((toLane<float>(magnitude) & 0x7fffffffu) | sign);
  }
};
// abs, neg and copysign work on bits: NaN keeps its payload.
struct FAbs {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a) { return a & 0x7fffffffu; }
  static FOURFOLD_INLINE uint64_t apply(uint64_t a) { return a & 0x7fffffffffffffffull; }
};
struct FNeg {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a) { return a ^ 0x80000000u; }
  static FOURFOLD_INLINE uint64_t apply(uint64_t a) { return a ^ 0x8000000000000000ull; }
};
template <class Op>
struct FlushBits {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a) { return Op::apply((a & 0x7f800000u) ? a : a & 0x80000000u); }
};
struct FCopysign {
  static FOURFOLD_INLINE uint32_t apply(uint32_t a, uint32_t b) { return (b & 0x7fffffffu) | (a & 0x80000000u); }
  static FOURFOLD_INLINE uint64_t apply(uint64_t a, uint64_t b) {
    return (b & 0x7fffffffffffffffull) | (a & 0x8000000000000000ull);
  }
};
template <int kWhat, class T>
struct TestProperty {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const Container<T> *a = warp.reg<Container<T>>(in.src[0]);
    uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) {
      T v = fromLane<T>(a[i]);
      int kind = std::fpclassify(v);
      bool yes = kWhat == 0   ? kind != FP_NAN && kind != FP_INFINITE
                 : kWhat == 1 ? kind == FP_INFINITE
                 : kWhat == 2 ? kind != FP_NAN
                 : kWhat == 3 ? kind == FP_NAN
                 : kWhat == 4 ? kind == FP_NORMAL || kind == FP_ZERO
                              : kind == FP_SUBNORMAL;
      bits |= static_cast<uint32_t>(yes) << i;
    }
    uint32_t *word = warp.reg<uint32_t>(in.dst);
    *word = (*word & ~mask) | (bits & mask);
  }
};

/// Directed rounding: the host's rounding mode is switched around the loop; `volatile` keeps the compiler from moving
/// the arithmetic out.
template <class Op, class T, int kArgs>
struct Directed {
  static void run(Warp &warp, const Instr &in, uint32_t mask) {
    using C = Container<T>;
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    const C *a = warp.reg<C>(in.src[0]), *b = warp.reg<C>(in.src[1]), *c = warp.reg<C>(in.src[2]);
    C *d = warp.reg<C>(in.dst);
    bool flushes = in.variant2 & 1, saturates = in.variant2 & 2;
    int before = std::fegetround();
    std::fesetround(modes[in.variant]);
    for (int i = 0; i < kLanes; ++i) {
      if (!(mask >> i & 1))
        continue;
      auto read = [&](C lane) {
        T value = fromLane<T>(lane);
        return flushes ? flush(value) : value;
      };
      volatile T x = read(a[i]), y = read(b[i]), z = read(c[i]);
      volatile T result;
      if constexpr (kArgs == 1)
        result = Op::apply(static_cast<T>(x));
      else if constexpr (kArgs == 2)
        result = Op::apply(static_cast<T>(x), static_cast<T>(y));
      else
        result = Op::apply(static_cast<T>(x), static_cast<T>(y), static_cast<T>(z));
      T value = canonical(static_cast<T>(result));
      value = flushes ? flush(value) : value;
      d[i] = toLane<T>(saturates ? saturate(value) : value);
    }
    std::fesetround(before);
  }
};

template <class Op, class T, int kArgs>
Handler nearest(bool flushes, bool saturates) {
#define FOURFOLD_PICK(MAKE, ...)                                                                                       \
  return flushes                                                                                                       \
             ? (saturates ? MAKE<Wrap<Op, true, true>, __VA_ARGS__>() : MAKE<Wrap<Op, true, false>, __VA_ARGS__>())    \
             : (saturates ? MAKE<Wrap<Op, false, true>, __VA_ARGS__>() : MAKE<Wrap<Op, false, false>, __VA_ARGS__>())
  if constexpr (kArgs == 1)
    FOURFOLD_PICK(unary, T, T);
  else if constexpr (kArgs == 2)
    FOURFOLD_PICK(binary, T, T, T);
  else
    FOURFOLD_PICK(ternary, T, T, T, T);
#undef FOURFOLD_PICK
}

struct Shape {
  int rounding = 0; // rn rz rm rp
  bool approx = false, full = false, flushes = false, saturates = false;
  bool rounded = false;
};

template <class Op, int kArgs>
Handler rounded(Decoder &d, Type type, const Shape &shape) {
  if (shape.rounding == 0)
    return type == Type::F32 ? nearest<Op, float, kArgs>(shape.flushes, shape.saturates)
                             : nearest<Op, double, kArgs>(false, shape.saturates);
  d.out().variant = static_cast<uint8_t>(shape.rounding);
  d.out().variant2 = static_cast<uint8_t>((shape.flushes ? 1 : 0) | (shape.saturates ? 2 : 0));
  return type == Type::F32 ? Directed<Op, float, kArgs>::run : Directed<Op, double, kArgs>::run;
}

template <class Op>
Handler single(const Shape &shape) {
  return shape.flushes ? runBaseline<UnaryLanes<Wrap<Op, true, false>, float, float>>
                       : runBaseline<UnaryLanes<Wrap<Op, false, false>, float, float>>;
}

Handler minMax(Type type, bool isMax, bool nan, bool flushes, bool xorSign) {
#define FOURFOLD_MINMAX(MAX, NAN_)                                                                                     \
  (xorSign             ? (flushes ? binary<Wrap<FMinMaxXorSign<MAX, NAN_>, true, false>, float, float, float>()        \
                                  : binary<FMinMaxXorSign<MAX, NAN_>, float, float, float>())                          \
   : type == Type::F64 ? binary<Wrap<FMinMax<MAX, NAN_>, false, false>, double, double, double>()                      \
   : flushes           ? binary<Wrap<FMinMax<MAX, NAN_>, true, false>, float, float, float>()                          \
                       : binary<Wrap<FMinMax<MAX, NAN_>, false, false>, float, float, float>())
  if (isMax)
    return nan ? FOURFOLD_MINMAX(true, true) : FOURFOLD_MINMAX(true, false);
  return nan ? FOURFOLD_MINMAX(false, true) : FOURFOLD_MINMAX(false, false);
#undef FOURFOLD_MINMAX
}

Handler decodeOperation(Decoder &d, const std::string &op, Type type, size_t &args) {
  Shape shape;
  static const char *const modes[] = {"rn", "rz", "rm", "rp"};
  for (int i = 0; i < 4; ++i)
    if (d.take(modes[i])) {
      shape.rounding = i;
      shape.rounded = true;
    }
  shape.approx = d.take("approx");
  shape.full = d.take("full");
  shape.flushes = d.take("ftz");
  shape.saturates = d.take("sat");
  bool isSingle = type == Type::F32;
  args = 2;
  if (op == "add")
    return rounded<FAdd, 2>(d, type, shape);
  if (op == "sub")
    return rounded<FSub, 2>(d, type, shape);
  if (op == "mul")
    return rounded<FMul, 2>(d, type, shape);
  if (op == "div")
    return rounded<FDiv, 2>(d, type, shape);
  if (op == "min" || op == "max") {
    bool nan = d.take("NaN"), absolute = d.take("xorsign");
    if (absolute && (!d.take("abs") || !isSingle))
      return nullptr;
    return minMax(type, op == "max", nan, shape.flushes, absolute);
  }
  if (op == "copysign")
    return isSingle ? binary<FCopysign, uint32_t, uint32_t, uint32_t>()
                    : binary<FCopysign, uint64_t, uint64_t, uint64_t>();
  args = 3;
  if (op == "fma" || op == "mad")
    return rounded<FFma, 3>(d, type, shape);
  args = 1;
  if (op == "rcp")
    return rounded<FRcp, 1>(d, type, shape);
  if (op == "sqrt")
    return rounded<FSqrt, 1>(d, type, shape);
  if (op == "rsqrt")
    return rounded<FRsqrt, 1>(d, type, shape);
  if (op == "abs")
    return !isSingle       ? unary<FAbs, uint64_t, uint64_t>()
           : shape.flushes ? unary<FlushBits<FAbs>, uint32_t, uint32_t>()
                           : unary<FAbs, uint32_t, uint32_t>();
  if (op == "neg")
    return !isSingle       ? unary<FNeg, uint64_t, uint64_t>()
           : shape.flushes ? unary<FlushBits<FNeg>, uint32_t, uint32_t>()
                           : unary<FNeg, uint32_t, uint32_t>();
  if (!isSingle)
    return nullptr;
  if (op == "ex2")
    return single<FEx2>(shape);
  if (op == "lg2")
    return single<FLg2>(shape);
  if (op == "sin")
    return single<FSin>(shape);
  if (op == "cos")
    return single<FCos>(shape);
  if (op == "tanh")
    return single<FTanh>(shape);
  return nullptr;
}

Handler decodeTestp(Decoder &d, Type type) {
  static const char *const names[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
  static const Handler singles[] = {runBaseline<TestProperty<0, float>>, runBaseline<TestProperty<1, float>>,
                                    runBaseline<TestProperty<2, float>>, runBaseline<TestProperty<3, float>>,
                                    runBaseline<TestProperty<4, float>>, runBaseline<TestProperty<5, float>>};
  static const Handler doubles[] = {runBaseline<TestProperty<0, double>>, runBaseline<TestProperty<1, double>>,
                                    runBaseline<TestProperty<2, double>>, runBaseline<TestProperty<3, double>>,
                                    runBaseline<TestProperty<4, double>>, runBaseline<TestProperty<5, double>>};
  for (int i = 0; i < 6; ++i)
    if (d.take(names[i]))
      return type == Type::F32 ? singles[i] : doubles[i];
  return nullptr;
}

} // namespace

bool decodeFloat(Decoder &d) {
  static const char *const names[] = {"add", "sub", "mul", "fma", "mad", "div", "rcp", "sqrt",     "rsqrt", "min",
                                      "max", "abs", "neg", "ex2", "lg2", "sin", "cos", "copysign", "tanh",  "testp"};
  const std::string &op = d.ast().opcode;
  bool known = false;
  for (const char *name : names)
    known |= op == name;
  Type type = Type::None;
  for (const std::string &mod : d.ast().mods)
    if (type == Type::None)
      type = parseType(mod);
  if (!known || (type != Type::F32 && type != Type::F64))
    return false;
  d.requireType();
  Instr &instr = d.out();
  instr.instrClass = InstrClass::Float;
  if (op == "testp") {
    d.expectOperands(2, 2);
    instr.handler = decodeTestp(d, type);
    if (!instr.handler)
      return false;
    instr.dst = d.predicateDestination(d.operand(0));
    instr.src[0] = d.source(d.operand(1), type);
    return true;
  }
  size_t args = 0;
  instr.handler = decodeOperation(d, op, type, args);
  if (!instr.handler)
    return false;
  d.expectOperands(args + 1, args + 1);
  instr.dst = d.destination(d.operand(0), type);
  for (size_t i = 0; i < args; ++i)
    instr.src[i] = d.source(d.operand(i + 1), type);
  return true;
}

} // namespace emulator
} // namespace fourfold
