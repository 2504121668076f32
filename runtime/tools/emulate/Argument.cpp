// Reading arguments: TYPE:VALUE, in:FILE, out:FILE,TYPE,SHAPE and the like.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/emulate/Argument.h"

#include "dialect/Numerics.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace fourfold {
namespace emulate {

const char *const argumentHelp =
    "Arguments, one --arg for each parameter of the kernel, in order:\n"
    "  TYPE:VALUE              a scalar; TYPE is u8 to u64, i8 to i64, f16, bf16, f32 or f64; integers may be 0x...\n"
    "  hex:BYTES               a struct, its bytes in hexadecimal, lowest address first\n"
    "  in:FILE.npy             a buffer with the file's contents\n"
    "  inout:FILE.npy,TO.npy   the same; what it holds after the launch is written to TO.npy\n"
    "  out:TO.npy,TYPE,SHAPE   a buffer that was never written, SHAPE as 64x128; written to TO.npy after the launch\n"
    "  zero:TYPE,SHAPE[,TO.npy]  a buffer of zeros\n"
    "  scratch:TYPE,SHAPE      a buffer that was never written and is not kept\n"
    "  tensormap:BUFFER,box=8x64[,swizzle=128B][,fill=nan][,steps=1x2][,type=16u4]\n"
    "                          a tensor map of a buffer in one of the forms above; box and steps in the order of the shape\n"
    "Elements of buffers may also be bf16 (written as <f4, exactly) and of the 8-bit types e4m3, ue8m0 and e2m1x2 (as |u1).";

namespace {

struct ElementKind {
  const char *name;
  const char *dtype; // of files
  int bytes;
  char category; // f: float, u, i: integer
};

constexpr ElementKind kKinds[] = {
    {"u8", "|u1", 1, 'u'},  {"u16", "<u2", 2, 'u'}, {"u32", "<u4", 4, 'u'}, {"u64", "<u8", 8, 'u'},
    {"i8", "|i1", 1, 'i'},  {"i16", "<i2", 2, 'i'}, {"i32", "<i4", 4, 'i'}, {"i64", "<i8", 8, 'i'},
    {"f16", "<f2", 2, 'f'}, {"bf16", "|V2", 2, 'f'}, {"f32", "<f4", 4, 'f'}, {"f64", "<f8", 8, 'f'},
    {"e4m3", "|u1", 1, 'u'}, {"ue8m0", "|u1", 1, 'u'}, {"e2m1x2", "|u1", 1, 'u'},
};

const ElementKind *findKind(const std::string &name) {
  for (const ElementKind &kind : kKinds)
    if (name == kind.name)
      return &kind;
  return nullptr;
}

Status bad(const std::string &text, const std::string &why) {
  return {StatusCode::InvalidArgument, fmt::format("argument '{}': {}", text, why)};
}

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

Status parseShape(const std::string &whole, const std::string &text, int elementBytes, npy::Array *array) {
  uint64_t count = 1;
  for (const std::string &part : split(text, 'x')) {
    char *end = nullptr;
    errno = 0;
    long long extent = std::strtoll(part.c_str(), &end, 10);
    if (part.empty() || *end || errno || extent < 0)
      return bad(whole, fmt::format("'{}' is not a shape; write 64 or 64x128", text));
    array->shape.push_back(extent);
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(extent), &count))
      return bad(whole, "the shape has too many elements");
  }
  if (count > (uint64_t{1} << 36) / static_cast<uint64_t>(elementBytes))
    return bad(whole, "a buffer may have 64 GiB");
  array->bytes.assign(count * static_cast<uint64_t>(elementBytes), 0);
  return {};
}

Status parseBuffer(const std::string &whole, const std::string &typeName, const std::string &shape, Argument *argument) {
  const ElementKind *kind = findKind(typeName);
  if (!kind)
    return bad(whole, fmt::format("'{}' is not a type of elements", typeName));
  argument->isBuffer = true;
  argument->array.dtype = kind->dtype;
  argument->array.elementBytes = kind->bytes;
  argument->array.kind = typeName == "bf16" ? npy::Kind::BFloat16 : kind->category == 'f' ? npy::Kind::Float : npy::Kind::Unsigned;
  return parseShape(whole, shape, kind->bytes, &argument->array);
}

Status parseScalar(const std::string &whole, const ElementKind &kind, const std::string &value, Argument *argument) {
  uint64_t bits = 0;
  char *end = nullptr;
  errno = 0;
  if (kind.category == 'f') {
    double number = std::strtod(value.c_str(), &end);
    auto narrow = static_cast<float>(number);
    std::string name = kind.name;
    if (name == "f64") {
      std::memcpy(&bits, &number, 8);
    } else if (name == "f32") {
      std::memcpy(&bits, &narrow, 4);
    } else {
      bits = name == "f16" ? numerics::encodeF16(narrow) : numerics::encodeBF16(narrow);
    }
    errno = 0; // overflow to infinity is what was written
  } else if (kind.category == 'i') {
    long long number = std::strtoll(value.c_str(), &end, 0);
    long long limit = kind.bytes == 8 ? INT64_MAX : (1LL << (8 * kind.bytes - 1)) - 1;
    if (number > limit || number < -limit - 1)
      errno = ERANGE;
    bits = static_cast<uint64_t>(number);
  } else {
    bits = std::strtoull(value.c_str(), &end, 0);
    if (value.find('-') != std::string::npos || (kind.bytes < 8 && bits >> (8 * kind.bytes)))
      errno = ERANGE;
  }
  if (value.empty() || *end)
    return bad(whole, fmt::format("'{}' is not a number", value));
  if (errno)
    return bad(whole, fmt::format("'{}' does not fit into {}", value, kind.name));
  argument->scalar.resize(static_cast<size_t>(kind.bytes));
  std::memcpy(argument->scalar.data(), &bits, static_cast<size_t>(kind.bytes));
  return {};
}

