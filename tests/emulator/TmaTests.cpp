// Bulk copies and tensor maps: nvcc's programs against what is computed here element by element.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TensorMaps.h"

#include <numeric>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const std::string kCorpus = FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/";
const std::string kTensor = kCorpus + "tma_tensor_O3.ptx";

/// With and without optimisation.
class BulkCopies : public ::testing::TestWithParam<const char *> {
protected:
  std::string ptx() const { return readText(kCorpus + GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(All, BulkCopies, ::testing::Values("tma_bulk_O3.ptx", "tma_bulk_G.ptx"),
                         [](const auto &info) { return std::string(info.index ? "G" : "O3"); });

template <class T>
std::vector<T> randomData(size_t count, uint32_t seed) {
  std::mt19937 random{seed};
  std::vector<T> data(count);
  for (T &value : data)
    value = static_cast<T>(random());
  return data;
}

TEST_P(BulkCopies, GuideExampleAddsOne) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(ptx()), kSuccess) << lastFinding();
  std::vector<int> data = randomData<int>(3 * 1024 + 16, 1), expected = data;
  for (size_t i = 8; i < 8 + 3 * 1024; ++i)
    expected[i] = static_cast<int>(static_cast<unsigned>(expected[i]) + 1);
  CUdeviceptr address = device.upload(data);
  ASSERT_EQ(device.launch("addOne", 3, 128, 0, address, 8), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<int>(address, data.size()), expected);
}

TEST_P(BulkCopies, GuideExampleIsRefusedAtAnOddOffset) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(ptx()), kSuccess) << lastFinding();
  CUdeviceptr address = device.upload(std::vector<int>(2 * 1024));
  EXPECT_EQ(device.launch("addOne", 1, 128, 0, address, 2), kErrorMisalignedAddress);
  EXPECT_NE(lastFinding().find("of a bulk copy is not a multiple of 16"), std::string::npos) << lastFinding();
}

TEST_P(BulkCopies, CopiesPastTheEndAreFound) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(ptx()), kSuccess) << lastFinding();
  CUdeviceptr address = device.upload(std::vector<int>(1024 + 4));
  EXPECT_EQ(device.launch("addOne", 1, 128, 0, address, 4), kSuccess) << lastFinding();
  EXPECT_EQ(device.launch("addOne", 1, 128, 0, address, 8), kErrorIllegalAddress);
  EXPECT_NE(lastFinding().find("a bulk copy of 4096 bytes"), std::string::npos) << lastFinding();
}

TEST_P(BulkCopies, PipelineOfStages) {
  for (int count : {1, 2, 3, 4, 7, 12}) {
    Device device("sm_90a", count == 7 ? CheckLevel::None : count == 12 ? CheckLevel::Fast : CheckLevel::Full);
    ASSERT_EQ(device.load(ptx()), kSuccess) << lastFinding();
    std::vector<uint32_t> in = randomData<uint32_t>(static_cast<size_t>(count) * 256, 2);
    uint32_t expected = 0;
    for (size_t i = 0; i < in.size(); ++i)
      expected += in[i] * static_cast<uint32_t>(i / 256 + 1);
    CUdeviceptr source = device.upload(in), out = device.upload(std::vector<uint32_t>(2));
    ASSERT_EQ(device.launch("pipelinedSum", 2, 160, 0, source, out, count), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<uint32_t>(out, 2), std::vector<uint32_t>(2, expected)) << count;
  }
}

TEST_P(BulkCopies, BlocksReduceIntoOneHistogram) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(ptx()), kSuccess) << lastFinding();
  std::vector<uint8_t> in = randomData<uint8_t>(5 * 300, 3);
  std::vector<uint32_t> expected(256, 7);
  for (uint8_t value : in)
    ++expected[value];
  CUdeviceptr source = device.upload(in), bins = device.upload(std::vector<uint32_t>(256, 7));
  ASSERT_EQ(device.launch("histogram", 5, 256, 0, source, bins, 300), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint32_t>(bins, 256), expected);
}

