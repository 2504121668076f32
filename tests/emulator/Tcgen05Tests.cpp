// The fifth-generation tensor core: products in all kinds and layouts, fragments, copies into tensor memory, against what the host computes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "runtime/emulator/ElementFormat.h"
#include "runtime/emulator/MmaDense.h"

#include <cmath>
#include <cstring>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// As in corpus/tcgen05.cu.
struct Job {
  CUdeviceptr image;
  uint64_t a, b, strideA, strideB;
  CUdeviceptr out;
  uint32_t chunks, instruction, steps, columns, scalesA, scalesB, scaleStride, scaleIdStep, tensorA, lane;
};

struct Format {
  const char *name;
  int bits, exponent, mantissa, bias; // exponent 0: integers
  uint32_t code;                      // in instruction descriptors
};
const Format kFormats[] = {{"f16", 16, 5, 10, 15, 0}, {"bf16", 16, 8, 7, 127, 1}, {"tf32", 32, 8, 23, 127, 2}, {"e4m3", 8, 4, 3, 7, 0},
                           {"e5m2", 8, 5, 2, 15, 1},  {"e2m3", 6, 2, 3, 1, 3},    {"e3m2", 6, 3, 2, 3, 4},     {"e2m1", 4, 2, 1, 1, 5},
                           {"u8", 8, 0, 8, 0, 0},     {"s8", 8, 0, 8, 0, 1},      {"f32", 32, 8, 23, 127, 1},  {"s32", 32, 0, 32, 0, 2}};

const Format &formatOf(const std::string &name) {
  for (const Format &format : kFormats)
    if (name == format.name)
      return format;
  return kFormats[0];
}

/// A small integer, which the format holds.
uint32_t encode(int value, const Format &format) {
  if (!format.exponent)
    return static_cast<uint32_t>(value) & (format.bits == 32 ? ~0u : 0xffu);
  if (value == 0)
    return 0;
  auto magnitude = static_cast<uint32_t>(std::abs(value));
  int exponent = 31 - __builtin_clz(magnitude);
  uint32_t fraction = static_cast<uint32_t>((uint64_t{magnitude} << format.mantissa >> exponent) & ((uint64_t{1} << format.mantissa) - 1));
  return static_cast<uint32_t>(value < 0) << (format.bits - 1) | static_cast<uint32_t>(exponent + format.bias) << format.mantissa | fraction;
}

/// Canonical layouts of shared memory (PTX ISA 9.7.16.10.6), by the swizzle mode of the descriptor.
struct Layout {
  bool isKMajor;
  uint32_t mode;
};

uint64_t swizzled(uint64_t offset, uint32_t mode) {
  switch (mode) {
  case 1:
    return offset ^ (offset >> 2 & 0x60);
  case 2:
    return offset ^ (offset >> 3 & 0x70);
  case 4:
    return offset ^ (offset >> 3 & 0x30);
  case 6:
    return offset ^ (offset >> 3 & 0x10);
  default:
    return offset;
  }
}

class Image {
public:
  std::vector<uint8_t> bytes;

