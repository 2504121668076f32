// Matrix steps of a warpgroup: issue, fence, commit, wait (PTX ISA 9.7.15.5 to 9.7.15.7).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A step takes its operands from shared memory, and leaves its result, when it is waited for: as late as PTX allows. What lies there then
// must be what lay there at its issue.

#include "Wgmma.h"

#include "Access.h"
#include "AsyncProxy.h"
#include "Decoder.h"
#include "ElementFormat.h"
#include "Matrix.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kWarpsAGroup = 4;
constexpr uint32_t kRowBytesAStep = 32; // of K, whatever the type

} // namespace

WgmmaState::WgmmaState(size_t numWarps, uint32_t numSlots) : warps(numWarps), groups((numWarps + kWarpsAGroup - 1) / kWarpsAGroup) {
  for (PerWarp &warp : warps) {
    warp.dirtyLine.assign(numSlots, -1);
    warp.result.assign(numSlots, nullptr);
    warp.operand.assign(numSlots, nullptr);
  }
}

void WgmmaState::agree(Warp &warp, const Instr &in, uint64_t a, uint64_t b) {
  size_t group = warp.index / kWarpsAGroup;
  if ((group + 1) * kWarpsAGroup > warps.size())
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("wgmma takes four warps from a multiple of four on, the block has {} warps", warps.size()));
  PerGroup &state = groups[group];
  uint64_t index = warps[warp.index].issued++ - state.first;
  if (index == state.records.size())
    state.records.push_back({in.line, a, b, warp.index, 0});
  Record &record = state.records[index];
  if (record.line != in.line || record.descriptorA != a || record.descriptorB != b)
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("the warps of a warpgroup must execute the same wgmma: warp {} executed line {} with descriptors {:#x} and {:#x}, "
                       "this warp line {} with {:#x} and {:#x}",
                       record.warp, record.line, record.descriptorA, record.descriptorB, in.line, a, b));
  if (++record.seen == static_cast<int>(kWarpsAGroup)) {
    state.records.pop_front();
    ++state.first;
  }
}

std::vector<uint8_t> WgmmaState::read(Warp &warp, const Instr &in, const MatrixDescriptor &matrix, uint32_t firstRow, uint32_t rows,
                                      bool isKMajor) {
  std::vector<uint8_t> bytes(size_t{rows} * kRowBytesAStep);
  auto chunk = [&](uint32_t row, uint32_t column) {
    uint32_t address = matrix.chunkAddress(row, column, isKMajor);
    asyncProxyReads(warp, in, -1, address, 16);
    LanePointer pointer = checkedPointer(warp, in, 0, Space::Shared, address, 16, AccessKind::Read);
    // No lane reads: once the warp has waited for the step, any of its lanes may write there. Until then, the step finds what changed.
    SharedMemory &shared = warp.block->shared;
    if (!shared.history.empty())
      shared.visitHistory(address, 16, [&](WordHistory &word, uint32_t) {
        if (word.reader == warp.index)
          word.readLane = kUnknownLane;
      });
    for (uint32_t i = 0; warp.checks && i < 16; ++i)
      if (pointer.shadow[i] == kByteUnwritten)
        report(warp, in, -1, device::kErrorLaunchFailed,
               fmt::format("wgmma reads shared address {:#x}, which was never written", address + i));
    return pointer.data;
  };
  if (isKMajor) {
    for (uint32_t row = 0; row < rows; ++row)
      for (uint32_t column = 0; column < 2; ++column)
        std::memcpy(&bytes[row * kRowBytesAStep + column * 16], chunk(firstRow + row, column), 16);
    return bytes;
  }
  // 16-bit elements: sixteen of K, eight of M or N a chunk.
  for (uint32_t k = 0; k < 16; ++k)
    for (uint32_t column = 0; column < rows / 8; ++column) {
      const uint8_t *from = chunk(k, firstRow / 8 + column);
      for (uint32_t i = 0; i < 8; ++i)
        std::memcpy(&bytes[(column * 8 + i) * kRowBytesAStep + k * 2], from + 2 * i, 2);
    }
  return bytes;
}