TEST_P(BulkCopies, MbarrierTracksCopiesOfThreads) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(ptx()), kSuccess) << lastFinding();
  std::vector<uint32_t> in(512), expected(512);
  std::iota(in.begin(), in.end(), 100u);
  for (size_t i = 0; i < 512; ++i)
    expected[i] = in[511 - i];
  CUdeviceptr source = device.upload(in), out = device.alloc(2048);
  ASSERT_EQ(device.launch("trackedCopies", 1, 128, 0, source, out), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint32_t>(out, 512), expected);
}

TEST(TensorCopies, GuideExampleAddsOneToATile) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kTensor)), kSuccess) << lastFinding();
  const int width = 100, height = 20; // the tile reaches over the edges of both
  for (auto [x, y] : {std::pair(0, 0), std::pair(64, 16), std::pair(-3, -2), std::pair(36, 12)}) {
    std::vector<int> data = randomData<int>(width * height, 4), expected = data;
    for (int i = std::max(0, y); i < std::min(height, y + 8); ++i)
      for (int j = std::max(0, x); j < std::min(width, x + 64); ++j)
        expected[static_cast<size_t>(i * width + j)] = static_cast<int>(static_cast<unsigned>(expected[static_cast<size_t>(i * width + j)]) + 1);
    CUdeviceptr address = device.upload(data);
    Map map;
    ASSERT_EQ(map.encode(device, {kInt32, address, {100, 20}, {400}, {64, 8}}), kSuccess) << lastFinding();
    ASSERT_EQ(device.launch("addOneTile", 1, 64, 0, map, x, y), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<int>(address, data.size()), expected) << x << " " << y;
  }
}

/// What a box of the tensor must be in shared memory, one element at a time.
std::vector<uint8_t> expectedBox(const Tensor &tensor, const std::vector<uint8_t> &bytes, const std::vector<int> &at, const std::vector<uint8_t> &fill) {
  size_t size = fill.size(), rank = tensor.dims.size(), total = size;
  std::vector<size_t> counts;
  for (size_t i = 0; i < rank; ++i) {
    size_t step = i && !tensor.steps.empty() ? tensor.steps[i] : 1;
    counts.push_back((tensor.box[i] + step - 1) / step);
    total *= counts.back();
  }
  std::vector<uint8_t> box(total);
  for (size_t element = 0; element < total / size; ++element) {
    size_t rest = element, from = 0;
    bool isInside = true;
    for (size_t i = 0; i < rank; ++i) {
      int64_t step = i && !tensor.steps.empty() ? tensor.steps[i] : 1;
      int64_t index = at[i] + static_cast<int64_t>(rest % counts[i]) * step;
      rest /= counts[i];
      isInside &= index >= 0 && index < static_cast<int64_t>(tensor.dims[i]);
      from += static_cast<size_t>(index) * (i ? tensor.strides[i - 1] : size);
    }
    // Tables of CUTLASS's layouts: 16-byte chunk c of row r of the pattern.
    size_t linear = element * size, to = linear, row = linear / 128 % 8;
    if (tensor.swizzle == 3)
      to = linear / 128 * 128 + ((linear / 16 % 8) ^ row) * 16 + linear % 16;
    else if (tensor.swizzle == 2)
      to = linear / 64 * 64 + ((linear / 16 % 4) ^ (row % 4)) * 16 + linear % 16;
    else if (tensor.swizzle == 1)
      to = linear / 32 * 32 + ((linear / 16 % 2) ^ (row % 2)) * 16 + linear % 16;
    else if (tensor.swizzle == 4)
      to = linear / 128 * 128 + ((linear / 32 % 4) ^ (row % 4)) * 32 + linear % 32;
    for (size_t i = 0; i < size; ++i)
      box[to + i] = isInside ? bytes[from + i] : fill[i];
  }
  return box;
}

struct BoxCase {
  const char *name;
  Tensor tensor;
  std::vector<int> at;
  std::vector<uint8_t> fill; // an element
};

void PrintTo(const BoxCase &box, std::ostream *out) { *out << box.name; }

class TensorBoxes : public ::testing::TestWithParam<BoxCase> {
protected:
  void dump(const char *program);
};

