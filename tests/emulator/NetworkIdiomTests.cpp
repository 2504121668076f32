// Kernels of neural networks as people write them (corpus/idioms_networks.cu): right results, and no finding, as nvcc, clang and NVRTC compile them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Idioms.h"

#include "dialect/Numerics.h"

#include <cmath>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

class NetworkIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_networks"); }

  /// Numbers in [-1, 1] that bf16 and f16 hold exactly.
  std::vector<float> numbers(size_t count) {
    std::vector<float> values(count);
    for (float &v : values)
      v = static_cast<float>(static_cast<int>(random() % 257) - 128) / 128.0f;
    return values;
  }
  static std::vector<uint16_t> halves(const std::vector<float> &values) {
    std::vector<uint16_t> bits(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      bits[i] = numerics::encodeF16(values[i]);
    return bits;
  }
  static std::vector<uint16_t> bfloats(const std::vector<float> &values) {
    std::vector<uint16_t> bits(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      bits[i] = numerics::encodeBF16(values[i]);
    return bits;
  }
};

TEST_P(NetworkIdiom, LayerNorm) {
  int rows = 3, width = 388;
  std::vector<float> x = numbers(static_cast<size_t>(rows * width)), weight = numbers(388), bias = numbers(388);
  CUdeviceptr out = device->alloc(x.size() * 4);
  ASSERT_EQ(device->launch("layerNorm", 3, 128, 0, out, device->upload(x), device->upload(weight), device->upload(bias), width), kSuccess)
      << lastFinding();
  std::vector<float> found = device->download<float>(out, x.size());
  for (int row = 0; row < rows; ++row) {
    double sum = 0, squares = 0;
    for (int i = 0; i < width; ++i) {
      double v = x[static_cast<size_t>(row * width + i)];
      sum += v;
      squares += v * v;
    }
    double mean = sum / width, inverse = 1 / std::sqrt(squares / width - mean * mean + 1e-5);
    for (size_t i = 0; i < static_cast<size_t>(width); ++i) {
      size_t at = static_cast<size_t>(row * width) + i;
      ASSERT_NEAR(found[at], (x[at] - mean) * inverse * weight[i] + bias[i], 1e-5) << row << " " << i;
    }
  }
}

TEST_P(NetworkIdiom, SoftmaxOnline) {
  // Rows narrower than a warp leave lanes with minus infinity.
  for (int width : {17, 100}) {
    int rows = 7;
    std::vector<float> x = numbers(static_cast<size_t>(rows * width));
    CUdeviceptr out = device->alloc(x.size() * 4);
    ASSERT_EQ(device->launch("softmaxOnline", 2, 128, 0, out, device->upload(x), rows, width), kSuccess) << lastFinding();
    std::vector<float> found = device->download<float>(out, x.size());
    for (int row = 0; row < rows; ++row) {
      double sum = 0;
      for (int i = 0; i < width; ++i)
        sum += std::exp(x[static_cast<size_t>(row * width + i)]);
      for (int i = 0; i < width; ++i) {
        size_t at = static_cast<size_t>(row * width + i);
        ASSERT_NEAR(found[at], std::exp(x[at]) / sum, 1e-6) << row << " " << i;
      }
    }
  }
}

TEST_P(NetworkIdiom, FlashAttention) {
  constexpr int kWidth = 64;
  int length = 100; // not a multiple of queries or keys
  size_t count = static_cast<size_t>(length * kWidth);
  std::vector<float> q = numbers(count), k = numbers(count), v = numbers(count);
  CUdeviceptr out = device->alloc(count * 4);
  ASSERT_EQ(device->launch("flashAttention", 2, 128, 0, out, device->upload(halves(q)), device->upload(halves(k)),
                           device->upload(halves(v)), length),
            kSuccess)
      << lastFinding();
  std::vector<float> found = device->download<float>(out, count);
  for (int row = 0; row < length; ++row) {
    std::vector<double> weights;
    double sum = 0;
    for (int key = 0; key <= row; ++key) {
      double dot = 0;
      for (int i = 0; i < kWidth; ++i)
        dot += static_cast<double>(q[static_cast<size_t>(row * kWidth + i)]) * k[static_cast<size_t>(key * kWidth + i)];
      weights.push_back(std::exp(dot / 8));
      sum += weights.back();
    }
    for (int i = 0; i < kWidth; ++i) {
      double expected = 0;
      for (int key = 0; key <= row; ++key)
        expected += weights[static_cast<size_t>(key)] / sum * v[static_cast<size_t>(key * kWidth + i)];
      ASSERT_NEAR(found[static_cast<size_t>(row * kWidth + i)], expected, 1e-3) << row << " " << i;
    }
  }
}

TEST_P(NetworkIdiom, MatmulPipelined) {
  int m = 70, n = 66, k = 104;
  std::vector<float> a = numbers(static_cast<size_t>(m * k)), b = numbers(static_cast<size_t>(n * k));
  CUdeviceptr out = device->alloc(static_cast<size_t>(m * n) * 2), da = device->upload(bfloats(a)), db = device->upload(bfloats(b));
  void *params[] = {&out, &da, &db, &m, &n, &k};
  ASSERT_EQ(device->d.launchKernel(device->function("matmulPipelined"), 2, 2, 1, 128, 1, 1, 16384, nullptr, params, nullptr), kSuccess)
      << lastFinding();
  std::vector<uint16_t> found = device->download<uint16_t>(out, static_cast<size_t>(m * n));
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double expected = 0;
      for (int l = 0; l < k; ++l)
        expected += static_cast<double>(a[static_cast<size_t>(i * k + l)]) * b[static_cast<size_t>(j * k + l)];
      ASSERT_NEAR(numerics::decodeBF16(found[static_cast<size_t>(i * n + j)]), expected, 0.004 * std::fabs(expected) + 1e-5) << i << " " << j;
    }
}

