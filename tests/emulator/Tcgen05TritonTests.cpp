// Kernels that Triton compiled for sm_100a (corpus/triton_sm_100a.py): their descriptors, layouts and waits are its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <cmath>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

std::string textOf(const std::string &name) { return readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/triton_" + name + "_sm_100a.ptx"); }

uint16_t bf16(float value) { return static_cast<uint16_t>(numerics::floatBits(value) >> 16); }
/// Small integers.
uint16_t f16(int value) {
  if (!value)
    return 0;
  int exponent = 31 - __builtin_clz(static_cast<unsigned>(std::abs(value)));
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | (exponent + 15) << 10 | ((std::abs(value) << 10 >> exponent) & 0x3ff));
}

class Triton : public ::testing::Test {
protected:
  Device device{"sm_100a"};
  std::mt19937 random{11};

  std::vector<int> integers(size_t count, int low, int high) {
    std::vector<int> values(count);
    for (int &value : values)
      value = low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
    return values;
  }
  template <class... Args>
  CUresult run(const std::string &text, const char *kernel, Args... args) {
    EXPECT_EQ(device.load(text), kSuccess) << lastFinding();
    auto shared = static_cast<unsigned>(std::stoi(text.substr(text.find("; ") + 2)));
    CUdeviceptr scratch = device.alloc(64);
    return device.launch(kernel, 1, 128, shared, args..., scratch, scratch);
  }
  /// c = a times b transposed; `encode` makes a stored element of an integer.
  template <class Element, class Encode>
  std::pair<std::vector<int>, CUdeviceptr> product(const std::string &text, uint32_t m, uint32_t n, bool isTransposed, size_t resultBytes, Encode encode, CUresult *code) {
    uint32_t k = 192;
    std::vector<int> a = integers(size_t{m} * k, -3, 3), b = integers(size_t{n} * k, -3, 3), c(size_t{m} * n);
    std::vector<Element> storedA(a.size()), storedB(b.size());
    for (uint32_t i = 0; i < k; ++i) {
      for (uint32_t row = 0; row < m; ++row)
        storedA[isTransposed ? i * m + row : row * k + i] = encode(a[row * k + i]);
      for (uint32_t column = 0; column < n; ++column)
        storedB[column * k + i] = encode(b[column * k + i]);
    }
    for (uint32_t row = 0; row < m; ++row)
      for (uint32_t column = 0; column < n; ++column)
        for (uint32_t i = 0; i < k; ++i)
          c[row * n + column] += a[row * k + i] * b[column * k + i];
    CUdeviceptr out = device.alloc(c.size() * resultBytes);
    *code = run(text, "product", device.upload(storedA), device.upload(storedB), out, static_cast<int>(k));
    return {c, out};
  }
};

TEST_F(Triton, HalfDatapathAndSplitLoads) { // M = 64, 16x32bx2
  CUresult code;
  auto [expected, out] = product<uint16_t>(textOf("m64"), 64, 32, false, 4, f16, &code);
  ASSERT_EQ(code, kSuccess) << lastFinding();
  std::vector<float> result = device.download<float>(out, expected.size());
  EXPECT_EQ(std::vector<int>(result.begin(), result.end()), expected);
}

