// The kernel plan: what a compiled spec launches, as data. The compiler writes it, the manifest stores it, the runtime executes it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_PLAN_PLAN_H
#define FOURFOLD_PLAN_PLAN_H

#include "Expr.h"

#include <array>
#include <string>
#include <vector>

namespace fourfold {
namespace plan {

/// Bumped whenever a manifest's meaning changes.
inline constexpr int kManifestVersion = 1;

/// Element types of tensors in memory. Codes are packed e2m1, two a byte.
enum class ElementType { F32, BF16, F16, I64, I32, I8 };

/// "f32", "bf16", ... as in MLIR.
const char *elementTypeName(ElementType type);
/// Bytes of one element.
int64_t elementTypeBytes(ElementType type);

/// A tensor that the caller passes in or gets back: row-major, contiguous.
struct TensorInfo {
  std::string name;
  ElementType type = ElementType::F32;
  /// One entry a dimension: a constant or one dimension of the plan. A rank of 0 is a scalar.
  std::vector<Expr> shape;
  /// Index into Plan::buffers.
  int buffer = -1;
  /// In a signature: callers may leave the input out and compile without it.
  bool optional = false;
};

/// What part of which value of the spec a buffer holds: what `--check` compares with the evaluator.
struct Contents {
  enum class Part { Tensor, Codes, Scales, Amax };
  /// The value's name in the spec, "" for scratch that no value corresponds to.
  std::string value;
  Part part = Part::Tensor;
  /// Part::Tensor: element type and shape. Part::Amax: f32 scalar.
  ElementType type = ElementType::F32;
  std::vector<Expr> shape;
  /// Codes and Scales: "nvfp4" or "mxfp4", rows (the dimension that is not contracted), K, elements a scale along K.
  std::string format;
  Expr rows, k;
  int64_t blockSize = 0;
  /// Codes and Scales: rows that share a scale, 1 or 16.
  int64_t blockRows = 1;
};

/// One buffer in device memory.
struct Buffer {
  /// Workspace lives in one phase. Where a plan has phases, what one writes and a later one reads is kept by the caller: what the
  /// weights phase writes (the quantized weight), what the forward pass saves for backward, and the quantized gradient.
  enum class Kind { Input, Output, Workspace, Weights, Saved, Gradient };
  std::string name;
  Kind kind = Kind::Workspace;
  Expr bytes;
  int64_t alignment = 256;
  Contents contents;
};

/// One kernel parameter.
struct Argument {
  enum class Kind { Pointer, I32, I64, F32 };
  Kind kind = Kind::Pointer;
  /// Pointer: index into Plan::buffers, -1 for a null pointer.
  int buffer = -1;
  /// Pointer: bytes into the buffer. I32, I64: the value.
  Expr value;
  /// F32: the value.
  float scalar = 0.0f;
};

/// One kernel that may serve a launch: the first whose condition holds is taken.
struct Variant {
  /// Non-zero where the variant applies; the constant 1 for always.
  Expr when = 1;
  std::string kernel;
  std::array<Expr, 3> grid = {1, 1, 1};
  std::array<int, 3> block = {1, 1, 1};
  /// Dynamic shared memory in bytes.
  int sharedBytes = 0;
};

/// One step of the plan, in order.
struct Launch {
  /// Reduce: several ranks combine part of a buffer here; one rank alone does nothing.
  enum class Kind { Kernel, Memset, Reduce };
  enum class Reduction { Sum, Max };
  Kind kind = Kind::Kernel;
  /// Index into Plan::phases; 0 for a plan without.
  int phase = 0;
  /// What it computes, for people: "statistics of x", "quantize xr -> qx".
  std::string label;
  std::vector<Variant> variants;
  /// Shared by all variants.
  std::vector<Argument> args;
  /// Memset: buffer and bytes from its start that are set to zero. Reduce: buffer, bytes of f32 that are combined.
  int buffer = -1;
  Expr bytes;
  /// Reduce: where in the buffer they start, in bytes, and how they are combined.
  Expr offset;
  Reduction reduction = Reduction::Sum;
};

/// "input", "workspace", ...
const char *bufferKindName(Buffer::Kind kind);
/// "sum" or "max".
const char *reductionName(Launch::Reduction reduction);

/// A dimension of the spec that is known only at run time.
struct Dimension {
  /// The first place it stands, for messages: "x dimension 0".
  std::string origin;
};

/// The whole plan.
struct Plan {
  std::string spec;   ///< function name
  std::string target; ///< "sm_120a"
  std::string ptxVersion;
  /// "fast" or "faithful": how block-scaled products are summed where the target's tensor cores do not take them. "" where they do.
  std::string mode;
  /// Names of the phases that can be launched by themselves, in order; empty for one that is launched as a whole.
  std::vector<std::string> phases;
  std::vector<Dimension> dims;
  std::vector<Buffer> buffers;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<Launch> launches;

  /// For people: one line a buffer, one a launch, with what each reads and writes.
  std::string str() const;
  /// The manifest: JSON, keys in a fixed order, a final newline; equal plans give equal bytes.
  std::string toJson() const;
  /// Reads a manifest and validates every field and index. On failure sets `*error` (which field, what was found, what was
  /// expected) and returns false; `*plan` is then unspecified.
  static bool fromJson(const std::string &json, Plan *plan, std::string *error);
  /// Checks indices, dimensions, alignments, kernel names and argument lists. Returns "" or what is wrong.
  std::string validate() const;
};

} // namespace plan
} // namespace fourfold

#endif // FOURFOLD_PLAN_PLAN_H
