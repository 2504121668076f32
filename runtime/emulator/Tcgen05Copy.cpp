// tcgen05.cp: from shared to tensor memory (PTX ISA 9.7.16.9).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Tcgen05.h"

#include "BulkCopy.h"
#include "SharedMemory.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::variant.
enum Shape : uint8_t { k128x256b, k128x128b, k64x128b02, k64x128b01, k32x128b, k4x256b };

struct ShapeInfo {
  const char *name, *multicast;
  uint32_t rows, chunks; // of the source; 16 bytes a chunk
};
constexpr ShapeInfo kShapes[] = {{"128x256b", "", 128, 2},
                                 {"128x128b", "", 128, 1},
                                 {"64x128b", "warpx2::02_13", 64, 1},
                                 {"64x128b", "warpx2::01_23", 64, 1},
                                 {"32x128b", "warpx4", 32, 1},
                                 {"4x256b", "", 4, 2}};

/// Calls visit(lane) for the lanes that hold a row of the source: those of 32 and 64 rows are repeated for other warps, four rows are the same
/// lane of each warp's 32.
template <class Visit>
void eachLane(uint8_t shape, uint32_t row, uint32_t first, Visit visit) {
  switch (shape) {
  case k64x128b02: // warps 0 and 2 get the first half, 1 and 3 the second
    visit(row);
    visit(row + 64);
    break;
  case k64x128b01: // warps 0 and 1 get the first half, 2 and 3 the second
    visit(row % 32 + row / 32 * 64);
    visit(row % 32 + row / 32 * 64 + 32);
    break;
  case k32x128b:
    for (uint32_t warp = 0; warp < 4; ++warp)
      visit(row + 32 * warp);
    break;
  case k4x256b:
    visit(first + 32 * row);
    break;
  default:
    visit(row);
  }
}

void copy(Warp &warp, const Instr &in, uint32_t mask) {
  const ShapeInfo &shape = kShapes[in.variant];
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint32_t address = tensorAddress(warp, in, lane, 0), first = address >> 16, column = address & 0xffff;
    bool isRefresh = in.variant == k4x256b;
    if (isRefresh ? first >= 32 : first != 0)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("the address {:#x} of tensor memory is of lane {}: a copy of shape {} takes one of {}", address, first, shape.name,
                         isRefresh ? "the first 32 lanes" : "lane 0"));
    TensorOperation operation;
    operation.kind = TensorOperation::Copy;
    operation.in = &in;
    operation.warp = &warp;
    operation.lane = lane;
    operation.b = sharedDescriptor(warp, in, lane, in.src[1], "the source");
    operation.lanes = first;
    operation.step.columnD = column;
    if (operation.b.swizzleAtom == 32)
      report(warp, in, lane, device::kErrorIllegalInstruction, "the source is K-major: swizzle 128 bytes, of 32, is for transposed operands of mma");
    uint32_t groups = 0;
    for (uint32_t row = 0; row < shape.rows; ++row) {
      for (uint32_t chunk = 0; chunk < shape.chunks; ++chunk)
        operation.chunks.push_back(operation.b.chunkAddress(row, chunk, true));
      eachLane(in.variant, row, first, [&](uint32_t to) { groups |= 1u << (to / kUnitLanes); });
    }
    operation.writes.push_back({groups, column, 4 * shape.chunks});
    TensorMemory &memory = tensorMemoryOf(warp);
    memory.issue(operation);
    // What is written is known from now on, for those that come after.
    const SharedMemory &shared = warp.block->shared;
    size_t at = 0;
    for (uint32_t row = 0; row < shape.rows && warp.checks; ++row)
      for (uint32_t chunk = 0; chunk < shape.chunks; ++chunk) {
        const uint8_t *shadow = &shared.shadow[operation.chunks[at++]];
        for (uint32_t i = 0; i < 4; ++i) {
          uint8_t written = 0;
          for (uint32_t byte = 0; byte < 4; ++byte)
            written = static_cast<uint8_t>(written | (shadow[4 * i + byte] != kByteUnwritten) << byte);
          eachLane(in.variant, row, first, [&](uint32_t to) { memory.written(to, column + 4 * chunk + i) = written; });
        }
      }
    countSharedBytes(warp.block->counters.bulkCopies, uint64_t{16} * shape.rows * shape.chunks);
  }
}

} // namespace

void copyToTensor(TensorMemory &memory, SharedMemory &shared, const TensorOperation &operation) {
  const ShapeInfo &shape = kShapes[operation.in->variant];
  size_t at = 0;
  for (uint32_t row = 0; row < shape.rows; ++row)
    for (uint32_t chunk = 0; chunk < shape.chunks; ++chunk) {
      uint32_t words[4];
      std::memcpy(words, &shared.data[operation.chunks[at++]], sizeof(words));
      eachLane(operation.in->variant, row, operation.lanes, [&](uint32_t lane) {
        std::memcpy(&memory.cell(lane, operation.step.columnD + 4 * chunk), words, sizeof(words));
      });
    }
}

void decodeCopyToTensor(Decoder &d) {
  Instr &in = d.out();
  takeGroup(d);
  int shape = -1;
  for (int i = 0; i < 6 && shape < 0; ++i) {
    const std::vector<std::string> &mods = d.ast().mods;
    auto has = [&](std::string_view mod) { return std::find(mods.begin(), mods.end(), mod) != mods.end(); };
    if (!has(kShapes[i].name) || (*kShapes[i].multicast && !has(kShapes[i].multicast)))
      continue;
    d.take(kShapes[i].name);
    if (*kShapes[i].multicast)
      d.take(kShapes[i].multicast);
    shape = i;
  }
  if (shape < 0)
    d.fail("tcgen05.cp needs a shape: .128x256b, .4x256b, .128x128b, .64x128b with .warpx2::02_13 or .warpx2::01_23, .32x128b with .warpx4");
  for (const char *format : {"b6x16_p32", "b4x16_p64"})
    if (std::find(d.ast().mods.begin(), d.ast().mods.end(), format) != d.ast().mods.end())
      d.fail(fmt::format("'.b8x16.{}' is not supported by the emulated device: where elements stand in the bytes that they are expanded to is not "
                         "documented in text",
                         format));
  d.expectOperands(2, 2);
  addAddress(d, d.operand(0), Space::Generic);
  in.src[1] = d.source(d.operand(1), Type::B64);
  in.variant = static_cast<uint8_t>(shape);
  in.handler = copy;
  in.instrClass = InstrClass::AsyncCopy;
}

} // namespace emulator
} // namespace fourfold
