// math.h as nvcc, clang and NVRTC compile it (corpus/idioms_math.cu): within the errors that CUDA documents.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Idioms.h"

#include "corpus/idioms_math.h"

#include <cmath>
#include <limits>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

double sinPi(double x) {
  double part = std::remainder(x, 2.0);
  if (std::fabs(part) > 0.5)
    part = std::copysign(1.0, part) - part; // exact, so that whole numbers give zero
  return std::sin(part * 3.14159265358979323846);
}

struct Case {
  const char *name;
  double ulps;
};

template <class T>
void compare(const Case &function, T x, T y, T found, long double expected) {
  T rounded = static_cast<T>(expected);
  if (std::isnan(rounded)) {
    EXPECT_TRUE(std::isnan(found)) << function.name << " of " << x << ", " << y;
    return;
  }
  if (!std::isfinite(rounded) || rounded == found) {
    EXPECT_EQ(found, rounded) << function.name << " of " << x << ", " << y;
    return;
  }
  T magnitude = std::max(std::fabs(rounded), std::numeric_limits<T>::min());
  long double unit = std::nextafter(magnitude, std::numeric_limits<T>::infinity()) - magnitude;
  // CUDA's figures are differences from the rounded result, so there is half a unit more to the exact one.
  EXPECT_LE(std::fabs(static_cast<long double>(found) - expected) / unit, function.ulps <= 0.5 ? 0.501L : function.ulps + 0.501L)
      << function.name << " of " << x << ", " << y << ": " << found << " for " << expected;
}

class MathIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_math"); }

  template <class T>
  void operands(std::vector<T> &x, std::vector<T> &y) {
    // 1e6 and more: the reduction of arguments by Payne and Hanek, through local memory.
    x = {T(0.1), T(-0.7), T(3), T(-2.5), T(1e-4), T(9.75), T(-1), T(0), T(-0.25), T(12)};
    y = {T(0.2), T(1.5), T(7), T(0.01), T(1e-3), T(2), T(1), T(3.25), T(4.5), T(0.75)};
    for (int i = 0; i < 30; ++i) {
      x.push_back(static_cast<T>(static_cast<int>(random() % 20001) - 10000) / T(1000));
      y.push_back(static_cast<T>(random() % 10000 + 1) / T(1000));
    }
  }
};

TEST_P(MathIdiom, Float) {
  static const Case kCases[] = {
#define ENTRY(device, host, ulps) {#device, ulps},
      FOURFOLD_FLOAT_FUNCTIONS(ENTRY)
#undef ENTRY
  };
  std::vector<float> xs, ys;
  operands(xs, ys);
  size_t count = xs.size(), functions = std::size(kCases);
  CUdeviceptr out = device->alloc(functions * count * 4);
  ASSERT_EQ(device->launch("mathFloat", 2, 32, 0, out, device->upload(xs), device->upload(ys), static_cast<int>(count)), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, functions * count);
  for (size_t i = 0; i < count; ++i) {
    double x = xs[i], y = ys[i];
    double expected[] = {
#define ENTRY(device, host, ulps) static_cast<double>(host),
        FOURFOLD_FLOAT_FUNCTIONS(ENTRY)
#undef ENTRY
    };
    for (size_t k = 0; k < functions; ++k)
      compare(kCases[k], xs[i], ys[i], found[k * count + i], expected[k]);
  }
}

TEST_P(MathIdiom, Double) {
  static const Case kCases[] = {
#define ENTRY(device, host, ulps) {#device, ulps},
      FOURFOLD_DOUBLE_FUNCTIONS(ENTRY)
#undef ENTRY
  };
  std::vector<double> xs, ys;
  operands(xs, ys);
  size_t count = xs.size(), functions = std::size(kCases);
  CUdeviceptr out = device->alloc(functions * count * 8);
  ASSERT_EQ(device->launch("mathDouble", 2, 32, 0, out, device->upload(xs), device->upload(ys), static_cast<int>(count)), kSuccess) << lastFinding();
  std::vector<double> found = device->download<double>(out, functions * count);
  for (size_t i = 0; i < count; ++i) {
    long double x = xs[i], y = ys[i];
    long double expected[] = {
#define ENTRY(device, host, ulps) static_cast<long double>(host),
        FOURFOLD_DOUBLE_FUNCTIONS(ENTRY)
#undef ENTRY
    };
    for (size_t k = 0; k < functions; ++k)
      compare(kCases[k], xs[i], ys[i], found[k * count + i], expected[k]);
  }
}

TEST_P(MathIdiom, HugeArguments) {
  std::vector<float> xs = {1e6f, 3.4e38f, -7.7e20f, 105615.1f, 1e10f}, ys(5, 1.0f);
  CUdeviceptr out = device->alloc(5 * 4 * 64);
  ASSERT_EQ(device->launch("mathFloat", 1, 32, 0, out, device->upload(xs), device->upload(ys), 5), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, 15);
  for (size_t i = 0; i < 5; ++i) {
    compare<float>({"sinf", 2}, xs[i], 1, found[i], std::sin(static_cast<double>(xs[i])));
    compare<float>({"cosf", 2}, xs[i], 1, found[5 + i], std::cos(static_cast<double>(xs[i])));
    compare<float>({"tanf", 4}, xs[i], 1, found[10 + i], std::tan(static_cast<double>(xs[i])));
  }
}

FOURFOLD_IDIOMS(MathIdiom);

} // namespace
