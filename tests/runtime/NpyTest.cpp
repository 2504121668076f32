// .npy files: formats, byte orders, rounding, and everything that can be wrong with one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/npy/Npy.h"
#include "dialect/Numerics.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

using namespace fourfold;

/// A file of a version with a header and data.
static std::string file(const std::string &header, const std::string &data, int version = 1) {
  std::string text = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    text += static_cast<char>(header.size() >> (8 * i));
  return text + header + data;
}

static std::string header(const std::string &descr, const std::string &shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
}

template <typename T>
std::string bytesOf(std::vector<T> values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

static std::string parseError(const std::string &content) {
  npy::Array array;
  return npy::parse(content, "f.npy", &array).message();
}

template <typename T>
std::vector<T> convertTo(const std::string &content, ElementType type) {
  npy::Array array;
  Tensor tensor;
  Status status = npy::parse(content, "f.npy", &array);
  EXPECT_TRUE(status.ok()) << status.message();
  status = npy::convert(array, "x", type, &tensor);
  EXPECT_TRUE(status.ok()) << status.message();
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

TEST(Npy, ReadsEveryDtype) {
  std::vector<float> expected = {1, 0, 3};
  auto read = [](const std::string &descr, const std::string &data) {
    return convertTo<float>(file(header(descr, "(3,)"), data), ElementType::F32);
  };
  EXPECT_EQ(read("<f4", bytesOf<float>({1, 0, 3})), expected);
  EXPECT_EQ(read("<f8", bytesOf<double>({1, 0, 3})), expected);
  EXPECT_EQ(read("<f2", bytesOf<uint16_t>({0x3c00, 0, 0x4200})), expected);
  EXPECT_EQ(read("|V2", bytesOf<uint16_t>({0x3f80, 0, 0x4040})), expected);
  EXPECT_EQ(read("|i1", bytesOf<int8_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("<i2", bytesOf<int16_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("<i4", bytesOf<int32_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("<i8", bytesOf<int64_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("|u1", bytesOf<uint8_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("<u2", bytesOf<uint16_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("<u4", bytesOf<uint32_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("<u8", bytesOf<uint64_t>({1, 0, 3})), expected);
  EXPECT_EQ(read("|b1", bytesOf<uint8_t>({1, 0, 1})), (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(read(">i2", std::string("\0\1\0\0\0\3", 6)), expected);
  EXPECT_EQ(read(">f4", std::string("\x3f\x80\0\0\0\0\0\0\x40\x40\0\0", 12)), expected);
}

TEST(Npy, ReadsAllVersionsAndFortranOrder) {
  std::string data = bytesOf<float>({0, 3, 1, 4, 2, 5});
  for (int version : {1, 2, 3})
    EXPECT_EQ(convertTo<float>(file(header("<f4", "(2, 3)", true), data, version), ElementType::F32),
              (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(convertTo<float>(file(header("<f4", "(2, 3)"), data), ElementType::F32),
            (std::vector<float>{0, 3, 1, 4, 2, 5}));
  // Column-major 2x2x2: element (i, j, k) lies at i + 2j + 4k.
  EXPECT_EQ(convertTo<float>(file(header("|u1", "(2, 2, 2)", true), bytesOf<uint8_t>({0, 1, 2, 3, 4, 5, 6, 7})),
                             ElementType::F32),
            (std::vector<float>{0, 4, 2, 6, 1, 5, 3, 7}));
  EXPECT_EQ(convertTo<float>(file(header("<f4", "()"), bytesOf<float>({9})), ElementType::F32), std::vector<float>{9});
}

TEST(Npy, RoundsOnceToNearestEven) {
  // 1 + 2^-8 is halfway between two bf16 values; the double just above it must go up, though as an f32 it is that tie.
  double tie = 1.0 + 0x1p-8, above = tie + 0x1p-40, below = tie - 0x1p-40, odd = 1.0 + 3 * 0x1p-8;
  EXPECT_EQ(
      convertTo<uint16_t>(file(header("<f8", "(4,)"), bytesOf<double>({tie, above, below, odd})), ElementType::BF16),
      (std::vector<uint16_t>{0x3f80, 0x3f81, 0x3f80, 0x3f82}));
  double half = 1.0 + 0x1p-11;
  EXPECT_EQ(convertTo<uint16_t>(file(header("<f8", "(3,)"), bytesOf<double>({half, half + 0x1p-40, -half - 0x1p-40})),
                                ElementType::F16),
            (std::vector<uint16_t>{0x3c00, 0x3c01, 0xbc01}));
  // 2^24 + 1 is a tie of f32; 2^60 + 2^36 one too, and 2^60 + 2^36 + 1 is above it though no double can tell.
  int64_t big = (int64_t{1} << 60) + (int64_t{1} << 36);
  EXPECT_EQ(
      convertTo<float>(file(header("<i8", "(3,)"), bytesOf<int64_t>({(1 << 24) + 1, big, big + 1})), ElementType::F32),
      (std::vector<float>{0x1p24f, 0x1p60f, 0x1p60f + 0x1p37f}));
  float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(convertTo<float>(file(header("<f8", "(2,)"), bytesOf<double>({1e300, -inf})), ElementType::F32),
            (std::vector<float>{inf, -inf}));
  EXPECT_EQ(convertTo<uint16_t>(file(header("<f4", "(1,)"), bytesOf<float>({std::nanf("")})), ElementType::BF16)[0],
            0x7fff);
}

TEST(Npy, IntegersMustFitAndMustBeIntegers) {
  npy::Array array;
  Tensor tensor;
  ASSERT_TRUE(npy::parse(file(header("<i8", "(2,)"), bytesOf<int64_t>({-128, 127})), "f", &array).ok());
  EXPECT_TRUE(npy::convert(array, "m", ElementType::I8, &tensor).ok());
  ASSERT_TRUE(npy::parse(file(header("<i8", "(2,)"), bytesOf<int64_t>({-128, 128})), "f", &array).ok());
  EXPECT_EQ(npy::convert(array, "m", ElementType::I8, &tensor).message(), "element 1 of input 'm' does not fit i8");
  ASSERT_TRUE(npy::parse(file(header("<u8", "(1,)"), bytesOf<uint64_t>({UINT64_MAX})), "f", &array).ok());
  EXPECT_FALSE(npy::convert(array, "m", ElementType::I64, &tensor).ok());
  ASSERT_TRUE(npy::parse(file(header("<f4", "(1,)"), bytesOf<float>({1})), "f", &array).ok());
  EXPECT_EQ(npy::convert(array, "m", ElementType::I64, &tensor).message(),
            "input 'm' must hold integers (i64), but the file's dtype is '<f4'");
}

TEST(Npy, WhatIsWrittenIsReadBack) {
  for (auto [type, values] : {std::pair(ElementType::F32, bytesOf<float>({1, -2, 3, 4, 5, 6})),
                              {ElementType::F16, bytesOf<uint16_t>({0x3c00, 2, 3, 4, 5, 0xfc00})},
                              {ElementType::BF16, bytesOf<uint16_t>({0x3f80, 2, 3, 4, 5, 0xff80})},
                              {ElementType::I64, bytesOf<int64_t>({1, 2, 3, 4, 5, INT64_MIN})},
                              {ElementType::I32, bytesOf<int32_t>({1, 2, 3, 4, 5, -6})},
                              {ElementType::I8, bytesOf<int8_t>({1, 2, 3, 4, 5, -6})}})
    for (std::vector<int64_t> shape : {std::vector<int64_t>{6}, {2, 3}, {1, 6, 1}}) {
      Tensor tensor{"t", type, shape, std::vector<uint8_t>(values.begin(), values.end())}, back;
      std::string content = npy::serialize(tensor);
      EXPECT_EQ((content.size() - (type == ElementType::BF16 ? 24 : values.size())) % 64, 0u);
      npy::Array array;
      Status status = npy::parse(content, "t", &array);
      ASSERT_TRUE(status.ok()) << status.message();
      ASSERT_TRUE(npy::convert(array, "t", type, &back).ok());
      EXPECT_EQ(back.bytes, tensor.bytes);
      EXPECT_EQ(back.shape, shape);
    }
}

TEST(Npy, BadFilesAreNamed) {
  std::string data = bytesOf<float>({1, 2, 3, 4, 5, 6}), good = file(header("<f4", "(2, 3)"), data);
  EXPECT_EQ(parseError(good), "");
  EXPECT_EQ(parseError(""), "f.npy: is not an .npy file");
  EXPECT_EQ(parseError("PK\3\4 and more"), "f.npy: is a zip archive, perhaps .npz; expected an .npy file");
  EXPECT_EQ(parseError(good.substr(0, good.size() - 1)),
            "f.npy: truncated: shape 2x3 of '<f4' needs 24 bytes, the file has 23");
  EXPECT_EQ(parseError(good + "x"), "f.npy: too long: shape 2x3 of '<f4' needs 24 bytes, the file has 25");
  EXPECT_NE(parseError(good.substr(0, 40)).find("truncated: the header has"), std::string::npos);
  EXPECT_NE(parseError(file(header("<f4", "(2, 3)"), data, 4)).find("version 4.0"), std::string::npos);
  for (const char *descr : {"<c8", "|O", "|S5", "<U3", "<M8[ns]", "<f3", "<f16", "f4", "<i3", "|V3", ""})
    EXPECT_NE(parseError(file(header(descr, "(2, 3)"), data)).find("is not a number"), std::string::npos) << descr;
  EXPECT_NE(
      parseError(file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", data)).find("structured"),
      std::string::npos);
  for (const char *shape : {"(2, -3)", "(2, 3", "2, 3", "(2 3)", "(99999999999999999999,)", "(2, x)"})
    EXPECT_NE(parseError(file(header("<f4", shape), data)).find("shape"), std::string::npos) << shape;
  EXPECT_NE(parseError(file(header("<f4", "(4294967296, 4294967296)"), data)).find("64 bits"), std::string::npos);
  EXPECT_NE(parseError(file(header("<f4", "(4611686018427387904,)"), data)).find("64 bits"), std::string::npos);
  EXPECT_NE(parseError(file("{'descr': '<f4', 'shape': (6,)}", data)).find("fortran_order"), std::string::npos);
  EXPECT_NE(parseError(file("nonsense", data)).find("bad .npy header"), std::string::npos);
  EXPECT_NE(parseError(file("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", data))
                .find("repeated"),
            std::string::npos);
}

TEST(Npy, NoBytesCrashIt) {
  std::string good = file(header("<f4", "(2, 3)"), bytesOf<float>({1, 2, 3, 4, 5, 6}));
  npy::Array array;
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(npy::parse(good.substr(0, length), "f", &array).ok()) << length;
  for (size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = good;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      (void)npy::parse(flipped, "f", &array).ok();
    }
  // A header length of almost 4 GiB.
  EXPECT_FALSE(npy::parse(std::string("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14), "f", &array).ok());
}