TEST_P(TensorBoxes, AreWhatTheyShouldBe) {
  dump("tma_tensor_O3.ptx");
  dump("tma_tensor_G.ptx");
}

void TensorBoxes::dump(const char *program) {
  BoxCase box = GetParam();
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kCorpus + program)), kSuccess) << lastFinding();
  size_t rank = box.tensor.dims.size();
  size_t bytes = rank > 1 ? box.tensor.strides.back() * box.tensor.dims.back() : box.tensor.dims[0] * box.fill.size();
  std::vector<uint8_t> data = randomData<uint8_t>(bytes, 5);
  box.tensor.address = device.upload(data);
  Map map;
  ASSERT_EQ(map.encode(device, box.tensor), kSuccess) << lastFinding();
  std::vector<uint8_t> expected = expectedBox(box.tensor, data, box.at, box.fill);
  CUdeviceptr at = device.upload(box.at), out = device.alloc(expected.size());
  int count = static_cast<int>(expected.size());
  std::string name = "dump" + std::to_string(rank) + "d";
  ASSERT_EQ(device.launch(name.c_str(), 1, 64, static_cast<unsigned>(count), map, at, out, count), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint8_t>(out, expected.size()), expected);
  if (rank != 2)
    return;
  // The same map elsewhere.
  CUdeviceptr global = device.upload(std::vector<Map>{map}), constant;
  size_t size;
  ASSERT_EQ(device.d.moduleGetGlobal(&constant, &size, device.module, "constantMap"), kSuccess);
  device.d.memcpyHtoDAsync(constant, &map, sizeof(map), nullptr);
  CUdeviceptr second = device.alloc(expected.size()), third = device.alloc(expected.size());
  ASSERT_EQ(device.launch("dumpGlobal", 1, 64, static_cast<unsigned>(count), global, at, second, count), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint8_t>(second, expected.size()), expected);
  ASSERT_EQ(device.launch("dumpConstant", 1, 64, static_cast<unsigned>(count), at, third, count), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint8_t>(third, expected.size()), expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, TensorBoxes,
    ::testing::Values(BoxCase{"line", {kUint8, 0, {1000}, {}, {256}}, {100}, {0}},
                      BoxCase{"lineOverTheEnd", {kUint16, 0, {100}, {}, {64}}, {70}, {0, 0}},
                      BoxCase{"plain", {kFloat32, 0, {40, 30}, {176}, {20, 7}}, {8, 11}, {0, 0, 0, 0}},
                      BoxCase{"corner", {kFloat32, 0, {40, 30}, {176}, {20, 7}}, {-3, -2}, {0, 0, 0, 0}},
                      BoxCase{"farOutside", {kFloat32, 0, {40, 30}, {176}, {20, 7}}, {1000000, -1000000}, {0, 0, 0, 0}},
                      BoxCase{"nan", {kFloat32, 0, {40, 30}, {176}, {20, 7}, {}, 0, 1}, {33, 27}, {0xff, 0xff, 0xff, 0x7f}},
                      BoxCase{"halfNan", {kFloat16, 0, {40, 30}, {96}, {32, 7}, {}, 0, 1}, {33, 27}, {0xff, 0x7f}},
                      BoxCase{"swizzle128", {kFloat16, 0, {200, 50}, {400}, {64, 24}, {}, 3}, {10, 5}, {0, 0}},
                      BoxCase{"swizzle64", {kFloat16, 0, {200, 50}, {400}, {32, 24}, {}, 2}, {10, 5}, {0, 0}},
                      BoxCase{"swizzle32", {kFloat16, 0, {200, 50}, {400}, {16, 24}, {}, 1}, {10, 5}, {0, 0}},
                      BoxCase{"swizzle128Atom32", {kFloat32, 0, {100, 50}, {400}, {32, 24}, {}, 4}, {10, 5}, {0, 0, 0, 0}},
                      BoxCase{"swizzle128OverTheEdge", {kFloat16, 0, {200, 50}, {400}, {64, 24}, {}, 3, 1}, {157, 39}, {0xff, 0x7f}},
                      BoxCase{"steps", {kUint8, 0, {64, 40}, {64}, {32, 24}, {1, 3}}, {5, 8}, {0}},
                      BoxCase{"stepOfTheInnerIsIgnored", {kUint8, 0, {64, 40}, {64}, {32, 23}, {2, 8}}, {5, 8}, {0}},
                      BoxCase{"cube", {kUint16, 0, {24, 6, 5}, {48, 320}, {16, 4, 3}}, {2, 4, -1}, {0, 0}},
                      BoxCase{"four", {kUint8, 0, {32, 4, 3, 5}, {32, 128, 400}, {16, 3, 2, 2}}, {7, 2, 1, 4}, {0}},
                      BoxCase{"five",
                              {kInt64, 0, {4, 4, 3, 2, 3}, {32, 128, 400, 800}, {2, 3, 2, 2, 2}, {1, 2, 1, 1, 2}},
                              {1, 0, 1, 0, 1},
                              {0, 0, 0, 0, 0, 0, 0, 0}}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(TensorCopies, FourBitElements) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kTensor)), kSuccess) << lastFinding();
  std::vector<uint8_t> data = randomData<uint8_t>(64 * 20, 6); // 128 elements a row
  Tensor tensor{kPacked4, device.upload(data), {128, 20}, {64}, {64, 8}, {}, 1};
  Map map;
  ASSERT_EQ(map.encode(device, tensor), kSuccess) << lastFinding();
  // The same as bytes, half as many.
  Tensor bytes{kUint8, 0, {64, 20}, {64}, {32, 8}, {}, 1};
  std::vector<uint8_t> expected = expectedBox(bytes, data, {41, 14}, {0});
  CUdeviceptr at = device.upload(std::vector<int>{82, 14}), odd = device.upload(std::vector<int>{83, 14}), out = device.alloc(256);
  int count = 256;
  ASSERT_EQ(device.launch("dump2d", 1, 64, 256, map, at, out, count), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint8_t>(out, 256), expected);
  EXPECT_EQ(device.launch("dump2d", 1, 64, 256, map, odd, out, count), kErrorIllegalInstruction);
  EXPECT_NE(lastFinding().find("coordinate 0 is 83"), std::string::npos) << lastFinding();
}

