// The table of forms that ptxas judged (forms/judged.txt), and the results of those that compilers seldom write.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Table.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

using U = uint64_t;

/// The registers of forms/make.
const char *const kHead = ".version 9.0\n.target TARGET\n.address_size 64\n.const .align 8 .b64 table[4];\n.visible .entry k(.param .u64 p) {\n"
                          ".reg .b8 %b<10>; .reg .b16 %h<10>; .reg .b32 %r<10>; .reg .b64 %rd<10>; .reg .b128 %q<10>; .reg .f32 %f<10>;\n"
                          ".reg .f64 %fd<10>; .reg .pred %p<10>;\n.local .align 16 .b8 stack[64];\n.shared .align 16 .b8 sharedBytes[64];\n";

TEST(Forms, AreTakenOrRefusedByName) {
  std::istringstream table(readText(FOURFOLD_SOURCE_DIR "/tests/emulator/forms/judged.txt"));
  std::map<std::string, std::pair<std::string, std::vector<std::pair<std::string, bool>>>> modules; // by target
  size_t count = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    size_t comment = line.find(" // ");
    std::string form = line.substr(2, comment - 2), targets = comment == std::string::npos ? "sm_80" : line.substr(comment + 4);
    auto &[text, forms] = modules[targets.substr(0, targets.find(' '))];
    text += form + "\n";
    forms.emplace_back(form, line[0] == '+');
    ++count;
  }
  EXPECT_GT(count, 2600u);
  for (const auto &[target, content] : modules) {
    std::string head = kHead;
    head.replace(head.find("TARGET"), 6, target);
    int first = static_cast<int>(std::count(head.begin(), head.end(), '\n')) + 1;
    Device device(target.c_str());
    ASSERT_EQ(device.load(head + content.first + "ret;\n}\n"), kSuccess) << target << lastFinding();
    std::set<size_t> missing;
    std::vector<KernelSupport> support = kernelSupport(device.module);
    ASSERT_EQ(support.size(), 1u);
    for (const std::string &part : support[0].missing)
      missing.insert(static_cast<size_t>(std::stoi(part.substr(part.find("line ") + 5)) - first));
    for (size_t i = 0; i < content.second.size(); ++i)
      EXPECT_EQ(content.second[i].second, missing.count(i) == 0) << target << ": " << content.second[i].first;
  }
}

float f(U bits) { return numerics::floatFromBits(static_cast<uint32_t>(bits)); }
U b(float value) { return value != value ? 0x7fffffffu : numerics::floatBits(value); }
float flush(float value) { return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value; }

/// One operation with the host's rounding mode; volatile keeps it there.
template <class Fn>
U directed(int mode, float x, float y, float z, Fn fn) {
  std::fesetround(mode);
  volatile float p = x, q = y, r = z;
  volatile float result = fn(p, q, r);
  std::fesetround(FE_TONEAREST);
  return b(result);
}
template <class Fn>
U directedPair(int mode, U x, U y, U z, Fn fn) {
  return directed(mode, f(x >> 32), f(y >> 32), f(z >> 32), fn) << 32 | directed(mode, f(x), f(y), f(z), fn);
}

/// By sorting: -0 before +0, NaN left out.
U extreme(std::vector<float> values, bool isMax, bool propagates) {
  size_t count = values.size();
  values.erase(std::remove_if(values.begin(), values.end(), [](float v) { return v != v; }), values.end());
  bool hadNaN = values.size() < count;
  if (values.empty() || (hadNaN && propagates))
    return 0x7fffffffu;
  std::sort(values.begin(), values.end(), [](float x, float y) { return x != y ? x < y : std::signbit(x) && !std::signbit(y); });
  return b(isMax ? values.back() : values.front());
}

