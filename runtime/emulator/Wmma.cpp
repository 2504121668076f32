// wmma.load, wmma.mma, wmma.store (PTX ISA 9.7.14.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which lane holds which element is left open by PTX. Here lane i holds the i-th run of a matrix stored by rows; where a fragment has more
// places than that (A and B of f16), all is there twice.

#include "Access.h"
#include "ElementFormat.h"
#include "Matrix.h"
#include "MmaDense.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Element types: those of ElementFormat, and of accumulators.
struct WmmaType {
  ElementFormat format;
  bool isF64, isF32, isS32;
  uint32_t bytes;
};

bool parseWmmaType(const std::string &name, WmmaType *type) {
  *type = {parseElementFormat(name), name == "f64", name == "f32", name == "s32", 4};
  if (type->isF64)
    type->bytes = 8;
  else if (!type->isF32 && !type->isS32) {
    if (type->format == ElementFormat::None || isSmallFloat(type->format) || name == "s4" || name == "u4")
      return false;
    type->bytes = type->format == ElementFormat::TF32 ? 4 : isInteger(type->format) ? 1 : 2;
  }
  return true;
}

/// Instr::variant: rows; variant2: columns; bytes: of an element; flags: stored by columns; above kPackedShift: the stride counts parts of
/// elements, 2^n each; src[1]: the stride; list: registers.
constexpr uint32_t kPackedShift = 8;

struct Fragment {
  uint32_t rows, columns, bytes;
  const std::vector<uint32_t> &registers;
  size_t first, count; // registers of it

  uint32_t perLane() const { return rows * columns / kLanes; }
  uint32_t places() const { return static_cast<uint32_t>(count) * (bytes == 8 ? 1 : 4 / bytes); }

  uint8_t *place(Warp &warp, uint32_t lane, uint32_t index) const {
    uint32_t slotBytes = bytes == 8 ? 8 : 4, at = index * bytes;
    return reinterpret_cast<uint8_t *>(warp.reg<uint32_t>(registers[first + at / slotBytes])) + lane * slotBytes + at % slotBytes;
  }
  uint64_t get(Warp &warp, uint32_t row, uint32_t column) const {
    uint32_t element = row * columns + column;
    uint64_t bits = 0;
    std::memcpy(&bits, place(warp, element / perLane(), element % perLane()), bytes);
    return bits;
  }
  void set(Warp &warp, uint32_t row, uint32_t column, uint64_t bits) const {
    uint32_t element = row * columns + column;
    for (uint32_t index = element % perLane(); index < places(); index += perLane())
      std::memcpy(place(warp, element / perLane(), index), &bits, bytes);
  }
};

template <bool kStore>
void transfer(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  requireInit(warp, in, in.src[1], mask, "as a stride");
  Fragment fragment{in.variant, in.variant2, in.bytes, in.list, 0, in.list.size()};
  if (kStore)
    for (uint32_t slot : in.list)
      requireInit(warp, in, slot, mask, "as a matrix operand");
  uint64_t stride = warp.reg<uint32_t>(in.src[1])[0] >> (in.flags >> kPackedShift);
  bool byColumns = in.flags & 1, known = true;
  uint64_t touched[kLanes], sharedBytes = 0; // global addresses, counted 32 at a time: fragments have multiples of 32 elements
  int numTouched = 0;
  for (uint32_t row = 0; row < fragment.rows; ++row)
    for (uint32_t column = 0; column < fragment.columns; ++column) {
      uint64_t address = addresses[0] + (byColumns ? column * stride + row : row * stride + column) * in.bytes;
      int lane = static_cast<int>((row * fragment.columns + column) / fragment.perLane());
      Space space = in.space == Space::Generic ? splitGeneric(address) : in.space;
      LanePointer pointer = checkedPointer(warp, in, lane, space, address, in.bytes, kStore ? AccessKind::Write : AccessKind::Read);
      if (space == Space::Shared) {
        sharedBytes += in.bytes;
      } else {
        touched[numTouched++] = address;
        if (numTouched == kLanes) {
          countGlobal(*warp.block, kStore ? GlobalAccess::Store : GlobalAccess::Load, kAllLanes, touched, in.bytes);
          numTouched = 0;
        }
      }
      uint64_t bits = kStore ? fragment.get(warp, row, column) : 0;
      if (kStore) {
        std::memcpy(pointer.data, &bits, in.bytes);
        if (pointer.shadow)
          std::memset(pointer.shadow, kByteWritten, in.bytes);
        continue;
      }
      std::memcpy(&bits, pointer.data, in.bytes);
      fragment.set(warp, row, column, bits);
      for (uint32_t i = 0; warp.checks && pointer.shadow && i < in.bytes; ++i)
        if (pointer.shadow[i] == kByteUnwritten) {
          known = false;
          warp.uninitLine = in.line;
          warp.uninitAddress = address + i;
        }
    }
  if (!kStore)
    for (uint32_t slot : in.list)
      warp.setInit(slot, mask, known ? mask : 0);
  if (sharedBytes)
    countSharedBytes(kStore ? warp.block->counters.sharedStores : warp.block->counters.sharedLoads, sharedBytes);
}

