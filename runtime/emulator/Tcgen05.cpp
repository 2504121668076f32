// tcgen05: allocation, waits, fences and commits (PTX ISA 9.7.16.6, 9.7.16.7, 9.7.16.11).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Tcgen05.h"

#include "Access.h"
#include "AsyncProxy.h"
#include "BulkCopy.h"
#include "Cluster.h"
#include "Matrix.h"
#include "Mbarrier.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// The number of columns, which a warp gives together.
uint32_t uniformColumns(Warp &warp, const Instr &in) {
  requireInit(warp, in, in.src[1], kAllLanes, "as a number of columns");
  const uint32_t *values = warp.reg<uint32_t>(in.src[1]);
  for (int lane = 1; lane < kLanes; ++lane)
    if (values[lane] != values[0])
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("the number of columns is {} in lane 0 and {} here: it must be the same in all lanes", values[0], values[lane]));
  return values[0];
}

void allocate(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  uint32_t column = 0;
  if (!tensorMemoryOf(warp).allocate(warp, in, uniformColumns(warp, in), &column)) {
    warp.yields = warp.repeats = true; // until another warp gives columns back
    return;
  }
  uint64_t to = sharedAddress(warp, in, 0, 0, 4, "place for the address");
  LanePointer pointer = checkedPointer(warp, in, 0, Space::Shared, to, 4, AccessKind::Atomic);
  std::memcpy(pointer.data, &column, 4);
  std::memset(pointer.shadow, kByteWritten, 4);
}

void deallocate(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  tensorMemoryOf(warp).release(warp, in, uniformAddress(warp, in, 0), uniformColumns(warp, in));
}

void relinquish(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  tensorMemoryOf(warp).relinquish(warp, in);
}

void waitLoads(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  tensorMemoryOf(warp).waitLoads(warp);
}

void waitStores(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  tensorMemoryOf(warp).waitStores(warp);
}

void fenceBefore(Warp &warp, const Instr &, uint32_t) { tensorMemoryOf(warp).fenceBefore(warp); }
void fenceAfter(Warp &warp, const Instr &, uint32_t) { tensorMemoryOf(warp).fenceAfter(warp); }

void commit(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint64_t address = sharedAddress(warp, in, lane, 0, 8, "mbarrier's address");
    std::vector<std::pair<Block *, uint32_t>> barriers;
    auto add = [&](uint64_t where) {
      SharedPlace place = sharedPlace(warp, in, lane, where, true);
      barriers.emplace_back(place.block, place.offset);
    };
    if (in.flags & kMulticast) {
      requireInit(warp, in, in.src[3], 1u << lane, "as a mask of blocks");
      uint32_t ranks = warp.reg<uint32_t>(in.src[3])[lane] & 0xffff;
      size_t count = warp.block->cluster ? warp.block->cluster->blocks.size() : 1;
      if (ranks >> count || !ranks)
        report(warp, in, lane, device::kErrorIllegalAddress,
               fmt::format("the mask {:#x} of a multicast commit {} in a cluster of {}", ranks, ranks ? "names blocks that do not exist" : "is empty", count));
      for (; ranks; ranks &= ranks - 1)
        add((address & ((1u << kPeerShift) - 1)) | uint64_t{static_cast<uint32_t>(__builtin_ctz(ranks)) + 1} << kPeerShift);
    } else {
      add(address);
    }
    tensorMemoryOf(warp).commit(warp, in, lane, barriers);
  }
}

void guarded(Warp &warp, const Instr &in, uint32_t mask) {
  const RegisterGuard &guard = warp.kernel->registerGuards.at(warp.pc);
  TensorMemory &memory = tensorMemoryOf(warp);
  for (uint32_t slot : guard.reads)
    if (const Instr *load = memory.loadOf(warp, slot); load && !guard.isCopy)
      memory.noteEarlyUse(warp, in, *load);
  for (uint32_t slot : guard.writes)
    if (const Instr *load = memory.loadOf(warp, slot); load && warp.checks)
      report(warp, in, -1, device::kErrorLaunchFailed,
             fmt::format("the instruction writes a register that the tcgen05.ld at line {} loads: execute tcgen05.wait::ld before", load->line));
  guard.handler(warp, in, mask);
}

void decodeAllocation(Decoder &d) {
  Instr &in = d.out();
  takeGroup(d);
  if (!d.take("sync") || !d.take("aligned"))
    d.fail("tcgen05.alloc needs .sync.aligned");
  bool isShared = d.take("shared::cta") || d.take("shared");
  if (d.requireType() != Type::B32)
    d.fail("the address of tensor memory has type .b32");
  d.expectOperands(2, 2);
  addAddress(d, d.operand(0), isShared ? Space::Shared : Space::Generic);
  in.src[1] = d.source32(d.operand(1));
  in.handler = allocate;
  in.flow = Flow::Wait;
  in.instrClass = InstrClass::Barrier; // waiting is no progress
}

