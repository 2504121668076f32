// The video instructions (PTX ISA 9.7.17 and 9.7.18): on 32 bits, or on two halves or four bytes of them, with a selection of bytes before and
// a sum or a merge behind. nvcc has them for __vabsdiffu4, __vsadu4 and their like.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Video.h"

#include "Lanes.h"

#include <array>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

enum class VideoOp : uint32_t { Add, Sub, Avrg, AbsDiff, Min, Max, ShiftLeft, ShiftRight, Set };
enum class Comparison : uint32_t { Eq, Ne, Lt, Le, Gt, Ge };
enum class Behind : uint32_t { Merge, Add, Min, Max };

/// Instr::list, by place. A selector: of a scalar what its name says; of parts, four bits for each.
enum : size_t { kOp, kParts, kSignedD, kSignedA, kSignedB, kSaturates, kWraps, kComparison, kBehind, kSelectD, kSelectA, kSelectB, kNumFields };

/// Scalar selectors: all 32 bits, bytes 0 to 3, halves 0 and 1.
constexpr uint32_t kWhole = 0, kByte0 = 1, kHalf0 = 5;

uint32_t widthOf(uint32_t selector) { return selector == kWhole ? 32 : selector < kHalf0 ? 8 : 16; }
uint32_t shiftOf(uint32_t selector) { return selector == kWhole ? 0 : selector < kHalf0 ? 8 * (selector - kByte0) : 16 * (selector - kHalf0); }

int64_t extended(uint32_t bits, uint32_t width, bool isSigned) {
  uint32_t unused = 32 - width;
  return isSigned ? static_cast<int64_t>(static_cast<int32_t>(bits << unused) >> unused) : static_cast<int64_t>(bits << unused >> unused);
}

int64_t compute(const std::vector<uint32_t> &f, int64_t a, int64_t b) {
  switch (static_cast<VideoOp>(f[kOp])) {
  case VideoOp::Add:
    return a + b;
  case VideoOp::Sub:
    return a - b;
  case VideoOp::Avrg:
    return (a + b + (a + b >= 0 ? 1 : 0)) >> 1;
  case VideoOp::AbsDiff:
    return a > b ? a - b : b - a;
  case VideoOp::Min:
    return a < b ? a : b;
  case VideoOp::Max:
    return a > b ? a : b;
  case VideoOp::ShiftLeft:
  case VideoOp::ShiftRight: {
    int64_t count = f[kWraps] ? b & 31 : b > 32 ? 32 : b;
    return static_cast<VideoOp>(f[kOp]) == VideoOp::ShiftLeft ? a * (int64_t{1} << count) : a >> count;
  }
  case VideoOp::Set:
    break;
  }
  switch (static_cast<Comparison>(f[kComparison])) {
  case Comparison::Eq:
    return a == b;
  case Comparison::Ne:
    return a != b;
  case Comparison::Lt:
    return a < b;
  case Comparison::Le:
    return a <= b;
  case Comparison::Gt:
    return a > b;
  default:
    return a >= b;
  }
}

int64_t saturated(int64_t value, uint32_t width, bool isSigned) {
  int64_t high = isSigned ? (int64_t{1} << (width - 1)) - 1 : (int64_t{1} << width) - 1, low = isSigned ? -(int64_t{1} << (width - 1)) : 0;
  return value > high ? high : value < low ? low : value;
}

uint32_t scalar(const std::vector<uint32_t> &f, uint32_t a, uint32_t b, uint32_t c) {
  int64_t value = compute(f, extended(a >> shiftOf(f[kSelectA]), widthOf(f[kSelectA]), f[kSignedA]),
                          extended(b >> shiftOf(f[kSelectB]), widthOf(f[kSelectB]), f[kSignedB]));
  uint32_t width = widthOf(f[kSelectD]), shift = shiftOf(f[kSelectD]);
  if (f[kSaturates])
    value = saturated(value, width, f[kSignedD]);
  auto bits = static_cast<uint32_t>(value);
  switch (static_cast<Behind>(f[kBehind])) {
  case Behind::Add:
    return bits + c;
  case Behind::Min:
    return f[kSignedD] ? static_cast<uint32_t>(std::min(static_cast<int32_t>(bits), static_cast<int32_t>(c))) : std::min(bits, c);
  case Behind::Max:
    return f[kSignedD] ? static_cast<uint32_t>(std::max(static_cast<int32_t>(bits), static_cast<int32_t>(c))) : std::max(bits, c);
  case Behind::Merge:
    break;
  }
  if (width == 32)
    return bits;
  uint32_t mask = ((1u << width) - 1) << shift;
  return (bits << shift & mask) | (c & ~mask);
}

