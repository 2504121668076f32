// The .npy format: header, layout, byte order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/npy/Npy.h"

#include "dialect/Numerics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fourfold {
namespace npy {

namespace {

/// The header: a Python dictionary with the keys descr, fortran_order and shape, in any order. Reads no more Python
/// than that.
class HeaderParser {
public:
  HeaderParser(const std::string &text, Array *array, bool *fortranOrder)
      : text(text), array(*array), fortranOrder(*fortranOrder) {}

  /// Returns "" or what is wrong.
  std::string run() {
    bool descr = false, order = false, shape = false;
    if (!take('{'))
      return "expected '{'";
    while (!take('}')) {
      std::string key;
      if (!string(&key) || !take(':'))
        return "expected a key and ':'";
      std::string problem;
      if (key == "descr" && !descr)
        descr = true, problem = readDescr();
      else if (key == "fortran_order" && !order)
        order = true, problem = readOrder();
      else if (key == "shape" && !shape)
        shape = true, problem = readShape();
      else
        problem = fmt::format("unexpected or repeated key '{}'", key);
      if (!problem.empty())
        return problem;
      if (!take(',') && peek() != '}')
        return "expected ',' or '}'";
    }
    skipSpace();
    if (position != text.size())
      return "text after the closing '}'";
    return descr && order && shape ? "" : "expected the keys descr, fortran_order and shape";
  }

private:
  void skipSpace() {
    while (position < text.size() && std::strchr(" \n\t\r", text[position]) && text[position] != '\0')
      ++position;
  }
  char peek() {
    skipSpace();
    return position < text.size() ? text[position] : '\0';
  }
  bool take(char c) {
    if (peek() != c)
      return false;
    ++position;
    return true;
  }
  bool takeWord(const char *word) {
    skipSpace();
    size_t length = std::strlen(word);
    if (text.compare(position, length, word) != 0)
      return false;
    position += length;
    return true;
  }
  bool string(std::string *result) {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      return false;
    size_t end = text.find(quote, position + 1);
    if (end == std::string::npos)
      return false;
    *result = text.substr(position + 1, end - position - 1);
    position = end + 1;
    return true;
  }

  std::string readDescr() {
    if (peek() == '[')
      return "a structured dtype is not a tensor's; expected one number an element";
    return string(&array.dtype) ? "" : "expected the dtype as a string";
  }
  std::string readOrder() {
    if (takeWord("True"))
      fortranOrder = true;
    else if (takeWord("False"))
      fortranOrder = false;
    else
      return "fortran_order: expected True or False";
    return "";
  }
  std::string readShape() {
    if (!take('('))
      return "shape: expected '('";
    while (!take(')')) {
      int64_t extent = 0;
      skipSpace();
      size_t start = position;
      for (; position < text.size() && text[position] >= '0' && text[position] <= '9'; ++position)
        if (__builtin_mul_overflow(extent, 10, &extent) ||
            __builtin_add_overflow(extent, text[position] - '0', &extent))
          return "shape: an extent exceeds 64 bits";
      if (position == start)
        return "shape: expected a number";
      takeWord("L"); // Python 2 wrote long integers so
      array.shape.push_back(extent);
      if (!take(',') && peek() != ')')
        return "shape: expected ',' or ')'";
    }
    return array.shape.size() > 32 ? "shape: more than 32 dimensions" : "";
  }