  /// Rows of `k` elements of so many bits; K-steps take `stepBytes` each. Returns the descriptor and how it advances.
  template <class Code>
  std::pair<uint64_t, uint64_t> add(uint32_t rows, uint32_t k, uint32_t bits, bool isPadded, Layout layout, Code code) {
    bytes.resize((bytes.size() + 1023) / 1024 * 1024);
    uint64_t start = bytes.size(), leading = 0, stride = 0, advance = 0;
    uint32_t span = layout.mode == 4 ? 64 : layout.mode == 6 ? 32 : layout.mode ? 128 : 16;
    uint32_t rowBytes = isPadded ? k : k * bits / 8, size = isPadded || bits < 8 ? 1 : bits / 8, perStep = 32 / size;
    uint64_t groups = rows / 8;
    if (layout.isKMajor) {
      leading = layout.mode ? 16 : 128;
      stride = layout.mode ? 8 * span : 128 * (rowBytes / 16);
      advance = layout.mode ? 32 : 256;
      bytes.resize(start + groups * stride, 0xcc);
    } else if (layout.mode) {
      uint64_t kRows = layout.mode == 1 ? 4 : 8;
      stride = kRows * span;
      leading = stride * (k / kRows);
      advance = perStep / kRows * stride;
      bytes.resize(start + (rows * size + span - 1) / span * leading, 0xcc);
    } else {
      leading = 128 * (rows * size / 16);
      stride = 128;
      advance = perStep / 8 * leading;
      bytes.resize(start + k / 8 * leading, 0xcc);
    }
    auto place = [&](uint32_t row, uint64_t kByte) -> uint64_t { // of a byte of K, in K-major layouts
      if (!layout.mode)
        return row % 8 * 16 + row / 8 * stride + kByte % 16 + kByte / 16 * leading;
      return swizzled(row % 8 * span + row / 8 * stride + kByte, layout.mode);
    };
    auto placeMN = [&](uint32_t row, uint32_t i) -> uint64_t {
      uint64_t x = uint64_t{row} * size, kRows = layout.mode == 1 ? 4 : 8;
      if (!layout.mode)
        return x % 16 + x / 16 * stride + i % 8 * 16 + i / 8 * leading;
      return swizzled(x % span + x / span * leading + i % kRows * span + i / kRows * stride, layout.mode);
    };
    for (uint32_t row = 0; row < rows; ++row)
      for (uint32_t i = 0; i < k; ++i) {
        uint32_t value = code(row, i);
        if (isPadded && bits < 8) { // sixteen elements packed at the start of 16 bytes
          for (uint32_t bit = 0; bit < bits; ++bit) {
            uint64_t at = i % 16 * bits + bit;
            uint8_t &byte = bytes[start + place(row, i / 16 * 16 + at / 8)];
            byte = static_cast<uint8_t>((byte & ~(1u << (at % 8))) | (value >> bit & 1) << (at % 8));
          }
        } else if (bits == 4) {
          uint8_t &byte = bytes[start + place(row, i / 2)];
          byte = static_cast<uint8_t>((byte & (0xf0u >> (4 * (i % 2)))) | value << (4 * (i % 2)));
        } else {
          for (uint32_t byte = 0; byte < size; ++byte)
            bytes[start + (layout.isKMajor ? place(row, uint64_t{i} * size) : placeMN(row, i)) + byte] = static_cast<uint8_t>(value >> (8 * byte));
        }
      }
    return {start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | uint64_t{1} << 46 | uint64_t{layout.mode} << 61, advance >> 4};
  }
};

struct Case {
  const char *name, *kernel, *typeA, *typeB, *typeD;
  uint32_t m, n, steps;
  Layout a, b;
  uint32_t extra = 0; // of the instruction descriptor
  uint32_t lane = 0;
};

constexpr Layout kK0{true, 0}, kK128{true, 2}, kK64{true, 4}, kK32{true, 6}, kM0{false, 0}, kM128{false, 2}, kM64{false, 4}, kM32{false, 6}, kMAtom{false, 1};
constexpr uint32_t kTransposeA = 1u << 15, kTransposeB = 1u << 16, kNegateA = 1u << 13, kNegateB = 1u << 14;

class Tcgen05 : public ::testing::TestWithParam<Case> {
protected:
  static constexpr const char *kPtx = FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/tcgen05_O3.ptx";
  Device device{"sm_100a"};

