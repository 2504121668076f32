// tcgen05.ld and tcgen05.st: between registers and tensor memory (PTX ISA 9.7.16.8; fragments in 9.7.16.2.3.1).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Tcgen05.h"

#include "BulkCopy.h"
#include "Matrix.h"

#include "runtime/device/Driver.h"

#include <cstdlib>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::variant.
enum Shape : uint8_t { k32x32b, k16x64b, k16x128b, k16x256b, k16x32bx2 };
/// Instr::flags: two columns hold the halves of a register.
constexpr uint32_t kHalves = 1;

constexpr const char *kShapeNames[] = {"32x32b", "16x64b", "16x128b", "16x256b", "16x32bx2"};
/// Registers of a repetition, the columns it takes, and the most repetitions.
constexpr uint32_t kRegisters[] = {1, 1, 2, 4, 1}, kColumns[] = {1, 2, 4, 8, 1}, kMost[] = {128, 128, 64, 32, 128};

struct Cell {
  uint32_t lane, column;
};

/// Where a register of a thread stands; columns count 32 bits of data, which is two columns where they hold halves. The second half of
/// 16x32bx2 counts from where it starts.
Cell cellOf(Shape shape, uint32_t thread, uint32_t r) {
  switch (shape) {
  case k32x32b:
    return {thread, r};
  case k16x64b:
    return {thread / 4 + 8 * (thread % 2), 2 * r + thread / 2 % 2};
  case k16x128b:
    return {thread / 4 + 8 * (r % 2), 4 * (r / 2) + thread % 4};
  case k16x256b:
    return {thread / 4 + 8 * (r / 2 % 2), 8 * (r / 4) + 2 * (thread % 4) + r % 2};
  case k16x32bx2:
    return {thread % 16, r};
  }
  return {0, 0};
}

void transfer(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  TensorMemory &memory = tensorMemoryOf(warp);
  auto shape = static_cast<Shape>(in.variant);
  bool isLoad = in.variant2, isHalves = in.flags & kHalves;
  uint32_t address = uniformAddress(warp, in, 0), lane = address >> 16, column = address & 0xffff;
  // Warp w of a warpgroup reaches lanes 32 w to 32 w + 31 (PTX ISA 9.7.16.8.1).
  uint32_t own = 32 * (warp.index % 4), height = shape == k32x32b ? 32 : 16;
  if (lane < own || lane + height > own + 32 || lane % 16)
    report(warp, in, -1, device::kErrorIllegalAddress,
           fmt::format("lanes {} to {} of tensor memory (address {:#x}): warp {} may access lanes {} to {} alone, from {}", lane, lane + height - 1, address,
                       warp.index, own, own + 31, shape == k32x32b ? "the first of them on" : "the first or the sixteenth of them on"));
  const std::vector<uint32_t> &slots = in.list2;
  auto count = static_cast<uint32_t>(slots.size());
  uint32_t width = count / kRegisters[shape] * kColumns[shape] * (isHalves ? 2 : 1), split = static_cast<uint32_t>(in.offset);
  uint32_t groups = (shape == k32x32b ? 3u : 1u) << (lane / kUnitLanes);
  TensorAccess kind = isLoad ? TensorAccess::Load : TensorAccess::Store;
  memory.access(warp, in, -1, {groups, column, width}, kind);
  if (shape == k16x32bx2)
    memory.access(warp, in, -1, {groups, column + split, width}, kind);
  for (uint32_t r = 0; r < count; ++r) {
    uint32_t *values = warp.reg<uint32_t>(slots[r]), good = 0;
    for (uint32_t thread = 0; thread < kLanes; ++thread) {
      Cell cell = cellOf(shape, thread, r);
      uint32_t at = column + cell.column * (isHalves ? 2 : 1) + (shape == k16x32bx2 && thread >= 16 ? split : 0), row = lane + cell.lane;
      if (isLoad) {
        values[thread] = isHalves ? (memory.cell(row, at) & 0xffff) | memory.cell(row, at + 1) << 16 : memory.cell(row, at);
        bool isWritten = isHalves ? (memory.written(row, at) & memory.written(row, at + 1) & 3) == 3 : memory.written(row, at) == kCellWritten;
        good |= static_cast<uint32_t>(isWritten) << thread;
        continue;
      }
      uint8_t written = warp.init[slots[r]] >> thread & 1 ? kCellWritten : kCellStoredUnknown;
      memory.cell(row, at) = isHalves ? values[thread] & 0xffff : values[thread];
      memory.written(row, at) = written;
      if (isHalves) {
        memory.cell(row, at + 1) = values[thread] >> 16;
        memory.written(row, at + 1) = written;
      }
    }
    if (isLoad)
      warp.setInit(slots[r], kAllLanes, good);
  }
  if (isLoad)
    memory.noteLoad(warp, in);
}

} // namespace

bool isTensorLoad(const Instr &in) { return in.handler == transfer && in.variant2; }

void decodeTensorLoadStore(Decoder &d, bool isLoad) {
  Instr &in = d.out();
  const char *name = isLoad ? "tcgen05.ld" : "tcgen05.st";
  if (!d.take("sync") || !d.take("aligned"))
    d.fail(fmt::format("{} needs .sync.aligned", name));
  int shape = -1;
  for (int i = 0; i < 5; ++i)
    if (d.take(kShapeNames[i]))
      shape = i;
  if (shape < 0)
    d.fail(fmt::format("{} needs a shape: .32x32b, .16x64b, .16x128b, .16x256b or .16x32bx2", name));
  std::string repeat = d.takePrefix("x");
  uint32_t times = repeat.empty() ? 0 : static_cast<uint32_t>(std::atoi(repeat.c_str() + 1));
  if (times == 0 || times > kMost[shape] || times & (times - 1))
    d.fail(fmt::format("the repetition of .{} is .x1 to .x{}, a power of two", kShapeNames[shape], kMost[shape]));
  in.flags = d.take(isLoad ? "pack::16b" : "unpack::16b") ? kHalves : 0;
  if (d.requireType() != Type::B32)
    d.fail(fmt::format("{} has type .b32", name));
  bool isSplit = shape == k16x32bx2;
  d.expectOperands(isSplit ? 3 : 2, isSplit ? 3 : 2);
  size_t registers = isLoad ? 0 : d.numOperands() - 1, place = isLoad ? 1 : 0;
  std::vector<Operand> single{d.operand(registers)};
  const std::vector<Operand> &elements = single[0].kind == Operand::Vector ? single[0].elements : single;
  size_t expected = kRegisters[shape] * times;
  if (elements.size() != expected)
    d.fail(fmt::format("{}.{}.x{} takes {} registers, {} are given", name, kShapeNames[shape], times, expected, elements.size()));
  addAddress(d, d.operand(place), Space::Generic);
  for (const Operand &element : elements)
    in.list2.push_back(isLoad ? d.destination(element, Type::B32) : d.source(element, Type::B32));
  in.variant = static_cast<uint8_t>(shape);
  in.variant2 = isLoad;
  if (isSplit) {
    if (d.operand(place + 1).kind != Operand::Integer || d.operand(place + 1).value < 0)
      d.fail("the distance of the second half of .16x32bx2 is an immediate");
    in.offset = d.operand(place + 1).value;
  }
  in.handler = transfer;
  in.instrClass = isLoad ? InstrClass::SharedLoad : InstrClass::AsyncCopy;
}

} // namespace emulator
} // namespace fourfold