void WgmmaState::issue(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  PerWarp &self = warps[warp.index];
  auto uniform = [&](uint32_t slot, const char *what) {
    requireInit(warp, in, slot, mask, "as a matrix descriptor");
    const uint64_t *values = warp.reg<uint64_t>(slot);
    for (int lane = 1; lane < kLanes; ++lane)
      if (values[lane] != values[0])
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("the descriptor of {} is {:#x} in lane 0 and {:#x} here: it must be the same in all lanes", what, values[0],
                           values[lane]));
    MatrixDescriptor matrix = MatrixDescriptor::ofWgmma(values[0]);
    if (matrix.baseOffset)
      report(warp, in, -1, device::kErrorLaunchFailed,
             fmt::format("the descriptor {:#x} of {} has base offset {}: only patterns that start at a multiple of their size (base offset 0) "
                         "are supported",
                         values[0], what, matrix.baseOffset));
    return values[0];
  };
  bool hasRegistersA = in.flags & kWgmmaRegistersA;
  uint64_t a = hasRegistersA ? 0 : uniform(in.src[0], "A"), b = uniform(in.src[1], "B");
  agree(warp, in, a, b);

  uint32_t accumulate = warp.predicate(in.src[3]) ^ (in.flags & kWgmmaNegatedPredicate ? kAllLanes : 0);
  if (accumulate != 0 && accumulate != kAllLanes)
    report(warp, in, -1, device::kErrorLaunchFailed, "scale-d differs among the lanes of the warp");
  Step step{&in, MatrixDescriptor::ofWgmma(a), MatrixDescriptor::ofWgmma(b), accumulate != 0, -1, {}, {}, {}};

  if (warp.checks) {
    for (uint32_t slot : in.list)
      if (self.result[slot] && self.result[slot]->list != in.list)
        report(warp, in, -1, device::kErrorLaunchFailed,
               fmt::format("the accumulators are those of the wgmma at line {} in part only, which has not been waited for",
                           self.result[slot]->line));
    auto requireFence = [&](uint32_t slot, const char *what) {
      if (self.dirtyLine[slot] && !self.result[slot])
        report(warp, in, -1, device::kErrorLaunchFailed,
               self.dirtyLine[slot] < 0
                   ? fmt::format("wgmma.fence is missing: it must stand before the first wgmma of a warp")
                   : fmt::format("wgmma.fence is missing: {} was written at line {}", what, self.dirtyLine[slot]));
    };
    for (uint32_t slot : in.list) {
      requireFence(slot, "an accumulator");
      if (step.accumulates && !self.result[slot])
        requireInit(warp, in, slot, mask, "as an accumulator");
    }
    for (uint32_t slot : in.list2) {
      requireFence(slot, "a register of A");
      requireInit(warp, in, slot, mask, "as a matrix operand");
    }
    if (!hasRegistersA)
      step.bytesA = read(warp, in, step.a, 16 * (warp.index % kWarpsAGroup), 16, !(in.flags & kWgmmaTransposedA));
    step.bytesB = read(warp, in, step.b, 0, in.variant2 * 8u, !(in.flags & kWgmmaTransposedB));
  }
  for (uint32_t slot : in.list2) {
    const uint32_t *values = warp.reg<uint32_t>(slot);
    step.registersA.insert(step.registersA.end(), values, values + kLanes);
    self.operand[slot] = &in;
  }
  for (uint32_t slot : in.list)
    self.result[slot] = &in;
  self.steps.push_back(std::move(step));
  if (warp.index % kWarpsAGroup == 0) {
    ++warp.block->mmaCounts[in.mmaKind];
    // B (K by N) is read once for the four warps, A (64 by K) once by them together; K is 32 bytes long. The layouts have no conflicts.
    countSharedBytes(warp.block->counters.wgmmaOperands, 32u * (in.variant2 * 8u + (hasRegistersA ? 0 : 64)));
  }
}

void WgmmaState::fence(Warp &warp) {
  std::fill(warps[warp.index].dirtyLine.begin(), warps[warp.index].dirtyLine.end(), 0);
}

void WgmmaState::commit(Warp &warp) {
  PerWarp &self = warps[warp.index];
  for (Step &step : self.steps)
    if (step.group < 0)
      step.group = self.committed;
  ++self.committed;
}

void WgmmaState::wait(Warp &warp, const Instr &in, int64_t left) {
  PerWarp &self = warps[warp.index];
  size_t count = 0;
  while (count < self.steps.size() && self.steps[count].group >= 0 && self.steps[count].group < self.committed - left)
    ++count;
  completeOldest(warp, in, count);
}

void WgmmaState::completeOldest(Warp &warp, const Instr &waiter, size_t count) {
  PerWarp &self = warps[warp.index];
  for (size_t i = 0; i < count; ++i)
    complete(warp, waiter, self.steps[i]);
  self.steps.erase(self.steps.begin(), self.steps.begin() + static_cast<std::ptrdiff_t>(count));
  std::fill(self.result.begin(), self.result.end(), nullptr);
  std::fill(self.operand.begin(), self.operand.end(), nullptr);
  for (const Step &step : self.steps) {
    for (uint32_t slot : step.in->list)
      self.result[slot] = step.in;
    for (uint32_t slot : step.in->list2)
      self.operand[slot] = step.in;
  }
}