  /// Runs the kernel on the image; the values of all lanes come back.
  std::vector<uint32_t> launch(const char *kernel, Job job, const std::vector<uint8_t> &image, const std::vector<uint32_t> &columns) {
    EXPECT_EQ(device.load(readText(kPtx)), kSuccess) << lastFinding();
    job.image = device.upload(image);
    job.out = device.upload(columns);
    job.chunks = static_cast<uint32_t>(image.size() / 16);
    job.columns = static_cast<uint32_t>(columns.size() / 128);
    EXPECT_EQ(device.d.funcSetAttribute(device.function(kernel), kFunctionMaxDynamicSharedBytes, static_cast<int>(image.size())), kSuccess);
    EXPECT_EQ(device.launch(kernel, 1, 128, static_cast<unsigned>(image.size()), job), kSuccess) << lastFinding();
    return device.download<uint32_t>(job.out, columns.size());
  }
};

/// Lane of tensor memory of a row of D (PTX ISA 9.7.16.10.5, layouts D and F).
uint32_t laneOf(const Case &c, uint32_t row) { return c.m == 128 ? row : row % 16 + row / 16 * 32 + c.lane; }

TEST_P(Tcgen05, IsTheProduct) {
  const Case &c = GetParam();
  std::string kernel = c.kernel;
  const Format &formatA = formatOf(c.typeA), &formatB = formatOf(c.typeB), &formatD = formatOf(c.typeD);
  bool isPadded = kernel.find("8f6f4") != std::string::npos, isPacked = !isPadded && formatA.bits == 4, isTensorA = kernel.find("_ts") != std::string::npos;
  int scales = kernel.find("mx") == std::string::npos && kernel.find("nvf4") == std::string::npos ? 0
               : isPadded                                                                             ? 1
               : kernel.find("4x") != std::string::npos || kernel.find("_16") != std::string::npos    ? 4
                                                                                                       : 2;
  bool isE4M3 = scales == 4;
  uint32_t perStep = isPacked ? 64 : formatA.bits == 32 ? 8 : formatA.bits == 16 ? 16 : 32, k = perStep * c.steps;
  std::mt19937 random{7};
  auto values = [&](size_t count, const Format &format) {
    std::vector<int> result(count);
    for (int &value : result)
      value = std::string(format.name) == "u8" ? static_cast<int>(random() % 7) : static_cast<int>(random() % 7) - 3;
    return result;
  };
  std::vector<int> a = values(size_t{c.m} * k, formatA), b = values(size_t{c.n} * k, formatB), before = values(size_t{c.m} * c.n, formatA);

  Image image;
  Job job = {};
  if (!isTensorA)
    std::tie(job.a, job.strideA) = image.add(c.m, k, static_cast<uint32_t>(formatA.bits), isPadded, c.a, [&](uint32_t row, uint32_t i) { return encode(a[row * k + i], formatA); });
  std::tie(job.b, job.strideB) = image.add(c.n, k, static_cast<uint32_t>(formatB.bits), isPadded, c.b, [&](uint32_t row, uint32_t i) { return encode(b[row * k + i], formatB); });
  job.steps = c.steps;
  job.lane = c.lane;

  // Scales: exponents, and with ue4m3 halves as well. Blocks of a step stand in bytes of a word; 1X and 2X go through the bytes by scale ids.
  uint32_t wordsOfK = scales ? (c.steps * static_cast<uint32_t>(scales) + 3) / 4 : 0;
  std::vector<std::vector<double>> scaleA(c.m, std::vector<double>(4 * wordsOfK)), scaleB(c.n, std::vector<double>(4 * wordsOfK));
  if (scales) {
    auto code = [&](double *value) {
      int exponent = static_cast<int>(random() % 4) - 1, half = isE4M3 ? static_cast<int>(random() % 2) : 0;
      *value = std::ldexp(1 + 0.5 * half, exponent);
      return static_cast<uint8_t>(isE4M3 ? (exponent + 7) << 3 | half << 2 : exponent + 127);
    };
    auto place = [&](std::vector<std::vector<double>> &table, uint32_t rows, uint32_t atoms) {
      size_t start = image.bytes.size();
      image.bytes.resize(start + size_t{512} * atoms * wordsOfK);
      for (uint32_t word = 0; word < wordsOfK; ++word)
        for (uint32_t row = 0; row < rows; ++row)
          for (uint32_t i = 0; i < 4; ++i)
            image.bytes[start + 512 * (word * atoms + row / 128) + row % 32 * 16 + row % 128 / 32 * 4 + i] = code(&table[row][4 * word + i]);
      return static_cast<uint32_t>(start);
    };
    job.scalesA = place(scaleA, c.m, 1);
    job.scalesB = place(scaleB, c.n, 2);
    job.scaleStride = scales == 4 ? 512 : 0;
    job.scaleIdStep = scales == 4 ? 0 : static_cast<uint32_t>(scales) * (1u << 29 | 1u << 4);
  }
  uint32_t codeA = isPacked ? 1 : formatA.code, codeB = isPacked ? 1 : formatB.code;
  job.instruction = codeA << 7 | codeB << 10 | c.n / 8 << 17 | c.m / 16 << 24 | c.extra;
  job.instruction |= scales ? (isE4M3 ? 0 : 1u << 23) : formatD.code << 4;

  // Before: D, for products that start from it; A where it stands in tensor memory.
  uint32_t columns = c.n + (isTensorA ? 8 * c.steps : 0);
  std::vector<uint32_t> cells(size_t{128} * columns, 0x7eadbeef);
  job.tensorA = c.n;
  for (uint32_t row = 0; row < c.m; ++row) {
    uint32_t *lane = &cells[laneOf(c, row) * size_t{columns}];
    for (uint32_t column = 0; column < c.n; ++column)
      lane[column] = encode(before[row * c.n + column], formatD);
    for (uint32_t i = 0; isTensorA && i < k; ++i) {
      auto bits = static_cast<uint32_t>(formatA.bits), perCell = 32 / bits;
      uint32_t &cell = lane[c.n + i / perCell];
      cell = (i % perCell ? cell : 0) | encode(a[row * k + i], formatA) << (bits * (i % perCell));
    }
  }
  std::vector<uint32_t> expected = cells, result;
  resetCounters();
  for (uint32_t row = 0; row < c.m; ++row)
    for (uint32_t column = 0; column < c.n; ++column) {
      double sum = isTensorA || scales ? 0 : before[row * c.n + column];
      for (uint32_t i = 0; i < k; ++i) {
        double product = a[row * k + i] * b[column * k + i];
        if (scales) {
          uint32_t block = i / (perStep / static_cast<uint32_t>(scales));
          product *= scaleA[row][block] * scaleB[column][block];
        }
        sum += (c.extra & kNegateA ? -1 : 1) * (c.extra & kNegateB ? -1 : 1) * product;
      }
      uint32_t &cell = expected[laneOf(c, row) * size_t{columns} + column];
      if (scales) {
        auto value = static_cast<float>(sum);
        std::memcpy(&cell, &value, 4);
      } else {
        cell = encode(static_cast<int>(sum), formatD);
      }
    }
  result = launch(c.kernel, job, image.bytes, cells);
  if (std::string(c.typeD) == "f16") // the upper halves are not defined
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = expected[i] == 0x7eadbeef ? result[i] : result[i] & 0xffff;
  EXPECT_EQ(result, expected);
  // What it counts: a step each, and the bytes of its operands in shared memory.
  Counters counted = counters();
  uint64_t products = 0;
  for (const auto &[kind, count] : counted.mmas)
    products += mmaOperations(kind) * count;
  EXPECT_EQ(products, uint64_t{2} * c.m * c.n * k);
  EXPECT_EQ(counted.wgmmaOperands.wavefronts, c.steps * (c.n + (isTensorA ? 0 : c.m)) / 4);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Tcgen05,
    ::testing::Values(
        Case{"bf16_k0_k0", "product_f16", "bf16", "bf16", "f32", 128, 64, 3, kK0, kK0}, Case{"bf16_k128_k128", "product_f16", "bf16", "bf16", "f32", 128, 256, 4, kK128, kK128},
        Case{"bf16_k64_k32", "product_f16", "bf16", "bf16", "f32", 128, 16, 1, kK64, kK32},
        Case{"bf16_m128_m64", "product_f16", "bf16", "bf16", "f32", 128, 128, 2, kM128, kM64, kTransposeA | kTransposeB},
        Case{"bf16_m32_m0", "product_f16", "bf16", "bf16", "f32", 128, 32, 3, kM32, kM0, kTransposeA | kTransposeB},
        Case{"bf16_m0_k128", "product_f16", "bf16", "bf16", "f32", 128, 48, 4, kM0, kK128, kTransposeA | kNegateA},
        Case{"f16_half", "product_f16", "f16", "f16", "f16", 128, 64, 4, kK128, kK128}, Case{"f16_m64", "product_f16", "f16", "f16", "f32", 64, 24, 4, kK128, kK128},
        Case{"f16_m64_lane16", "product_f16", "f16", "f16", "f32", 64, 8, 2, kK64, kK128, kNegateA | kNegateB, 16},
        Case{"f16_tensor_a", "product_f16_ts", "f16", "f16", "f32", 128, 32, 4, {}, kK128}, Case{"bf16_tensor_a_m64", "product_f16_ts", "bf16", "bf16", "f32", 64, 16, 2, {}, kK0, 0, 16},
        Case{"tf32_k128", "product_tf32", "tf32", "tf32", "f32", 128, 64, 4, kK128, kK128},
        Case{"tf32_atoms", "product_tf32", "tf32", "tf32", "f32", 128, 32, 3, kMAtom, kMAtom, kTransposeA | kTransposeB},
        Case{"tf32_tensor_a", "product_tf32_ts", "tf32", "tf32", "f32", 128, 16, 2, {}, kK0}, Case{"e4m3_e5m2", "product_f8f6f4", "e4m3", "e5m2", "f32", 128, 64, 4, kK128, kK128},
        Case{"e5m2_m128", "product_f8f6f4", "e5m2", "e5m2", "f32", 128, 128, 2, kM128, kM128, kTransposeA | kTransposeB},
        Case{"e2m1_e3m2", "product_f8f6f4", "e2m1", "e3m2", "f32", 128, 32, 4, kK128, kK128}, Case{"e2m3_e4m3_half", "product_f8f6f4", "e2m3", "e4m3", "f16", 64, 16, 2, kK0, kK64},
        Case{"e4m3_tensor_a", "product_f8f6f4_ts", "e4m3", "e4m3", "f32", 128, 16, 2, {}, kK64}, Case{"s8_u8", "product_i8", "s8", "u8", "s32", 128, 96, 4, kK128, kK128},
        Case{"u8_s8_m64", "product_i8", "u8", "s8", "s32", 64, 24, 2, kM0, kK64, kTransposeA},
        Case{"mxf8", "product_mxf8f6f4", "e4m3", "e5m2", "f32", 128, 200, 4, kK128, kK128}, Case{"mxf6_mxf4", "product_mxf8f6f4", "e3m2", "e2m1", "f32", 128, 64, 4, kK128, kK128},
        Case{"mxf4", "product_mxf4", "e2m1", "e2m1", "f32", 128, 256, 2, kK128, kK128, kNegateA}, Case{"nvf4_2x", "product_nvf4_2x", "e2m1", "e2m1", "f32", 128, 8, 2, kK64, kK0},
        Case{"nvf4_4x", "product_nvf4_4x", "e2m1", "e2m1", "f32", 128, 136, 4, kK128, kK128, kNegateB}, Case{"nvf4_16", "product_nvf4_16", "e2m1", "e2m1", "f32", 128, 256, 4, kK128, kK128}),
    [](const auto &info) { return std::string(info.param.name); });

