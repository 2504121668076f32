// mma.sync with block scales, m16n8k64 e2m1 (PTX ISA 9.7.14.3, 9.7.14.5.11, 9.7.14.5.14).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Matrix.h"
#include "MmaFp4.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::list: a0..a3, b0, b1, c0..c3, scale a, scale b, byte a, thread a, byte b, thread b; list2: d0..d3.
enum { kA = 0, kB = 4, kC = 6, kScaleA = 10, kScaleB = 11, kByteA = 12, kThreadA = 13, kByteB = 14, kThreadB = 15 };

uint32_t selector(Warp &warp, const Instr &in, int which, uint32_t limit, uint32_t step, const char *name) {
  requireInit(warp, in, in.list[static_cast<size_t>(which)], kAllLanes, "as a scale selector");
  const uint32_t *values = warp.reg<uint32_t>(in.list[static_cast<size_t>(which)]);
  uint32_t value = values[0] & 0xffff;
  for (int lane = 1; lane < kLanes; ++lane)
    if ((values[lane] & 0xffff) != value)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("{} differs among the lanes: {} and {}", name, value, values[lane] & 0xffff));
  if (value > limit || value % step)
    report(warp, in, 0, device::kErrorIllegalInstruction,
           fmt::format("{} is {}, above {} or not a multiple of {}", name, value, limit, step));
  return value;
}

void mmaScaled(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  for (int i = 0; i < kScaleA; ++i)
    requireInit(warp, in, in.list[static_cast<size_t>(i)], mask, "as an mma operand");
  bool fourScales = in.variant == 4;
  uint32_t byteA = selector(warp, in, kByteA, fourScales ? 0 : 2, 2, "byte-id-a");
  uint32_t threadA = selector(warp, in, kThreadA, 1, 1, "thread-id-a");
  uint32_t byteB = selector(warp, in, kByteB, fourScales ? 0 : 2, 2, "byte-id-b");
  uint32_t threadB = selector(warp, in, kThreadB, 3, 1, "thread-id-b");

  Fp4Tile tile;
  for (int r = 0; r < 4; ++r) {
    const uint32_t *a = warp.reg<uint32_t>(in.list[static_cast<size_t>(kA + r)]);
    for (int lane = 0; lane < kLanes; ++lane)
      std::memcpy(&tile.a[lane / 4 + 8 * (r & 1)][4 * (lane % 4) + 16 * (r >> 1)], &a[lane], 4);
  }
  for (int r = 0; r < 2; ++r) {
    const uint32_t *b = warp.reg<uint32_t>(in.list[static_cast<size_t>(kB + r)]);
    for (int lane = 0; lane < kLanes; ++lane)
      std::memcpy(&tile.b[lane / 4][4 * (lane % 4) + 16 * r], &b[lane], 4);
  }
  for (int r = 0; r < 4; ++r) {
    const float *c = warp.reg<float>(in.list[static_cast<size_t>(kC + r)]);
    for (int lane = 0; lane < kLanes; ++lane)
      tile.c[lane / 4 + 8 * (r >> 1)][2 * (lane % 4) + (r & 1)] = c[lane];
  }
  const uint32_t *scaleA = warp.reg<uint32_t>(in.list[kScaleA]), *scaleB = warp.reg<uint32_t>(in.list[kScaleB]);
  uint32_t selected[2] = {0, 0};
  auto spread = [&](uint32_t word, uint32_t byte, uint8_t *out) {
    for (uint32_t g = 0; g < 4; ++g)
      out[g] = static_cast<uint8_t>(word >> (8 * (fourScales ? g : byte + g / 2)));
  };
  for (int row = 0; row < 16; ++row) {
    int lane = 4 * (row % 8) + 2 * static_cast<int>(threadA) + row / 8;
    selected[0] |= 1u << lane;
    spread(scaleA[lane], byteA, tile.scaleA[row]);
  }
  for (int column = 0; column < 8; ++column) {
    int lane = 4 * column + static_cast<int>(threadB);
    selected[1] |= 1u << lane;
    spread(scaleB[lane], byteB, tile.scaleB[column]);
  }
  // Lanes that are not selected may hold anything.
  requireInit(warp, in, in.list[kScaleA], selected[0], "as a scale of an mma");
  requireInit(warp, in, in.list[kScaleB], selected[1], "as a scale of an mma");

  mmaFp4(tile, static_cast<numerics::ScaleFormat>(in.variant2));
  for (int r = 0; r < 4; ++r) {
    float *d = warp.reg<float>(in.list2[static_cast<size_t>(r)]);
    for (int lane = 0; lane < kLanes; ++lane)
      d[lane] = tile.d[lane / 4 + 8 * (r >> 1)][2 * (lane % 4) + (r & 1)];
    warp.setInit(in.list2[static_cast<size_t>(r)], mask, mask);
  }
  ++warp.block->mmaCounts[in.mmaKind];
}

} // namespace

