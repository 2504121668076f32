// alloca, stacksave, stackrestore (PTX ISA 9.7.15): memory on a thread's stack, above the frames of the functions it is in.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "Lanes.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

template <class Visit>
void eachLane(uint32_t mask, Visit visit) {
  for (; mask; mask &= mask - 1)
    visit(__builtin_ctz(mask));
}

void write(Warp &warp, const Instr &in, int lane, uint64_t value) {
  if (in.bytes == 8)
    warp.reg<uint64_t>(in.dst)[lane] = value;
  else
    warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(value);
}

uint64_t read(Warp &warp, const Instr &in, int lane) {
  return in.bytes == 8 ? warp.reg<uint64_t>(in.src[0])[lane] : warp.reg<uint32_t>(in.src[0])[lane];
}

void allocate(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[0], mask, "as a size");
  uint64_t unit = in.flags, limit = warp.kernel->localBytes;
  eachLane(mask, [&](int lane) {
    uint64_t start = (warp.stackTop[lane] + unit - 1) / unit * unit, size = read(warp, in, lane);
    if (size > limit || start + size > limit)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("stack overflow: alloca of {} bytes, and {} of the thread's {} are in use", size, warp.stackTop[lane] - warp.kernel->stackStart,
                         limit - warp.kernel->stackStart));
    warp.stackTop[lane] = static_cast<uint32_t>(start + size);
    write(warp, in, lane, start);
  });
}

void save(Warp &warp, const Instr &in, uint32_t mask) {
  eachLane(mask, [&](int lane) { write(warp, in, lane, warp.stackTop[lane]); });
}

void restore(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[0], mask, "as a stack pointer");
  eachLane(mask, [&](int lane) {
    uint64_t top = read(warp, in, lane);
    if (top < warp.kernel->stackStart || top > warp.stackTop[lane])
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("stackrestore of {:#x}, which no stacksave of this function gave: the stack is from {:#x} to {:#x}", top,
                         warp.kernel->stackStart, warp.stackTop[lane]));
    warp.stackTop[lane] = static_cast<uint32_t>(top);
  });
}

} // namespace

bool decodeStack(Decoder &d) {
  const std::string &op = d.ast().opcode;
  if (op != "alloca" && op != "stacksave" && op != "stackrestore")
    return false;
  Instr &in = d.out();
  Type type = d.requireType();
  if (type != Type::U32 && type != Type::U64)
    return false;
  in.bytes = static_cast<uint8_t>(typeBytes(type));
  in.instrClass = InstrClass::Control;
  if (op == "stackrestore") {
    d.expectOperands(1, 1);
    in.src[0] = d.source(d.operand(0), type);
    in.handler = restore;
  } else {
    bool isAlloca = op == "alloca";
    d.expectOperands(isAlloca ? 2 : 1, isAlloca ? 3 : 1);
    in.dst = d.destination(d.operand(0), type);
    in.flags = 8; // the default alignment
    in.handler = isAlloca ? allocate : save;
    if (isAlloca)
      in.src[0] = d.source(d.operand(1), type);
    if (d.numOperands() == 3) {
      if (d.operand(2).kind != Operand::Integer || d.operand(2).value < 1 || (d.operand(2).value & (d.operand(2).value - 1)))
        d.fail("the alignment of alloca is an immediate power of two");
      in.flags = static_cast<uint32_t>(d.operand(2).value);
    }
  }
  d.needStack();
  return true;
}

} // namespace emulator
} // namespace fourfold
