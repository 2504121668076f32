// Runs one instruction over a table of operands and compares with a function of the host.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_EMULATOR_TABLE_H
#define FOURFOLD_TESTS_EMULATOR_TABLE_H

#include "Harness.h"

#include <cstring>
#include <functional>
#include <random>

namespace fourfold {
namespace emulator {
namespace test {

/// Operands of `bits` bits: edges first, then random patterns.
inline std::vector<uint64_t> patterns(int bits, size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  uint64_t keep = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1, top = uint64_t{1} << (bits - 1);
  std::vector<uint64_t> edges = {0,           1,           2,           keep,        keep - 1,    top,
                                 top - 1,     top + 1,     31,          32,          33,          63,
                                 64,          0x7f800000u, 0x7fc00000u, 0x3f800000u, 0xbf800000u, 0x00800000u,
                                 0x007fffffu, 0x80000000u, 0x7f7fffffu, 0x3fffffffu};
  std::vector<uint64_t> values;
  for (size_t i = 0; i < count; ++i) {
    uint64_t value = i % 3 == 0 ? edges[random() % edges.size()] : i % 7 == 1 ? random() % 80 : random();
    values.push_back(value & keep);
  }
  return values;
}

/// One row: `text` uses {d}, {a}, {b}, {c} for registers of widths wd, wa, wb, wc (0: not used). The reference gets raw
/// bits.
struct Row {
  const char *text;
  int wd, wa, wb, wc;
  std::function<uint64_t(uint64_t, uint64_t, uint64_t)> reference;
};

inline std::string registerName(char which, int width) {
  return std::string("%") +
         (width == 64   ? "rd"
          : width == 16 ? "h"
                        : "r") +
         (which == 'd'   ? "10"
          : which == 'a' ? "11"
          : which == 'b' ? "12"
                         : "13");
}

inline void runRow(const Row &row, CheckLevel checks = CheckLevel::Full) {
  constexpr size_t kCount = 512;
  int widths[4] = {row.wd, row.wa, row.wb, row.wc};
  std::string body =
      "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\nmad.lo.u32 %r1, %r2, 64, %r1;\nmul.wide.u32 %rd20, %r1, 8;\n";
  for (int i = 1; i < 4; ++i)
    if (widths[i]) {
      std::string name = registerName(static_cast<char>('a' + i - 1), widths[i]);
      body += "add.s64 %rd21, %rd" + std::to_string(i) + ", %rd20;\nld.global.b" + std::to_string(widths[i]) + " " +
              name + ", [%rd21];\n";
    }
  std::string text = row.text;
  for (auto [key, width] : {std::pair<char, int>{'d', row.wd}, {'a', row.wa}, {'b', row.wb}, {'c', row.wc}})
    for (size_t at; (at = text.find(std::string("{") + key + "}")) != std::string::npos;)
      text.replace(at, 3, registerName(key, width));
  body += text + "\nadd.s64 %rd21, %rd0, %rd20;\nst.global.b" + std::to_string(row.wd) + " [%rd21], " +
          registerName('d', row.wd) + ";";
  Device device("sm_120a", checks);
  ASSERT_EQ(device.load(kernel(4, body)), kSuccess) << row.text << "\n" << lastFinding();
  std::vector<uint64_t> inputs[4];
  CUdeviceptr addresses[4];
  for (int i = 0; i < 4; ++i) {
    inputs[i] =
        i ? patterns(widths[i] ? widths[i] : 32, kCount, static_cast<unsigned>(i)) : std::vector<uint64_t>(kCount, 0);
    addresses[i] = device.upload(inputs[i]);
  }
  ASSERT_EQ(device.launch("k", kCount / 64, 64, 0, addresses[0], addresses[1], addresses[2], addresses[3]), kSuccess)
      << row.text << "\n"
      << lastFinding();
  std::vector<uint64_t> out = device.download<uint64_t>(addresses[0], kCount);
  uint64_t keep = row.wd == 64 ? ~uint64_t{0} : (uint64_t{1} << row.wd) - 1;
  for (size_t i = 0; i < kCount; ++i)
    ASSERT_EQ(out[i] & keep, row.reference(inputs[1][i], inputs[2][i], inputs[3][i]) & keep)
        << row.text << std::hex << " of 0x" << inputs[1][i] << ", 0x" << inputs[2][i] << ", 0x" << inputs[3][i];
}

} // namespace test
} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_TESTS_EMULATOR_TABLE_H