TEST(TensorCopies, BoxesGoBackToWhereTheyCameFrom) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kTensor)), kSuccess) << lastFinding();
  for (int swizzle : {0, 1, 2, 3, 4}) {
    unsigned inner = swizzle == 1 ? 16 : swizzle == 2 ? 32 : 64;
    Tensor tensor{kUint16, 0, {100, 30}, {224}, {inner, 12}, {}, swizzle};
    std::vector<uint8_t> data = randomData<uint8_t>(224 * 30, 7);
    CUdeviceptr source = device.upload(data), at = device.upload(std::vector<int>{60, 21}), box = device.alloc(inner * 24);
    CUdeviceptr target = device.upload(std::vector<uint8_t>(224 * 30, 0xaa));
    Map from, to;
    tensor.address = source;
    ASSERT_EQ(from.encode(device, tensor), kSuccess) << lastFinding();
    tensor.address = target;
    ASSERT_EQ(to.encode(device, tensor), kSuccess) << lastFinding();
    int count = static_cast<int>(inner * 24);
    ASSERT_EQ(device.launch("dump2d", 1, 64, static_cast<unsigned>(count), from, at, box, count), kSuccess) << lastFinding();
    ASSERT_EQ(device.launch("put2d", 1, 64, static_cast<unsigned>(count), to, at, box, count), kSuccess) << lastFinding();
    std::vector<uint8_t> expected(224 * 30, 0xaa);
    for (size_t y = 21; y < 30; ++y)
      for (size_t x = 60; x < std::min<size_t>(100, 60 + inner); ++x)
        for (size_t i = 0; i < 2; ++i)
          expected[y * 224 + 2 * x + i] = data[y * 224 + 2 * x + i];
    EXPECT_EQ(device.download<uint8_t>(target, expected.size()), expected) << swizzle;
  }
}