double toDouble(uint64_t bits, const WmmaType &type) {
  if (type.isF64) {
    double value;
    std::memcpy(&value, &bits, 8);
    return value;
  }
  if (type.isS32)
    return static_cast<int32_t>(bits);
  if (type.format == ElementFormat::S8)
    return static_cast<int8_t>(bits);
  if (type.format == ElementFormat::U8)
    return static_cast<uint8_t>(bits);
  return static_cast<double>(type.isF32 ? numerics::floatFromBits(static_cast<uint32_t>(bits)) : decodeElement(type.format, static_cast<uint32_t>(bits)));
}

/// The types of d, a, b, c, beside what an Instr has: by Instr::mmaKind they are decoded again from its name.
struct WmmaProduct {
  uint32_t m, n, k;
  WmmaType d, a, b, c;
  bool saturates;
};

WmmaProduct productOf(const Warp &warp, const Instr &in) {
  // "wmma.TYPE.TYPE.TYPE.TYPE.mMnNkK"
  const std::string &name = warp.kernel->mmaKinds[in.mmaKind];
  std::vector<std::string> parts;
  for (size_t at = 0; at != std::string::npos;) {
    size_t dot = name.find('.', at);
    parts.push_back(name.substr(at, dot - at));
    at = dot == std::string::npos ? dot : dot + 1;
  }
  WmmaProduct product{};
  product.m = in.variant;
  product.n = in.variant2;
  product.k = in.bytes;
  parseWmmaType(parts[1], &product.d);
  parseWmmaType(parts[2], &product.a);
  parseWmmaType(parts[3], &product.b);
  parseWmmaType(parts[4], &product.c);
  product.saturates = in.flags & 1;
  return product;
}

void multiply(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  for (uint32_t slot : in.list)
    requireInit(warp, in, slot, mask, "as a matrix operand");
  WmmaProduct p = productOf(warp, in);
  auto counts = static_cast<uint64_t>(in.offset);
  size_t numA = counts & 0xff, numB = counts >> 8 & 0xff;
  Fragment a{p.m, p.k, p.a.bytes, in.list, 0, numA}, b{p.k, p.n, p.b.bytes, in.list, numA, numB},
      c{p.m, p.n, p.c.bytes, in.list, numA + numB, in.list.size() - numA - numB}, d{p.m, p.n, p.d.bytes, in.list2, 0, in.list2.size()};
  bool isNew = warp.launch->major >= 9, isHalfC = p.c.bytes == 2, isHalfD = p.d.bytes == 2;
  int fractionBits = isNew ? 25 : 24, step = isNew ? static_cast<int>(p.k) : p.a.bytes == 4 ? 4 : 8;
  DotModel model{fractionBits, (isHalfD ? 4 : -108) - fractionBits, smallestExponent(p.a.format), isHalfC ? -14 : -126};
  std::vector<uint64_t> results; // the destination may be an operand
  for (uint32_t row = 0; row < p.m; ++row)
    for (uint32_t column = 0; column < p.n; ++column) {
      double sum = isHalfC ? static_cast<double>(numerics::decodeF16(static_cast<uint16_t>(c.get(warp, row, column)))) : toDouble(c.get(warp, row, column), p.c);
      uint64_t bits = 0;
      float x[16], y[16];
      for (uint32_t i = 0; i < p.k; ++i) {
        double left = toDouble(a.get(warp, row, i), p.a), right = toDouble(b.get(warp, i, column), p.b);
        if (p.d.isF64)
          sum = std::fma(left, right, sum);
        else if (p.d.isS32)
          sum += left * right; // exact
        else {
          x[i] = static_cast<float>(left);
          y[i] = static_cast<float>(right);
        }
      }
      if (p.d.isF64) {
        std::memcpy(&bits, &sum, 8);
      } else if (p.d.isS32) {
        double limited = p.saturates ? std::fmin(std::fmax(sum, -2147483648.0), 2147483647.0) : sum;
        bits = static_cast<uint32_t>(static_cast<int64_t>(limited));
      } else {
        auto value = static_cast<float>(sum);
        for (int i = 0; i < static_cast<int>(p.k); i += step) {
          FusedDot dot = fusedDot(x + i, y + i, step, value, model);
          bits = isHalfD ? dotToHalf(dot) : numerics::floatBits(dotToFloat(dot));
          value = isHalfD ? numerics::decodeF16(static_cast<uint16_t>(bits)) : numerics::floatFromBits(static_cast<uint32_t>(bits));
        }
      }
      results.push_back(bits);
    }
  for (uint32_t row = 0; row < p.m; ++row)
    for (uint32_t column = 0; column < p.n; ++column)
      d.set(warp, row, column, results[row * p.n + column]);
  for (uint32_t slot : in.list2)
    warp.setInit(slot, mask, mask);
  ++warp.block->mmaCounts[in.mmaKind];
}

