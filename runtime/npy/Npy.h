// NumPy's .npy files: reading, writing, and conversion to a spec's element types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Format: numpy.lib.format, versions 1.0 to 3.0.

#ifndef FOURFOLD_RUNTIME_NPY_NPY_H
#define FOURFOLD_RUNTIME_NPY_NPY_H

#include "fourfold/Status.h"
#include "fourfold/Tensor.h"

namespace fourfold {
namespace npy {

/// What an element of a file is.
enum class Kind { Float, Signed, Unsigned, Bool, BFloat16 };

/// The contents of a file: row-major, native byte order, whatever the file's were.
struct Array {
  Kind kind = Kind::Float;
  /// Bytes of one element: 2, 4 or 8 for Float, 1 to 8 for integers.
  int elementBytes = 4;
  /// As the file says: "<f4".
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

/// Reads the bytes of a file; `name` is for messages. Truncated, corrupt and non-numeric files are errors.
Status parse(const std::string &content, const std::string &name, Array *array);

/// Reads a file.
Status read(const std::string &path, Array *array);

/// Converts to an element type. Floats are rounded once, to nearest even (Numerics.h); integers that do not fit, and
/// floats where the spec expects integers, are errors.
Status convert(const Array &array, const std::string &name, ElementType type, Tensor *tensor);

/// The bytes of a version 1.0 file. bf16, which NumPy has not, is widened to '<f4', exactly.
std::string serialize(const Tensor &tensor);

/// The same of an array; `dtype` is written as it is, BFloat16 widened to '<f4'.
std::string serialize(const Array &array);

/// Writes a file: to a temporary name in the same folder, then renamed, so that no partial file is ever seen.
Status write(const std::string &path, const Tensor &tensor);

} // namespace npy

/// Writes bytes to a file by way of a temporary name in the same folder.
Status writeFileAtomically(const std::string &path, const std::string &bytes);
/// Whether a file can be written there, found out without touching it.
Status checkWritable(const std::string &path);
/// Reads a whole file; "-" is the standard input.
Status readFile(const std::string &path, std::string *bytes);

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_NPY_NPY_H
