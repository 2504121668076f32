// The functions of math.h, each with the error that the CUDA C++ programming guide allows it, in units in the last place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// clang-format off
/// ENTRY(what CUDA C++ is given, what the host computes in more precision, units in the last place); operands are x and y.
#define FOURFOLD_FLOAT_FUNCTIONS(ENTRY)                                                                                          \
  ENTRY(sinf(x), std::sin(x), 2) ENTRY(cosf(x), std::cos(x), 2) ENTRY(tanf(x), std::tan(x), 4) ENTRY(expf(x), std::exp(x), 2)     \
  ENTRY(exp2f(x), std::exp2(x), 2) ENTRY(exp10f(x), std::pow(10.0, x), 2) ENTRY(expm1f(x), std::expm1(x), 1)                      \
  ENTRY(logf(y), std::log(y), 1) ENTRY(log2f(y), std::log2(y), 1) ENTRY(log10f(y), std::log10(y), 2)                              \
  ENTRY(log1pf(y), std::log1p(y), 1) ENTRY(powf(y, x), std::pow(y, x), 4) ENTRY(sqrtf(y), std::sqrt(y), 0.5)                      \
  ENTRY(rsqrtf(y), 1 / std::sqrt(y), 2) ENTRY(cbrtf(x), std::cbrt(x), 1) ENTRY(rcbrtf(y), 1 / std::cbrt(y), 1)                    \
  ENTRY(hypotf(x, y), std::hypot(x, y), 3) ENTRY(asinhf(x), std::asinh(x), 3) ENTRY(acoshf(y * 1024), std::acosh(y * 1024), 4)          \
  ENTRY(sinhf(x), std::sinh(x), 3) ENTRY(coshf(x), std::cosh(x), 2) ENTRY(tanhf(x), std::tanh(x), 2)                              \
  ENTRY(atanf(x), std::atan(x), 2) ENTRY(atan2f(x, y), std::atan2(x, y), 3) ENTRY(asinf(sinpif(x)), std::asin(sinPi(x)), 1e3)     \
  ENTRY(erff(x), std::erf(x), 2) ENTRY(erfcf(x), std::erfc(x), 4) ENTRY(tgammaf(y), std::tgamma(y), 5)                            \
  ENTRY(lgammaf(y + 3), std::lgamma(y + 3), 6) ENTRY(sinpif(x), sinPi(x), 1) ENTRY(fmodf(x, y), std::fmod(x, y), 0)               \
  ENTRY(remainderf(x, y), std::remainder(x, y), 0) ENTRY(fdimf(x, y), std::fdim(x, y), 0.5) ENTRY(rintf(x), std::rint(x), 0)      \
  ENTRY(roundf(x), std::round(x), 0) ENTRY(truncf(x), std::trunc(x), 0) ENTRY(ceilf(x), std::ceil(x), 0)                          \
  ENTRY(floorf(x), std::floor(x), 0) ENTRY(copysignf(y, x), std::copysign(y, x), 0) ENTRY(ldexpf(x, 3), std::ldexp(x, 3), 0)      \
  ENTRY(logbf(y), std::logb(y), 0) ENTRY(x / y, x / y, 0.5) ENTRY(__fdividef(x, y), x / y, 2) ENTRY(fmaf(x, y, x), x * y + x, 0.5) \
  ENTRY(j0f(y), ::j0(y), 1e3) ENTRY(norm3df(x, y, x), std::hypot(x, y, x), 3) ENTRY(__frcp_rn(y), 1 / y, 0.5)                     \
  ENTRY(__fsqrt_rn(y), std::sqrt(y), 0.5) ENTRY(normcdff(x), std::erfc(-x * std::sqrt(0.5)) / 2, 6)

#define FOURFOLD_DOUBLE_FUNCTIONS(ENTRY)                                                                                         \
  ENTRY(sin(x), std::sin(x), 2) ENTRY(cos(x), std::cos(x), 2) ENTRY(tan(x), std::tan(x), 2) ENTRY(exp(x), std::exp(x), 1)         \
  ENTRY(exp2(x), std::exp2(x), 1) ENTRY(expm1(x), std::expm1(x), 1) ENTRY(log(y), std::log(y), 1) ENTRY(log2(y), std::log2(y), 1) \
  ENTRY(log10(y), std::log10(y), 1) ENTRY(log1p(y), std::log1p(y), 1) ENTRY(pow(y, x), std::pow(y, x), 2)                         \
  ENTRY(sqrt(y), std::sqrt(y), 0.5) ENTRY(rsqrt(y), 1 / std::sqrt(y), 1) ENTRY(cbrt(x), std::cbrt(x), 1)                          \
  ENTRY(hypot(x, y), std::hypot(x, y), 2) ENTRY(asinh(x), std::asinh(x), 3) ENTRY(acosh(y * 1024), std::acosh(y * 1024), 3)             \
  ENTRY(sinh(x), std::sinh(x), 2) ENTRY(cosh(x), std::cosh(x), 1) ENTRY(tanh(x), std::tanh(x), 1) ENTRY(atan(x), std::atan(x), 2) \
  ENTRY(atan2(x, y), std::atan2(x, y), 2) ENTRY(erf(x), std::erf(x), 2) ENTRY(erfc(x), std::erfc(x), 5)                           \
  ENTRY(tgamma(y), std::tgamma(y), 10) ENTRY(lgamma(y + 3), std::lgamma(y + 3), 4) ENTRY(fmod(x, y), std::fmod(x, y), 0)          \
  ENTRY(remainder(x, y), std::remainder(x, y), 0) ENTRY(rint(x), std::rint(x), 0) ENTRY(round(x), std::round(x), 0)               \
  ENTRY(floor(x), std::floor(x), 0) ENTRY(ceil(x), std::ceil(x), 0) ENTRY(x / y, x / y, 0.5) ENTRY(fma(x, y, x), x * y + x, 0.5)  \
  ENTRY(ldexp(x, -2), std::ldexp(x, -2), 0) ENTRY(normcdf(x), std::erfc(-x * std::sqrt(0.5L)) / 2, 5)
// clang-format on