uint32_t inParts(const std::vector<uint32_t> &f, uint32_t a, uint32_t b, uint32_t c) {
  uint32_t parts = f[kParts], width = 32 / parts, keep = (1u << width) - 1, result = c;
  uint64_t both = a | static_cast<uint64_t>(b) << 32;
  for (uint32_t i = 0; i < parts; ++i) {
    if (!(f[kSelectD] >> i & 1))
      continue;
    auto part = [&](size_t selector, size_t sign) {
      return extended(static_cast<uint32_t>(both >> (width * (f[selector] >> (4 * i) & 15))), width, f[sign]);
    };
    int64_t value = compute(f, part(kSelectA, kSignedA), part(kSelectB, kSignedB));
    if (f[kSaturates])
      value = saturated(value, width, f[kSignedD]);
    if (static_cast<Behind>(f[kBehind]) == Behind::Add)
      result += static_cast<uint32_t>(extended(static_cast<uint32_t>(value), width, f[kSignedD]));
    else
      result = (result & ~(keep << (width * i))) | (static_cast<uint32_t>(value) & keep) << (width * i);
  }
  return result;
}

void run(Warp &warp, const Instr &in, uint32_t mask) {
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]), *c = warp.reg<uint32_t>(in.src[2]);
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = (in.list[kParts] == 1 ? scalar : inParts)(in.list, a[lane], b[lane], c[lane]);
}

/// `%r1.b3210` is parsed as a list of the register and the selector's name.
const Operand &registerOf(const Operand &operand) { return operand.kind == Operand::List && operand.elements.size() == 2 ? operand.elements[0] : operand; }
std::string selectorOf(const Operand &operand) { return operand.kind == Operand::List && operand.elements.size() == 2 ? operand.elements[1].name : ""; }

uint32_t scalarSelector(Decoder &d, const std::string &name) {
  static const char *const names[] = {"", "b0", "b1", "b2", "b3", "h0", "h1"};
  for (uint32_t i = 0; i < 7; ++i)
    if (name == names[i])
      return i;
  d.fail(fmt::format("'.{}' selects no byte or half of a register", name));
}

/// `b7321`: the parts from the highest down.
uint32_t partSelector(Decoder &d, const std::string &name, uint32_t parts, uint32_t without) {
  if (name.empty())
    return without;
  uint32_t result = 0;
  bool isRight = name.size() == parts + 1 && name[0] == (parts == 4 ? 'b' : 'h');
  for (uint32_t i = 0; isRight && i < parts; ++i) {
    auto digit = static_cast<uint32_t>(name[parts - i] - '0');
    isRight = digit < 2 * parts;
    result |= digit << (4 * i);
  }
  if (!isRight)
    d.fail(fmt::format("'.{}' does not select {} parts of two registers", name, parts));
  return result;
}

/// `b20`: which parts of the result are written.
uint32_t partMask(Decoder &d, const std::string &name, uint32_t parts) {
  if (name.empty())
    return (1u << parts) - 1;
  uint32_t result = 0;
  bool isRight = name.size() > 1 && name[0] == (parts == 4 ? 'b' : 'h');
  for (size_t i = 1; isRight && i < name.size(); ++i) {
    auto digit = static_cast<uint32_t>(name[i] - '0');
    isRight = digit < parts;
    result |= 1u << (digit & 3);
  }
  if (!isRight)
    d.fail(fmt::format("'.{}' is no mask of {} parts", name, parts));
  return result;
}

} // namespace

