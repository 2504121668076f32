// The walk over a spec that decides what fuses.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/Planner.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/planner/PlanWriter.h"
#include "compiler/recipe/Recipe.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

class Planner {
public:
  Planner(func::FuncOp func, const Target &target, MatmulMode mode, plan::Plan &plan, gpu::GPUModuleOp kernels, llvm::StringRef only)
      : func(func), plan(plan), writer(plan, kernels, target, shapes, only) {
    writer.setMode(mode);
  }

  LogicalResult run();

private:
  LogicalResult checkArguments();
  LogicalResult checkReturn(func::ReturnOp op);
  LogicalResult visit(Operation *op);
  LogicalResult visitCenter(fp4::CenterOp op);
  LogicalResult visitQuantize(fp4::QuantizeOp op);
  LogicalResult checkScales(fp4::QuantizeOp op);
  fp4::QuantizeOp partnerOf(fp4::QuantizeOp op);
  FailureOr<PlannedQuantize> prepareQuantize(fp4::QuantizeOp op);
  LogicalResult visitMatmul(fp4::MatmulOp op);
  void addMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue);
  LogicalResult visitEpilogue(fp4::EpilogueOp op);
  LogicalResult visitReshape(fp4::ReshapeOp op);

  FailureOr<View> viewOf(Operation *user, Value value);
  FailureOr<View> statisticsInput(Operation *user, Value value, Value mask);
  LogicalResult materialize(Operation *user, Value value);
  LogicalResult materializeAll(Operation *user, ValueRange values);
  FailureOr<int> amaxOf(fp4::BlockScaleOp op);
  FailureOr<int> amaxAlongColumns(fp4::BlockScaleOp op, fp4::BlockScaleOp transformed);

  func::FuncOp func;
  plan::Plan &plan;
  Shapes shapes;
  PlanWriter writer;
  llvm::DenseMap<Operation *, Phase> phases;
  /// The tensor amax of a block_scale's input, once it is computed.
  llvm::DenseMap<Value, int> amaxes;
  /// Quantize ops whose launch is there.
  llvm::DenseSet<Operation *> quantized;
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
  for (Value value : op.getOperands()) {
    if (isa<fp4::QuantizedType>(value.getType()))
      return op.emitOpError() << "cannot return '" << valueName(value) << "' of type " << value.getType()
                              << " from kernels; return its fp4.dequantize";
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
                    .Case<fp4::PrologueOp, fp4::EpilogueOp, fp4::CenterOp, fp4::HadamardOp>([](auto op) { return op.getInput(); })
                    .Default([](Operation *) { return Value(); });
  if (auto scale = dyn_cast<fp4::BlockScaleOp>(op); scale && value == scale.getScales())
    return user->emitOpError() << "reads the block scales '" << valueName(value)
                               << "', which kernels keep in tiles beside the codes; scales go into fp4.quantize only, whose result "
                                  "fp4.dequantize gives as numbers";
  if (!input) {
    user->emitOpError() << "reads '" << valueName(value) << "', which no kernel writes to memory (" << op->getName() << ")";
    return failure();
  }
  FailureOr<View> inner = viewOf(user, input);
  if (failed(inner))
    return failure();
  ElementWise prologue = isa<fp4::EpilogueOp>(op) ? ElementWise(cast<fp4::EpilogueOp>(op)) : ElementWise(dyn_cast<fp4::PrologueOp>(op));
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
    if (failed(materializeAll(user, prologue.operands())))
      return failure();
    inner->prologue = prologue;
  }
  if (center) {
    inner->center = center;
    inner->mask = center.getMask();
  }
  if (hadamard)
    inner->hadamard = hadamard;
  return inner;
}