/// The half with the sign of both and the smaller or larger magnitude.
template <class Decode>
U xorSign(U x, U y, bool isMax, Decode decode) {
  float p = decode(x & 0x7fff), q = decode(y & 0x7fff);
  U sign = (x ^ y) & 0x8000;
  if (p != p && q != q)
    return 0x7fff;
  if (p != p || q != q)
    return sign | ((p != p ? y : x) & 0x7fff);
  return sign | ((isMax ? p >= q : p <= q) ? x & 0x7fff : y & 0x7fff);
}
float half(U bits) { return numerics::decodeF16(static_cast<uint16_t>(bits)); }
float brain(U bits) { return numerics::decodeBF16(static_cast<uint16_t>(bits)); }

/// Nearest even in a format of 6 bits, by looking at all of its values.
U nearest6(float value, int mantissaBits, int bias) {
  if (value != value)
    return 0x1f;
  U best = 0;
  double distance = HUGE_VAL;
  for (U code = 0; code < 32; ++code) {
    U exponent = code >> mantissaBits, mantissa = code & ((1u << mantissaBits) - 1);
    double magnitude = exponent ? std::ldexp(1.0 + std::ldexp(static_cast<double>(mantissa), -mantissaBits), static_cast<int>(exponent) - bias)
                                : std::ldexp(static_cast<double>(mantissa), 1 - bias - mantissaBits);
    double away = std::fabs(std::min(std::fabs(static_cast<double>(value)), 1e9) - magnitude);
    if (away < distance || (away == distance && !(code & 1)))
      best = code, distance = away;
  }
  return best | (std::signbit(value) ? 0x20 : 0);
}
double value6(U code, int mantissaBits, int bias) {
  U exponent = (code & 0x1f) >> mantissaBits, mantissa = code & ((1u << mantissaBits) - 1);
  double magnitude = std::ldexp((exponent ? 1.0 : 0.0) + std::ldexp(static_cast<double>(mantissa), -mantissaBits),
                                static_cast<int>(exponent ? exponent : 1) - bias);
  return code & 0x20 ? -magnitude : magnitude;
}
U clampTo(U lane, int64_t low, int64_t high) {
  return static_cast<U>(std::clamp<int64_t>(static_cast<int32_t>(lane), low, high));
}
int64_t signed24(U x) { return static_cast<int64_t>(x << 40) >> 40; }

