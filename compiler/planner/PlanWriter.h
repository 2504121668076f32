// The planner's state: buffers, launches and kernels that are already there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_PLANNER_PLANWRITER_H
#define FOURFOLD_COMPILER_PLANNER_PLANWRITER_H

#include "compiler/kernels/BlockQuantizer.h"
#include "compiler/kernels/RowSource.h"
#include "compiler/planner/Shapes.h"
#include "compiler/targets/Target.h"
#include "dialect/Fp4.h"
#include "plan/Plan.h"

#include "llvm/ADT/StringSet.h"

#include <optional>

namespace fourfold {
namespace compiler {

namespace fp4 = mlir::fp4;

/// The buffers of a quantized value; amax is -1 for formats without a tensor scale.
struct QuantizedBuffers {
  int codes = -1, scales = -1, amax = -1;
};

/// Element-wise work on a tensor: a prologue, or an epilogue that no matmul takes. They compute the same.
class ElementWise {
public:
  ElementWise() = default;
  ElementWise(fp4::PrologueOp op) : op(op) {} // NOLINT(google-explicit-constructor)
  ElementWise(fp4::EpilogueOp op) : op(op) {} // NOLINT(google-explicit-constructor)
  explicit operator bool() const { return op; }
  mlir::Operation *operation() const { return op; }
  mlir::Value input() const { return op->getOperand(0); }
  mlir::Value result() const { return op->getResult(0); }
  mlir::Region &body() const { return op->getRegion(0); }
  /// The operands beside the input, in the order of the region's arguments.
  mlir::ValueRange operands() const { return mlir::ValueRange(op->getOperands()).drop_front(); }

private:
  mlir::Operation *op = nullptr;
};

/// A tensor that is not in memory: a materialized root and what is done to its elements on the way into a kernel.
struct View {
  mlir::Value root;
  ElementWise prologue;
  fp4::CenterOp center;
  /// Of the centring, or of statistics.
  mlir::Value mask;
  fp4::HadamardOp hadamard;

  bool isPlain() const { return !prologue && !center && !hadamard; }
};

/// A quantization with the buffer of its tensor amax, -1 for none, and a transform along its axis, which fuses.
struct PlannedQuantize {
  fp4::QuantizeOp op;
  int amax = -1;
  fp4::HadamardOp hadamard;
};

/// Number format of the dialect as the kernels know it.
Format kernelFormat(fp4::Format format);

/// Builtin element type as plans name it; fails for types that no buffer can hold.
mlir::FailureOr<plan::ElementType> planElementType(mlir::Type type);

/// Writes launches with their kernels and buffers, one function a kernel kind. Kernels that several launches share are built once.
class PlanWriter {
public:
  /// `only` names the one kernel to build; empty: all.
  PlanWriter(plan::Plan &plan, KernelModule kernels, const Target &target, const Shapes &shapes, llvm::StringRef only)
      : plan(plan), kernels(kernels), target(target), shapes(shapes), only(only) {}

  // Buffers.
  int addBuffer(llvm::StringRef name, plan::Expr bytes, plan::Buffer::Kind kind = plan::Buffer::Kind::Workspace);
  /// The buffer of a tensor value: created on first use, as an output where the function returns the value.
  int tensorBuffer(mlir::Value value);
  bool isMaterialized(mlir::Value value) const { return tensors.count(value); }
  void markOutput(mlir::Value value) { outputs.insert(value); }
  /// `value` lies where `other`, which is materialized, does.
  void alias(mlir::Value value, mlir::Value other);
  /// `value` lies in that buffer.
  void alias(mlir::Value value, int buffer);

  // Phases.
  /// Launches from here on belong to this phase.
  void setPhase(int phase) { currentPhase = phase; }
  /// How products are summed on targets without FP4 tensor cores.
  void setMode(MatmulMode value) { mode = value; }
  /// Whether statistics are reduced over ranks.
  void setDistributed(bool value) { distributed = value; }
  /// Buffers that several phases use become the caller's to keep. Call once, when all launches are there.
  void keepBetweenPhases();
  QuantizedBuffers &quantized(mlir::Value value) { return quantizedValues[value]; }

  // Launches. Each assumes that the root and the operands of its view are materialized.
  /// Mean of a centred view's input; with `residualAmax`, also the residual's amax, into that buffer.
  void addMean(const View &input, fp4::CenterOp op, int residualAmax);
  void addColumnSum(const View &input, mlir::Value result);
  void addAmax(const View &view, int amax, llvm::StringRef label);
  int addAmaxBuffer(llvm::StringRef name, mlir::Value value);
  /// Of the view's transform along its columns, and unless `plainAmax` is -1 of the view itself.
  void addAmaxColumns(const View &view, fp4::HadamardOp hadamard, int amax, int plainAmax);
  void addQuantizeRows(const View &view, const PlannedQuantize &rows);
  /// Along the columns, and along the rows from the same read where both are wanted.
  void addQuantizeTile(const View &view, const std::optional<PlannedQuantize> &rows, const PlannedQuantize &columns);
  void addDequantize(fp4::DequantizeOp op);
  void addStore(const View &view, mlir::Value result);
  /// An output of its own for a value that is in memory already, as an input or as another output; returns its buffer.
  int addCopy(mlir::Value value, llvm::StringRef name);
  void addMatvec(fp4::MatvecOp op);
  void addMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue);
  void addDenseMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue);

private:
  RowSource rowSource(const View &view, std::vector<plan::Argument> *args);
  std::string sourceName(const View &view, const RowSource &source);
  int addPartials(const View &view);
  void addRankReduction(int buffer, plan::Expr offset, plan::Expr bytes, plan::Launch::Reduction reduction,
                        llvm::StringRef name);
  /// Makes the buffers of a quantized value, appends its kernel arguments, and says what a kernel must know.
  QuantizeConfig addQuantized(const PlannedQuantize &planned, std::vector<plan::Argument> *args);
  plan::Argument pointer(int buffer) const;
  plan::Argument size(plan::Expr value) const;
  /// The region and its operands' arguments.
  ElementRegion elementRegion(ElementWise op, std::vector<plan::Argument> *args);
  /// What stands for a region in the names of kernels: its result's name, made different from every other's.
  std::string regionName(ElementWise op);
  /// True the first time that a kernel of this name is asked for, if it is among those to build.
  bool mustBuild(llvm::StringRef name) { return kernelNames.insert(name).second && (only.empty() || name == only); }
  void append(plan::Launch launch);
  void addLaunch(std::string label, std::string kernel, std::array<plan::Expr, 3> grid, int threads, int sharedBytes,
                 std::vector<plan::Argument> args);

  plan::Plan &plan;
  KernelModule kernels;
  const Target &target;
  const Shapes &shapes;
  llvm::DenseMap<mlir::Value, int> tensors;
  llvm::DenseMap<mlir::Value, QuantizedBuffers> quantizedValues;
  llvm::DenseSet<mlir::Value> outputs;
  /// Column partials by what they are of: root, prologue, mask.
  llvm::DenseMap<std::tuple<mlir::Value, mlir::Operation *, mlir::Value>, int> partials;
  llvm::StringSet<> kernelNames;
  llvm::StringRef only;
  llvm::DenseMap<mlir::Operation *, std::string> regionNames;
  int currentPhase = 0;
  bool distributed = false;
  MatmulMode mode = MatmulMode::Fast;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_PLANNER_PLANWRITER_H
