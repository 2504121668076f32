// Templates that apply a scalar operation to the 32 lanes of a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_LANES_H
#define FOURFOLD_RUNTIME_EMULATOR_LANES_H

#include "Decoder.h"
#include "Warp.h"

#include <cstring>
#include <type_traits>

#define FOURFOLD_INLINE inline __attribute__((always_inline))

namespace fourfold {
namespace emulator {

/// The lane type of a register that holds a T: 32 bits for everything up to 32, else 64.
template <class T>
using Container = std::conditional_t<sizeof(T) <= 4, uint32_t, uint64_t>;

template <class T>
FOURFOLD_INLINE T fromLane(Container<T> lane) {
  if constexpr (std::is_floating_point_v<T>) {
    T value;
    std::memcpy(&value, &lane, sizeof(T));
    return value;
  } else {
    return static_cast<T>(lane);
  }
}

/// Narrow values are kept zero-extended.
template <class T>
FOURFOLD_INLINE Container<T> toLane(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    Container<T> lane;
    std::memcpy(&lane, &value, sizeof(T));
    return lane;
  } else {
    return static_cast<Container<T>>(static_cast<std::make_unsigned_t<T>>(value));
  }
}

/// d = Op(a): `Op::apply(T) -> R`.
template <class Op, class R, class A>
struct UnaryLanes {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const Container<A> *a = warp.reg<Container<A>>(in.src[0]);
    Container<R> *d = warp.reg<Container<R>>(in.dst);
    if (mask == kAllLanes) {
#pragma GCC ivdep
      for (int i = 0; i < kLanes; ++i)
        d[i] = toLane<R>(Op::apply(fromLane<A>(a[i])));
    } else {
      for (int i = 0; i < kLanes; ++i)
        if (mask >> i & 1)
          d[i] = toLane<R>(Op::apply(fromLane<A>(a[i])));
    }
  }
};

/// d = Op(a, b).
template <class Op, class R, class A, class B>
struct BinaryLanes {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const Container<A> *a = warp.reg<Container<A>>(in.src[0]);
    const Container<B> *b = warp.reg<Container<B>>(in.src[1]);
    Container<R> *d = warp.reg<Container<R>>(in.dst);
    if (mask == kAllLanes) {
#pragma GCC ivdep
      for (int i = 0; i < kLanes; ++i)
        d[i] = toLane<R>(Op::apply(fromLane<A>(a[i]), fromLane<B>(b[i])));
    } else {
      for (int i = 0; i < kLanes; ++i)
        if (mask >> i & 1)
          d[i] = toLane<R>(Op::apply(fromLane<A>(a[i]), fromLane<B>(b[i])));
    }
  }
};

/// d = Op(a, b, c).
template <class Op, class R, class A, class B, class C>
struct TernaryLanes {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const Container<A> *a = warp.reg<Container<A>>(in.src[0]);
    const Container<B> *b = warp.reg<Container<B>>(in.src[1]);
    const Container<C> *c = warp.reg<Container<C>>(in.src[2]);
    Container<R> *d = warp.reg<Container<R>>(in.dst);
    if (mask == kAllLanes) {
#pragma GCC ivdep
      for (int i = 0; i < kLanes; ++i)
        d[i] = toLane<R>(Op::apply(fromLane<A>(a[i]), fromLane<B>(b[i]), fromLane<C>(c[i])));
    } else {
      for (int i = 0; i < kLanes; ++i)
        if (mask >> i & 1)
          d[i] = toLane<R>(Op::apply(fromLane<A>(a[i]), fromLane<B>(b[i]), fromLane<C>(c[i])));
    }
  }
};

/// d = Op(a, b, c, e).
template <class Op, class R, class A>
struct QuaternaryLanes {
  static FOURFOLD_INLINE void run(Warp &warp, const Instr &in, uint32_t mask) {
    const Container<A> *a = warp.reg<Container<A>>(in.src[0]), *b = warp.reg<Container<A>>(in.src[1]);
    const uint32_t *c = warp.reg<uint32_t>(in.src[2]), *e = warp.reg<uint32_t>(in.src[3]);
    Container<R> *d = warp.reg<Container<R>>(in.dst);
    for (int i = 0; i < kLanes; ++i)
      if (mask >> i & 1)
        d[i] = toLane<R>(Op::apply(fromLane<A>(a[i]), fromLane<A>(b[i]), c[i], e[i]));
  }
};

/// The same body compiled for the baseline and for AVX2; what the processor has is asked once.
template <class Body>
void runBaseline(Warp &warp, const Instr &in, uint32_t mask) {
  Body::run(warp, in, mask);
}
#if defined(__x86_64__)
template <class Body>
__attribute__((target("avx2,fma,bmi2"))) void runAvx2(Warp &warp, const Instr &in, uint32_t mask) {
  Body::run(warp, in, mask);
}
inline bool haveAvx2() {
  static const bool have =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  return have;
}
#endif

template <class Body>
Handler handlerOf() {
#if defined(__x86_64__)
  if (haveAvx2())
    return runAvx2<Body>;
#endif
  return runBaseline<Body>;
}

template <class Op, class R, class A>
Handler unary() {
  return handlerOf<UnaryLanes<Op, R, A>>();
}
template <class Op, class R, class A, class B>
Handler binary() {
  return handlerOf<BinaryLanes<Op, R, A, B>>();
}
template <class Op, class R, class A, class B, class C>
Handler ternary() {
  return handlerOf<TernaryLanes<Op, R, A, B, C>>();
}

/// For operations that are not worth a second copy.
template <class Op, class R, class A>
Handler quaternary() {
  return runBaseline<QuaternaryLanes<Op, R, A>>;
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_LANES_H
