// Instructions by which lanes of a warp talk: shfl, vote, match, redux, activemask, elect (PTX ISA 9.7.9.6, 9.7.13).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Converge.h"
#include "Decoder.h"
#include "Warp.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Every executing lane must be in its own member mask, and every live member must execute the instruction.
void checkMembers(Warp &warp, const Instr &in, uint32_t mask, uint32_t slot) {
  requireInit(warp, in, slot, mask, "as a member mask");
  const uint32_t *members = warp.reg<uint32_t>(slot);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    if (!(members[lane] >> lane & 1))
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("lane {} is not in its own member mask {:#010x}", lane, members[lane]));
    if (uint32_t missing = members[lane] & warp.live & ~mask)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("the member mask {:#010x} names lanes {:#010x} that do not execute the instruction",
                         members[lane], missing));
  }
}

enum : uint8_t { kShuffleUp, kShuffleDown, kShuffleButterfly, kShuffleIndex };

void shuffle(Warp &warp, const Instr &in, uint32_t mask) {
  checkMembers(warp, in, mask, in.src[3]);
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]),
                 *c = warp.reg<uint32_t>(in.src[2]);
  uint32_t result[kLanes] = {}, predicate = 0, good = 0;
  uint32_t argsGood = warp.init[in.src[1]] & warp.init[in.src[2]];
  for (int lane = 0; lane < kLanes; ++lane) {
    int bval = static_cast<int>(b[lane] & 31), cval = static_cast<int>(c[lane] & 31);
    int segment = static_cast<int>(c[lane] >> 8 & 31);
    int maxLane = (lane & segment) | (cval & ~segment), minLane = lane & segment, from = 0;
    bool inside = false;
    switch (in.variant) {
    case kShuffleUp:
      from = lane - bval;
      inside = from >= maxLane;
      break;
    case kShuffleDown:
      from = lane + bval;
      inside = from <= maxLane;
      break;
    case kShuffleButterfly:
      from = lane ^ bval;
      inside = from <= maxLane;
      break;
    default:
      from = minLane | (bval & ~segment);
      inside = from <= maxLane;
    }
    if (!inside)
      from = lane;
    result[lane] = a[from];
    predicate |= static_cast<uint32_t>(inside) << lane;
    // Reading a lane that does not take part is undefined.
    if (mask & warp.init[in.src[0]] & (1u << from))
      good |= 1u << lane;
  }
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = result[lane];
  warp.setInit(in.dst, mask, good & argsGood);
  uint32_t *p = warp.reg<uint32_t>(in.dst2);
  *p = (*p & ~mask) | (predicate & mask);
  warp.setInit(in.dst2, mask, argsGood);
}

enum : uint8_t { kVoteAll, kVoteAny, kVoteUniform, kVoteBallot };

void vote(Warp &warp, const Instr &in, uint32_t mask) {
  checkMembers(warp, in, mask, in.src[3]);
  requireInit(warp, in, in.src[0], mask, "in a vote");
  const uint32_t *members = warp.reg<uint32_t>(in.src[3]);
  uint32_t value = warp.predicate(in.src[0]);
  value = in.flags ? ~value : value;
  uint32_t bits = 0;
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint32_t set = members[lane] & mask, yes = value & set;
    if (in.variant == kVoteBallot)
      d[lane] = yes;
    else
      bits |= static_cast<uint32_t>(in.variant == kVoteAll   ? yes == set
                                    : in.variant == kVoteAny ? yes != 0
                                                             : yes == set || yes == 0)
              << lane;
  }
  if (in.variant != kVoteBallot)
    *d = (*d & ~mask) | bits;
  warp.setInit(in.dst, mask, mask);
}

