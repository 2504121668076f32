// ldmatrix of 6- and 4-bit elements, stmatrix of bytes, movmatrix (PTX ISA 9.7.14.5.15 to .17).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Matrix.h"

#include "Access.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// The addresses of the rows of all matrices, of 16 bytes each, in shared memory; returns the lanes that give one.
uint32_t rowAddresses(Warp &warp, const Instr &in, uint32_t mask, uint64_t *rows) {
  requireFullWarp(warp, in, mask);
  uint32_t used = in.list.size() == 4 ? kAllLanes : (1u << (8 * in.list.size())) - 1;
  laneAddresses(warp, in, used, rows);
  for (int lane = 0; lane < kLanes; ++lane)
    if (rows[lane] >= kSharedWindow && rows[lane] < kSharedWindow + kWindowBytes)
      rows[lane] -= kSharedWindow;
  return used;
}

/// m8n16: a row is 16 elements of `variant` bits one after the other, and padding up to 16 bytes. Each becomes a byte, its bits the lowest; a
/// lane has four of them, of row lane / 4.
void loadNarrow(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t rows[kLanes];
  uint32_t used = rowAddresses(warp, in, mask, rows), bits = in.variant;
  for (size_t matrix = 0; matrix < in.list.size(); ++matrix) {
    uint32_t *d = warp.reg<uint32_t>(in.list[matrix]), good = kAllLanes;
    for (int row = 0; row < 8; ++row) {
      int lane = static_cast<int>(matrix) * 8 + row;
      LanePointer pointer = checkedPointer(warp, in, lane, Space::Shared, rows[lane], 16, AccessKind::Read);
      for (uint32_t element = 0; element < 16; ++element) {
        uint32_t bit = element * bits, first = bit / 8, last = (bit + bits - 1) / 8;
        uint32_t pair = pointer.data[first] | static_cast<uint32_t>(pointer.data[last]) << 8;
        auto reader = static_cast<uint32_t>(row) * 4 + element / 4;
        uint32_t value = (pair >> bit % 8) & ((1u << bits) - 1), shift = element % 4 * 8;
        d[reader] = (d[reader] & ~(0xffu << shift)) | value << shift;
        if (pointer.shadow[first] == kByteUnwritten || pointer.shadow[last] == kByteUnwritten) {
          good &= ~(1u << reader);
          warp.uninitLine = in.line;
          warp.uninitAddress = rows[lane] + first;
        }
      }
    }
    warp.setInit(in.list[matrix], mask, good);
  }
  countShared(warp.block->counters.ldmatrix, used, rows, 16);
}

/// m16n8.trans: lanes hold a matrix of 16 x 8 bytes as a result of mma, and its eight columns are written as rows.
void storeBytes(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t rows[kLanes];
  uint32_t used = rowAddresses(warp, in, mask, rows);
  for (size_t matrix = 0; matrix < in.list.size(); ++matrix) {
    requireInit(warp, in, in.list[matrix], mask, "as a matrix operand");
    const uint32_t *s = warp.reg<uint32_t>(in.list[matrix]);
    uint8_t tile[8][16];
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < 4; ++i)
        tile[2 * (lane % 4) + i % 2][lane / 4 + i / 2 * 8] = static_cast<uint8_t>(s[lane] >> (8 * i));
    for (int row = 0; row < 8; ++row) {
      int lane = static_cast<int>(matrix) * 8 + row;
      LanePointer pointer = checkedPointer(warp, in, lane, Space::Shared, rows[lane], 16, AccessKind::Write, tile[row]);
      std::memcpy(pointer.data, tile[row], 16);
      std::memset(pointer.shadow, kByteWritten, 16);
    }
  }
  countShared(warp.block->counters.stmatrix, used, rows, 16);
}

/// movmatrix: an 8 x 8 matrix of 16-bit elements across the warp, transposed.
void transpose(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]);
  uint32_t result[kLanes], good = 0, known = warp.init[in.src[0]];
  auto element = [&](int row, int column) { return a[row * 4 + column / 2] >> (column % 2 * 16) & 0xffff; };
  auto isKnown = [&](int row, int column) { return known >> (row * 4 + column / 2) & 1; };
  for (int lane = 0; lane < kLanes; ++lane) {
    int row = lane / 4, column = 2 * (lane % 4);
    result[lane] = element(column, row) | element(column + 1, row) << 16;
    good |= (isKnown(column, row) & isKnown(column + 1, row)) << lane;
  }
  std::memcpy(warp.reg<uint32_t>(in.dst), result, sizeof(result));
  warp.setInit(in.dst, mask, good);
}

} // namespace

bool decodeMatrixBytes(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &in = d.out();
  if (op == "movmatrix") {
    for (const char *mod : {"sync", "aligned", "m8n8", "trans", "b16"})
      if (!d.take(mod))
        d.fail("movmatrix is .sync.aligned.m8n8.trans.b16");
    d.expectOperands(2, 2);
    in.handler = transpose;
    in.ownInit = true;
    in.instrClass = InstrClass::Move;
    in.dst = d.destination(d.operand(0), Type::B32);
    in.src[0] = d.source(d.operand(1), Type::B32);
    return true;
  }
  bool isStore = op == "stmatrix";
  if (!isStore && op != "ldmatrix")
    return false;
  if (d.take("m16n16"))
    d.fail("ldmatrix.m16n16 is not supported by the emulated device");
  if (!d.take(isStore ? "m16n8" : "m8n16"))
    return false;
  if (!d.take("sync") || !d.take("aligned") || (isStore ? !d.take("trans") || !d.take("b8") : !d.take("b8x16")))
    return false;
  if (!isStore) {
    in.variant = d.take("b6x16_p32") ? 6 : d.take("b4x16_p64") ? 4 : 0;
    if (!in.variant)
      return false;
  }
  size_t count = d.take("x1") ? 1 : d.take("x2") ? 2 : d.take("x4") ? 4 : 0;
  Space space = d.take("shared") || d.take("shared::cta") ? Space::Shared : Space::Generic;
  d.expectOperands(2, 2);
  const Operand &data = d.operand(isStore ? 1 : 0);
  in.space = space;
  d.address(d.operand(isStore ? 0 : 1), space);
  std::vector<Operand> single{data};
  const std::vector<Operand> &elements = data.kind == Operand::Vector ? data.elements : single;
  if (elements.size() != count)
    d.fail(fmt::format("the vector has {} registers, the instruction {} matrices", elements.size(), count));
  for (const Operand &element : elements)
    in.list.push_back(isStore ? d.source(element, Type::B32) : d.destination(element, Type::B32));
  in.handler = isStore ? storeBytes : loadNarrow;
  in.ownInit = true;
  in.instrClass = isStore ? InstrClass::SharedStore : InstrClass::Ldmatrix;
  return true;
}

} // namespace emulator
} // namespace fourfold