const Row kRows[] = {
    {"min.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return extreme({f(x), f(y), f(z)}, false, false); }},
    {"max.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return extreme({f(x), f(y), f(z)}, true, false); }},
    {"max.NaN.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return extreme({f(x), f(y), f(z)}, true, true); }},
    {"min.ftz.NaN.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return extreme({flush(f(x)), flush(f(y)), flush(f(z))}, false, true); }},
    {"max.abs.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32,
     [](U x, U y, U z) { return extreme({std::fabs(f(x)), std::fabs(f(y)), std::fabs(f(z))}, true, false); }},
    {"min.xorsign.abs.f32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) {
       U magnitude = extreme({std::fabs(f(x)), std::fabs(f(y))}, false, false);
       return magnitude == 0x7fffffffu ? magnitude : magnitude | ((x ^ y) & 0x80000000u);
     }},
    {"add.rz.f32x2 {d}, {a}, {b};", 64, 64, 64, 0,
     [](U x, U y, U) { return directedPair(FE_TOWARDZERO, x, y, 0, [](float p, float q, float) { return p + q; }); }},
    {"sub.rp.f32x2 {d}, {a}, {b};", 64, 64, 64, 0,
     [](U x, U y, U) { return directedPair(FE_UPWARD, x, y, 0, [](float p, float q, float) { return p - q; }); }},
    {"mul.rm.f32x2 {d}, {a}, {b};", 64, 64, 64, 0,
     [](U x, U y, U) { return directedPair(FE_DOWNWARD, x, y, 0, [](float p, float q, float) { return p * q; }); }},
    {"fma.rz.f32x2 {d}, {a}, {b}, {c};", 64, 64, 64, 64,
     [](U x, U y, U z) { return directedPair(FE_TOWARDZERO, x, y, z, [](float p, float q, float r) { return __builtin_fmaf(p, q, r); }); }},
    {"fma.rp.f32x2 {d}, {a}, {b}, {c};", 64, 64, 64, 64,
     [](U x, U y, U z) { return directedPair(FE_UPWARD, x, y, z, [](float p, float q, float r) { return __builtin_fmaf(p, q, r); }); }},
    {"min.xorsign.abs.f16 {d}, {a}, {b};", 16, 16, 16, 0, [](U x, U y, U) { return xorSign(x, y, false, half); }},
    {"max.xorsign.abs.bf16x2 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) { return xorSign(x >> 16, y >> 16, true, brain) << 16 | xorSign(x & 0xffff, y & 0xffff, true, brain); }},
    {"neg.ftz.f16x2 {d}, {a};", 32, 32, 0, 0,
     [](U x, U, U) {
       auto one = [](U h) { return ((h & 0x7c00 ? h : h & 0x8000) ^ 0x8000) & 0xffff; };
       return one(x >> 16) << 16 | one(x & 0xffff);
     }},
    {"{ .reg .pred p; setp.leu.ftz.f16 p, {a}, {b}; selp.b32 {d}, 1, 2, p; }", 32, 16, 16, 0,
     [](U x, U y, U) {
       auto read = [](U h) { return half(h & 0x7c00 ? h : h & 0x8000); };
       return !(read(x) > read(y)) ? 1u : 2u;
     }},
    {"{ .reg .pred p, q; .reg .b32 t; setp.lt.f16x2 p|q, {a}, {b}; selp.b32 {d}, 1, 0, p; selp.b32 t, 2, 0, q; or.b32 {d}, {d}, t; }", 32, 32, 32, 0,
     [](U x, U y, U) { return (half(x & 0xffff) < half(y & 0xffff) ? 1u : 0u) | (half(x >> 16) < half(y >> 16) ? 2u : 0u); }},
    {"{ .reg .pred p, q, c; .reg .b32 t; setp.gt.s32 c, {c}, 0; setp.geu.xor.bf16x2 p|q, {a}, {b}, c; selp.b32 {d}, 1, 0, p; selp.b32 t, 2, 0, q; "
     "or.b32 {d}, {d}, t; }",
     32, 32, 32, 32,
     [](U x, U y, U z) {
       bool c = static_cast<int32_t>(z) > 0;
       return (!(brain(x & 0xffff) < brain(y & 0xffff)) != c ? 1u : 0u) | (!(brain(x >> 16) < brain(y >> 16)) != c ? 2u : 0u);
     }},
    {"max.relu.s16x2 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) {
       auto one = [](U p, U q) { return static_cast<U>(std::max({static_cast<int>(static_cast<int16_t>(p)), static_cast<int>(static_cast<int16_t>(q)), 0})); };
       return one(x >> 16, y >> 16) << 16 | one(x, y);
     }},
    {"min.relu.s32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) { return static_cast<U>(std::max(std::min(static_cast<int32_t>(x), static_cast<int32_t>(y)), 0)); }},
    {"mad24.hi.sat.s32 {d}, {a}, {b}, {c};", 32, 32, 32, 32,
     [](U x, U y, U z) {
       int64_t high = signed24(x) * signed24(y) >> 16;
       return static_cast<U>(std::clamp<int64_t>(static_cast<int32_t>(high) + static_cast<int64_t>(static_cast<int32_t>(z)), INT32_MIN, INT32_MAX));
     }},
    {"slct.ftz.u32.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return flush(f(z)) >= 0 ? x : y; }},
    {"slct.u32.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return f(z) >= 0 ? x : y; }},
    {"cvt.rn.satfinite.e2m3x2.f32 {d}, {a}, {b};", 16, 32, 32, 0, [](U x, U y, U) { return nearest6(f(x), 3, 1) << 8 | nearest6(f(y), 3, 1); }},
    {"cvt.rn.satfinite.relu.e3m2x2.f32 {d}, {a}, {b};", 16, 32, 32, 0,
     [](U x, U y, U) {
       auto one = [](float v) { return nearest6(v < 0 || (v == 0 && std::signbit(v)) ? 0.0f : v, 2, 3); };
       return one(f(x)) << 8 | one(f(y));
     }},
    {"{ .reg .b16 t; and.b16 t, {a}, 0x3f3f; cvt.rn.f16x2.e2m3x2 {d}, t; }", 32, 16, 0, 0,
     [](U x, U, U) { return static_cast<U>(numerics::encodeF16(static_cast<float>(value6(x >> 8 & 0x3f, 3, 1)))) << 16 |
                            numerics::encodeF16(static_cast<float>(value6(x & 0x3f, 3, 1))); }},
    {"{ .reg .b16 t; and.b16 t, {a}, 0x3f3f; cvt.rn.f16x2.e3m2x2 {d}, t; }", 32, 16, 0, 0,
     [](U x, U, U) { return static_cast<U>(numerics::encodeF16(static_cast<float>(value6(x >> 8 & 0x3f, 2, 3)))) << 16 |
                            numerics::encodeF16(static_cast<float>(value6(x & 0x3f, 2, 3))); }},
    {"cvt.pack.sat.u16.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return clampTo(x, 0, 65535) << 16 | clampTo(y, 0, 65535); }},
    {"cvt.pack.sat.s8.s32.b32 {d}, {a}, {b}, {c};", 32, 32, 32, 32,
     [](U x, U y, U z) { return (z & 0xffff) << 16 | (clampTo(x, -128, 127) & 0xff) << 8 | (clampTo(y, -128, 127) & 0xff); }},
    {"cvt.pack.sat.u4.s32.b32 {d}, {a}, {b}, {c};", 32, 32, 32, 32,
     [](U x, U y, U z) { return (z & 0xffffff) << 8 | clampTo(x, 0, 15) << 4 | clampTo(y, 0, 15); }},
};

TEST(Forms, ResultsAgainstTheHost) {
  for (const Row &row : kRows)
    runRow(row);
}

std::string finding; // of the last launch

/// One warp; `body` leaves a word of each lane in %r9.
std::vector<uint32_t> words(const std::string &body, const std::string &globals = "", CUresult code = kSuccess) {
  Device device;
  EXPECT_EQ(device.load(kernel(1, "mov.u32 %r0, %laneid;\n" + body + "\nmul.wide.u32 %rd9, %r0, 4;\nadd.s64 %rd9, %rd0, %rd9;\nst.global.u32 [%rd9], %r9;", globals)),
            kSuccess)
      << lastFinding();
  CUdeviceptr out = device.alloc(128);
  EXPECT_EQ(device.launch("k", 1, 32, 0, out), code) << lastFinding();
  finding = lastFinding();
  return code == kSuccess ? device.download<uint32_t>(out, 32) : std::vector<uint32_t>();
}

/// Byte i of 512 in shared memory is i * 7 + 1, written 16 a lane, and %r1 is where the lane's row begins.
const char *const kFill = "mov.u32 %r1, bytes;\nmad.lo.u32 %r1, %r0, 16, %r1;\nmov.u32 %r2, 0;\n"
                          "NEXT: mad.lo.u32 %r3, %r0, 16, %r2;\nmad.lo.u32 %r3, %r3, 7, 1;\nadd.u32 %r4, %r1, %r2;\ncvt.u16.u32 %h1, %r3;\n"
                          "st.shared.u8 [%r4], %h1;\nadd.u32 %r2, %r2, 1;\nsetp.lt.u32 %p1, %r2, 16;\n@%p1 bra NEXT;\nbar.sync 0;\n";
const char *const kBytes = ".shared .align 16 .b8 bytes[512];\n";
uint32_t byteAt(uint32_t i) { return (i * 7 + 1) & 0xff; }

TEST(Forms, MatricesOfNarrowElements) {
  for (uint32_t bits : {4u, 6u}) {
    std::string type = bits == 4 ? "b4x16_p64" : "b6x16_p32";
    std::vector<uint32_t> found = words(kFill + ("ldmatrix.sync.aligned.m8n16.x4.shared.b8x16." + type) + " {%r5, %r6, %r7, %r8}, [%r1];\n"
                                        "xor.b32 %r9, %r5, %r6;\nxor.b32 %r9, %r9, %r7;\nxor.b32 %r9, %r9, %r8;", kBytes);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      uint32_t expected = 0;
      for (uint32_t matrix = 0; matrix < 4; ++matrix)
        for (uint32_t i = 0; i < 4; ++i) {
          uint32_t row = matrix * 8 + lane / 4, bit = (lane % 4 * 4 + i) * bits;
          uint32_t pair = byteAt(row * 16 + bit / 8) | byteAt(row * 16 + bit / 8 + 1) << 8;
          expected ^= (pair >> bit % 8 & ((1u << bits) - 1)) << (8 * i);
        }
      EXPECT_EQ(found[lane], expected) << bits << " bits, lane " << lane;
    }
  }
}

TEST(Forms, StoredBytesAreTransposed) {
  // A lane holds rows g and g + 8, columns 2t and 2t + 1 of 16 x 8; it finds its own row of the transposed matrices afterwards.
  std::vector<uint32_t> found = words("mov.u32 %r1, bytes;\nmad.lo.u32 %r1, %r0, 16, %r1;\nmul.lo.u32 %r5, %r0, 0x04040404;\nadd.u32 %r5, %r5, 0x03020100;\n"
                                      "not.b32 %r6, %r5;\nstmatrix.sync.aligned.m16n8.x2.trans.shared.b8 [%r1], {%r5, %r6};\nbar.warp.sync -1;\n"
                                      "mov.u32 %r2, bytes;\nmad.lo.u32 %r2, %r0, 8, %r2;\nld.shared.u32 %r9, [%r2];", kBytes);
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t i = 0; i < 4; ++i) {
      uint32_t place = lane * 8 + i, matrix = place / 128, column = place / 16 % 8, row = place % 16;
      uint32_t owner = row % 8 * 4 + column / 2, byte = column % 2 + row / 8 * 2, value = (owner * 4 + byte) & 0xff;
      EXPECT_EQ(found[lane] >> (8 * i) & 0xff, matrix ? ~value & 0xff : value) << lane << " " << i;
    }
}

TEST(Forms, MovMatrixTransposes) {
  std::vector<uint32_t> found = words("mul.lo.u32 %r5, %r0, 0x00020002;\nadd.u32 %r5, %r5, 0x00010000;\nmovmatrix.sync.aligned.m8n8.trans.b16 %r9, %r5;");
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t row = lane / 4, column = lane % 4 * 2;
    EXPECT_EQ(found[lane], (column * 8 + row) | ((column + 1) * 8 + row) << 16) << lane;
  }
  words("setp.lt.u32 %p1, %r0, 16;\nmov.u32 %r9, 0;\n@%p1 movmatrix.sync.aligned.m8n8.trans.b16 %r9, %r0;", "", kErrorLaunchFailed);
  EXPECT_NE(finding.find("executed by lanes 0x0000ffff only"), std::string::npos) << finding;
}

TEST(Forms, StackOfAThread) {
  // Two pieces that do not overlap; after a restore the place is used again; each call gives back what it took.
  std::vector<uint32_t> found = words("add.u32 %r1, %r0, 1;\nmul.wide.u32 %rd1, %r1, 4;\nstacksave.u64 %rd5;\nalloca.u64 %rd2, %rd1;\nalloca.u64 %rd3, %rd1, 64;\n"
                                      "st.local.u32 [%rd2], %r0;\nst.local.u32 [%rd3], 77;\nld.local.u32 %r9, [%rd2];\nstackrestore.u64 %rd5;\n"
                                      "alloca.u64 %rd4, %rd1;\nsub.s64 %rd4, %rd4, %rd2;\ncvt.u32.u64 %r2, %rd4;\nadd.u32 %r9, %r9, %r2;\nand.b64 %rd3, %rd3, 63;\n"
                                      "cvt.u32.u64 %r2, %rd3;\nadd.u32 %r9, %r9, %r2;");
  for (uint32_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(found[lane], lane);
  std::string grab = ".func grab(.param .b32 n)\n{\n.reg .b32 %a<4>;\nld.param.b32 %a1, [n];\nalloca.u32 %a2, %a1;\nst.local.u32 [%a2], %a1;\nret;\n}\n";
  std::string loop = "mov.u32 %r1, 0;\nNEXT:\n{\n.param .b32 x;\nst.param.b32 [x], SIZE;\ncall grab, (x);\n}\nadd.u32 %r1, %r1, 1;\nsetp.lt.u32 %p1, %r1, 100;\n"
                     "@%p1 bra NEXT;\nmov.u32 %r9, 3;";
  auto sized = [&](const char *size) { return std::string(loop).replace(loop.find("SIZE"), 4, size); };
  EXPECT_EQ(words(sized("4096"), grab)[31], 3u);
  words(sized("40000"), grab, kErrorIllegalAddress);
  EXPECT_NE(finding.find("stack overflow: alloca of 40000 bytes"), std::string::npos) << finding;
  words("mov.u64 %rd1, 999999;\nstackrestore.u64 %rd1;\nmov.u32 %r9, 0;", "", kErrorIllegalAddress);
  EXPECT_NE(finding.find("which no stacksave"), std::string::npos) << finding;
}

TEST(Forms, RangesOfMemory) {
  std::string store = "mov.u64 %rd1, lines;\nst.global.u32 [%rd1], 5;\n", load = "ld.global.u32 %r9, [%rd1];\n", lines = ".global .align 128 .b8 lines[256];\n";
  EXPECT_EQ(words(store + "applypriority.global.L2::evict_normal [%rd1], 128;\nprefetch.global.L2 [%rd1];\n" + load, lines)[0], 5u);
  EXPECT_EQ(words(store + "discard.global.L2 [%rd1], 128;\nst.global.u32 [%rd1], 6;\n" + load, lines)[0], 6u);
  words(store + "discard.global.L2 [%rd1], 128;\n" + load, lines, kErrorLaunchFailed);
  EXPECT_NE(finding.find("uninitialised"), std::string::npos) << finding;
  words(store + "discard.global.L2 [%rd1+64], 128;\n" + load, lines, kErrorMisalignedAddress);
  words(store + "discard.global.L2 [%rd1+256], 128;\n" + load, lines, kErrorIllegalAddress);
  EXPECT_EQ(words("mov.u32 %r1, bytes;\nsetp.eq.u32 %p1, %r0, 0;\nmov.u64 %rd1, 512;\n@%p1 st.bulk.weak.shared::cta [%r1], %rd1, 0;\nbar.sync 0;\n"
                  "ld.shared.u32 %r9, [%r1+508];", kBytes)[3], 0u);
  words("mov.u32 %r1, bytes;\nmov.u64 %rd1, 520;\nst.bulk.weak.shared::cta [%r1], %rd1, 0;\nmov.u32 %r9, 0;", kBytes, kErrorIllegalAddress);
  words("mov.u32 %r1, bytes;\nmov.u64 %rd1, 12;\nst.bulk.weak.shared::cta [%r1], %rd1, 0;\nmov.u32 %r9, 0;", kBytes, kErrorMisalignedAddress);
}

} // namespace