/// Sums of 32 products with block scales: the vectors against the scalar model, which is tested against MMA-Sim's vectors for mma.sync.
TEST(Tcgen05Sums, VectorsAreTheScalarModel) {
  std::mt19937 random{3};
  static float a[16][64], b[8][64];
  static FusedRows fused;
  for (ElementFormat typeA : {ElementFormat::E4M3, ElementFormat::E5M2, ElementFormat::E3M2, ElementFormat::E2M1})
    for (ElementFormat typeB : {ElementFormat::E4M3, ElementFormat::E2M3})
      for (int round = 0; round < 20; ++round) {
        DotModel model{25, -133, smallestExponent(typeA), -126, smallestExponent(typeB)};
        auto element = [&](ElementFormat type) {
          float value = decodeElement(type, random() & 0xff);
          return std::isfinite(value) && random() % 8 ? value : 0.0f;
        };
        for (int i = 0; i < 32; ++i) {
          for (auto &row : a)
            row[i] = element(typeA);
          for (auto &row : b)
            row[i] = element(typeB);
        }
        ASSERT_TRUE(fused.load(a, b, 32, model));
        for (int row = 0; row < 16; ++row) {
          float c[8];
          int32_t shifts[8];
          double sums[8];
          for (int i = 0; i < 8; ++i) {
            c[i] = random() % 4 ? std::ldexp(static_cast<float>(random() % 2000) - 1000, static_cast<int>(random() % 60) - 40) : 0.0f;
            shifts[i] = round % 2 ? static_cast<int>(random() % 200) - 100 : 0;
          }
          ASSERT_TRUE(fused.sums(row, c, shifts, sums));
          for (int i = 0; i < 8; ++i)
            ASSERT_EQ(sums[i], fusedDot(a[row], b[i], 32, c[i], model, shifts[i]).sum) << row << " " << i;
        }
      }
}