bool decodeVideo(Decoder &d) {
  struct Name {
    const char *name;
    VideoOp op;
    bool hasParts, isScalar;
  };
  static const Name names[] = {{"vadd", VideoOp::Add, true, true},           {"vsub", VideoOp::Sub, true, true},
                               {"vavrg", VideoOp::Avrg, true, false},        {"vabsdiff", VideoOp::AbsDiff, true, true},
                               {"vmin", VideoOp::Min, true, true},           {"vmax", VideoOp::Max, true, true},
                               {"vshl", VideoOp::ShiftLeft, false, true},    {"vshr", VideoOp::ShiftRight, false, true},
                               {"vset", VideoOp::Set, true, true}};
  const std::string &opcode = d.ast().opcode;
  uint32_t parts = opcode.empty() ? 1 : opcode.back() == '2' ? 2 : opcode.back() == '4' ? 4 : 1;
  const Name *name = nullptr;
  for (const Name &candidate : names)
    if (opcode.substr(0, opcode.size() - (parts > 1)) == candidate.name && (parts > 1 ? candidate.hasParts : candidate.isScalar))
      name = &candidate;
  if (!name)
    return false;
  Instr &in = d.out();
  in.list.assign(kNumFields, 0);
  auto field = [&](size_t i) -> uint32_t & { return in.list[i]; };
  field(kOp) = static_cast<uint32_t>(name->op);
  field(kParts) = parts;
  field(kSaturates) = d.take("sat");
  if (d.take("clamp"))
    field(kWraps) = 0;
  else if (d.take("wrap"))
    field(kWraps) = 1;
  else if (name->op == VideoOp::ShiftLeft || name->op == VideoOp::ShiftRight)
    d.fail("the shift needs .clamp or .wrap");
  if (name->op == VideoOp::Set) {
    static const char *const comparisons[] = {"eq", "ne", "lt", "le", "gt", "ge"};
    bool found = false;
    for (uint32_t i = 0; i < 6; ++i)
      if (d.take(comparisons[i])) {
        field(kComparison) = i;
        found = true;
      }
    if (!found)
      return false;
  }
  bool isSum = d.take("add");
  if (isSum)
    field(kBehind) = static_cast<uint32_t>(Behind::Add);
  else if (parts == 1 && d.take("min"))
    field(kBehind) = static_cast<uint32_t>(Behind::Min);
  else if (parts == 1 && d.take("max"))
    field(kBehind) = static_cast<uint32_t>(Behind::Max);
  auto takeSign = [&](size_t i) {
    Type type = d.requireType();
    if (type != Type::S32 && type != Type::U32)
      d.fail("the types of video instructions are .u32 and .s32");
    field(i) = type == Type::S32;
  };
  if (name->op != VideoOp::Set)
    takeSign(kSignedD);
  takeSign(kSignedA);
  takeSign(kSignedB);
  std::string selectD = selectorOf(d.operand(0)), selectA = selectorOf(d.operand(1)), selectB = selectorOf(d.operand(2));
  bool hasC = parts > 1 || field(kBehind) != 0 || !selectD.empty();
  d.expectOperands(hasC ? 4 : 3, hasC ? 4 : 3);
  if (parts > 1) {
    field(kSelectD) = partMask(d, selectD, parts);
    field(kSelectA) = partSelector(d, selectA, parts, parts == 4 ? 0x3210 : 0x10);
    field(kSelectB) = partSelector(d, selectB, parts, parts == 4 ? 0x7654 : 0x32);
  } else {
    field(kSelectD) = scalarSelector(d, selectD);
    field(kSelectA) = scalarSelector(d, selectA);
    field(kSelectB) = scalarSelector(d, selectB);
    if (field(kBehind) != 0 && field(kSelectD) != kWhole)
      d.fail("a second operation and a merge exclude each other");
  }
  in.dst = d.destination(registerOf(d.operand(0)), Type::B32);
  in.src[0] = d.source(registerOf(d.operand(1)), Type::B32);
  in.src[1] = d.source(registerOf(d.operand(2)), Type::B32);
  if (hasC)
    in.src[2] = d.source(d.operand(3), Type::B32);
  in.instrClass = InstrClass::Integer;
  in.handler = run;
  return true;
}

} // namespace emulator
} // namespace fourfold
