// ldmatrix and stmatrix (PTX ISA 9.7.14.5.15, 9.7.14.5.16).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Matrix.h"

#include "Access.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

uint32_t rowAddresses(Warp &warp, const Instr &in, uint32_t mask, uint64_t *rows) {
  requireFullWarp(warp, in, mask);
  uint32_t used = in.list.size() == 4 ? kAllLanes : (1u << (8 * in.list.size())) - 1;
  laneAddresses(warp, in, used, rows);
  for (int lane = 0; lane < kLanes; ++lane)
    if (rows[lane] >= kSharedWindow && rows[lane] < kSharedWindow + kWindowBytes)
      rows[lane] -= kSharedWindow;
  return used;
}

void loadMatrix(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t rows[kLanes];
  uint32_t used = rowAddresses(warp, in, mask, rows);
  bool transposed = in.variant;
  for (size_t matrix = 0; matrix < in.list.size(); ++matrix) {
    uint16_t tile[8][8];
    bool written[8][8];
    for (int row = 0; row < 8; ++row) {
      int lane = static_cast<int>(matrix) * 8 + row;
      LanePointer pointer = checkedPointer(warp, in, lane, Space::Shared, rows[lane], 16, AccessKind::Read);
      std::memcpy(tile[row], pointer.data, 16);
      for (int i = 0; i < 8; ++i) {
        written[row][i] = pointer.shadow[2 * i] != kByteUnwritten && pointer.shadow[2 * i + 1] != kByteUnwritten;
        if (!written[row][i]) {
          warp.uninitLine = in.line;
          warp.uninitAddress = rows[lane] + static_cast<uint64_t>(2 * i);
        }
      }
    }
    uint32_t *d = warp.reg<uint32_t>(in.list[matrix]), good = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      int row = lane / 4, column = 2 * (lane % 4);
      uint32_t low = transposed ? tile[column][row] : tile[row][column];
      uint32_t high = transposed ? tile[column + 1][row] : tile[row][column + 1];
      bool known = transposed ? written[column][row] && written[column + 1][row]
                              : written[row][column] && written[row][column + 1];
      d[lane] = low | high << 16;
      good |= static_cast<uint32_t>(known) << lane;
    }
    warp.setInit(in.list[matrix], mask, good);
  }
  countShared(warp.block->counters.ldmatrix, used, rows, 16);
}

void storeMatrix(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t rows[kLanes];
  uint32_t used = rowAddresses(warp, in, mask, rows);
  for (size_t matrix = 0; matrix < in.list.size(); ++matrix) {
    uint16_t tile[8][8];
    requireInit(warp, in, in.list[matrix], mask, "as a matrix operand");
    const uint32_t *s = warp.reg<uint32_t>(in.list[matrix]);
    for (int lane = 0; lane < kLanes; ++lane) {
      int row = lane / 4, column = 2 * (lane % 4);
      uint16_t low = static_cast<uint16_t>(s[lane]), high = static_cast<uint16_t>(s[lane] >> 16);
      (in.variant ? tile[column][row] : tile[row][column]) = low;
      (in.variant ? tile[column + 1][row] : tile[row][column + 1]) = high;
    }
    for (int row = 0; row < 8; ++row) {
      int lane = static_cast<int>(matrix) * 8 + row;
      LanePointer pointer = checkedPointer(warp, in, lane, Space::Shared, rows[lane], 16, AccessKind::Write, reinterpret_cast<const uint8_t *>(tile[row]));
      std::memcpy(pointer.data, tile[row], 16);
      std::memset(pointer.shadow, kByteWritten, 16);
    }
  }
  countShared(warp.block->counters.stmatrix, used, rows, 16);
}

} // namespace

void requireFullWarp(Warp &warp, const Instr &in, uint32_t mask) {
  if (mask != kAllLanes)
    report(warp, in, mask ? __builtin_ctz(mask) : -1, device::kErrorLaunchFailed,
           fmt::format("an .aligned warp-wide instruction is executed by lanes {:#010x} only", mask));
}

bool decodeMatrix(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &in = d.out();
  if (op == "mma")
    return decodeMma(d);
  if (op == "wmma")
    return decodeWmma(d);
  bool isStore = op == "stmatrix";
  if (!isStore && op != "ldmatrix")
    return false;
  if (!d.take("sync") || !d.take("aligned") || !d.take("m8n8"))
    return false;
  size_t count = d.take("x1") ? 1 : d.take("x2") ? 2 : d.take("x4") ? 4 : 0;
  in.variant = d.take("trans");
  if (!d.take("shared") && !d.take("shared::cta"))
    in.variant2 = 1; // generic address
  if (!count || d.requireType() != Type::B16)
    return false;
  d.expectOperands(2, 2);
  Space space = Space::Shared;
  const Operand &data = d.operand(isStore ? 1 : 0);
  d.address(d.operand(isStore ? 0 : 1), space);
  std::vector<Operand> single{data};
  const std::vector<Operand> &elements = data.kind == Operand::Vector ? data.elements : single;
  if (elements.size() != count)
    d.fail(fmt::format("the vector has {} registers, the instruction {} matrices", elements.size(), count));
  for (const Operand &element : elements)
    in.list.push_back(isStore ? d.source(element, Type::B32) : d.destination(element, Type::B32));
  in.space = in.variant2 ? Space::Generic : Space::Shared;
  in.handler = isStore ? storeMatrix : loadMatrix;
  in.ownInit = true;
  in.instrClass = isStore ? InstrClass::SharedStore : InstrClass::Ldmatrix;
  return true;
}

} // namespace emulator
} // namespace fourfold