TEST_F(Tcgen05, LanesAreLeftAloneAndDIsScaled) {
  Image image;
  Job job = {};
  auto one = [](uint32_t, uint32_t) { return 0x3f80u; };
  std::tie(job.a, job.strideA) = image.add(128, 16, 16, false, kK0, one);
  std::tie(job.b, job.strideB) = image.add(16, 16, 16, false, kK0, one);
  job.instruction = 1u << 4 | 1u << 7 | 1u << 10 | 2u << 17 | 8u << 24;
  job.steps = 1;
  std::vector<uint32_t> cells(128 * 16, 0x41000000u), result = launch("product_masked", job, image.bytes, cells); // 8
  for (uint32_t lane = 0; lane < 128; ++lane)
    for (uint32_t column = 0; column < 16; ++column) {
      bool isDisabled = lane < 4 || lane == 95 || lane >= 112;
      EXPECT_EQ(result[lane * 16 + column], isDisabled ? 0x41000000u : 0x41880000u) << lane; // 17 = 16 + 8 / 8
    }
}

/// Where a register of a thread stands: by the layouts of CUTLASS's copy atoms (include/cute/atom/copy_traits_sm100.hpp), as bits of the rows.
std::pair<uint32_t, uint32_t> cellOf(const std::string &shape, uint32_t thread, uint32_t r) {
  uint32_t t2 = thread % 2, t4 = thread % 4;
  if (shape == "32x32b")
    return {thread, r};
  if (shape == "16x64b") // ((2,2,8), 32): ((8 rows, 32, 1 row), 1)
    return {8 * t2 + thread / 4, 2 * r + thread / 2 % 2};
  if (shape == "16x128b") // ((4,8), (32,2)): ((32, 1 row), (1, 8 rows))
    return {thread / 4 + 8 * (r % 2), 4 * (r / 2) + t4};
  if (shape == "16x256b") // ((4,8), (64,2)): ((64, 1 row), (1, 8 rows))
    return {thread / 4 + 8 * (r / 2 % 2), 8 * (r / 4) + 2 * t4 + r % 2};
  return {thread % 16, r}; // 16x32bx2, from the half's own start
}

