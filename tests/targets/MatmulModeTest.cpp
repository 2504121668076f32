// Matmul kernels on made-up codes and scales: faithful ones and those of FP4 tensor cores to the bits of dialect/MmaModel.h, fast ones
// within its rounding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/Matmul.h"
#include "tests/emulator/Harness.h"
#include "tests/targets/KernelText.h"

#include "dialect/MmaModel.h"

#include <cfloat>
#include <cmath>
#include <limits>

using namespace fourfold;
using namespace fourfold::compiler;
using emulator::test::Device;

namespace {

/// What the scales look like.
enum class Spread {
  Narrow, ///< near 1
  Wide,   ///< every finite byte; zeros too
  NaN,    ///< every byte: some rows and columns are NaN
};

struct Case {
  int m, n, k;
  Format format;
  Spread spread;
};

/// A packed operand, and its codes and scales in the order of the model.
struct Operand {
  std::vector<uint8_t> packed, tiled;
  std::vector<uint8_t> codes, scales; // rows x paddedK; rows x paddedK / 16
};

class Random {
public:
  explicit Random(uint32_t seed) : state(seed) {}
  uint32_t next() {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
  }

private:
  uint32_t state;
};

uint8_t scaleByte(Format format, Spread spread, Random &random) {
  uint32_t bits = random.next();
  if (format == Format::NVFP4) {
    if (spread == Spread::Narrow)
      return static_cast<uint8_t>(0x30 + bits % 24);
    return static_cast<uint8_t>(spread == Spread::NaN && bits % 61 == 0 ? 0x7f : bits / 61 % 127);
  }
  if (spread == Spread::Narrow)
    return static_cast<uint8_t>(124 + bits % 6);
  if (spread == Spread::NaN && bits % 61 == 0)
    return 0xff;
  // Products on both sides of what fp32 holds.
  return static_cast<uint8_t>(bits % 3 == 0 ? bits / 3 % 255 : 80 + bits / 3 % 90);
}

Operand makeOperand(int rows, int k, Format format, Spread spread, uint32_t seed) {
  Random random(seed);
  int block = formatBlockSize(format), paddedK = (k + 63) / 64 * 64;
  Operand operand;
  operand.codes.resize(static_cast<size_t>(rows * paddedK));
  operand.scales.resize(static_cast<size_t>(rows * paddedK / 16));
  operand.packed.resize(static_cast<size_t>(rows * numerics::codesPitch(k)));
  operand.tiled.resize(static_cast<size_t>(numerics::scaleBytes(rows, k, block)));
  for (int row = 0; row < rows; ++row) {
    for (int i = 0; i < k; ++i) {
      uint32_t bits = random.next();
      // Blocks without and with few products, some that cancel.
      uint8_t code = i / 16 % 5 == 4 && row % 3 == 0 ? 0 : i / 16 % 5 == 3 && bits % 8 ? 0 : bits / 8 & 15;
      operand.codes[static_cast<size_t>(row * paddedK + i)] = code;
      operand.packed[static_cast<size_t>(row * numerics::codesPitch(k) + i / 2)] |= static_cast<uint8_t>(code << 4 * (i % 2));
    }
    for (int b = 0; b < (k + block - 1) / block; ++b) {
      uint8_t byte = scaleByte(format, spread, random);
      operand.tiled[static_cast<size_t>(numerics::scaleTileOffset(row, b, numerics::scaleTilesK(k, block)))] = byte;
      for (int g = 0; g < block / 16; ++g)
        if (b * (block / 16) + g < paddedK / 16)
          operand.scales[static_cast<size_t>(row * paddedK / 16 + b * (block / 16) + g)] = byte;
    }
  }
  return operand;
}

/// The model's result and the sum of magnitudes.
float expected(const Operand &a, const Operand &b, int row, int column, int k, Format format, double *magnitude) {
  int paddedK = (k + 63) / 64 * 64;
  auto scaleFormat = format == Format::NVFP4 ? numerics::ScaleFormat::UE4M3 : numerics::ScaleFormat::UE8M0;
  float sum = 0;
  *magnitude = 0;
  for (int step = 0; step < paddedK; step += 64) {
    size_t codesA = static_cast<size_t>(row * paddedK + step), codesB = static_cast<size_t>(column * paddedK + step);
    sum = numerics::mmaStep(&a.codes[codesA], &b.codes[codesB], &a.scales[codesA / 16], &b.scales[codesB / 16], scaleFormat, sum);
    for (size_t i = 0; i < 64; ++i) {
      auto scale = [&](uint8_t byte) {
        return static_cast<double>(format == Format::NVFP4 ? numerics::decodeE4M3(byte) : numerics::decodeUE8M0(byte));
      };
      *magnitude += std::fabs(static_cast<double>(numerics::decodeE2M1(a.codes[codesA + i])) *
                              static_cast<double>(numerics::decodeE2M1(b.codes[codesB + i])) *
                              scale(a.scales[(codesA + i) / 16]) * scale(b.scales[(codesB + i) / 16]));
    }
  }
  return sum;
}

struct Kernel {
  const char *target;
  MatmulMode mode;
};

class MatmulModeTest : public ::testing::TestWithParam<Kernel> {
protected:
  void run(const std::string &text, const Case &shape, const MatmulTile &tile) {
    auto [targetName, mode] = GetParam();
    std::string why;
    bool exact = mode == MatmulMode::Faithful || findTarget(targetName, &why)->hasBlockScaledStep();
    bool isNVFP4 = shape.format == Format::NVFP4;
    Device device(targetName);
    ASSERT_EQ(device.load(text), device::kSuccess) << emulator::lastFinding();
    Operand a = makeOperand(shape.m, shape.k, shape.format, shape.spread, 1);
    Operand b = makeOperand(shape.n, shape.k, shape.format, shape.spread, 2);
    auto codesA = device.upload(a.packed), scalesA = device.upload(a.tiled);
    auto codesB = device.upload(b.packed), scalesB = device.upload(b.tiled);
    auto amax = device.upload(std::vector<float>{2688.0f});
    size_t count = static_cast<size_t>(shape.m * shape.n);
    auto out = device.alloc(count * 4);
    auto grid = static_cast<unsigned>((shape.m + tile.tileM - 1) / tile.tileM * ((shape.n + tile.tileN - 1) / tile.tileN));
    auto threads = static_cast<unsigned>(tile.numThreads()), shared = static_cast<unsigned>(tile.sharedBytes(shape.format));
    // Above 48 KiB it must be asked for.
    ASSERT_EQ(device.d.funcSetAttribute(device.function("k"), device::kFunctionMaxDynamicSharedBytes, static_cast<int>(shared)),
              device::kSuccess);
    device::CUresult result =
        isNVFP4 ? device.launch("k", grid, threads, shared, codesA, scalesA, codesB, scalesB, amax, amax, out, shape.m,
                                shape.n, shape.k)
                : device.launch("k", grid, threads, shared, codesA, scalesA, codesB, scalesB, out, shape.m, shape.n, shape.k);
    ASSERT_EQ(result, device::kSuccess) << emulator::lastFinding();
    std::vector<float> results = device.download<float>(out, count);
    int numNaN = 0;
    for (int row = 0; row < shape.m; ++row)
      for (int column = 0; column < shape.n; ++column) {
        double magnitude;
        float wanted = expected(a, b, row, column, shape.k, shape.format, &magnitude);
        float found = results[static_cast<size_t>(row * shape.n + column)];
        std::string place = std::to_string(row) + "," + std::to_string(column) + " of " + std::to_string(shape.m) + "x" +
                            std::to_string(shape.n) + "x" + std::to_string(shape.k);
        numNaN += std::isnan(wanted);
        if (exact)
          ASSERT_EQ(numerics::floatBits(found), numerics::floatBits(wanted)) << place << ": " << found << " " << wanted;
        else if (std::isnan(wanted))
          ASSERT_TRUE(std::isnan(found)) << place;
        else
          ASSERT_NEAR(found, wanted, magnitude * shape.k * 0x1p-23) << place; // the evaluator's bound
      }
    // The large ones have some, and not all are.
    EXPECT_LE(numNaN, shape.spread == Spread::NaN ? static_cast<int>(count) - 1 : 0);
    EXPECT_GE(numNaN, shape.spread == Spread::NaN && shape.m == 130 ? 1 : 0);
  }
};

TEST_P(MatmulModeTest, FollowsTheModel) {
  std::string why;
  const Target *target = findTarget(GetParam().target, &why);
  for (const MatmulTile &tile : matmulTiles(*target, GetParam().mode))
    for (Format format : {Format::NVFP4, Format::MXFP4}) {
      std::string text = tests::kernelText(GetParam().target, [&](mlir::gpu::GPUModuleOp module, const Target &built) {
        buildMatmul(module, "k", built, format, tile, ElementRegion(), GetParam().mode);
      });
      for (Spread spread : {Spread::Narrow, Spread::Wide, Spread::NaN}) {
        // Fast sums leave fp32's range where the model does not.
        if (GetParam().mode == MatmulMode::Fast && format == Format::MXFP4 && spread != Spread::Narrow &&
            !target->hasBlockScaledStep())
          continue;
        for (auto [m, n, k] : {std::array{1, 17, 40}, std::array{17, 40, 1000}, std::array{130, 33, 192}, std::array{40, 9, 1}})
          if (tile.tileM > 16 || m <= 17)
            run(text, {m, n, k, format, spread}, tile);
        if (tile.tileN > 128) // both of its rows of scale tiles, and the second alone in part
          run(text, {130, 400, 200, format, spread}, tile);
        if (tile.isTensorMemory) // the ring more than twice around, its mbarriers' phases with it
          run(text, {17, 70, 2600, format, spread}, tile);
      }
    }
}

/// One product of ones, times the factor of two tensors' amaxes: from subnormal to infinite, exact ties of subnormals among them.
TEST_P(MatmulModeTest, FactorIsTheRoundedQuotient) {
  auto [targetName, mode] = GetParam();
  std::string why;
  const MatmulTile &tile = matmulTiles(*findTarget(targetName, &why), mode).back();
  Device device(targetName);
  ASSERT_EQ(device.load(tests::kernelText(targetName,
                                          [&](mlir::gpu::GPUModuleOp module, const Target &built) {
                                            buildMatmul(module, "k", built, Format::NVFP4, tile, ElementRegion(), mode);
                                          })),
            device::kSuccess)
      << emulator::lastFinding();
  constexpr int kDepth = 16;
  std::vector<uint8_t> one(static_cast<size_t>(numerics::codesPitch(kDepth))), scale(static_cast<size_t>(numerics::scaleBytes(1, kDepth, 16)));
  one[0] = 2;      // 1.0
  scale[0] = 0x38; // 1.0
  auto codes = device.upload(one), scales = device.upload(scale), out = device.alloc(4);
  auto shared = static_cast<unsigned>(tile.sharedBytes(Format::NVFP4));
  ASSERT_EQ(device.d.funcSetAttribute(device.function("k"), device::kFunctionMaxDynamicSharedBytes, static_cast<int>(shared)),
            device::kSuccess);
  const std::vector<float> amaxes = {0.0f,   0x1p-149f, 0x1.8p-140f, 0x1.abcdep-126f, 1323 * 0x1p-76f, 0x1p-60f, 0x1.fffffep-48f, 0x1p-47f,
                                     1e-9f,  0.37f,     1.0f,        3.14159f,        2688.0f,         1e19f,    FLT_MAX,         HUGE_VALF,
                                     std::numeric_limits<float>::quiet_NaN()};
  for (float a : amaxes)
    for (float b : amaxes) {
      auto amaxA = device.upload(std::vector<float>{a}), amaxB = device.upload(std::vector<float>{b});
      ASSERT_EQ(device.launch("k", 1u, static_cast<unsigned>(tile.numThreads()), shared, codes, scales, codes, scales, amaxA, amaxB, out, 1, 1,
                              kDepth),
                device::kSuccess)
          << emulator::lastFinding();
      float found = device.download<float>(out, 1)[0], wanted = numerics::nvfp4Alpha(a, b);
      if (std::isnan(wanted))
        EXPECT_TRUE(std::isnan(found)) << a << " " << b << ": " << found;
      else
        EXPECT_EQ(numerics::floatBits(found), numerics::floatBits(wanted)) << a << " " << b << ": " << found << " " << wanted;
    }
}

INSTANTIATE_TEST_SUITE_P(Kernels, MatmulModeTest,
                         ::testing::Values(Kernel{"sm_80", MatmulMode::Fast}, Kernel{"sm_80", MatmulMode::Faithful},
                                           Kernel{"sm_90a", MatmulMode::Fast}, Kernel{"sm_90a", MatmulMode::Faithful},
                                           Kernel{"sm_100a", MatmulMode::Fast}, Kernel{"sm_120a", MatmulMode::Fast}),
                         [](const auto &info) { return std::string(info.param.target) + "_" + modeName(info.param.mode).str(); });

} // namespace