void WgmmaState::complete(Warp &warp, const Instr &waiter, Step &step) {
  const Instr &in = *step.in;
  auto same = [&](const std::vector<uint8_t> &before, const std::vector<uint8_t> &now, const char *what) {
    if (warp.checks && before != now)
      report(warp, waiter, -1, device::kErrorLaunchFailed,
             fmt::format("{} of the wgmma at line {} was changed in shared memory before the step was waited for", what, in.line));
  };
  std::vector<uint8_t> bytesA;
  if (!(in.flags & kWgmmaRegistersA)) {
    bytesA = read(warp, in, step.a, 16 * (warp.index % kWarpsAGroup), 16, !(in.flags & kWgmmaTransposedA));
    same(step.bytesA, bytesA, "A");
  }
  std::vector<uint8_t> bytesB = read(warp, in, step.b, 0, in.variant2 * 8u, !(in.flags & kWgmmaTransposedB));
  same(step.bytesB, bytesB, "B");
  multiply(warp, step, bytesA, bytesB);
  for (uint32_t slot : in.list)
    warp.setInit(slot, kAllLanes, kAllLanes);
}

void WgmmaState::touch(Warp &warp, const Instr &in, uint32_t, const RegisterGuard &guard) {
  PerWarp &self = warps[warp.index];
  const Instr *step = nullptr;
  const char *what = "reads an accumulator";
  for (uint32_t slot : guard.reads)
    step = self.result[slot] ? self.result[slot] : step;
  for (uint32_t slot : guard.writes)
    if (const Instr *user = self.result[slot] ? self.result[slot] : self.operand[slot]) {
      step = user;
      what = self.result[slot] ? "writes an accumulator" : "writes a register of A";
    }
  if (step) {
    if (warp.checks && !guard.isCopy)
      report(warp, in, -1, device::kErrorLaunchFailed,
             fmt::format("the instruction {} of the wgmma at line {}, which has not been waited for (wgmma.wait_group)", what, step->line));
    completeOldest(warp, in, self.steps.size());
  }
  if (!guard.isCopy)
    for (uint32_t slot : guard.writes)
      self.dirtyLine[slot] = in.line;
}

