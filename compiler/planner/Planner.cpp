// The walk over a spec that decides what fuses.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/Planner.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/planner/PlanWriter.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

class Planner {
public:
  Planner(func::FuncOp func, const Target &target, plan::Plan &plan, gpu::GPUModuleOp kernels)
      : func(func), plan(plan), writer(plan, kernels, target, shapes) {}

  LogicalResult run();

private:
  LogicalResult checkArguments();
  LogicalResult checkReturn(func::ReturnOp op);
  LogicalResult visit(Operation *op);
  LogicalResult visitCenter(fp4::CenterOp op);
  LogicalResult visitQuantize(fp4::QuantizeOp op);
  LogicalResult visitMatmul(fp4::MatmulOp op);
  LogicalResult visitEpilogue(fp4::EpilogueOp op);

  FailureOr<View> viewOf(Operation *user, Value value);
  FailureOr<View> statisticsInput(Operation *user, Value value);
  LogicalResult materialize(Operation *user, Value value);
  LogicalResult materializeAll(Operation *user, ValueRange values);
  FailureOr<int> amaxOf(fp4::BlockScaleOp op);

  func::FuncOp func;
  plan::Plan &plan;
  Shapes shapes;
  PlanWriter writer;
  /// The tensor amax of a block_scale's input, once it is computed.
  llvm::DenseMap<Value, int> amaxes;
};

} // namespace

/// The epilogue that a matmul can hand its accumulator to: its only use.
static fp4::EpilogueOp fusedEpilogue(fp4::MatmulOp op) {
  if (!op.getResult().hasOneUse())
    return {};
  auto epilogue = dyn_cast<fp4::EpilogueOp>(*op.getResult().user_begin());
  return epilogue && epilogue.getInput() == op.getResult() ? epilogue : fp4::EpilogueOp();
}

LogicalResult Planner::checkArguments() {
  for (BlockArgument argument : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || type.getRank() > 2 || failed(planElementType(type.getElementType())))
      return func.emitOpError() << "argument '" << valueName(argument) << "' of type " << argument.getType()
                                << " cannot be passed to kernels; expects a tensor of rank 0 to 2 of f32, bf16, f16, i64, "
                                   "i32 or i8";
    plan::TensorInfo info;
    info.name = valueName(argument).str();
    info.type = *planElementType(type.getElementType());
    for (const plan::Expr &extent : shapes.of(argument))
      info.shape.push_back(extent);
    info.buffer = writer.tensorBuffer(argument);
    plan.inputs.push_back(info);
  }
  return success();
}

LogicalResult Planner::checkReturn(func::ReturnOp op) {
  llvm::DenseSet<Value> seen;
  for (Value value : op.getOperands()) {
    if (isa<fp4::QuantizedType>(value.getType()))
      return op.emitOpError() << "cannot return '" << valueName(value) << "' of type " << value.getType()
                              << " from kernels; return its fp4.dequantize";
    if (isa<BlockArgument>(value))
      return op.emitOpError() << "returns argument '" << valueName(value) << "' unchanged; no kernel would write it";
    if (!seen.insert(value).second)
      return op.emitOpError() << "returns '" << valueName(value) << "' twice";
    writer.markOutput(value);
  }
  return success();
}

/// How a kernel can read `value`: the chain of prologue, centring and Hadamard above it that fuses, on a tensor in memory.
FailureOr<View> Planner::viewOf(Operation *user, Value value) {
  View view;
  view.root = value;
  if (writer.isMaterialized(value))
    return view;
  Operation *op = value.getDefiningOp();
  Value input = llvm::TypeSwitch<Operation *, Value>(op)
                    .Case<fp4::PrologueOp, fp4::CenterOp, fp4::HadamardOp>([](auto op) { return op.getInput(); })
                    .Default([](Operation *) { return Value(); });
  if (!input) {
    user->emitOpError() << "reads '" << valueName(value) << "', which no kernel writes to memory (" << op->getName() << ")";
    return failure();
  }
  FailureOr<View> inner = viewOf(user, input);
  if (failed(inner))
    return failure();
  auto prologue = dyn_cast<fp4::PrologueOp>(op);
  auto center = dyn_cast<fp4::CenterOp>(op);
  auto hadamard = dyn_cast<fp4::HadamardOp>(op);
  // Kernels apply prologue, centring, Hadamard in this order, each once: another order starts from a tensor in memory.
  bool fits = prologue ? inner->isPlain() : center ? !inner->center && !inner->hadamard : !inner->hadamard;
  if (!fits) {
    if (failed(materialize(user, input)))
      return failure();
    inner = View();
    inner->root = input;
  }
  if (prologue) {
    if (failed(materializeAll(user, prologue->getOperands().drop_front())))
      return failure();
    inner->prologue = prologue;
  }
  if (center)
    inner->center = center;
  if (hadamard) {
    if (hadamard.getAxis() != 1)
      return hadamard.emitOpError() << "has no kernel along axis 0 on target '" << plan.target << "'; supported: axis 1",
             failure();
    inner->hadamard = hadamard;
  }
  return inner;
}