void registers(Decoder &d, size_t index, Type type, bool isDestination, std::vector<uint32_t> &list) {
  const Operand &operand = d.operand(index);
  std::vector<Operand> single{operand};
  for (const Operand &element : operand.kind == Operand::Vector ? operand.elements : single)
    list.push_back(isDestination ? d.destination(element, type) : d.source(element, type));
}

/// The shapes of a type of A and B, or of an accumulator that is loaded or stored (PTX ISA 9.7.14.4.1).
bool hasShape(const std::string &type, const std::string &shape, bool isFactor) {
  if (type == "f64" || type == "tf32")
    return type == "f64" ? shape == "m8n8k4" : isFactor && shape == "m16n16k8";
  bool isLarge = shape == "m16n16k16" || shape == "m8n32k16" || shape == "m32n8k16";
  if (!isFactor && type == "s32" && (shape == "m8n8k32" || shape == "m8n8k128"))
    return true;
  if (isFactor)
    return isLarge && (type == "f16" || type == "bf16" || type == "s8" || type == "u8");
  return (type == "f32" && shape == "m16n16k8") || (isLarge && (type == "f16" || type == "f32" || type == "s32"));
}

/// D, A, B, C.
bool isProduct(const std::vector<std::string> &types) {
  const std::string &d = types[0], &a = types[1], &c = types[3];
  if (a != types[2])
    return false;
  if (a == "f16")
    return (d == "f16" || d == "f32") && (c == "f16" || c == "f32");
  const char *sum = a == "f64" ? "f64" : a == "s8" || a == "u8" ? "s32" : "f32";
  return d == sum && c == sum;
}

/// The registers of a fragment: factors in f16 hold every element twice or four times, others once (PTX ISA 9.7.14.4.1).
void expectRegisters(Decoder &d, size_t found, const std::string &name, bool isFactor, uint32_t rows, uint32_t columns) {
  WmmaType type;
  parseWmmaType(name, &type);
  size_t perLane = rows * columns / kLanes, expected = isFactor && name == "f16" ? 8 : type.bytes == 8 ? perLane : perLane * type.bytes / 4;
  if (found != expected)
    d.fail(fmt::format("the fragment has {} registers; one of {} x {} elements of .{} has {}", found, rows, columns, name, expected));
}

/// Fragments of 4-bit integers and of single bits: 8 rows of A, or columns of B, of four words each, a word a lane. That is where
/// mma.m8n8k32 and m8n8k128 have them, so that products are theirs.
bool decodePacked(Decoder &d, char which, const std::string &type) {
  Instr &in = d.out();
  bool isBits = type == "b1";
  uint32_t k = isBits ? 128 : 32;
  if (!d.take(isBits ? "m8n8k128" : "m8n8k32"))
    return false;
  if (which == 'm') {
    std::vector<std::string> types;
    for (const std::string &mod : d.ast().mods)
      if (mod == "s32" || mod == "s4" || mod == "u4" || mod == "b1")
        types.push_back(mod);
    for (const std::string &name : types)
      d.take(name);
    if (!d.take("row") || !d.take("col") || types.size() != 4 || types[1] != types[2])
      return false;
    setMmaKind(d, fmt::format("wmma.{}.{}", types[1], isBits ? "m8n8k128" : "m8n8k32"));
    return decodeMmaSmall(d, {8, static_cast<int>(k), "", types});
  }
  if ((which != 'a' && which != 'b') || !d.take(which == 'a' ? "row" : "col") || !d.take(type))
    return false;
  in.ownInit = true;
  Space space = d.take("global") ? Space::Global : d.take("shared") || d.take("shared::cta") ? Space::Shared : Space::Generic;
  d.expectOperands(2, 3);
  registers(d, 0, Type::B32, true, in.list);
  if (in.list.size() != 1)
    d.fail("the fragment has one register");
  in.variant = 8;
  in.variant2 = 4;
  in.bytes = 4;
  in.flags = (isBits ? 5u : 3u) << kPackedShift;
  in.src[1] = d.numOperands() == 3 ? d.source32(d.operand(2)) : d.constant(k, 32);
  d.address(d.operand(1), space);
  in.space = space;
  in.handler = transfer<false>;
  in.instrClass = space == Space::Shared ? InstrClass::SharedLoad : InstrClass::GlobalLoad;
  return true;
}

} // namespace

