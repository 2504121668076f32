// Branches, exits, barriers (PTX ISA 9.7.12, 9.7.13.1).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Barrier.h"
#include "Decoder.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

void nothing(Warp &, const Instr &, uint32_t) {}

void synchronizeLanes(Warp &warp, const Instr &, uint32_t) {
  Clocks &clocks = *warp.block->shared.order;
  if (clocks.areFollowed())
    ++clocks.steps[warp.agent];
}

bool decodeBarrier(Decoder &d, const std::string &op) {
  Instr &in = d.out();
  in.instrClass = InstrClass::Barrier;
  in.flow = Flow::Barrier;
  in.ownInit = true;
  d.take("cta");
  if (op == "bar" && d.take("warp")) {
    if (!d.take("sync"))
      return false;
    d.expectOperands(1, 1);
    in.src[3] = d.source32(d.operand(0));
    in.flow = Flow::Next; // lanes run in lockstep where Converge.cpp does not part them: the check of races needs to know
    in.handler = synchronizeLanes;
    return true;
  }
  // `bar` is `barrier.aligned`; without .aligned the lanes of a warp may arrive apart, which this device does not
  // model: it reports divergence either way.
  d.take("aligned");
  bool isReduce = d.take("red");
  if (d.take("arrive"))
    in.variant = kBarrierArrive;
  else if (!isReduce && !d.take("sync"))
    return false;
  size_t next = 0;
  if (isReduce) {
    if (d.take("popc")) {
      in.variant2 = kReducePopc;
      d.requireType();
      in.dst = d.destination(d.operand(next++), Type::U32);
    } else {
      in.variant2 = d.take("and") ? kReduceAnd : d.take("or") ? kReduceOr : kReduceNone;
      if (in.variant2 == kReduceNone)
        return false;
      d.take("pred");
      in.dst = d.predicateDestination(d.operand(next++));
    }
  }
  size_t last = d.numOperands() - (isReduce ? 1 : 0);
  if (next >= last)
    d.fail("the barrier number is missing");
  in.src[0] = d.source32(d.operand(next++));
  if (next < last)
    in.src[1] = d.source32(d.operand(next++));
  if (isReduce) {
    bool negated;
    in.src[2] = d.predicate(d.operand(next), negated);
    in.flags = negated ? kBarrierNegate : 0;
  }
  return true;
}

/// How many registers a warp has changes no result; that all of it takes part is required.
void changeRegisterCount(Warp &warp, const Instr &in, uint32_t mask) {
  if (mask != warp.live)
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("an .aligned instruction is executed by lanes {:#010x} of {:#010x}", mask, warp.live));
}

} // namespace

bool isWarpBarrier(const Instr &in) { return in.handler == synchronizeLanes; }

bool decodeControl(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &in = d.out();
  in.instrClass = InstrClass::Control;
  if (op == "bra") {
    d.take("uni");
    d.expectOperands(1, 1);
    in.flow = Flow::Branch;
    in.target = d.label(d.operand(0));
    return true;
  }
  if (op == "brx") {
    d.take("uni");
    if (!d.take("idx"))
      return false;
    d.expectOperands(2, 2);
    in.flow = Flow::BranchIndexed;
    in.src[0] = d.source32(d.operand(0));
    const std::vector<std::string> *targets = d.branchTargets(d.operand(1).name);
    if (!targets)
      d.fail(fmt::format("'{}' is not a .branchtargets list", d.operand(1).name));
    for (const std::string &target : *targets)
      in.list.push_back(d.labelByName(target, d.operand(1).scope));
    return true;
  }
  if (op == "exit" || op == "ret") {
    d.take("uni");
    in.flow = Flow::Exit;
    return true;
  }
  if (op == "trap" || op == "brkpt") {
    in.flow = Flow::Trap;
    return true;
  }
  if (op == "nanosleep") {
    d.requireType();
    d.expectOperands(1, 1);
    in.src[0] = d.source32(d.operand(0));
    in.handler = nothing;
    in.ownInit = true;
    return true;
  }
  if (op == "pmevent" || op == "griddepcontrol") {
    // Launches run one after the other, each to its end: what a grid depends on has ended before it starts.
    if (op == "griddepcontrol" && !d.take("wait") && !d.take("launch_dependents"))
      return false;
    in.handler = nothing;
    in.ownInit = true;
    return op == "griddepcontrol";
  }
  if (op == "setmaxnreg") {
    if ((!d.take("inc") && !d.take("dec")) || !d.take("sync") || !d.take("aligned"))
      return false;
    d.requireType();
    d.expectOperands(1, 1);
    const Operand &count = d.operand(0);
    if (count.kind != Operand::Integer || count.value < 24 || count.value > 256 || count.value % 8)
      d.fail("setmaxnreg takes an immediate from 24 to 256 that is a multiple of 8");
    in.handler = changeRegisterCount;
    in.ownInit = true;
    return true;
  }
  if (op == "bar" || op == "barrier")
    return decodeBarrier(d, op);
  return false;
}

} // namespace emulator
} // namespace fourfold