TEST_P(NetworkIdiom, GemmInt8) {
  int m = 40, n = 33, words = 24;
  float scale = 0.01f;
  std::vector<int8_t> a(static_cast<size_t>(m * words * 4)), b(static_cast<size_t>(n * words * 4));
  for (int8_t &v : a)
    v = static_cast<int8_t>(random());
  for (int8_t &v : b)
    v = static_cast<int8_t>(random());
  CUdeviceptr out = device->alloc(static_cast<size_t>(m * n)), da = device->upload(a), db = device->upload(b);
  void *params[] = {&out, &da, &db, &m, &n, &words, &scale};
  ASSERT_EQ(device->d.launchKernel(device->function("gemmInt8"), 2, 2, 1, 32, 8, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
  std::vector<int8_t> found = device->download<int8_t>(out, static_cast<size_t>(m * n));
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      int sum = 0;
      for (int l = 0; l < words * 4; ++l)
        sum += a[static_cast<size_t>(i * words * 4 + l)] * b[static_cast<size_t>(j * words * 4 + l)];
      float scaled = std::nearbyint(static_cast<float>(sum) * scale);
      ASSERT_EQ(found[static_cast<size_t>(i * n + j)], static_cast<int>(std::fmin(127.f, std::fmax(-128.f, scaled)))) << i << " " << j;
    }
}

TEST_P(NetworkIdiom, MatvecQ4) {
  struct Block {
    uint16_t scale;
    uint8_t quants[16];
  };
  int rows = 8, blocks = 40;
  std::vector<Block> w(static_cast<size_t>(rows * blocks));
  for (Block &block : w) {
    block.scale = numerics::encodeF16(static_cast<float>(random() % 100) / 64.0f);
    for (uint8_t &q : block.quants)
      q = static_cast<uint8_t>(random());
  }
  std::vector<float> x = numbers(static_cast<size_t>(blocks * 32));
  CUdeviceptr out = device->alloc(static_cast<size_t>(rows) * 4), dw = device->upload(w), dx = device->upload(halves(x));
  void *params[] = {&out, &dw, &dx, &blocks};
  ASSERT_EQ(device->d.launchKernel(device->function("matvecQ4"), 2, 1, 1, 32, 4, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, static_cast<size_t>(rows));
  for (int row = 0; row < rows; ++row) {
    double expected = 0;
    for (int block = 0; block < blocks; ++block)
      for (int i = 0; i < 16; ++i) {
        const Block &q = w[static_cast<size_t>(row * blocks + block)];
        expected += static_cast<double>(numerics::decodeF16(q.scale)) *
                    (((q.quants[i] & 15) - 8) * x[static_cast<size_t>(block * 32 + i)] +
                     ((q.quants[i] >> 4) - 8) * x[static_cast<size_t>(block * 32 + 16 + i)]);
      }
    EXPECT_NEAR(found[static_cast<size_t>(row)], expected, 2e-3) << row;
  }
}

TEST_P(NetworkIdiom, RopeGelu) {
  int positions = 5, pairs = 20, total = positions * pairs;
  std::vector<float> x = numbers(static_cast<size_t>(total * 2));
  CUdeviceptr data = device->upload(halves(x));
  ASSERT_EQ(device->launch("ropeGelu", 4, 32, 0, data, pairs, total), kSuccess) << lastFinding();
  std::vector<uint16_t> found = device->download<uint16_t>(data, x.size());
  for (int i = 0; i < total; ++i) {
    double angle = i / pairs * std::pow(10000.0, -static_cast<double>(i % pairs) / pairs);
    double re = x[static_cast<size_t>(i) * 2], im = x[static_cast<size_t>(i) * 2 + 1];
    double first = re * std::cos(angle) - im * std::sin(angle), second = re * std::sin(angle) + im * std::cos(angle);
    double gelu = 0.5 * first * (1 + std::tanh(0.7978845608 * (first + 0.044715 * first * first * first)));
    EXPECT_NEAR(numerics::decodeF16(found[static_cast<size_t>(i) * 2]), gelu, 1e-3) << i;
    EXPECT_NEAR(numerics::decodeF16(found[static_cast<size_t>(i) * 2 + 1]), std::erf(second), 1e-3) << i;
  }
}

TEST_P(NetworkIdiom, AdamW) {
  struct State {
    float rate, beta1, beta2, epsilon, decay;
    int step;
    CUdeviceptr first, second;
  } state = {1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, 3, 0, 0};
  size_t count = 300;
  std::vector<float> p = numbers(count), g = numbers(count), m = numbers(count), v = numbers(count);
  for (float &x : v)
    x = std::fabs(x);
  state.first = device->upload(m);
  state.second = device->upload(v);
  CUdeviceptr data = device->upload(p);
  ASSERT_EQ(device->launch("adamw", 2, 64, 0, data, device->upload(bfloats(g)), state, count), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(data, count);
  for (size_t i = 0; i < count; ++i) {
    double first = 0.9 * m[i] + 0.1 * g[i], second = 0.999 * v[i] + 0.001 * g[i] * g[i];
    double step = first / (1 - 0.9 * 0.9 * 0.9) / (std::sqrt(second / (1 - std::pow(0.999, 3))) + 1e-8);
    EXPECT_NEAR(found[i], p[i] - 1e-2 * (step + 0.1 * p[i]), 1e-4 * (1 + std::fabs(step))) << i;
  }
}

TEST_P(NetworkIdiom, QuantizeRows) {
  int rows = 4, width = 312;
  std::vector<float> x = numbers(static_cast<size_t>(rows * width));
  CUdeviceptr out = device->alloc(x.size()), scales = device->alloc(16);
  ASSERT_EQ(device->launch("quantizeRows", 2, 64, 0, out, scales, device->upload(bfloats(x)), width), kSuccess) << lastFinding();
  std::vector<uint8_t> found = device->download<uint8_t>(out, x.size());
  std::vector<float> foundScales = device->download<float>(scales, 4);
  for (int row = 0; row < rows; ++row) {
    float top = 0;
    for (int i = 0; i < width; ++i)
      top = std::fmax(top, std::fabs(x[static_cast<size_t>(row * width + i)]));
    float scale = top / 448.0f;
    EXPECT_EQ(foundScales[static_cast<size_t>(row)], scale);
    for (int i = 0; i < width; ++i) {
      size_t at = static_cast<size_t>(row * width + i);
      ASSERT_EQ(found[at], numerics::encodeE4M3(x[at] / scale)) << row << " " << i;
    }
  }
}

TEST_P(NetworkIdiom, CrossEntropy) {
  int rows = 4, classes = 150;
  std::vector<float> logits = numbers(static_cast<size_t>(rows * classes));
  for (int i = 0; i < classes; ++i)
    logits[static_cast<size_t>(i)] -= 3; // all negative: the other branch of the maximum
  std::vector<int> labels = {3, 149, 0, 77};
  CUdeviceptr loss = device->upload(std::vector<float>{0}), gradient = device->alloc(logits.size() * 4);
  ASSERT_EQ(device->launch("crossEntropy", 4, 128, 600, loss, gradient, device->upload(logits), device->upload(labels), classes), kSuccess)
      << lastFinding();
  std::vector<float> found = device->download<float>(gradient, logits.size());
  double expectedLoss = 0;
  for (int row = 0; row < rows; ++row) {
    double sum = 0;
    for (int i = 0; i < classes; ++i)
      sum += std::exp(static_cast<double>(logits[static_cast<size_t>(row * classes + i)]));
    for (int i = 0; i < classes; ++i) {
      size_t at = static_cast<size_t>(row * classes + i);
      double expected = (std::exp(static_cast<double>(logits[at])) / sum - (i == labels[static_cast<size_t>(row)])) / rows;
      ASSERT_NEAR(found[at], expected, 1e-6) << row << " " << i;
    }
    expectedLoss += (std::log(sum) - logits[static_cast<size_t>(row * classes + labels[static_cast<size_t>(row)])]) / rows;
  }
  EXPECT_NEAR(device->download<float>(loss, 1)[0], expectedLoss, 1e-4);
}

FOURFOLD_IDIOMS(NetworkIdiom);

} // namespace