TEST(TensorCopies, BoxesAreAdded) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kTensor)), kSuccess) << lastFinding();
  std::vector<float> data(16 * 10, 0.5f), box(8 * 4), expected = data;
  for (size_t i = 0; i < box.size(); ++i)
    box[i] = static_cast<float>(i);
  for (size_t y = 8; y < 10; ++y)
    for (size_t x = 12; x < 16; ++x)
      expected[y * 16 + x] += box[(y - 8) * 8 + x - 12];
  CUdeviceptr target = device.upload(data), in = device.upload(box), at = device.upload(std::vector<int>{12, 8});
  Map map;
  ASSERT_EQ(map.encode(device, {kFloat32, target, {16, 10}, {64}, {8, 4}}), kSuccess) << lastFinding();
  int count = 8 * 4 * 4;
  ASSERT_EQ(device.launch("add2d", 1, 64, 128, map, at, in, count), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<float>(target, data.size()), expected);
}

TEST(TensorMaps, EncodingIsChecked) {
  Device device("sm_90a");
  CUdeviceptr address = device.alloc(1 << 16);
  Tensor good{kFloat16, address, {256, 64}, {512}, {64, 8}, {}, 3};
  Map map;
  ASSERT_EQ(map.encode(device, good), kSuccess) << lastFinding();
  auto refuse = [&](const char *words, auto change, int code = kErrorInvalidValue) {
    Tensor bad = good;
    change(bad);
    EXPECT_EQ(map.encode(device, bad), code) << words;
    EXPECT_NE(lastFinding().find(words), std::string::npos) << "'" << words << "' is not in: " << lastFinding();
  };
  refuse("tensorDataType 16 is not", [](Tensor &t) { t.type = 16; });
  refuse("16U4_ALIGN16B is not supported", [](Tensor &t) { t.type = 14; }, kErrorNotSupported);
  refuse("FLOAT32_FTZ", [](Tensor &t) { t.type = 10, t.box[0] = 32; }, kErrorNotSupported);
  refuse("tensorRank is 6", [](Tensor &t) { t.dims.assign(6, 1), t.strides.assign(5, 16), t.box.assign(6, 1); });
  refuse("tensorRank is 0", [](Tensor &t) { t.dims.clear(); });
  refuse("globalAddress is", [](Tensor &t) { t.address += 8; });
  refuse("globalDim[1] is 0", [](Tensor &t) { t.dims[1] = 0; });
  refuse("globalDim[0] is 4294967297", [](Tensor &t) { t.dims[0] = (uint64_t{1} << 32) + 1; });
  refuse("globalStrides[0] is 520", [](Tensor &t) { t.strides[0] = 520; });
  refuse("globalStrides[0] is 1099511627776", [](Tensor &t) { t.strides[0] = uint64_t{1} << 40; });
  refuse("globalStrides[0] is 496, below the 512 bytes", [](Tensor &t) { t.strides[0] = 496; });
  refuse("boxDim[1] is 257", [](Tensor &t) { t.box[1] = 257; });
  refuse("boxDim[1] is 0", [](Tensor &t) { t.box[1] = 0; });
  refuse("boxDim[0] is 60 elements of 16 bits: the inner", [](Tensor &t) { t.box[0] = 60; });
  refuse("with swizzle 128B it takes at most 128", [](Tensor &t) { t.box[0] = 128; });
  refuse("less than the pattern of swizzle 128B", [](Tensor &t) { t.box[0] = 32; }, kErrorNotSupported);
  refuse("elementStrides[1] is 9", [](Tensor &t) { t.steps = {1, 9}; });
  refuse("elementStrides[1] is 0", [](Tensor &t) { t.steps = {1, 0}; });
  refuse("interleave 32B", [](Tensor &t) { t.interleave = 2; }, kErrorNotSupported);
  refuse("interleave 3 is not", [](Tensor &t) { t.interleave = 3; });
  refuse("swizzle 7 is not", [](Tensor &t) { t.swizzle = 7; });
  refuse("swizzle 128B_ATOM_64B", [](Tensor &t) { t.swizzle = 6; }, kErrorNotSupported);
  refuse("l2Promotion 4", [](Tensor &t) { t.promotion = 4; });
  refuse("oobFill 2", [](Tensor &t) { t.fill = 2; });
  refuse("needs a floating-point type", [](Tensor &t) { t.type = kUint16, t.fill = 1; });
  refuse("must be a multiple of 2 for 16U4_ALIGN8B", [](Tensor &t) { t.type = kPacked4, t.dims[0] = 255, t.swizzle = 0; });
  uint8_t bytes[256];
  EXPECT_EQ(device.d.tensorMapEncodeTiled(bytes + 64 - reinterpret_cast<uintptr_t>(bytes) % 64 + 8, kUint8, 1, nullptr, nullptr, nullptr,
                                          nullptr, nullptr, 0, 0, 0, 0),
            kErrorInvalidValue);
  EXPECT_NE(lastFinding().find("not a multiple of 64"), std::string::npos) << lastFinding();
}