namespace {

WgmmaState &stateOf(Warp &warp) {
  if (!warp.block->wgmma)
    warp.block->wgmma = std::make_shared<WgmmaState>(warp.block->warps.size(), warp.kernel->numSlots);
  return *warp.block->wgmma;
}

void issue(Warp &warp, const Instr &in, uint32_t mask) { stateOf(warp).issue(warp, in, mask); }

void fence(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  stateOf(warp).fence(warp);
}

void commit(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  stateOf(warp).commit(warp);
}

void wait(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  stateOf(warp).wait(warp, in, in.offset);
}

void guarded(Warp &warp, const Instr &in, uint32_t mask) {
  const RegisterGuard &guard = warp.kernel->registerGuards.at(warp.pc);
  stateOf(warp).touch(warp, in, mask, guard);
  guard.handler(warp, in, mask);
}

/// A step's K; 0 for formats that have none.
int stepOf(ElementFormat format) {
  switch (format) {
  case ElementFormat::BF16:
  case ElementFormat::F16:
    return 16;
  case ElementFormat::TF32:
    return 8;
  case ElementFormat::S8:
  case ElementFormat::U8:
  case ElementFormat::E4M3:
  case ElementFormat::E5M2:
    return 32;
  default:
    return 0;
  }
}

int64_t immediate(Decoder &d, size_t i) {
  if (d.operand(i).kind != Operand::Integer)
    d.fail(fmt::format("operand {} must be an immediate", i + 1));
  return d.operand(i).value;
}

void decodeStep(Decoder &d) {
  Instr &in = d.out();
  std::string shape = d.takePrefix("m64n");
  size_t cut = shape.find('k', 4);
  int n = 0, k = 0;
  if (cut != std::string::npos) {
    n = std::atoi(shape.substr(4).c_str());
    k = std::atoi(shape.substr(cut + 1).c_str());
  }
  std::vector<std::string> types;
  for (const std::string &mod : d.ast().mods)
    if (stepOf(parseElementFormat(mod)) || mod == "f32" || mod == "s32")
      types.push_back(mod);
  if (types.size() != 3)
    d.fail("wgmma.mma_async of these types is not supported: bf16, f16, tf32, e4m3, e5m2, s8 and u8 are");
  for (const std::string &type : types)
    d.take(type);
  ElementFormat a = parseElementFormat(types[1]), b = parseElementFormat(types[2]);
  bool isHalf = types[0] == "f16", isIntegers = isInteger(a), isFP8 = isSmallFloat(a);
  bool isPair = stepOf(a) && (a == b || (stepOf(a) == 32 && stepOf(b) == 32 && isIntegers == isInteger(b)));
  if (!isPair || k != stepOf(a) || n < 8 || n > 256 || n % 8 || (isIntegers && n % 16 && n != 8 && n != 24) ||
      (isIntegers ? types[0] != "s32" : types[0] != "f32" && !(isHalf && (a == ElementFormat::F16 || isFP8))))
    d.fail("no wgmma.mma_async has these types and this shape (PTX ISA 9.7.15.2)");
  in.variant = static_cast<uint8_t>(a);
  in.bytes = static_cast<uint8_t>(b);
  in.variant2 = static_cast<uint8_t>(n / 8);
  in.flags = (isHalf ? kWgmmaHalfResult : 0) | (d.take("satfinite") ? kWgmmaSaturated : 0);
  if ((in.flags & kWgmmaSaturated) && !isIntegers)
    d.fail("satfinite belongs to integer steps");

  d.expectOperands(4, 8);
  if (d.operand(0).kind != Operand::Vector || d.operand(0).elements.size() != static_cast<size_t>(isHalf ? n / 4 : n / 2))
    d.fail(fmt::format("the result must be a vector of {} registers", isHalf ? n / 4 : n / 2));
  for (const Operand &element : d.operand(0).elements)
    in.list.push_back(d.destination(element, Type::B32));
  bool hasRegistersA = d.operand(1).kind == Operand::Vector;
  if (hasRegistersA) {
    in.flags |= kWgmmaRegistersA;
    if (d.operand(1).elements.size() != 4)
      d.fail("A takes four registers");
    for (const Operand &element : d.operand(1).elements)
      in.list2.push_back(d.source(element, Type::B32));
  } else {
    in.src[0] = d.source(d.operand(1), Type::B64);
  }
  in.src[1] = d.source(d.operand(2), Type::B64);
  bool isNegated = false;
  in.src[3] = d.predicate(d.operand(3), isNegated);
  in.flags |= isNegated ? kWgmmaNegatedPredicate : 0;
  // Floats have signs of A and B; 16-bit ones also a major of each operand that stands in shared memory.
  size_t expected = 4 + (isIntegers ? 0 : 2) + (k == 16 ? (hasRegistersA ? 1 : 2) : 0);
  d.expectOperands(expected, expected);
  if (!isIntegers) {
    int64_t signA = immediate(d, 4), signB = immediate(d, 5);
    if ((signA != 1 && signA != -1) || (signB != 1 && signB != -1))
      d.fail("imm-scale-a and imm-scale-b are 1 or -1");
    in.flags |= (signA < 0 ? kWgmmaNegatedA : 0) | (signB < 0 ? kWgmmaNegatedB : 0);
  }
  if (k == 16) {
    if (!hasRegistersA && immediate(d, 6))
      in.flags |= kWgmmaTransposedA;
    if (immediate(d, expected - 1))
      in.flags |= kWgmmaTransposedB;
  }
  in.handler = issue;
  setMmaKind(d, fmt::format("wgmma.{}.{}.{}", types[1], types[0], shape));
}

} // namespace

bool decodeWgmma(Decoder &d) {
  if (d.ast().opcode != "wgmma")
    return false;
  Instr &in = d.out();
  in.ownInit = true;
  in.instrClass = InstrClass::Mma;
  d.result().usesWgmma = d.result().usesMbarriers = d.result().usesAsyncProxy = true; // fences of the async proxy matter
  if (d.take("mma_async")) {
    if (d.take("sp"))
      d.fail("sparse wgmma is not supported by the emulated device");
    d.take("sync");
    d.take("aligned");
    decodeStep(d);
    return true;
  }
  in.instrClass = InstrClass::Barrier;
  bool isFence = d.take("fence"), isCommit = d.take("commit_group"), isWait = d.take("wait_group");
  if (!d.take("sync") || !d.take("aligned") || isFence + isCommit + isWait != 1)
    return false;
  d.expectOperands(isWait, isWait);
  in.offset = isWait ? immediate(d, 0) : 0;
  in.handler = isFence ? fence : isCommit ? commit : wait;
  return true;
}

void guardWgmmaRegisters(Kernel &kernel, const std::vector<RegisterUse> &uses) {
  std::vector<bool> concerned(kernel.numSlots, false);
  for (const Instr &in : kernel.code)
    if (in.handler == issue) {
      for (uint32_t slot : in.list)
        concerned[slot] = true;
      for (uint32_t slot : in.list2)
        concerned[slot] = true;
    }
  guardRegisters(kernel, uses, concerned, [](const Instr &in) { return in.handler == issue; }, guarded);
}

} // namespace emulator
} // namespace fourfold
