// The planner's state: buffers, launches and kernels that are already there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_PLANNER_PLANWRITER_H
#define FOURFOLD_COMPILER_PLANNER_PLANWRITER_H

#include "compiler/kernels/RowSource.h"
#include "compiler/planner/Shapes.h"
#include "compiler/targets/Target.h"
#include "dialect/Fp4.h"
#include "plan/Plan.h"

#include "llvm/ADT/StringSet.h"

namespace fourfold {
namespace compiler {

namespace fp4 = mlir::fp4;

/// The buffers of a quantized value; amax is -1 for formats without a tensor scale.
struct QuantizedBuffers {
  int codes = -1, scales = -1, amax = -1;
};

/// A tensor that is not in memory: a materialized root and what is done to its elements on the way into a kernel.
struct View {
  mlir::Value root;
  fp4::PrologueOp prologue;
  fp4::CenterOp center;
  fp4::HadamardOp hadamard;

  bool isPlain() const { return !prologue && !center && !hadamard; }
};

/// Number format of the dialect as the kernels know it.
Format kernelFormat(fp4::Format format);

/// Builtin element type as plans name it; fails for types that no buffer can hold.
mlir::FailureOr<plan::ElementType> planElementType(mlir::Type type);

/// Writes launches with their kernels and buffers, one function a kernel kind. Kernels that several launches share are built once.
class PlanWriter {
public:
  PlanWriter(plan::Plan &plan, mlir::gpu::GPUModuleOp kernels, const Target &target, const Shapes &shapes)
      : plan(plan), kernels(kernels), target(target), shapes(shapes) {}

  // Buffers.
  int addBuffer(llvm::StringRef name, plan::Expr bytes, plan::Buffer::Kind kind = plan::Buffer::Kind::Workspace);
  /// The buffer of a tensor value: created on first use, as an output where the function returns the value.
  int tensorBuffer(mlir::Value value);
  bool isMaterialized(mlir::Value value) const { return tensors.count(value); }
  void markOutput(mlir::Value value) { outputs.insert(value); }
  QuantizedBuffers &quantized(mlir::Value value) { return quantizedValues[value]; }

  // Launches. Each assumes that the root and the operands of its view are materialized.
  /// Mean of a centred view's input; with `residualAmax`, also the residual's amax, into that buffer.
  void addMean(const View &input, fp4::CenterOp op, int residualAmax);
  void addColumnSum(const View &input, mlir::Value result);
  void addAmax(const View &view, int amax, llvm::StringRef label);
  int addAmaxBuffer(llvm::StringRef name, mlir::Value value);
  void addQuantize(const View &view, fp4::QuantizeOp op, int amax);
  void addStore(const View &view, mlir::Value result);
  void addMatvec(fp4::MatvecOp op);
  void addMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue);

private:
  RowSource rowSource(const View &view, std::vector<plan::Argument> *args);
  std::string sourceName(const View &view, const RowSource &source);
  int addPartials(const View &view);
  plan::Argument pointer(int buffer) const;
  plan::Argument size(plan::Expr value) const;
  ElementRegion elementRegion(mlir::Region &region, mlir::ValueRange rows, mlir::ValueRange cols, mlir::ValueRange full,
                              mlir::ValueRange scalars, std::vector<plan::Argument> *args);
  /// True the first time a kernel of that name is asked for.
  bool isNewKernel(llvm::StringRef name) { return kernelNames.insert(name).second; }
  void addLaunch(std::string label, std::string kernel, std::array<plan::Expr, 3> grid, int threads, int sharedBytes,
                 std::vector<plan::Argument> args);

  plan::Plan &plan;
  mlir::gpu::GPUModuleOp kernels;
  const Target &target;
  const Shapes &shapes;
  llvm::DenseMap<mlir::Value, int> tensors;
  llvm::DenseMap<mlir::Value, QuantizedBuffers> quantizedValues;
  llvm::DenseSet<mlir::Value> outputs;
  /// Column partials by what they are of: root and prologue.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Operation *>, int> partials;
  llvm::StringSet<> kernelNames;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_PLANNER_PLANWRITER_H