TEST(TensorMaps, OldDevicesHaveNone) {
  Device device("sm_80");
  Map map;
  EXPECT_EQ(map.encode(device, {kUint8, device.alloc(4096), {64, 64}, {64}, {16, 16}}), kErrorNotSupported);
  EXPECT_NE(lastFinding().find("sm_80 has no tensor maps"), std::string::npos) << lastFinding();
}

/// A launch of dump2d or dump3d with a map of 16 x 16 bytes that `change` may spoil.
template <class Change>
void expectDump(const char *kernel, int bytes, int code, const char *words, Change change) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kTensor)), kSuccess) << lastFinding();
  Tensor tensor{kUint8, device.upload(std::vector<uint8_t>(64 * 64)), {64, 64}, {64}, {16, 16}};
  std::vector<int> at(5);
  Map map;
  change(tensor, at);
  ASSERT_EQ(map.encode(device, tensor), kSuccess) << lastFinding();
  CUdeviceptr coordinates = device.upload(at), out = device.alloc(512);
  EXPECT_EQ(device.launch(kernel, 1, 64, 512, map, coordinates, out, bytes), code) << lastFinding();
  EXPECT_NE(lastFinding().find(words), std::string::npos) << "'" << words << "' is not in: " << lastFinding();
}

TEST(TensorMaps, MistakesAreFound) {
  auto nothing = [](Tensor &, std::vector<int> &) {};
  expectDump("dump2d", 256, kSuccess, "", nothing);
  expectDump("dump3d", 256, kErrorIllegalInstruction, "of 2 dimensions, the instruction of 3", nothing);
  // The box is of 256 bytes, the barrier is told others.
  expectDump("dump2d", 128, kErrorLaunchTimeout, "128 bytes are expected in this phase, 256 arrived or are under way", nothing);
  expectDump("dump2d", 272, kErrorLaunchTimeout, "272 bytes are expected in this phase, 256 arrived or are under way", nothing);
  // One row more than the allocation has: found where it is touched.
  expectDump("dump2d", 256, kSuccess, "", [](Tensor &tensor, std::vector<int> &at) { tensor.dims[1] = 65, at[1] = 48; });
  expectDump("dump2d", 256, kErrorIllegalAddress, "a bulk copy of 16 bytes at global address",
             [](Tensor &tensor, std::vector<int> &at) { tensor.dims[1] = 65, at[1] = 49; });
}

TEST(TensorMaps, OnlyEncodedOnesAreTaken) {
  for (int spoiled : {0, 1, 70}) {
    Device device("sm_90a");
    ASSERT_EQ(device.load(readText(kTensor)), kSuccess) << lastFinding();
    Map map;
    if (spoiled) {
      ASSERT_EQ(map.encode(device, {kUint8, device.upload(std::vector<uint8_t>(4096)), {64, 64}, {64}, {16, 16}}), kSuccess);
      map.bytes[spoiled] ^= 1;
    }
    CUdeviceptr at = device.upload(std::vector<int>(5)), out = device.alloc(256);
    int bytes = 256;
    EXPECT_EQ(device.launch("dump2d", 1, 64, 256, map, at, out, bytes), kErrorIllegalInstruction);
    EXPECT_NE(lastFinding().find(spoiled == 70 ? "its bytes were changed" : "no tensor map that cuTensorMapEncodeTiled"), std::string::npos)
        << lastFinding();
  }
}

} // namespace
