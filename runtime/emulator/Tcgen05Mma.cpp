// tcgen05.mma: operands, descriptors, and what they must hold (PTX ISA 9.7.16.10).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Tcgen05.h"

#include "BulkCopy.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::variant: the kind; variant2: scales of a row for K, 0: not block-scaled; offset: the shift of the input; list: addresses, three words each
/// (D, [A], [scales of A, scales of B]); list2: the lanes that are disabled, if any; src: A's descriptor, B's, the instruction's, the
/// predicate; and flags:
constexpr uint32_t kTensorA = 1, kNegatedPredicate = 2;

/// The columns of A in tensor memory: 32 bytes of K.
constexpr uint32_t kColumnsA = 8;

/// The part of one operand in shared memory, in chunks of 16 bytes.
void addChunks(std::vector<uint32_t> &chunks, const MatrixDescriptor &matrix, uint32_t rows, bool isKMajor, uint32_t elementBytes) {
  uint32_t outer = isKMajor ? rows : 32 / elementBytes, inner = isKMajor ? 2 : rows * elementBytes / 16;
  for (uint32_t row = 0; row < outer; ++row)
    for (uint32_t chunk = 0; chunk < inner; ++chunk)
      chunks.push_back(matrix.chunkAddress(row, chunk, isKMajor));
}

/// Of 16 bytes of an operand in shared memory.
uint32_t usedBytes(const TensorStep &step, ElementFormat format) {
  bool isPadded = step.elementBytes() == 1;
  return !isPadded ? 16 : format == ElementFormat::E2M1 ? 8 : format == ElementFormat::E2M3 || format == ElementFormat::E3M2 ? 12 : 16;
}

void requireLayout(Warp &warp, const Instr &in, int lane, const MatrixDescriptor &matrix, bool isKMajor, const TensorStep &step, const char *what) {
  auto fail = [&](const char *text) { report(warp, in, lane, device::kErrorIllegalInstruction, fmt::format("the shared-memory descriptor of {}: {}", what, text)); };
  if (matrix.swizzleAtom == 32 && (isKMajor || step.elementBytes() != 4))
    fail("swizzle 128 bytes, of 32, is for transposed tf32");
  if (matrix.swizzleAtom != 32 && !isKMajor && step.elementBytes() == 4)
    fail("transposed tf32 takes swizzle 128 bytes, of 32 (mode 1)");
}

/// Block scales in tensor memory: of row r in lane r % 32 of column r / 32, repeated for the four warps (PTX ISA 9.7.16.10.7).
void requireScales(Warp &warp, const Instr &in, int lane, uint32_t column, uint32_t rows, uint8_t bytes, const char *what) {
  TensorMemory &memory = tensorMemoryOf(warp);
  for (uint32_t row = 0; row < rows && warp.checks; ++row)
    for (uint32_t copy = 0; copy < 4; ++copy)
      if (uint32_t at = row % 32 + 32 * copy, known = memory.written(at, column + row / 32); ((known | known >> 4) & bytes) != bytes)
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("the scale of {} {} was never written: lane {}, column {:#x} of tensor memory (scales of 32 rows are repeated in the lanes of all four warps)",
                           what, row, at, column + row / 32));
}

/// The bytes of a column's word that hold the scales of a step.
uint8_t scaleBytes(const TensorStep &step, uint32_t id) { return static_cast<uint8_t>(((1u << step.scales) - 1) << id); }