Status parseHex(const std::string &whole, const std::string &digits, Argument *argument) {
  if (digits.empty() || digits.size() % 2 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    return bad(whole, "expects an even number of hexadecimal digits");
  for (size_t i = 0; i < digits.size(); i += 2)
    argument->scalar.push_back(static_cast<uint8_t>(std::strtoul(digits.substr(i, 2).c_str(), nullptr, 16)));
  return {};
}

Status parseExtents(const std::string &whole, const std::string &text, std::vector<uint32_t> *extents) {
  for (const std::string &part : split(text, 'x')) {
    char *end = nullptr;
    unsigned long extent = std::strtoul(part.c_str(), &end, 10);
    if (part.empty() || *end || extent > UINT32_MAX || part[0] == '-')
      return bad(whole, fmt::format("'{}' is not a list of extents; write 8x64", text));
    extents->push_back(static_cast<uint32_t>(extent));
  }
  return {};
}

/// tensormap:BUFFER,NAME=VALUE,...
Status parseTensorMap(const std::string &whole, const std::vector<std::string> &parts, Argument *argument) {
  static const char *const swizzles[] = {"none", "32B", "64B", "128B", "128B_ATOM_32B"};
  std::string buffer;
  for (const std::string &part : parts) {
    size_t equals = part.find('=');
    std::string name = part.substr(0, equals), value = equals == std::string::npos ? "" : part.substr(equals + 1);
    TensorMapOptions &options = argument->tensorMap;
    if (equals == std::string::npos) {
      buffer += (buffer.empty() ? "" : ",") + part;
    } else if (name == "box" || name == "steps") {
      if (Status status = parseExtents(whole, value, name == "box" ? &options.box : &options.steps); !status.ok())
        return status;
    } else if (name == "swizzle") {
      options.swizzle = -1;
      for (int i = 0; i < 5; ++i)
        if (value == swizzles[i])
          options.swizzle = i;
      if (options.swizzle < 0)
        return bad(whole, fmt::format("swizzle '{}' is not none, 32B, 64B, 128B or 128B_ATOM_32B", value));
    } else if (name == "fill") {
      if (value != "zero" && value != "nan")
        return bad(whole, fmt::format("fill '{}' is neither zero nor nan", value));
      options.fillsNaN = value == "nan";
    } else if (name == "type") {
      if (value != "16u4")
        return bad(whole, fmt::format("type '{}' is not 16u4; others follow from the buffer", value));
      options.isPacked4 = true;
    } else {
      return bad(whole, fmt::format("'{}' is not one of box, swizzle, fill, steps, type", name));
    }
  }
  if (Status status = parseArgument(buffer, argument); !status.ok())
    return bad(whole, status.message());
  argument->text = whole;
  size_t rank = argument->array.shape.size();
  if (!argument->isBuffer || argument->isTensorMap)
    return bad(whole, "a tensor map is of a buffer: tensormap:in:x.npy,box=8x64");
  if (argument->tensorMap.box.size() != rank)
    return bad(whole, fmt::format("the array has {} dimensions, the box {}", rank, argument->tensorMap.box.size()));
  if (!argument->tensorMap.steps.empty() && argument->tensorMap.steps.size() != rank)
    return bad(whole, fmt::format("the array has {} dimensions, {} steps are given", rank, argument->tensorMap.steps.size()));
  if (argument->tensorMap.isPacked4 && argument->array.elementBytes != 1)
    return bad(whole, "type 16u4 takes a buffer of bytes");
  argument->isTensorMap = true;
  return {};
}

} // namespace

Status parseArgument(const std::string &text, Argument *argument) {
  argument->text = text;
  size_t colon = text.find(':');
  if (colon == std::string::npos)
    return bad(text, "expects TYPE:VALUE, in:FILE.npy, out:TO.npy,TYPE,SHAPE or another form; --help lists them");
  std::string form = text.substr(0, colon), rest = text.substr(colon + 1);
  std::vector<std::string> parts = split(rest, ',');
  if (const ElementKind *kind = findKind(form))
    return parseScalar(text, *kind, rest, argument);
  if (form == "tensormap")
    return parseTensorMap(text, parts, argument);
  if (form == "hex")
    return parseHex(text, rest, argument);
  if (form == "in" || form == "inout") {
    if (parts.size() != (form == "in" ? 1 : 2))
      return bad(text, form == "in" ? "expects one file" : "expects two files, to read and to write");
    argument->isBuffer = true;
    argument->output = form == "inout" ? parts[1] : "";
    return npy::read(parts[0], &argument->array);
  }
  if (form == "out") {
    if (parts.size() != 3)
      return bad(text, "expects a file, a type and a shape: out:y.npy,f32,64x128");
    argument->output = parts[0];
    argument->unwritten = true;
    return parseBuffer(text, parts[1], parts[2], argument);
  }
  if (form == "zero" || form == "scratch") {
    bool isZero = form == "zero";
    if (parts.size() != 2 && !(isZero && parts.size() == 3))
      return bad(text, isZero ? "expects a type, a shape and perhaps a file: zero:f32,64x128" : "expects a type and a shape");
    argument->unwritten = !isZero;
    argument->output = parts.size() == 3 ? parts[2] : "";
    return parseBuffer(text, parts[0], parts[1], argument);
  }
  return bad(text, fmt::format("'{}' is neither a type nor a kind of buffer; --help lists them", form));
}

} // namespace emulate
} // namespace fourfold
