// A spec as a flat list of steps, and what runs them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prepared once from a parsed spec (Lower.h), then run as often as wanted. Holds no MLIR: a run looks nothing up but numbers.

#ifndef FOURFOLD_COMPILER_HOST_PROGRAM_H
#define FOURFOLD_COMPILER_HOST_PROGRAM_H

#include "compiler/host/Ops.h"
#include "plan/CompilerPlugin.h"

#include <functional>

namespace fourfold {
namespace host {

/// What a step computes.
enum class StepKind {
  Element, Center, Hadamard, BlockScale, Quantize, Dequantize, Matmul, DenseMatmul, Reshape, Matvec, ColumnSum
};

/// One op. Operands and results are numbers of values, -1 where an optional one is absent:
///   Element     input, rows..., cols..., full..., scalars... -> result
///   Center      input, mask -> mean, residual                    ColumnSum  input, mask -> result
///   BlockScale  input -> scales, amax                            Hadamard, Reshape, Dequantize  input -> result
///   Quantize    input, scales, amax, seed, offset -> result      Matmul, DenseMatmul  lhs, rhs -> result
///   Matvec      matrix, vector -> result
struct Step {
  StepKind kind = StepKind::Element;
  /// The op's name and where it stands in the source, for errors: "spec.mlir:3:8: error: 'fp4.matmul' op".
  std::string where;
  std::vector<int> operands, results;
  int phase = 0;

  /// Hadamard, Matvec; DenseMatmul has one for each operand.
  int64_t axis = 1, rightAxis = 1;
  Blocks blocks;
  bool isStochastic = false;
  uint64_t stream = 0;
  std::array<int, 16> signs = {};
  Region region;
  size_t numRows = 0, numCols = 0, numFull = 0, numScalars = 0;
};

/// What is known of a value before a run; extents are -1 where they are not.
struct ValueInfo {
  std::string name;
  bool isQuantized = false;
  Element element = Element::F32;
  Shape shape;
  /// Of the step that computes it; arguments have none.
  int phase = -1;
  /// How many operands and results it is.
  uint32_t uses = 0;
};

struct Result {
  std::string name;
  int value = -1;
};

/// All phases at once.
inline constexpr uint32_t kAllPhases = ~0u;
/// Values of this phase are kept until they are computed again: all micro-batches of an optimizer step read them.
inline constexpr int kWeightsPhase = 0;

struct Program {
  std::string name;
  /// Arguments first.
  std::vector<ValueInfo> values;
  size_t numArguments = 0;
  std::vector<Step> steps;
  std::vector<Result> results;
  /// Names of the phases; empty where the function has none.
  std::vector<std::string> phases;
};

/// Values between runs: what a phase computed and a later one needs. Used by one thread at a time; as `weights` of others, which only
/// read it, by many.
class Environment {
public:
  explicit Environment(std::shared_ptr<const Program> program, std::shared_ptr<const Environment> weights = nullptr);

  const Program &program() const { return *source; }
  /// Forgets every value.
  void reset();
  /// Bytes of all values that are held.
  int64_t bytesHeld() const;

private:
  friend class Run;
  std::shared_ptr<const Program> source;
  std::shared_ptr<const Environment> weights;
  std::vector<std::shared_ptr<const Value>> values;
  /// Uses of a value that have not run yet.
  std::vector<uint32_t> remaining;
};

/// Where a result goes. Tensors are one part, "tensor", quantized values "codes", "scales" and "amax"; scales of fp4.block_scale are
/// "scales".
struct Output {
  std::string name, part = "tensor", elementType;
  Shape shape;
  void *data = nullptr;
};
using Sink = std::function<void(const char *part, const FourfoldHostTensor &tensor)>;

struct RunRequest {
  /// Bit p for phase p, or kAllPhases.
  uint32_t phases = kAllPhases;
  const FourfoldHostTensor *inputs = nullptr;
  size_t numInputs = 0;
  std::vector<Output> outputs;
  /// Also sees the results of these phases, if it is there; with `intermediates` every value.
  Sink sink;
  bool intermediates = false;
};

/// Runs the steps of some phases. Throws Failure, or std::bad_alloc; then nothing has been written to outputs, and the environment
/// holds what it held before and what the steps before the failure left: run its phase again.
void run(Environment &environment, const RunRequest &request);
/// The same for callers without exceptions: returns the message, empty for success.
std::string tryRun(Environment &environment, const RunRequest &request);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_PROGRAM_H