  const std::string &text;
  Array &array;
  bool &fortranOrder;
  size_t position = 0;
};

/// Sets kind and size from a dtype such as "<f4"; returns false if it is not a number this library reads.
bool parseDtype(Array *array, bool *swap) {
  const std::string &dtype = array->dtype;
  if (dtype.size() != 3 || !std::strchr("<>=|", dtype[0]) || dtype[2] < '1' || dtype[2] > '8')
    return false;
  array->elementBytes = dtype[2] - '0';
  int bytes = array->elementBytes;
  bool integer = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  const uint16_t one = 1;
  bool bigEndianHost = *reinterpret_cast<const uint8_t *>(&one) == 0;
  *swap = bytes > 1 && ((dtype[0] == '>' && !bigEndianHost) || (dtype[0] == '<' && bigEndianHost));
  switch (dtype[1]) {
  case 'f':
    array->kind = Kind::Float;
    return bytes == 2 || bytes == 4 || bytes == 8;
  case 'i':
    array->kind = Kind::Signed;
    return integer;
  case 'u':
    array->kind = Kind::Unsigned;
    return integer;
  case 'b':
    array->kind = Kind::Bool;
    return bytes == 1;
  case 'V':
    // NumPy stores the bfloat16 of ml_dtypes as two bytes without a meaning.
    array->kind = Kind::BFloat16;
    return bytes == 2;
  default:
    return false;
  }
}

/// Copies column-major data to row-major.
void transposeFortran(const uint8_t *from, const std::vector<int64_t> &shape, size_t elementBytes,
                      std::vector<uint8_t> *to) {
  size_t rank = shape.size();
  std::vector<size_t> index(rank, 0), stride(rank, 1);
  for (size_t d = 1; d < rank; ++d)
    stride[d] = stride[d - 1] * static_cast<size_t>(shape[d - 1]);
  size_t source = 0;
  for (size_t target = 0; target < to->size(); target += elementBytes) {
    std::memcpy(to->data() + target, from + source * elementBytes, elementBytes);
    for (size_t d = rank; d-- > 0;) {
      source += stride[d];
      if (++index[d] < static_cast<size_t>(shape[d]))
        break;
      source -= stride[d] * index[d];
      index[d] = 0;
    }
  }
}

Status bad(const std::string &name, const std::string &what) {
  return {StatusCode::InvalidArgument, fmt::format("{}: {}", name, what)};
}

} // namespace

Status parse(const std::string &content, const std::string &name, Array *array) {
  const auto *bytes = reinterpret_cast<const uint8_t *>(content.data());
  if (content.size() < 10 || content.compare(0, 6, "\x93NUMPY") != 0)
    return bad(name, content.compare(0, 2, "PK") == 0 ? "is a zip archive, perhaps .npz; expected an .npy file"
                                                      : "is not an .npy file");
  int version = bytes[6];
  if (version < 1 || version > 3)
    return bad(name, fmt::format(".npy format version {}.{} is not known, expected 1.0 to 3.0", bytes[6], bytes[7]));
  size_t start = version == 1 ? 10 : 12;
  if (content.size() < start)
    return bad(name, fmt::format("truncated: {} bytes end inside the header", content.size()));
  size_t length = bytes[8] | static_cast<size_t>(bytes[9]) << 8;
  if (version > 1)
    length |= static_cast<size_t>(bytes[10]) << 16 | static_cast<size_t>(bytes[11]) << 24;
  if (length > content.size() - start)
    return bad(name, fmt::format("truncated: the header has {} bytes, the file {} after its start", length,
                                 content.size() - start));
  *array = Array();
  bool fortranOrder = false, swap = false;
  if (std::string problem = HeaderParser(content.substr(start, length), array, &fortranOrder).run(); !problem.empty())
    return bad(name, "bad .npy header: " + problem);
  if (!parseDtype(array, &swap))
    return bad(name,
               fmt::format("dtype '{}' is not a number; expected f2, f4, f8, i1 to i8, u1 to u8, b1 or V2 (bfloat16)",
                           array->dtype));
  int64_t count = countElements(array->shape), size;
  if (count < 0 || __builtin_mul_overflow(count, array->elementBytes, &size))
    return bad(name, fmt::format("shape {} has more bytes than fit 64 bits", shapeText(array->shape)));
  size_t available = content.size() - start - length;
  if (static_cast<uint64_t>(size) != available)
    return bad(name, fmt::format("{}: shape {} of '{}' needs {} bytes, the file has {}",
                                 available < static_cast<uint64_t>(size) ? "truncated" : "too long",
                                 shapeText(array->shape), array->dtype, size, available));
  const uint8_t *data = bytes + start + length;
  size_t elementBytes = static_cast<size_t>(array->elementBytes);
  array->bytes.assign(data, data + size);
  if (fortranOrder && array->shape.size() > 1)
    transposeFortran(data, array->shape, elementBytes, &array->bytes);
  for (size_t i = 0; swap && i < array->bytes.size(); i += elementBytes)
    std::reverse(array->bytes.begin() + static_cast<ptrdiff_t>(i),
                 array->bytes.begin() + static_cast<ptrdiff_t>(i + elementBytes));
  return {};
}

Status read(const std::string &path, Array *array) {
  std::string content;
  if (Status status = readFile(path, &content); !status.ok())
    return status;
  return parse(content, path, array);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// A version 1.0 file up to its data.
static std::string fileHeader(const std::string &descr, const std::vector<int64_t> &extents) {
  std::string shape;
  for (int64_t extent : extents)
    shape += fmt::format("{}, ", extent);
  if (extents.size() > 1)
    shape.resize(shape.size() - 2);
  else if (extents.size() == 1)
    shape.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  // The data starts at a multiple of 64 bytes; the header ends with a line break.
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  std::string file = "\x93NUMPY";
  file += '\x01';
  file += '\0';
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header;
}

static std::string serialize(const std::string &descr, const std::vector<int64_t> &shape, const std::vector<uint8_t> &bytes,
                             bool isBF16) {
  std::string file = fileHeader(isBF16 ? "<f4" : descr, shape);
  if (!isBF16) {
    file.append(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    return file;
  }
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint16_t bits;
    std::memcpy(&bits, &bytes[i], 2);
    float value = numerics::decodeBF16(bits);
    file.append(reinterpret_cast<const char *>(&value), 4);
  }
  return file;
}

static const char *descrOf(ElementType type) {
  switch (type) {
  case ElementType::F32:
  case ElementType::BF16:
    return "<f4";
  case ElementType::F16:
    return "<f2";
  case ElementType::I64:
    return "<i8";
  case ElementType::I32:
    return "<i4";
  case ElementType::I8:
    return "|i1";
  }
  return "";
}

std::string serialize(const Tensor &tensor) {
  return serialize(descrOf(tensor.type), tensor.shape, tensor.bytes, tensor.type == ElementType::BF16);
}

std::string serialize(const Array &array) {
  std::string descr = array.dtype; // the bytes are native, whatever the file's were
  if (!descr.empty() && (descr[0] == '>' || descr[0] == '='))
    descr[0] = '<';
  return serialize(descr, array.shape, array.bytes, array.kind == Kind::BFloat16);
}

Status write(const std::string &path, const Tensor &tensor) { return writeFileAtomically(path, serialize(tensor)); }

} // namespace npy
} // namespace fourfold