void issueOne(Warp &warp, const Instr &in, int lane) {
  TensorOperation operation;
  operation.in = &in;
  operation.warp = &warp;
  operation.lane = lane;
  TensorStep &step = operation.step;
  step.kind = static_cast<StepKind>(in.variant);
  step.scales = in.variant2;
  requireInit(warp, in, in.src[2], 1u << lane, "as an instruction descriptor");
  uint32_t bits = warp.reg<uint32_t>(in.src[2])[lane];
  if (std::string wrong = readInstructionDescriptor(bits, &step); !wrong.empty())
    report(warp, in, lane, device::kErrorIllegalInstruction, fmt::format("the instruction descriptor {:#x}: {}", bits, wrong));
  requireInit(warp, in, in.src[3], 1u << lane, "as a predicate");
  step.accumulates = (warp.predicate(in.src[3]) >> lane & 1) != ((in.flags & kNegatedPredicate) != 0);
  step.inputShift = static_cast<int>(in.offset);
  for (size_t i = 0; i < in.list2.size(); ++i) {
    requireInit(warp, in, in.list2[i], 1u << lane, "as a mask of lanes");
    step.disabledLanes[i] = warp.reg<uint32_t>(in.list2[i])[lane];
  }

  uint32_t index = 0, addressD = tensorAddress(warp, in, lane, index++);
  step.laneD = addressD >> 16;
  step.columnD = addressD & 0xffff;
  if (step.m == 128 ? step.laneD != 0 : step.laneD != 0 && step.laneD != 16)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("D's address {:#x} is of lane {} of tensor memory: with M = {} it is {}", addressD, step.laneD, step.m, step.m == 128 ? "0" : "0 or 16"));
  operation.writes.push_back({step.groups(), step.columnD, step.n});
  step.hasTensorA = in.flags & kTensorA;
  if (step.hasTensorA) {
    uint32_t address = tensorAddress(warp, in, lane, index++);
    step.columnA = address & 0xffff;
    if (address >> 16 != step.laneD)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("A's address {:#x} is of lane {} of tensor memory, D's of lane {}: they must be the same", address, address >> 16, step.laneD));
    if (!step.isKMajorA)
      report(warp, in, lane, device::kErrorIllegalInstruction, fmt::format("the instruction descriptor {:#x}: A is transposed (bit 15), and stands in tensor memory", bits));
    if (step.elementBytes() == 1 && step.a != ElementFormat::E4M3 && step.a != ElementFormat::E5M2 && step.kind != StepKind::I8)
      report(warp, in, lane, device::kErrorNotSupported, "A of 4- or 6-bit elements in tensor memory is not supported by the emulated device");
    operation.reads.push_back({step.groups(), step.columnA, kColumnsA});
  } else {
    operation.a = sharedDescriptor(warp, in, lane, in.src[0], "A");
    requireLayout(warp, in, lane, operation.a, step.isKMajorA, step, "A");
    addChunks(operation.chunks, operation.a, step.m, step.isKMajorA, std::max(step.elementBytes(), 1u));
    operation.numChunksA = operation.chunks.size();
    operation.usedA = usedBytes(step, step.a);
  }
  operation.usedB = usedBytes(step, step.b);
  operation.b = sharedDescriptor(warp, in, lane, in.src[1], "B");
  requireLayout(warp, in, lane, operation.b, step.isKMajorB, step, "B");
  addChunks(operation.chunks, operation.b, step.n, step.isKMajorB, std::max(step.elementBytes(), 1u));
  if (step.scales) {
    uint32_t addressA = tensorAddress(warp, in, lane, index), addressB = tensorAddress(warp, in, lane, index + 1);
    for (auto [address, what] : {std::pair{addressA, "A"}, std::pair{addressB, "B"}})
      if (address >> 16 & 0x3fff) // CUTLASS keeps the scale's id in the two highest bits as well
        report(warp, in, lane, device::kErrorIllegalAddress,
               fmt::format("the address {:#x} of the scales of {} is of lane {} of tensor memory: it is of lane 0", address, what, address >> 16 & 0x3fff));
    step.columnScaleA = addressA & 0xffff;
    step.columnScaleB = addressB & 0xffff;
    operation.reads.push_back({0xff, step.columnScaleA, step.m / 32});
    operation.reads.push_back({0xff, step.columnScaleB, (step.n + 31) / 32});
  }

  TensorMemory &memory = tensorMemoryOf(warp);
  memory.issue(operation);
  auto isDisabled = [&](uint32_t at) { return step.disabledLanes[at / 32] >> (at % 32) & 1; };
  for (uint32_t row = 0; row < step.m && warp.checks; ++row) {
    uint32_t at = step.laneOf(row);
    for (uint32_t i = 0; step.hasTensorA && i < kColumnsA; ++i)
      if (memory.written(at, step.columnA + i) != 15)
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("A was never written: lane {}, column {:#x} of tensor memory", at, step.columnA + i));
    for (uint32_t i = 0; i < step.n && !isDisabled(at); ++i) {
      uint8_t &written = memory.written(at, step.columnD + i);
      if (step.accumulates && (written & (step.result == TensorStep::F16 ? 3 : 15)) != (step.result == TensorStep::F16 ? 3 : 15))
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("the product is added to D, which was never written: lane {}, column {:#x} of tensor memory", at, step.columnD + i));
      written = 15;
    }
  }
  if (step.scales) {
    requireScales(warp, in, lane, step.columnScaleA, step.m, scaleBytes(step, step.scaleIdA), "row");
    requireScales(warp, in, lane, step.columnScaleB, step.n, scaleBytes(step, step.scaleIdB), "column");
  }
  ++warp.block->counters.mmas[step.name()];
  countSharedBytes(warp.block->counters.wgmmaOperands, 32u * (step.n + (step.hasTensorA ? 0 : step.m)));
}