/// Makes sure that a tensor is in memory, storing a fused view where it is not.
LogicalResult Planner::materialize(Operation *user, Value value) {
  if (writer.isMaterialized(value))
    return success();
  FailureOr<View> view = viewOf(user, value);
  if (failed(view))
    return failure();
  writer.addStore(*view, value);
  return success();
}

LogicalResult Planner::materializeAll(Operation *user, ValueRange values) {
  for (Value value : values)
    if (failed(materialize(user, value)))
      return failure();
  return success();
}

/// How the statistics kernels can read `value`: they apply a prologue and nothing else.
FailureOr<View> Planner::statisticsInput(Operation *user, Value value) {
  FailureOr<View> view = viewOf(user, value);
  if (failed(view) || (!view->center && !view->hadamard))
    return view;
  if (failed(materialize(user, value)))
    return failure();
  View stored;
  stored.root = value;
  return stored;
}

/// The mean, and the residual's amax where a block scale will ask for it: column extremes give it without a pass of its own.
LogicalResult Planner::visitCenter(fp4::CenterOp op) {
  if (op.getMask())
    return op.emitOpError() << "with a mask has no kernel on target '" << plan.target << "'";
  FailureOr<View> input = statisticsInput(op, op.getInput());
  if (failed(input))
    return failure();
  int amax = -1;
  for (Operation *user : op.getResidual().getUsers())
    if (auto scale = dyn_cast<fp4::BlockScaleOp>(user))
      if (scale.getAmax())
        amax = amax >= 0 ? amax : writer.addAmaxBuffer((valueName(op.getResidual()) + ".amax").str(), scale.getAmax());
  if (amax >= 0)
    amaxes[op.getResidual()] = amax;
  writer.addMean(*input, op, amax);
  return success();
}

/// The buffer of the tensor amax a block scale uses; computed once for each input.
FailureOr<int> Planner::amaxOf(fp4::BlockScaleOp op) {
  if (!op.getAmax())
    return -1;
  auto found = amaxes.find(op.getInput());
  if (found != amaxes.end())
    return found->second;
  FailureOr<View> view = viewOf(op, op.getInput());
  if (failed(view))
    return failure();
  std::string name = (valueName(op.getInput()) + ".amax").str();
  int buffer = writer.addAmaxBuffer(name, op.getAmax());
  writer.addAmax(*view, buffer, "amax of " + valueName(op.getInput()).str());
  return amaxes[op.getInput()] = buffer;
}

LogicalResult Planner::visitQuantize(fp4::QuantizeOp op) {
  auto scale = op.getScales().getDefiningOp<fp4::BlockScaleOp>();
  if (!scale || scale.getInput() != op.getInput() || (op.getAmax() && op.getAmax() != scale.getAmax()))
    return op.emitOpError() << "rounds '" << valueName(op.getInput())
                            << "' with scales that are not fp4.block_scale of the same tensor: no kernel on target '"
                            << plan.target << "'";
  auto type = cast<fp4::QuantizedType>(op.getResult().getType());
  if (type.getAxis() != 1)
    return op.emitOpError() << "scales '" << valueName(op.getInput()) << "' along axis 0: no kernel on target '"
                            << plan.target << "'; supported: axis 1";
  if (failed(materializeAll(op, op.getOperands().drop_front(op.getAmax() ? 3 : 2))))
    return failure();
  FailureOr<int> amax = amaxOf(scale);
  if (failed(amax))
    return failure();
  FailureOr<View> view = viewOf(op, op.getInput());
  if (failed(view))
    return failure();
  writer.addQuantize(*view, op, *amax);
  return success();
}

LogicalResult Planner::visitMatmul(fp4::MatmulOp op) {
  // With an epilogue that fuses, the launch comes when its other operands are there.
  if (!fusedEpilogue(op))
    writer.addMatmul(op, {});
  return success();
}

LogicalResult Planner::visitEpilogue(fp4::EpilogueOp op) {
  if (failed(materializeAll(op, op->getOperands().drop_front())))
    return failure();
  auto matmul = op.getInput().getDefiningOp<fp4::MatmulOp>();
  if (matmul && fusedEpilogue(matmul)) {
    writer.addMatmul(matmul, op);
    return success();
  }
  return op.emitOpError() << "reads '" << valueName(op.getInput())
                          << "', which is not a matmul's only use; use fp4.prologue for element-wise work on a tensor";
}

