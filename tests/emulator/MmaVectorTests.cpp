// Matrix steps of tf32, of floats of 8 bits and less, and of warpgroups: through PTX, against frozen vectors of MMA-Sim.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <fmt/format.h>
#include <map>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

/// A record of tests/data/mma_sim_small_vectors.bin; see generate_small_vectors.py.
struct Record {
  std::string target, name;
  uint32_t m, k;
  std::vector<uint32_t> a, b; // containers; b column by column
  std::vector<uint8_t> scalesA, scalesB;
  std::vector<float> c, d;

  bool isWarpgroup() const { return m == 64; }
  bool isScaled() const { return name.find("mxf8f6f4") != std::string::npos; }
  bool isHalf() const { return name.find(".f16.") != std::string::npos && name.find(".f32.") == std::string::npos; }
  /// Elements of A and B in a register.
  uint32_t perRegister() const {
    return name.find("tf32") != std::string::npos ? 1 : name.find(".bf16.") != std::string::npos || name.find(".f16.f16") != std::string::npos ? 2 : 4;
  }
};

std::vector<Record> readRecords() {
  std::string data = readText(FOURFOLD_SOURCE_DIR "/tests/data/mma_sim_small_vectors.bin");
  EXPECT_EQ(data.substr(0, 4), "FFSV");
  size_t at = 4;
  auto read = [&](auto &list, size_t count) {
    list.resize(count);
    std::memcpy(list.data(), data.data() + at, count * sizeof(list[0]));
    at += count * sizeof(list[0]);
  };
  auto number = [&] {
    std::vector<uint32_t> one;
    read(one, 1);
    return one[0];
  };
  std::vector<Record> records;
  while (at < data.size()) {
    Record r;
    read(r.target, number());
    read(r.name, number());
    r.m = number();
    r.k = number();
    uint32_t bytes = number();
    auto readContainers = [&](std::vector<uint32_t> &to, size_t count) {
      for (size_t i = 0; i < count; ++i, at += bytes) {
        to.push_back(0);
        std::memcpy(&to.back(), data.data() + at, bytes);
      }
    };
    readContainers(r.a, size_t{r.m} * r.k);
    readContainers(r.b, size_t{8} * r.k);
    read(r.scalesA, r.m);
    read(r.scalesB, 8);
    read(r.c, r.m * 8);
    read(r.d, r.m * 8);
    records.push_back(std::move(r));
  }
  return records;
}

std::string list(const char *prefix, uint32_t first, uint32_t count) {
  std::string text = "{";
  for (uint32_t i = 0; i < count; ++i)
    text += fmt::format("{}{}{}", i ? ", " : "", prefix, first + i);
  return text + "}";
}

/// Each thread loads its words of p0 (20 a thread), executes the step, and stores the words of its result to p1.
std::string program(const Record &r) {
  uint32_t numA = r.perRegister() == 1 ? r.k / 2 : r.k / (r.perRegister() * 2), numB = numA / 2, numC = r.isHalf() ? 2 : 4;
  std::string body = "mov.u32 %r40, %tid.x;\nmad.wide.u32 %rd10, %r40, 80, %rd0;\n";
  for (uint32_t i = 0; i < 16; ++i)
    body += fmt::format("ld.global.u32 %r{}, [%rd10+{}];\n", i, 4 * i);
  std::string out = list("%r", 20, numC);
  if (r.isWarpgroup()) {
    // B stands in shared memory: 8 rows of 32 bytes as two runs of 8 x 16 (no swizzle), written by the first 64 threads.
    body += "mov.u32 %r41, buffer;\nshl.b32 %r42, %r40, 2;\nadd.u32 %r42, %r42, %r41;\nld.global.u32 %r43, [%rd10+64];\n"
            "setp.lt.u32 %p1, %r40, 64;\n@%p1 st.shared.u32 [%r42], %r43;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n"
            "shr.u32 %r44, %r41, 4;\ncvt.u64.u32 %rd11, %r44;\nor.b64 %rd11, %rd11, 0x0000001000080000;\n";
    for (uint32_t i = 0; i < numC; ++i)
      body += fmt::format("mov.b32 %r{}, %r{};\n", 20 + i, 8 + i);
    std::string rest = r.name.substr(r.name.find('.') + 1);
    std::string major = r.perRegister() == 2 ? ", 0" : "";
    body += "wgmma.fence.sync.aligned;\nwgmma.mma_async.sync.aligned." + r.name + " " + out + ", " + list("%r", 0, 4) + ", %rd11, 1, 1, 1" + major +
            ";\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n";
  } else {
    std::string name = r.name;
    std::string kind;
    if (size_t at = name.find(".kind::"); at != std::string::npos) {
      size_t end = name.find('.', at + 1);
      kind = name.substr(at, end - at);
      name.erase(at, end - at);
      if (r.isScaled()) {
        kind += ".block_scale.scale_vec::1X";
        name.erase(name.find(".block32"), 8);
      }
    }
    name.insert(name.find('.'), ".row.col" + kind);
    body += "mma.sync.aligned." + name + " " + out + ", " + list("%r", 0, numA) + ", " + list("%r", 4, numB) + ", " + list("%r", 8, numC);
    if (r.isScaled()) // byte-id and thread-id of A: 1, 1; of B: 2, 3
      body += ", %r12, {1, 1}, %r13, {2, 3}";
    body += ";\n";
  }
  body += "mad.wide.u32 %rd12, %r40, 16, %rd1;\n";
  for (uint32_t i = 0; i < numC; ++i)
    body += fmt::format("st.global.u32 [%rd12+{}], %r{};\n", 4 * i, 20 + i);
  return kernel(2, body, ".shared .align 128 .b8 buffer[256];", r.target.c_str(), r.target == "sm_120a" ? "8.7" : "8.4");
}