void decodeDeallocation(Decoder &d) {
  takeGroup(d);
  if (!d.take("sync") || !d.take("aligned") || d.requireType() != Type::B32)
    d.fail("expects tcgen05.dealloc.cta_group.sync.aligned.b32");
  d.expectOperands(2, 2);
  Operand address = d.operand(0);
  d.out().list = {d.source32(address), 0, 0}; // as addAddress leaves it
  d.out().src[1] = d.source32(d.operand(1));
  d.out().handler = deallocate;
  d.out().instrClass = InstrClass::AsyncCopy; // so that the watchdog sees progress
}

void decodeCommit(Decoder &d) {
  Instr &in = d.out();
  takeGroup(d);
  if (!d.take("mbarrier::arrive::one"))
    d.fail("tcgen05.commit needs .mbarrier::arrive::one");
  bool isShared = d.take("shared::cluster");
  bool isMulticast = d.take("multicast::cluster");
  if (d.requireType() != Type::B64)
    d.fail("an mbarrier has type .b64");
  d.expectOperands(isMulticast ? 2 : 1, isMulticast ? 2 : 1);
  addAddress(d, d.operand(0), isShared ? Space::Shared : Space::Generic);
  in.takesPeers = true;
  if (isMulticast) {
    d.result().usesClusters = true;
    takeMulticast(d, d.operand(1));
  }
  in.handler = commit;
  in.instrClass = InstrClass::AsyncCopy;
}

} // namespace

void takeGroup(Decoder &d) {
  if (d.take("cta_group::2"))
    d.fail("'.cta_group::2' is not supported by the emulated device: '.cta_group::1' is");
  if (!d.take("cta_group::1"))
    d.fail("the instruction needs .cta_group::1 or .cta_group::2");
}

uint32_t tensorAddress(Warp &warp, const Instr &in, int lane, uint32_t index) { return static_cast<uint32_t>(anyAddress(warp, in, lane, index)); }

uint32_t uniformAddress(Warp &warp, const Instr &in, uint32_t index) {
  uint32_t address = tensorAddress(warp, in, 0, index);
  for (int lane = 1; lane < kLanes; ++lane)
    if (uint32_t other = tensorAddress(warp, in, lane, index); other != address)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("the address of tensor memory is {:#x} in lane 0 and {:#x} here: it must be the same in all lanes", address, other));
  return address;
}

MatrixDescriptor sharedDescriptor(Warp &warp, const Instr &in, int lane, uint32_t slot, const char *what) {
  requireInit(warp, in, slot, 1u << lane, "as a matrix descriptor");
  uint64_t bits = warp.reg<uint64_t>(slot)[lane];
  if (std::string wrong = checkTcgen05Descriptor(bits); !wrong.empty())
    report(warp, in, lane, device::kErrorIllegalInstruction, fmt::format("the shared-memory descriptor {:#x} of {}: {}", bits, what, wrong));
  return MatrixDescriptor::ofTcgen05(bits);
}

bool decodeTcgen05(Decoder &d) {
  if (d.ast().opcode != "tcgen05")
    return false;
  Instr &in = d.out();
  in.ownInit = true;
  in.instrClass = InstrClass::Barrier;
  d.result().usesTensorMemory = d.result().usesMbarriers = d.result().usesAsyncProxy = true;
  auto plain = [&](Handler handler, bool isAligned) {
    if (isAligned && (!d.take("sync") || !d.take("aligned")))
      d.fail("the instruction needs .sync.aligned");
    d.expectOperands(0, 0);
    in.handler = handler;
  };
  if (d.take("alloc")) {
    decodeAllocation(d);
  } else if (d.take("dealloc")) {
    decodeDeallocation(d);
  } else if (d.take("relinquish_alloc_permit")) {
    takeGroup(d);
    plain(relinquish, true);
  } else if (d.take("wait::ld")) {
    plain(waitLoads, true);
  } else if (d.take("wait::st")) {
    plain(waitStores, true);
  } else if (d.take("fence::before_thread_sync")) {
    d.result().usesTensorFences = true;
    plain(fenceBefore, false);
  } else if (d.take("fence::after_thread_sync")) {
    d.result().usesTensorFences = true;
    plain(fenceAfter, false);
  } else if (d.take("commit")) {
    decodeCommit(d);
  } else if (d.take("ld")) {
    decodeTensorLoadStore(d, true);
  } else if (d.take("st")) {
    decodeTensorLoadStore(d, false);
  } else if (d.take("cp")) {
    decodeCopyToTensor(d);
  } else if (d.take("shift")) {
    d.fail("tcgen05.shift is not supported by the emulated device: which lanes it moves is not documented in text");
  } else if (d.take("mma")) {
    decodeTensorProduct(d);
  } else {
    return false;
  }
  return true;
}

void guardTensorRegisters(Kernel &kernel, const std::vector<RegisterUse> &uses) {
  std::vector<bool> concerned(kernel.numSlots, false);
  for (const Instr &in : kernel.code)
    if (isTensorLoad(in))
      for (uint32_t slot : in.list2)
        concerned[slot] = true;
  guardRegisters(kernel, uses, concerned, isTensorLoad, guarded);
}

} // namespace emulator
} // namespace fourfold