LogicalResult Planner::visit(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      // Fused into their readers.
      .Case<fp4::PrologueOp, fp4::HadamardOp, fp4::BlockScaleOp>([](auto) { return success(); })
      .Case([&](fp4::CenterOp op) { return visitCenter(op); })
      .Case([&](fp4::QuantizeOp op) { return visitQuantize(op); })
      .Case([&](fp4::MatmulOp op) { return visitMatmul(op); })
      .Case([&](fp4::EpilogueOp op) { return visitEpilogue(op); })
      .Case([&](fp4::MatvecOp op) {
        if (failed(materializeAll(op, op->getOperands())))
          return failure();
        writer.addMatvec(op);
        return success();
      })
      .Case([&](fp4::ColumnSumOp op) -> LogicalResult {
        if (op.getMask())
          return op.emitOpError() << "with a mask has no kernel on target '" << plan.target << "'";
        FailureOr<View> input = statisticsInput(op, op.getInput());
        if (failed(input))
          return failure();
        writer.addColumnSum(*input, op.getResult());
        return success();
      })
      .Case([&](func::ReturnOp op) {
        if (failed(materializeAll(op, op.getOperands())))
          return failure();
        for (auto [index, value] : llvm::enumerate(op.getOperands())) {
          plan::TensorInfo info;
          info.name = resultName(func, index);
          info.buffer = writer.tensorBuffer(value);
          info.type = plan.buffers[info.buffer].contents.type;
          info.shape = plan.buffers[info.buffer].contents.shape;
          plan.outputs.push_back(info);
        }
        return success();
      })
      .Default([&](Operation *op) {
        return op->emitOpError() << "has no kernel on target '" << plan.target << "'";
      });
}

LogicalResult Planner::run() {
  if (failed(shapes.analyze(func)))
    return failure();
  plan.dims = shapes.dimensions();
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitOpError("expects one block");
  if (failed(checkReturn(cast<func::ReturnOp>(func.front().getTerminator()))) || failed(checkArguments()))
    return failure();
  for (Operation &op : func.front())
    if (failed(visit(&op)))
      return failure();
  return success();
}

FailureOr<PlannedSpec> planSpec(func::FuncOp func, const Target &target) {
  PlannedSpec result;
  result.plan.spec = func.getName().str();
  result.plan.target = target.name().str();
  result.plan.ptxVersion = target.ptxVersion().str();
  // Specs load only what they mention; kernels are built from these.
  func.getContext()
      ->loadDialect<arith::ArithDialect, gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect,
                    scf::SCFDialect>();
  OpBuilder builder(func.getContext());
  result.kernels = gpu::GPUModuleOp::create(builder, func.getLoc(), "kernels");
  if (failed(Planner(func, target, result.plan, *result.kernels).run()))
    return failure();
  if (std::string problem = result.plan.validate(); !problem.empty())
    return func.emitOpError() << "has a plan that does not validate: " << problem, failure();
  return result;
}

FailureOr<plan::Plan> signatureOf(func::FuncOp func) {
  plan::Plan plan;
  plan.spec = func.getName().str();
  plan.target = "host";
  Shapes shapes;
  if (failed(shapes.analyze(func)))
    return failure();
  plan.dims = shapes.dimensions();
  auto add = [&](Value value, std::string name, std::vector<plan::TensorInfo> &list, plan::Buffer::Kind kind) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || failed(planElementType(type.getElementType())))
      return false;
    plan::TensorInfo info;
    info.name = std::move(name);
    info.type = *planElementType(type.getElementType());
    info.buffer = static_cast<int>(plan.buffers.size());
    plan::Buffer buffer;
    buffer.name = info.name;
    buffer.kind = kind;
    for (const plan::Expr &extent : shapes.of(value))
      info.shape.push_back(extent);
    plan.buffers.push_back(buffer);
    list.push_back(info);
    return true;
  };
  for (BlockArgument argument : func.getArguments())
    if (!add(argument, valueName(argument).str(), plan.inputs, plan::Buffer::Kind::Input))
      return func.emitOpError() << "argument '" << valueName(argument) << "' of type " << argument.getType()
                                << " cannot be passed from a host tensor",
             failure();
  for (auto [index, value] : llvm::enumerate(func.front().getTerminator()->getOperands()))
    add(value, resultName(func, index), plan.outputs, plan::Buffer::Kind::Output);
  return plan;
}

} // namespace compiler
} // namespace fourfold