void match(Warp &warp, const Instr &in, uint32_t mask) {
  checkMembers(warp, in, mask, in.src[3]);
  requireInit(warp, in, in.src[0], mask, "in a match");
  const uint32_t *members = warp.reg<uint32_t>(in.src[3]);
  bool wide = in.variant2 == 64, all = in.variant == 1;
  uint32_t result[kLanes] = {}, predicate = 0;
  auto value = [&](int lane) {
    return wide ? warp.reg<uint64_t>(in.src[0])[lane] : warp.reg<uint32_t>(in.src[0])[lane];
  };
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint32_t same = 0, set = members[lane] & mask;
    for (int other = 0; other < kLanes; ++other)
      if ((set >> other & 1) && value(other) == value(lane))
        same |= 1u << other;
    result[lane] = all ? (same == set ? set : 0) : same;
    predicate |= static_cast<uint32_t>(same == set) << lane;
  }
  uint32_t *d = warp.reg<uint32_t>(in.dst), *p = warp.reg<uint32_t>(in.dst2);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = result[lane];
  *p = (*p & ~mask) | (predicate & mask);
  warp.setInit(in.dst, mask, mask);
  warp.setInit(in.dst2, mask, mask);
}

enum : uint8_t { kReduxAdd, kReduxMin, kReduxMax, kReduxAnd, kReduxOr, kReduxXor };

void redux(Warp &warp, const Instr &in, uint32_t mask) {
  checkMembers(warp, in, mask, in.src[3]);
  requireInit(warp, in, in.src[0], mask, "in a reduction");
  const uint32_t *members = warp.reg<uint32_t>(in.src[3]), *a = warp.reg<uint32_t>(in.src[0]);
  bool isSigned = in.flags & 1;
  uint32_t result[kLanes] = {};
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    bool first = true;
    uint32_t total = 0;
    for (int other = 0; other < kLanes; ++other) {
      if (!((members[lane] & mask) >> other & 1))
        continue;
      uint32_t x = a[other];
      bool less = isSigned ? static_cast<int32_t>(x) < static_cast<int32_t>(total) : x < total;
      if (first)
        total = x;
      else if (in.variant == kReduxAdd)
        total += x;
      else if (in.variant == kReduxMin)
        total = less ? x : total;
      else if (in.variant == kReduxMax)
        total = less ? total : x;
      else
        total = in.variant == kReduxAnd ? total & x : in.variant == kReduxOr ? total | x : total ^ x;
      first = false;
    }
    result[lane] = total;
  }
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = result[lane];
  warp.setInit(in.dst, mask, mask);
}

enum : uint32_t { kReduxAbs = 2, kReduxNaN = 4 };

/// The order of min and max: -0 is below +0. `nan`: a NaN wins, otherwise it loses.
uint32_t pickFloat(uint32_t a, uint32_t b, bool isMax, bool nan) {
  auto isNaN = [](uint32_t x) { return (x & 0x7fffffffu) > 0x7f800000u; };
  if (isNaN(a) || isNaN(b))
    return nan || (isNaN(a) && isNaN(b)) ? 0x7fffffffu : isNaN(a) ? b : a;
  auto key = [](uint32_t x) { return x >> 31 ? ~x : x | 0x80000000u; };
  return (key(a) < key(b)) == isMax ? b : a;
}

void reduxFloat(Warp &warp, const Instr &in, uint32_t mask) {
  checkMembers(warp, in, mask, in.src[3]);
  requireInit(warp, in, in.src[0], mask, "in a reduction");
  const uint32_t *members = warp.reg<uint32_t>(in.src[3]), *a = warp.reg<uint32_t>(in.src[0]);
  uint32_t result[kLanes] = {}, keep = in.flags & kReduxAbs ? 0x7fffffffu : 0xffffffffu;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint32_t set = members[lane] & mask, total = a[__builtin_ctz(set)] & keep;
    for (; set; set &= set - 1) // the first with itself: what makes a NaN canonical
      total = pickFloat(total, a[__builtin_ctz(set)] & keep, in.variant == kReduxMax, in.flags & kReduxNaN);
    result[lane] = total;
  }
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = result[lane];
  warp.setInit(in.dst, mask, mask);
}

void activeMask(Warp &warp, const Instr &in, uint32_t mask) {
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = mask;
}

void elect(Warp &warp, const Instr &in, uint32_t mask) {
  checkMembers(warp, in, mask, in.src[3]);
  uint32_t leader = static_cast<uint32_t>(__builtin_ctz(mask));
  uint32_t *d = warp.reg<uint32_t>(in.dst), *p = warp.reg<uint32_t>(in.dst2);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = leader;
  *p = (*p & ~mask) | (1u << leader);
  warp.setInit(in.dst, mask, mask);
  warp.setInit(in.dst2, mask, mask);
}