/// A thread's words: A's registers from 0, B's from 4, C's from 8, scales in 12 and 13, B's bytes for shared memory in 16.
std::vector<uint32_t> operandsOf(const Record &r) {
  uint32_t threads = r.m * 2, e = r.perRegister(), bits = 32 / e;
  std::vector<uint32_t> words(threads * 20, 0);
  auto run = [&](const std::vector<uint32_t> &matrix, uint32_t row, uint32_t first) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < e && first + i < r.k; ++i)
      word |= matrix[row * r.k + first + i] << (bits * i);
    return word;
  };
  for (uint32_t thread = 0; thread < threads; ++thread) {
    uint32_t g = thread % 32 / 4, t = thread % 4, firstRow = thread / 32 * 16, *own = &words[thread * 20];
    for (uint32_t i = 0; i < 4; ++i) // PTX ISA 9.7.14.5.7 and others: rows g and g + 8; the first and the second half of K
      if (e * (t + 4 * (i / 2)) < r.k)
        own[i] = run(r.a, firstRow + g + 8 * (i % 2), e * (t + 4 * (i / 2)));
    for (uint32_t i = 0; i < 2; ++i)
      if (e * (t + 4 * i) < r.k)
        own[4 + i] = run(r.b, g, e * (t + 4 * i));
    for (uint32_t i = 0; i < 4; ++i) {
      float c = r.c[(firstRow + g + 8 * (i / 2)) * 8 + 2 * t + i % 2];
      if (r.isHalf())
        own[8 + i / 2] |= static_cast<uint32_t>(numerics::encodeF16(c)) << (16 * (i % 2));
      else
        own[8 + i] = numerics::floatBits(c);
    }
    // The lanes not selected hold NaN scales. thread-id-a 1: lanes 4 g + 2 and 4 g + 3; thread-id-b 3: lane 4 n + 3.
    own[12] = 0xff00ff00u | 0xffu << 16 | 0xffu;
    if (t >= 2 && r.isScaled())
      own[12] = 0xffff00ffu | static_cast<uint32_t>(r.scalesA[g + 8 * (t - 2)]) << 8;
    own[13] = 0xffffffffu;
    if (t == 3 && r.isScaled())
      own[13] = 0xff00ffffu | static_cast<uint32_t>(r.scalesB[g]) << 16;
    if (r.isWarpgroup() && thread < 64) // word `thread` of: chunk, row, word of the chunk
      own[16] = run(r.b, thread / 4 % 8, e * (thread / 32 * 4 + thread % 4));
  }
  return words;
}

TEST(MmaVectors, EqualMmaSim) {
  std::vector<Record> records = readRecords();
  EXPECT_EQ(records.size(), 268u);
  std::map<std::string, int> kinds;
  for (const Record &r : records) {
    Device device(r.target.c_str());
    ASSERT_EQ(device.load(program(r)), kSuccess) << lastFinding() << "\n" << program(r);
    CUdeviceptr in = device.upload(operandsOf(r)), out = device.alloc(r.m * 2 * 16);
    ASSERT_EQ(device.d.memsetD8Async(out, 0, r.m * 2 * 16, nullptr), kSuccess);
    ASSERT_EQ(device.launch("k", 1, r.m * 2, 0, in, out), kSuccess) << lastFinding();
    std::vector<uint32_t> words = device.download<uint32_t>(out, r.m * 2 * 4);
    for (uint32_t row = 0; row < r.m; ++row)
      for (uint32_t column = 0; column < 8; ++column) {
        uint32_t thread = row / 16 * 32 + row % 8 * 4 + column / 2, i = row % 16 / 8;
        uint32_t found = r.isHalf() ? words[thread * 4 + i] >> (16 * (column % 2)) & 0xffff : words[thread * 4 + 2 * i + column % 2];
        float value = r.isHalf() ? numerics::decodeF16(static_cast<uint16_t>(found)) : numerics::floatFromBits(found), expected = r.d[row * 8 + column];
        if (std::isnan(expected))
          ASSERT_TRUE(std::isnan(value)) << r.target << " " << r.name << ": " << row << ", " << column;
        else
          ASSERT_EQ(numerics::floatBits(value), numerics::floatBits(expected))
              << r.target << " " << r.name << ": " << row << ", " << column << ": " << value << " for " << expected;
      }
    ++kinds[r.target + r.name];
  }
  EXPECT_EQ(kinds.size(), 67u);
}

} // namespace
