// tensormap.replace and tensormap.cp_fenceproxy: tensor maps that a program makes or changes (PTX ISA 9.7.9.28 and 9.7.13.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "BulkCopy.h"
#include "TensorMap.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kPart = 16; // bytes that checkedPointer takes at once

/// The 128 bytes at an address of shared or global memory, each access checked as a program's own.
TensorMap readMap(Warp &warp, const Instr &in, int lane, Space space, uint64_t address) {
  if (space != Space::Shared && space != Space::Global)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("the tensor map's address {:#x} is neither in shared nor in global memory", address));
  if (address % kTensorMapBytes)
    report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("the tensor map's address {:#x} is not a multiple of 128", address));
  TensorMap map;
  for (uint32_t at = 0; at < kTensorMapBytes; at += kPart) {
    LanePointer pointer = checkedPointer(warp, in, lane, space, address + at, kPart, AccessKind::Read);
    std::memcpy(reinterpret_cast<uint8_t *>(&map) + at, pointer.data, kPart);
    for (uint32_t i = 0; warp.checks && pointer.shadow && i < kPart; ++i)
      if (pointer.shadow[i] == kByteUnwritten)
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("byte {} of the tensor map at {:#x} was never written: a map starts as one of the host's, or as 128 bytes of zeros",
                           at + i, address));
  }
  return map;
}

void writeMap(Warp &warp, const Instr &in, int lane, Space space, uint64_t address, const TensorMap &map) {
  for (uint32_t at = 0; at < kTensorMapBytes; at += kPart) {
    LanePointer pointer = checkedPointer(warp, in, lane, space, address + at, kPart, AccessKind::Write);
    std::memcpy(pointer.data, reinterpret_cast<const uint8_t *>(&map) + at, kPart);
    if (pointer.shadow)
      std::memset(pointer.shadow, kByteWritten, kPart);
  }
}

/// Instr::variant: the MapField; src[1]: the value, of in.bytes bytes; flags: the dimension.
void replace(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  requireInit(warp, in, in.src[1], mask, "as a field of a tensor map");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    Space space = in.space == Space::Generic ? splitGeneric(addresses[lane]) : in.space;
    TensorMap map = readMap(warp, in, lane, space, addresses[lane]);
    uint64_t value = in.bytes == 8 ? warp.reg<uint64_t>(in.src[1])[lane] : warp.reg<uint32_t>(in.src[1])[lane];
    if (std::string wrong = replaceField(&map, static_cast<MapField>(in.variant), in.flags, value); !wrong.empty())
      report(warp, in, lane, device::kErrorIllegalInstruction, fmt::format("the tensor map at {:#x}: {}", addresses[lane], wrong));
    writeMap(warp, in, lane, space, addresses[lane], map);
  }
}

/// All lanes of the warp take part and name the same addresses (`.sync.aligned`): one copy.
void copyMap(Warp &warp, const Instr &in, uint32_t mask) {
  int lane = __builtin_ctz(mask);
  uint64_t to = anyAddress(warp, in, lane, 0), from = anyAddress(warp, in, lane, 1) & 0xffffffffu;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int other = __builtin_ctz(rest);
    if (anyAddress(warp, in, other, 0) != to || (anyAddress(warp, in, other, 1) & 0xffffffffu) != from)
      report(warp, in, other, device::kErrorLaunchFailed, fmt::format("lanes {} and {} give different addresses", lane, other));
  }
  writeMap(warp, in, lane, Space::Global, to, readMap(warp, in, lane, Space::Shared, from));
}

bool decodeReplace(Decoder &d) {
  struct Field {
    const char *name;
    MapField field;
    bool hasIndex;
    int bits;
  };
  static const Field fields[] = {{"global_address", MapField::GlobalAddress, false, 64},
                                 {"rank", MapField::Rank, false, 32},
                                 {"box_dim", MapField::BoxDim, true, 32},
                                 {"global_dim", MapField::GlobalDim, true, 32},
                                 {"global_stride", MapField::GlobalStride, true, 64},
                                 {"element_stride", MapField::ElementStride, true, 32},
                                 {"elemtype", MapField::ElementType, false, 32},
                                 {"interleave_layout", MapField::Interleave, false, 32},
                                 {"swizzle_mode", MapField::SwizzleMode, false, 32},
                                 {"swizzle_atomicity", MapField::SwizzleAtomicity, false, 32},
                                 {"fill_mode", MapField::FillMode, false, 32}};
  Instr &in = d.out();
  d.take("replace");
  if (!d.take("tile") || !d.take("b1024"))
    return false;
  const Field *field = nullptr;
  for (const Field &candidate : fields)
    if (d.take(candidate.name))
      field = &candidate;
  if (!field)
    return false;
  Type type = d.requireType();
  if (typeBits(type) != field->bits)
    d.fail(fmt::format("the field .{} has {} bits", field->name, field->bits));
  in.space = d.take("global") ? Space::Global : d.take("shared::cta") ? Space::Shared : Space::Generic;
  d.expectOperands(field->hasIndex ? 3 : 2, field->hasIndex ? 3 : 2);
  d.address(d.operand(0), in.space);
  if (field->hasIndex) {
    if (d.operand(1).kind != Operand::Integer)
      d.fail("the dimension of a field is an immediate");
    in.flags = static_cast<uint32_t>(d.operand(1).value);
  }
  in.src[1] = d.source(d.operand(field->hasIndex ? 2 : 1), type);
  in.bytes = static_cast<uint8_t>(typeBytes(type));
  in.variant = static_cast<uint8_t>(field->field);
  in.handler = replace;
  in.instrClass = in.space == Space::Global ? InstrClass::GlobalStore : InstrClass::SharedStore;
  in.ownInit = true;
  return true;
}

} // namespace

bool decodeTensorMapChange(Decoder &d) {
  const std::vector<std::string> &mods = d.ast().mods;
  if (d.ast().opcode != "tensormap" || mods.empty())
    return false;
  if (mods[0] == "replace")
    return decodeReplace(d);
  if (!d.take("cp_fenceproxy"))
    return false;
  for (const char *mod : {"global", "shared::cta", "tensormap::generic", "release", "sync", "aligned"})
    if (!d.take(mod))
      d.fail(fmt::format("tensormap.cp_fenceproxy needs .{}", mod));
  if (!d.take("cta") && !d.take("cluster") && !d.take("gpu") && !d.take("sys"))
    d.fail("tensormap.cp_fenceproxy needs a scope");
  d.expectOperands(3, 3);
  if (d.operand(2).kind != Operand::Integer || d.operand(2).value != kTensorMapBytes)
    d.fail("the size of a tensor map is 128");
  Instr &in = d.out();
  addAddress(d, d.operand(0), Space::Global);
  addAddress(d, d.operand(1), Space::Shared);
  in.handler = copyMap;
  in.instrClass = InstrClass::GlobalStore;
  in.ownInit = true;
  return true;
}

} // namespace emulator
} // namespace fourfold