/// Makes sure that a tensor is in memory, storing a fused view where it is not.
LogicalResult Planner::materialize(Operation *user, Value value) {
  if (writer.isMaterialized(value))
    return success();
  if (auto scale = value.getDefiningOp<fp4::BlockScaleOp>(); scale && value == scale.getAmax()) {
    FailureOr<int> buffer = amaxOf(scale);
    if (failed(buffer))
      return failure();
    writer.alias(value, *buffer);
    return success();
  }
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

/// How the statistics kernels can read `value`: they apply a prologue and a mask, nothing else.
FailureOr<View> Planner::statisticsInput(Operation *user, Value value, Value mask) {
  FailureOr<View> view = viewOf(user, value);
  if (failed(view))
    return failure();
  if (view->center || view->hadamard) {
    if (failed(materialize(user, value)))
      return failure();
    view = View();
    view->root = value;
  }
  view->mask = mask;
  return view;
}

/// The mean, and the residual's amax where a block scale will ask for it: column extremes give it without a pass of its own.
LogicalResult Planner::visitCenter(fp4::CenterOp op) {
  FailureOr<View> input = statisticsInput(op, op.getInput(), op.getMask());
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

/// The block scale of `value` that needs its amax, in the phase of `user`.
static fp4::BlockScaleOp scaleOf(Value value, llvm::function_ref<bool(Operation *)> fits) {
  for (Operation *user : value.getUsers())
    if (auto scale = dyn_cast<fp4::BlockScaleOp>(user); scale && scale.getAmax() && fits(scale))
      return scale;
  return {};
}

/// The tensor itself and its transform along axis 0 share one read where both amaxes are wanted.
FailureOr<int> Planner::amaxAlongColumns(fp4::BlockScaleOp op, fp4::BlockScaleOp transformed) {
  auto hadamard = transformed.getInput().getDefiningOp<fp4::HadamardOp>();
  auto samePhase = [&](Operation *other) { return phases.lookup(other) == phases.lookup(op); };
  FailureOr<View> view = viewOf(op, hadamard.getInput());
  if (failed(view))
    return failure();
  fp4::BlockScaleOp plain = amaxes.count(hadamard.getInput()) ? fp4::BlockScaleOp() : scaleOf(hadamard.getInput(), samePhase);
  int transformedAmax =
      writer.addAmaxBuffer((valueName(transformed.getInput()) + ".amax").str(), transformed.getAmax());
  int plainAmax = plain ? writer.addAmaxBuffer((valueName(plain.getInput()) + ".amax").str(), plain.getAmax()) : -1;
  writer.addAmaxColumns(*view, hadamard, transformedAmax, plainAmax);
  amaxes[transformed.getInput()] = transformedAmax;
  if (plain)
    amaxes[plain.getInput()] = plainAmax;
  return amaxes[op.getInput()];
}

/// The buffer of the tensor amax a block scale uses; computed once for each input.
FailureOr<int> Planner::amaxOf(fp4::BlockScaleOp op) {
  if (!op.getAmax())
    return -1;
  auto found = amaxes.find(op.getInput());
  if (found != amaxes.end())
    return found->second;
  auto own = op.getInput().getDefiningOp<fp4::HadamardOp>();
  if (own && own.getAxis() == 0)
    return amaxAlongColumns(op, op);
  auto samePhase = [&](Operation *other) { return phases.lookup(other) == phases.lookup(op); };
  for (Operation *user : op.getInput().getUsers())
    if (auto hadamard = dyn_cast<fp4::HadamardOp>(user); hadamard && hadamard.getAxis() == 0)
      if (fp4::BlockScaleOp transformed = scaleOf(hadamard.getResult(), samePhase))
        return amaxAlongColumns(op, transformed);
  FailureOr<View> view = viewOf(op, op.getInput());
  if (failed(view))
    return failure();
  std::string name = (valueName(op.getInput()) + ".amax").str();
  int buffer = writer.addAmaxBuffer(name, op.getAmax());
  writer.addAmax(*view, buffer, "amax of " + valueName(op.getInput()).str());
  return amaxes[op.getInput()] = buffer;
}

LogicalResult Planner::checkScales(fp4::QuantizeOp op) {
  auto scale = op.getScales().getDefiningOp<fp4::BlockScaleOp>();
  if (!scale || scale.getInput() != op.getInput() || (op.getAmax() && op.getAmax() != scale.getAmax()))
    return op.emitOpError() << "rounds '" << valueName(op.getInput())
                            << "' with scales that are not fp4.block_scale of the same tensor: no kernel on target '"
                            << plan.target << "'";
  return success();
}

/// What a quantization reads, apart from a transform of its own. Along axis 0 a kernel has the magnitudes of blocks of 16x16 before
/// it could transform (QuantizeTile.h): such a transform is stored first.
static Value untransformed(fp4::QuantizeOp op) {
  auto hadamard = op.getInput().getDefiningOp<fp4::HadamardOp>();
  fp4::QuantizedType type = op.getResult().getType();
  bool fuses = hadamard && static_cast<int64_t>(hadamard.getAxis()) == type.getAxis() && (type.getAxis() == 1 || type.getBlockAcross() == 1);
  return fuses ? hadamard.getInput() : op.getInput();
}

/// Another quantization of the same tensor along the other axis, which one read can serve.
fp4::QuantizeOp Planner::partnerOf(fp4::QuantizeOp op) {
  fp4::QuantizedType type = op.getResult().getType();
  for (Operation &other : func.front()) {
    auto candidate = dyn_cast<fp4::QuantizeOp>(other);
    if (!candidate || quantized.contains(candidate) || phases.lookup(candidate) != phases.lookup(op))
      continue;
    fp4::QuantizedType theirs = candidate.getResult().getType();
    if (theirs.getAxis() == type.getAxis() || theirs.getFormat() != type.getFormat() ||
        untransformed(candidate) != untransformed(op))
      continue;
    // Seeds and offsets must be there already: arguments are.
    auto isArgument = [](Value value) { return !value || isa<BlockArgument>(value); };
    if (isArgument(candidate.getSeed()) && isArgument(candidate.getOffset()))
      return candidate;
  }
  return {};
}

FailureOr<PlannedQuantize> Planner::prepareQuantize(fp4::QuantizeOp op) {
  if (failed(checkScales(op)) || failed(materializeAll(op, op.getOperands().drop_front(op.getAmax() ? 3 : 2))))
    return failure();
  PlannedQuantize planned;
  planned.op = op;
  FailureOr<int> amax = amaxOf(op.getScales().getDefiningOp<fp4::BlockScaleOp>());
  if (failed(amax))
    return failure();
  planned.amax = *amax;
  auto hadamard = op.getInput().getDefiningOp<fp4::HadamardOp>();
  if (hadamard && untransformed(op) != op.getInput())
    planned.hadamard = hadamard;
  quantized.insert(op);
  return planned;
}

LogicalResult Planner::visitQuantize(fp4::QuantizeOp op) {
  if (quantized.contains(op))
    return success();
  fp4::QuantizeOp partner = partnerOf(op);
  FailureOr<PlannedQuantize> own = prepareQuantize(op);
  if (failed(own))
    return failure();
  std::optional<PlannedQuantize> rows, columns;
  (op.getResult().getType().getAxis() == 1 ? rows : columns) = *own;
  if (partner) {
    FailureOr<PlannedQuantize> theirs = prepareQuantize(partner);
    if (failed(theirs))
      return failure();
    (rows ? columns : rows) = *theirs;
  }
  FailureOr<View> view = viewOf(op, untransformed(op));
  if (failed(view))
    return failure();
  if (view->hadamard) {
    // A transform along the other axis first.
    if (failed(materialize(op, untransformed(op))))
      return failure();
    view = View();
    view->root = untransformed(op);
  }
  if (columns)
    writer.addQuantizeTile(*view, rows, *columns);
  else
    writer.addQuantizeRows(*view, *rows);
  return success();
}

LogicalResult Planner::visitMatmul(fp4::MatmulOp op) {
  if (op.isDense() && failed(materializeAll(op, op->getOperands())))
    return failure();
  // With an epilogue that fuses, the launch comes when its other operands are there.
  if (!fusedEpilogue(op))
    addMatmul(op, {});
  return success();
}

void Planner::addMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue) {
  if (op.isDense())
    writer.addDenseMatmul(op, epilogue);
  else
    writer.addMatmul(op, epilogue);
}

/// One that is not its matmul's only use is fused into its readers, as a prologue is.
LogicalResult Planner::visitEpilogue(fp4::EpilogueOp op) {
  auto matmul = op.getInput().getDefiningOp<fp4::MatmulOp>();
  if (!matmul || !fusedEpilogue(matmul))
    return success();
  if (failed(materializeAll(op, op->getOperands().drop_front())))
    return failure();
  addMatmul(matmul, op);
  return success();
}

/// The same memory under another shape.
LogicalResult Planner::visitReshape(fp4::ReshapeOp op) {
  if (failed(materialize(op, op.getInput())))
    return failure();
  writer.alias(op.getResult(), op.getInput());
  return success();
}

LogicalResult Planner::visit(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      // Fused into their readers.
      .Case<fp4::PrologueOp, fp4::HadamardOp, fp4::BlockScaleOp>([](auto) { return success(); })
      .Case([&](fp4::CenterOp op) { return visitCenter(op); })
      .Case([&](fp4::QuantizeOp op) { return visitQuantize(op); })
      .Case([&](fp4::MatmulOp op) { return visitMatmul(op); })
      .Case([&](fp4::DequantizeOp op) {
        writer.addDequantize(op);
        return success();
      })
      .Case([&](fp4::ReshapeOp op) { return visitReshape(op); })
      .Case([&](fp4::EpilogueOp op) { return visitEpilogue(op); })
      .Case([&](fp4::MatvecOp op) {
        if (failed(materializeAll(op, op->getOperands())))
          return failure();
        writer.addMatvec(op);
        return success();
      })
      .Case([&](fp4::ColumnSumOp op) -> LogicalResult {
        FailureOr<View> input = statisticsInput(op, op.getInput(), op.getMask());
        if (failed(input))
          return failure();
        writer.addColumnSum(*input, op.getResult());
        return success();
      })
      .Case([&](func::ReturnOp op) {
        if (failed(materializeAll(op, op.getOperands())))
          return failure();
        llvm::DenseSet<Value> returned;
        for (auto [index, value] : llvm::enumerate(op.getOperands())) {
          plan::TensorInfo info;
          info.name = resultName(func, index);
          info.buffer = writer.tensorBuffer(value);
          // An output is memory that a kernel writes: not the caller's input, and not another output.
          if (!returned.insert(value).second || plan.buffers[info.buffer].kind == plan::Buffer::Kind::Input)
            info.buffer = writer.addCopy(value, info.name);
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
  FailureOr<llvm::DenseMap<Operation *, Phase>> found = phasesOf(func);
  if (failed(found) || failed(shapes.analyze(func, recipeTies(func))))
    return failure();
  phases = std::move(*found);
  writer.setDistributed(func->hasAttr(kDistributedAttr));
  if (!phases.empty())
    for (int phase = 0; phase < kNumPhases; ++phase)
      plan.phases.push_back(phaseName(static_cast<Phase>(phase)));
  plan.dims = shapes.dimensions();
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitOpError("expects one block");
  if (failed(checkReturn(cast<func::ReturnOp>(func.front().getTerminator()))) || failed(checkArguments()))
    return failure();
  for (Operation &op : func.front()) {
    writer.setPhase(static_cast<int>(phases.lookup(&op)));
    if (failed(visit(&op)))
      return failure();
  }
  writer.keepBetweenPhases();
  return success();
}

FailureOr<PlannedSpec> planSpec(func::FuncOp func, const Target &target, MatmulMode mode, llvm::StringRef only) {
  PlannedSpec result;
  result.plan.spec = func.getName().str();
  result.plan.target = target.name().str();
  result.plan.ptxVersion = target.ptxVersion().str();
  if (!target.hasBlockScaledStep())
    result.plan.mode = modeName(mode).str();
  // Specs load only what they mention; kernels are built from these.
  func.getContext()
      ->loadDialect<arith::ArithDialect, gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect,
                    scf::SCFDialect>();
  OpBuilder builder(func.getContext());
  result.kernels = gpu::GPUModuleOp::create(builder, func.getLoc(), "kernels");
  if (failed(Planner(func, target, mode, result.plan, *result.kernels, only).run()))
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
  if (failed(shapes.analyze(func, recipeTies(func))))
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
    else
      plan.inputs.back().optional = static_cast<bool>(func.getArgAttr(argument.getArgNumber(), fp4::kOptionalAttr));
  for (auto [index, value] : llvm::enumerate(func.front().getTerminator()->getOperands()))
    add(value, resultName(func, index), plan.outputs, plan::Buffer::Kind::Output);
  return plan;
}

} // namespace compiler
} // namespace fourfold
