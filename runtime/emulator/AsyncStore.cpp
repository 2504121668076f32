// What blocks of a cluster store into each other's shared memory while they go on: st.async, red.async and bulk copies from shared memory to
// shared memory (PTX ISA 9.7.9.12, 9.7.13.15, 9.7.9.25.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "BulkCopy.h"
#include "Cluster.h"
#include "Mbarrier.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::list: addresses of destination and mbarrier, as of bulk copies; list2: the values.
void storeAsync(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t slot : in.list2)
    requireInit(warp, in, slot, mask, "as the value of an asynchronous store");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    BulkCopy copy;
    copy.in = &in;
    copy.lane = lane;
    copy.bytes = in.bytes * static_cast<uint32_t>(in.list2.size());
    copy.isValue = true;
    copy.reduces = in.flags;
    copy.op = static_cast<AtomicOp>(in.variant2);
    copy.type = static_cast<Type>(in.variant);
    for (uint32_t slot : in.list2) {
      uint64_t value = in.bytes == 8 ? warp.reg<uint64_t>(slot)[lane] : warp.reg<uint32_t>(slot)[lane];
      const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
      copy.data.insert(copy.data.end(), bytes, bytes + in.bytes);
    }
    uint64_t to = sharedAddress(warp, in, lane, 0, copy.bytes, "destination");
    uint64_t barrier = sharedAddress(warp, in, lane, 1, 8, "mbarrier's address");
    Block &target = copyTarget(warp, in, lane, to, barrier);
    requireSignalable(warp, in, lane, target, barrier, false);
    copy.barrier = static_cast<uint32_t>(barrier);
    copy.pieces.push_back({static_cast<uint32_t>(to), copy.bytes, nullptr, nullptr});
    target.async->issueLoad(warp, std::move(copy));
  }
}

} // namespace

bool reducesPeers(AtomicOp op, Type type) {
  switch (op) {
  case AtomicOp::Add:
    return type == Type::U32 || type == Type::S32 || type == Type::U64;
  case AtomicOp::Min:
  case AtomicOp::Max:
    return type == Type::U32 || type == Type::S32;
  case AtomicOp::And:
  case AtomicOp::Or:
  case AtomicOp::Xor:
    return type == Type::B32;
  default:
    return type == Type::U32;
  }
}

void copyToPeer(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[2], mask, "as the size of a copy");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    BulkCopy copy;
    copy.in = &in;
    copy.lane = lane;
    copy.isFromShared = true;
    copy.reduces = in.variant != 0;
    copy.op = static_cast<AtomicOp>(in.variant2);
    copy.type = static_cast<Type>(in.bytes);
    copy.bytes = warp.reg<uint32_t>(in.src[2])[lane];
    if (copy.bytes % 16)
      report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("the size {} of a bulk copy is not a multiple of 16", copy.bytes));
    uint64_t to = sharedAddress(warp, in, lane, 0, 16, "destination"), from = sharedAddress(warp, in, lane, 1, 16, "source");
    uint64_t barrier = sharedAddress(warp, in, lane, 2, 8, "mbarrier's address");
    Block &target = copyTarget(warp, in, lane, to, barrier);
    requireSignalable(warp, in, lane, target, barrier);
    copy.barrier = static_cast<uint32_t>(barrier);
    SharedPlace source = sharedPlace(warp, in, lane, from, false);
    if (copy.bytes) {
      warp.block->async->requireSource(warp, copy, source.offset, copy.bytes);
      SharedMemory &shared = warp.block->shared;
      copy.pieces.push_back({static_cast<uint32_t>(to), copy.bytes, &shared.data[source.offset], &shared.shadow[source.offset]});
      target.async->noteSource(shared, copy, source.offset);
    }
    target.async->issueLoad(warp, std::move(copy));
  }
}

Block &copyTarget(Warp &warp, const Instr &in, int lane, uint64_t &to, uint64_t &barrier) {
  SharedPlace target = sharedPlace(warp, in, lane, to, in.takesPeers, false);
  SharedPlace signal = sharedPlace(warp, in, lane, barrier, in.takesPeers, false);
  if (target.block != signal.block)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("the copy writes to the shared memory of block {} and signals an mbarrier in that of block {}: both must be of one block",
                       blockName(*target.block), blockName(*signal.block)));
  to = target.offset;
  barrier = signal.offset;
  return *target.block;
}

bool decodeAsyncStore(Decoder &d) {
  const std::vector<std::string> &mods = d.ast().mods;
  bool isReduction = d.ast().opcode == "red";
  if ((d.ast().opcode != "st" && !isReduction) || std::find(mods.begin(), mods.end(), "async") == mods.end())
    return false;
  Instr &in = d.out();
  d.take("async");
  if (isReduction) {
    if (!d.take("relaxed") || !d.take("cluster"))
      d.fail("red.async is .relaxed.cluster");
  } else {
    d.take("weak");
  }
  Space space = d.take("shared::cluster") ? Space::Shared : Space::Generic;
  if (!d.take("mbarrier::complete_tx::bytes")) // that of .mmio writes to global memory
    d.fail("the form that is supported is of .shared::cluster, with .mbarrier::complete_tx::bytes");
  size_t elements = isReduction ? 1 : d.take("v2") ? 2 : d.take("v4") ? 4 : 1;
  if (isReduction && !takeReduction(d))
    d.fail("red.async needs an operation");
  Type type = d.requireType();
  bool isLongSum = in.variant2 == static_cast<uint8_t>(AtomicOp::Add) && type == Type::S64;
  if (isReduction && !isLongSum && !reducesPeers(static_cast<AtomicOp>(in.variant2), type))
    d.fail("no red.async has this operation and type");
  if (typeBits(type) != 32 && typeBits(type) != 64)
    d.fail("st.async takes types of 32 and 64 bits");
  if (elements == 4 && typeBits(type) == 64)
    d.fail("st.async stores 16 bytes at most");
  d.expectOperands(3, 3);
  addAddress(d, d.operand(0), space);
  addAddress(d, d.operand(2), space);
  std::vector<Operand> single{d.operand(1)};
  const std::vector<Operand> &values = d.operand(1).kind == Operand::Vector ? d.operand(1).elements : single;
  if (values.size() != elements)
    d.fail(fmt::format("the vector has {} elements, the instruction {}", values.size(), elements));
  for (const Operand &value : values)
    in.list2.push_back(d.source(value, type));
  in.handler = storeAsync;
  in.bytes = static_cast<uint8_t>(typeBytes(type));
  in.variant = static_cast<uint8_t>(type);
  in.flags = isReduction;
  in.takesPeers = true;
  in.ownInit = true;
  in.instrClass = InstrClass::AsyncCopy;
  d.result().usesMbarriers = true;
  return true;
}

} // namespace emulator
} // namespace fourfold