uint32_t scaleSource(Decoder &d, size_t operand) {
  const Operand &whole = d.operand(operand);
  return d.source(whole.kind == Operand::Vector && whole.elements.size() == 1 ? whole.elements[0] : whole, Type::B32);
}

bool decodeMmaScaled(Decoder &d, const std::string &kind) {
  Instr &in = d.out();
  if (!d.take("m16n8k64") || !d.take("row") || !d.take("col"))
    return false;
  bool isNv = kind == "kind::mxf4nvf4";
  if (!isNv && kind != "kind::mxf4")
    return false;
  std::string vec = d.takePrefix("scale_vec::");
  if (vec.empty() && !isNv)
    vec = "scale_vec::2X";
  if (vec != "scale_vec::2X" && vec != "scale_vec::4X")
    return false;
  in.variant = vec == "scale_vec::4X" ? 4 : 2;
  if (!d.take("f32") || !d.take("e2m1") || !d.take("e2m1") || !d.take("f32"))
    return false;
  bool e4m3 = d.take("ue4m3");
  if (!e4m3 && !d.take("ue8m0"))
    return false;
  // PTX ISA 9.7.14.3, table of valid combinations.
  bool valid = isNv ? (in.variant == 4 || !e4m3) : (in.variant == 2 && !e4m3);
  if (!valid)
    d.fail("this combination of kind, .scale_vec and scale type does not exist");
  in.variant2 = static_cast<uint8_t>(e4m3 ? numerics::ScaleFormat::UE4M3 : numerics::ScaleFormat::UE8M0);
  d.expectOperands(8, 8);
  auto vector = [&](size_t i, size_t count, Type type, bool isDestination, std::vector<uint32_t> &list) {
    const Operand &operand = d.operand(i);
    if (operand.kind != Operand::Vector || operand.elements.size() != count)
      d.fail(fmt::format("operand {} must be a vector of {}", i + 1, count));
    for (const Operand &element : operand.elements)
      list.push_back(isDestination ? d.destination(element, type) : d.source(element, type));
  };
  vector(0, 4, Type::F32, true, in.list2);
  vector(1, 4, Type::B32, false, in.list);
  vector(2, 2, Type::B32, false, in.list);
  vector(3, 4, Type::F32, false, in.list);
  std::vector<uint32_t> selectorsA, selectorsB;
  uint32_t scaleA = scaleSource(d, 4), scaleB = scaleSource(d, 6);
  vector(5, 2, Type::U16, false, selectorsA);
  vector(7, 2, Type::U16, false, selectorsB);
  in.list.push_back(scaleA);
  in.list.push_back(scaleB);
  in.list.insert(in.list.end(), selectorsA.begin(), selectorsA.end());
  in.list.insert(in.list.end(), selectorsB.begin(), selectorsB.end());
  // Immediates out of range are refused at load, as ptxas does.
  auto immediate = [&](size_t i, size_t k, int64_t limit, int64_t step) {
    const Operand &operand = d.operand(i).elements[k];
    if (operand.kind == Operand::Integer && (operand.value < 0 || operand.value > limit || operand.value % step))
      d.fail(
          fmt::format("scale selector {} is out of range: at most {}, a multiple of {}", operand.value, limit, step));
  };
  immediate(5, 0, in.variant == 4 ? 0 : 2, 2);
  immediate(5, 1, 1, 1);
  immediate(7, 0, in.variant == 4 ? 0 : 2, 2);
  immediate(7, 1, 3, 1);
  in.handler = mmaScaled;
  in.ownInit = true;
  in.instrClass = InstrClass::Mma;
  setMmaKind(d, fmt::format("{}.{}x.{}", kind.substr(6), in.variant, e4m3 ? "ue4m3" : "ue8m0"));
  return true;
}

} // namespace emulator
} // namespace fourfold