void setPair(Decoder &d, bool required) {
  const Operand &to = d.operand(0);
  if (!to.paired.empty())
    d.out().dst2 = d.predicateDestination(to.paired[0]);
  else if (required)
    d.fail("expects a second result, 'd|p'");
}

} // namespace

bool hasMemberMask(const Instr &in) {
  return in.handler == shuffle || in.handler == vote || in.handler == match || in.handler == redux || in.handler == reduxFloat || in.handler == elect;
}

bool decodeWarpWide(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &in = d.out();
  in.ownInit = true;
  in.instrClass = InstrClass::Move;
  if (op == "activemask") {
    d.requireType();
    d.expectOperands(1, 1);
    in.ownInit = false;
    in.handler = activeMask;
    in.dst = d.destination(d.operand(0), Type::B32);
    return true;
  }
  bool known = op == "shfl" || op == "vote" || op == "match" || op == "redux" || op == "elect";
  if (!known || !d.take("sync")) {
    in.ownInit = false;
    return false;
  }
  if (op == "shfl") {
    static const char *const modes[] = {"up", "down", "bfly", "idx"};
    uint8_t mode = 4;
    for (uint8_t i = 0; i < 4; ++i)
      if (d.take(modes[i]))
        mode = i;
    if (mode == 4)
      return false;
    d.requireType();
    d.expectOperands(5, 5);
    in.handler = shuffle;
    in.variant = mode;
    in.dst = d.destination(d.operand(0), Type::B32);
    setPair(d, false);
    in.src[0] = d.source(d.operand(1), Type::B32);
    for (size_t i = 1; i < 4; ++i)
      in.src[i] = d.source32(d.operand(i + 1));
    return true;
  }
  if (op == "vote") {
    in.variant = d.take("all") ? kVoteAll : d.take("any") ? kVoteAny : d.take("uni") ? kVoteUniform : kVoteBallot;
    if (in.variant == kVoteBallot) {
      if (!d.take("ballot"))
        return false;
      d.requireType();
      in.dst = d.destination(d.operand(0), Type::B32);
    } else {
      d.take("pred");
      in.dst = d.predicateDestination(d.operand(0));
    }
    d.expectOperands(3, 3);
    bool negated;
    in.handler = vote;
    in.src[0] = d.predicate(d.operand(1), negated);
    in.flags = negated;
    in.src[3] = d.source32(d.operand(2));
    return true;
  }
  if (op == "match") {
    bool all = d.take("all");
    if (!all && !d.take("any"))
      return false;
    Type type = d.requireType();
    d.expectOperands(3, 3);
    in.handler = match;
    in.variant = all;
    in.variant2 = static_cast<uint8_t>(typeBits(type));
    in.dst = d.destination(d.operand(0), Type::B32);
    setPair(d, false);
    in.src[0] = d.source(d.operand(1), type);
    in.src[3] = d.source32(d.operand(2));
    return true;
  }
  if (op == "redux") {
    static const char *const names[] = {"add", "min", "max", "and", "or", "xor"};
    uint8_t mode = 6;
    for (uint8_t i = 0; i < 6; ++i)
      if (d.take(names[i]))
        mode = i;
    Type type = d.requireType();
    bool isFloat32 = type == Type::F32 && (mode == kReduxMin || mode == kReduxMax);
    if (mode == 6 || typeBits(type) != 32 || (isFloat(type) && !isFloat32))
      return false;
    d.expectOperands(3, 3);
    in.handler = isFloat32 ? reduxFloat : redux;
    in.variant = mode;
    in.flags = type == Type::S32;
    if (isFloat32) {
      in.flags |= d.take("abs") ? kReduxAbs : 0u;
      in.flags |= d.take("NaN") ? kReduxNaN : 0u;
    }
    in.dst = d.destination(d.operand(0), Type::B32);
    in.src[0] = d.source(d.operand(1), Type::B32);
    in.src[3] = d.source32(d.operand(2));
    return true;
  }
  d.expectOperands(2, 2);
  in.handler = elect;
  in.dst = d.destination(d.operand(0), Type::B32);
  setPair(d, true);
  in.src[3] = d.source32(d.operand(1));
  return true;
}

} // namespace emulator
} // namespace fourfold