TEST_F(Tcgen05, FragmentsOfLoadsAndStores) {
  ASSERT_EQ(device.load(readText(kPtx)), kSuccess) << lastFinding();
  std::vector<uint32_t> cells(32 * 64);
  for (uint32_t i = 0; i < cells.size(); ++i)
    cells[i] = 0xabc00000 + i;
  CUdeviceptr in = device.upload(cells);
  for (const std::string shape : {"32x32b", "16x64b", "16x128b", "16x256b", "16x32bx2"})
    for (bool isHalves : {false, true}) {
      uint32_t count = shape == "16x32bx2" ? 8 : 16;
      auto place = [&](uint32_t thread, uint32_t r) {
        auto [lane, column] = cellOf(shape, thread, r);
        return lane * 64 + column * (isHalves ? 2 : 1) + (shape == "16x32bx2" && thread >= 16 ? 24 : 0);
      };
      CUdeviceptr out = device.alloc(32 * 64 * 4);
      ASSERT_EQ(device.launch(("ld_" + shape + (isHalves ? "_pack_16b" : "")).c_str(), 1, 32, 0, in, out), kSuccess) << lastFinding();
      std::vector<uint32_t> result = device.download<uint32_t>(out, 32 * count), expected(result.size());
      for (uint32_t i = 0; i < expected.size(); ++i) {
        uint32_t at = place(i / count, i % count);
        expected[i] = isHalves ? (cells[at] & 0xffff) | cells[at + 1] << 16 : cells[at];
      }
      EXPECT_EQ(result, expected) << shape << isHalves;
      ASSERT_EQ(device.launch(("st_" + shape + (isHalves ? "_unpack_16b" : "")).c_str(), 1, 32, 0, in, out), kSuccess) << lastFinding();
      expected = cells;
      for (uint32_t thread = 0; thread < 32; ++thread)
        for (uint32_t r = 0; r < count; ++r) {
          uint32_t at = place(thread, r), value = 0x10000 * (thread + 1) + r;
          expected[at] = isHalves ? value & 0xffff : value;
          if (isHalves)
            expected[at + 1] = value >> 16;
        }
      EXPECT_EQ(device.download<uint32_t>(out, 32 * 64), expected) << shape << isHalves;
    }
}