TEST_F(Triton, HalfSums) { // pack::16b
  CUresult code;
  auto [expected, out] = product<uint16_t>(textOf("half"), 128, 32, false, 2, f16, &code);
  ASSERT_EQ(code, kSuccess) << lastFinding();
  std::vector<uint16_t> result = device.download<uint16_t>(out, expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(result[i], f16(expected[i])) << i;
}

TEST_F(Triton, OperandInTensorMemory) {
  auto encode = [](int value) { return bf16(static_cast<float>(value)); };
  CUresult code;
  auto [expected, out] = product<uint16_t>(textOf("tensor_a"), 128, 64, true, 4, encode, &code);
  ASSERT_EQ(code, kSuccess) << lastFinding();
  std::vector<float> result = device.download<float>(out, expected.size());
  EXPECT_EQ(std::vector<int>(result.begin(), result.end()), expected);
}

TEST_F(Triton, WhatIsLeftOutIsFound) {
  auto encode = [](int value) { return bf16(static_cast<float>(value)); };
  for (auto [line, part] : {std::pair{"\ttcgen05.wait::st.sync.aligned;", "it has not executed tcgen05.wait::st"},
                            std::pair{"\ttcgen05.wait::ld.sync.aligned;", "does not execute tcgen05.wait::ld"},
                            std::pair{"\tfence.proxy.async.shared::cta;", "fence.proxy.async is missing"}}) {
    std::string text = textOf("tensor_a");
    ASSERT_NE(text.find(line), std::string::npos) << line;
    for (size_t at; (at = text.find(line)) != std::string::npos;)
      text.erase(at, std::string(line).size());
    CUresult code;
    product<uint16_t>(text, 128, 64, true, 4, encode, &code);
    EXPECT_EQ(code, kErrorLaunchFailed);
    EXPECT_NE(lastFinding().find(part), std::string::npos) << part << ": " << lastFinding();
    reset();
    device.d.init(0);
    CUcontext context;
    device.d.primaryCtxRetain(&context, deviceOrdinal("sm_100a"));
    device.d.ctxSetCurrent(context);
  }
}

TEST_F(Triton, BlockScaledFP4) {
  constexpr uint32_t kM = 128, kN = 64, kK = 384;
  auto codes = [&](uint32_t rows) {
    std::vector<uint8_t> result;
    for (int value : integers(size_t{rows} * kK / 2, 0, 255))
      result.push_back(static_cast<uint8_t>(value));
    return result;
  };
  auto scales = [&](uint32_t rows) {
    std::vector<uint8_t> result;
    for (int value : integers(size_t{rows} * kK / 16, 0x30, 0x47))
      result.push_back(static_cast<uint8_t>(value));
    return result;
  };
  std::vector<uint8_t> a = codes(kM), b = codes(kN), scaleA = scales(kM), scaleB = scales(kN);
  CUdeviceptr out = device.alloc(kM * kN * 4);
  ASSERT_EQ(run(textOf("nvfp4"), "scaled", device.upload(a), device.upload(b), device.upload(scaleA), device.upload(scaleB), out, static_cast<int>(kK)), kSuccess) << lastFinding();
  std::vector<float> result = device.download<float>(out, kM * kN);
  auto value = [&](const std::vector<uint8_t> &operand, const std::vector<uint8_t> &scale, uint32_t row, uint32_t i) {
    uint8_t pair = operand[row * kK / 2 + i / 2];
    return double{numerics::decodeE2M1(static_cast<uint8_t>(pair >> (4 * (i % 2)) & 15))} * numerics::decodeE4M3(scale[row * kK / 16 + i / 16]);
  };
  for (uint32_t row = 0; row < kM; ++row)
    for (uint32_t column = 0; column < kN; ++column) {
      double exact = 0, size = 0;
      for (uint32_t i = 0; i < kK; ++i) {
        double product = value(a, scaleA, row, i) * value(b, scaleB, column, i);
        exact += product;
        size += std::fabs(product);
      }
      ASSERT_NEAR(result[row * kN + column], exact, size * std::ldexp(6, -23)) << row << " " << column; // truncated once a step of 64
    }
}

TEST_F(Triton, Attention) {
  constexpr uint32_t kM = 128, kD = 64, kKeys = 192;
  std::normal_distribution<float> normal;
  auto matrix = [&](uint32_t rows, float scale, std::vector<uint16_t> &stored) {
    std::vector<float> values(size_t{rows} * kD);
    for (float &v : values) {
      stored.push_back(bf16(scale * normal(random)));
      v = numerics::decodeBF16(stored.back());
    }
    return values;
  };
  std::vector<uint16_t> storedQ, storedK, storedV;
  std::vector<float> q = matrix(kM, 1, storedQ), k = matrix(kKeys, 0.3f, storedK), v = matrix(kKeys, 1, storedV);
  CUdeviceptr out = device.alloc(kM * kD * 4);
  ASSERT_EQ(run(textOf("attention"), "attention", device.upload(storedQ), device.upload(storedK), device.upload(storedV), out, static_cast<int>(kKeys)), kSuccess) << lastFinding();
  std::vector<float> result = device.download<float>(out, kM * kD);
  for (uint32_t row = 0; row < kM; ++row) {
    double scores[kKeys], largest = -1e30, weight = 0;
    for (uint32_t key = 0; key < kKeys; ++key) {
      scores[key] = 0;
      for (uint32_t i = 0; i < kD; ++i)
        scores[key] += double{q[row * kD + i]} * k[key * kD + i];
      largest = std::max(largest, scores[key]);
    }
    for (double &score : scores)
      weight += score = std::exp2(score - largest);
    for (uint32_t i = 0; i < kD; ++i) {
      double sum = 0;
      for (uint32_t key = 0; key < kKeys; ++key)
        sum += scores[key] * v[key * kD + i];
      ASSERT_NEAR(result[row * kD + i], sum / weight, 0.01) << row; // weights are rounded to bf16
    }
  }
}

} // namespace