bool decodeWmma(Decoder &d) {
  Instr &in = d.out();
  bool isLoad = d.take("load"), isStore = d.take("store"), isMma = d.take("mma");
  if (isLoad + isStore + isMma != 1)
    return false;
  char which = isMma ? 'm' : 0;
  for (const char *name : {"a", "b", "c", "d"})
    if (!isMma && d.take(name))
      which = *name;
  d.take("sync");
  d.take("aligned");
  for (const std::string &mod : d.ast().mods)
    if ((mod == "s4" || mod == "u4" || mod == "b1") && !isStore)
      return decodePacked(d, which, mod);
  // One layout of a load or store; those of A and B, which the loads have dealt with, of a product.
  std::vector<std::string> layouts, types;
  for (const std::string &mod : d.ast().mods)
    if (mod == "row" || mod == "col")
      layouts.push_back(mod);
  for (const std::string &layout : layouts)
    d.take(layout);
  WmmaType type;
  for (const std::string &mod : d.ast().mods)
    if (parseWmmaType(mod, &type))
      types.push_back(mod);
  for (const std::string &name : types)
    d.take(name);
  std::string shape = d.takePrefix("m");
  unsigned m = 0, n = 0, k = 0;
  if (std::sscanf(shape.c_str(), "m%un%uk%u", &m, &n, &k) != 3 || layouts.size() != (isMma ? 2 : 1) || types.empty())
    return false;
  in.ownInit = true;
  if (isMma) {
    if (types.size() == 2)
      types = {types[0], "f16", "f16", types[1]};
    if (types.size() != 4 || !isProduct(types) || !hasShape(types[1], shape, true))
      return false;
    in.flags = d.take("satfinite");
    d.take("rn");
    d.expectOperands(4, 4);
    parseWmmaType(types[0], &type);
    registers(d, 0, type.isF64 ? Type::F64 : Type::B32, true, in.list2);
    expectRegisters(d, in.list2.size(), types[0], false, m, n);
    size_t counts[2] = {};
    for (size_t i = 1; i < 4; ++i) {
      parseWmmaType(types[i], &type);
      registers(d, i, type.isF64 ? Type::F64 : Type::B32, false, in.list);
      size_t count = in.list.size() - counts[0] - counts[1];
      expectRegisters(d, count, types[i], i < 3, i == 2 ? k : m, i == 1 ? k : n);
      if (i < 3)
        counts[i - 1] = count;
    }
    in.offset = static_cast<int64_t>(counts[0] | counts[1] << 8);
    in.variant = static_cast<uint8_t>(m);
    in.variant2 = static_cast<uint8_t>(n);
    in.bytes = static_cast<uint8_t>(k);
    in.handler = multiply;
    in.instrClass = InstrClass::Mma;
    setMmaKind(d, fmt::format("wmma.{}.{}.{}.{}.{}", types[0], types[1], types[2], types[3], shape));
    return true;
  }
  Space space = d.take("global") ? Space::Global : d.take("shared") || d.take("shared::cta") ? Space::Shared : Space::Generic;
  bool isFactor = which == 'a' || which == 'b';
  if (types.size() != 1 || !which || isStore != (which == 'd') || !hasShape(types[0], shape, isFactor))
    return false;
  parseWmmaType(types[0], &type);
  d.expectOperands(2, 3);
  registers(d, isLoad ? 0 : 1, type.isF64 ? Type::F64 : Type::B32, isLoad, in.list);
  in.variant = static_cast<uint8_t>(which == 'b' ? k : m);
  in.variant2 = static_cast<uint8_t>(which == 'a' ? k : n);
  in.bytes = static_cast<uint8_t>(type.bytes);
  in.flags = layouts[0] == "col";
  in.src[1] = d.numOperands() == 3 ? d.source32(d.operand(2)) : d.constant(in.flags ? in.variant : in.variant2, 32);
  d.address(d.operand(isLoad ? 1 : 0), space);
  in.space = space;
  in.handler = isLoad ? transfer<false> : transfer<true>;
  in.instrClass = space == Space::Shared ? (isLoad ? InstrClass::SharedLoad : InstrClass::SharedStore)
                                         : (isLoad ? InstrClass::GlobalLoad : InstrClass::GlobalStore);
  expectRegisters(d, in.list.size(), types[0], isFactor, in.variant, in.variant2);
  return true;
}

} // namespace emulator
} // namespace fourfold