TEST_F(Tcgen05, CopiesToTensorMemory) {
  struct Shape {
    const char *name;
    uint32_t rows, words, lane;
  };
  for (const Shape &shape : {Shape{"cp_128x256b", 128, 8, 0}, Shape{"cp_128x128b", 128, 4, 0}, Shape{"cp_4x256b", 4, 8, 31}, Shape{"cp_64x128b_warpx2_02_13", 64, 4, 0},
                             Shape{"cp_64x128b_warpx2_01_23", 64, 4, 0}, Shape{"cp_32x128b_warpx4", 32, 4, 0}}) {
    Image image;
    Job job = {};
    std::tie(job.a, job.strideA) = image.add(std::max(shape.rows, 8u), shape.words, 32, false, kK0, [](uint32_t row, uint32_t i) { return 0x5000 + 16 * row + i; });
    job.steps = 1;
    job.lane = shape.lane;
    std::vector<uint32_t> cells(128 * 8, 7), expected = cells;
    for (uint32_t lane = 0; lane < 128; ++lane) {
      // The figures of PTX ISA 9.7.16.9.2: which row of the source a lane gets.
      uint32_t row = shape.rows == 128 ? lane : shape.rows == 32 ? lane % 32 : std::string(shape.name).find("02") != std::string::npos ? lane % 64 : lane % 32 + lane / 64 * 32;
      if (shape.rows == 4 && lane % 32 != 31)
        continue;
      row = shape.rows == 4 ? lane / 32 : row;
      for (uint32_t i = 0; i < shape.words; ++i)
        expected[lane * 8 + i] = 0x5000 + 16 * row + i;
    }
    EXPECT_EQ(launch(shape.name, job, image.bytes, cells), expected) << shape.name;
  }
}

} // namespace