void issue(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    issueOne(warp, in, __builtin_ctz(rest));
}

/// What the qualifiers of block scales say: the scales of a row for K, 0 if none stands there.
uint8_t takeScales(Decoder &d) {
  static const std::pair<const char *, uint8_t> names[] = {{"scale_vec::1X", 1}, {"scale_vec::2X", 2}, {"scale_vec::4X", 4}, {"block32", 32}, {"block16", 4}};
  for (auto [name, value] : names)
    if (d.take(name))
      return value;
  return 0;
}

} // namespace

void decodeTensorProduct(Decoder &d) {
  Instr &in = d.out();
  for (const char *variant : {"ws", "sp", "ashift"})
    if (std::find(d.ast().mods.begin(), d.ast().mods.end(), variant) != d.ast().mods.end())
      d.fail(fmt::format("'.{}' of tcgen05.mma is not supported by the emulated device", variant));
  takeGroup(d);
  std::string kind = d.takePrefix("kind::");
  int found = -1;
  for (int i = 0; i < 7; ++i)
    if (kind == std::string("kind::") + kindName(static_cast<StepKind>(i)))
      found = i;
  if (found < 0)
    d.fail("tcgen05.mma needs a kind: f16, tf32, f8f6f4, i8, mxf8f6f4, mxf4 or mxf4nvf4");
  auto step = static_cast<StepKind>(found);
  in.variant = static_cast<uint8_t>(found);
  bool isScaled = isBlockScaled(step);
  if (isScaled != d.take("block_scale"))
    d.fail(fmt::format("{} {} .block_scale", kind, isScaled ? "needs" : "has no"));
  if (isScaled) {
    uint8_t most = step == StepKind::MxF8F6F4 ? 1 : 2, scales = takeScales(d);
    if (scales == 0 && step == StepKind::MxF4Nvf4)
      d.fail("kind::mxf4nvf4 needs .block16, .block32, .scale_vec::2X or .scale_vec::4X");
    in.variant2 = scales == 0 || scales == 32 ? most : scales;
    if (in.variant2 != most && !(in.variant2 == 4 && step == StepKind::MxF4Nvf4))
      d.fail(fmt::format("no tcgen05.mma of {} has scales of this size", kind));
  }
  d.takePrefix("collector::a::"); // says what to keep for later: A is read where it stands

  const std::vector<Operand> &operands = d.ast().operands;
  d.expectOperands(isScaled ? 7 : 5, 7);
  addAddress(d, d.operand(0), Space::Generic);
  uint32_t descriptorA = kZeroSlot; // addAddress uses src[0]
  if (d.operand(1).kind == Operand::Address) {
    in.flags |= kTensorA;
    addAddress(d, d.operand(1), Space::Generic);
  } else {
    descriptorA = d.source(d.operand(1), Type::B64);
  }
  in.src[1] = d.source(d.operand(2), Type::B64);
  in.src[2] = d.source32(d.operand(3));
  size_t next = 4;
  if (isScaled) {
    addAddress(d, d.operand(next++), Space::Generic);
    addAddress(d, d.operand(next++), Space::Generic);
  } else if (d.operand(next).kind == Operand::Vector) {
    const std::vector<Operand> &lanes = d.operand(next++).elements;
    if (lanes.size() != 4)
      d.fail(fmt::format("the mask of disabled lanes has 4 registers with .cta_group::1, {} are given", lanes.size()));
    for (const Operand &element : lanes)
      in.list2.push_back(d.source32(element));
  }
  bool isNegated = false;
  in.src[3] = d.predicate(d.operand(next++), isNegated);
  in.flags |= isNegated ? kNegatedPredicate : 0;
  if (next < operands.size()) {
    const Operand &shift = d.operand(next++);
    if ((step != StepKind::F16 && step != StepKind::TF32) || shift.kind != Operand::Integer || shift.value < 0 || shift.value > 15)
      d.fail("scale-input-d is an immediate from 0 to 15, of kind::f16 and kind::tf32");
    in.offset = shift.value;
  }
  d.expectOperands(next, next);
  in.src[0] = descriptorA;
  in.handler = issue;
  in.instrClass = InstrClass::Mma;
}

} // namespace emulator
} // namespace fourfold
