// Prologue and epilogue: one region, every element.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/Ops.h"
#include "compiler/evaluate/RegionProgram.h"

#include "dialect/Numerics.h"

#include <limits>

using namespace mlir;

namespace fourfold {
namespace compiler {

LogicalResult checkExtent(Operation *op, llvm::StringRef what, int64_t found, llvm::StringRef of, int64_t expected) {
  if (found == expected)
    return success();
  return op->emitOpError() << "has " << what << " of " << found << ", but " << of << " of " << expected;
}

static LogicalResult checkShapes(Operation *op, const ElementOperands &operands) {
  const std::vector<int64_t> &shape = operands.input->shape;
  for (const HostTensor *row : operands.rows)
    if (failed(checkExtent(op, "a rows operand", row->shape[0], "an input with columns", shape[1])))
      return failure();
  for (const HostTensor *column : operands.cols)
    if (failed(checkExtent(op, "a cols operand", column->shape[0], "an input with rows", shape[0])))
      return failure();
  for (const HostTensor *full : operands.full)
    if (failed(checkExtent(op, "a full operand with rows", full->shape[0], "an input with rows", shape[0])) ||
        failed(checkExtent(op, "a full operand with columns", full->shape[1], "an input with columns", shape[1])))
      return failure();
  return success();
}

/// The distance from a float to the next one away from zero in its element type.
static float unitInLastPlace(Element element, float value) {
  int precision = element == Element::BF16 ? 8 : element == Element::F16 ? 11 : 24;
  int least = element == Element::F16 ? -24 : element == Element::BF16 ? -133 : -149;
  if (!numerics::isFinite(value))
    return 0.0f;
  int exponent = value == 0.0f ? least : std::ilogb(value) - (precision - 1);
  return std::ldexp(1.0f, std::max(exponent, least));
}

namespace {

/// One operand of the region: its tensor and where element (i, j) stands in it.
struct Argument {
  const HostTensor *tensor;
  int64_t rowStride, columnStride;

  int64_t index(int64_t row, int64_t column) const { return row * rowStride + column * columnStride; }
};

/// Runs the region with its arguments moved by -1, 0 or +1 times their bounds.
class BoundedRegion {
public:
  explicit BoundedRegion(RegionProgram &program) : program(program) {}

  float deviation(llvm::ArrayRef<float> values, llvm::ArrayRef<float> bounds, float nominal) {
    double total = 0.0;
    llvm::SmallVector<float> moved(values);
    for (size_t i = 0; i < values.size(); ++i) {
      if (bounds[i] == 0.0f)
        continue;
      double worst = 0.0;
      for (float sign : {-1.0f, 1.0f}) {
        moved[i] = values[i] + sign * bounds[i];
        worst = std::max(worst, distance(program.run(moved), nominal));
      }
      moved[i] = values[i];
      total += worst;
    }
    return static_cast<float>(total);
  }

private:
  static double distance(float moved, float nominal) {
    if (std::isnan(moved) && std::isnan(nominal))
      return 0.0;
    if (moved == nominal)
      return 0.0;
    if (!numerics::isFinite(moved) || !numerics::isFinite(nominal))
      return std::numeric_limits<double>::infinity();
    return std::fabs(static_cast<double>(moved) - static_cast<double>(nominal));
  }

  RegionProgram &program;
};

} // namespace

FailureOr<HostTensor> evaluateElementOp(Operation *op, const ElementOperands &operands) {
  if (failed(checkShapes(op, operands)))
    return failure();
  FailureOr<RegionProgram> program = RegionProgram::decode(op->getRegion(0).front());
  if (failed(program))
    return failure();

  int64_t rows = operands.input->shape[0], columns = operands.input->shape[1];
  llvm::SmallVector<Argument> arguments = {{operands.input, columns, 1}};
  for (const HostTensor *row : operands.rows)
    arguments.push_back({row, 0, 1});
  for (const HostTensor *column : operands.cols)
    arguments.push_back({column, 1, 0});
  for (const HostTensor *full : operands.full)
    arguments.push_back({full, columns, 1});
  for (const HostTensor *scalar : operands.scalars)
    arguments.push_back({scalar, 0, 0});
  bool bounded = llvm::any_of(arguments, [](const Argument &argument) { return !argument.tensor->bound.empty(); });

  Element element = *elementOf(cast<RankedTensorType>(op->getResult(0).getType()).getElementType());
  HostTensor result(element, {rows, columns});
  constexpr float kAnything = std::numeric_limits<float>::infinity();
  bool unknown = !op->getRegion(0).front().getOps<fp4::CallOp>().empty();
  if (bounded || unknown)
    result.bound.assign(result.floats.size(), unknown ? kAnything : 0.0f);
  llvm::SmallVector<float> values(arguments.size()), bounds(arguments.size());
  BoundedRegion region(*program);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      for (auto [slot, argument] : llvm::enumerate(arguments)) {
        int64_t index = argument.index(i, j);
        values[slot] = argument.tensor->numberAt(index);
        bounds[slot] = argument.tensor->boundAt(index);
      }
      float value = program->run(values);
      result.at(i, j) = value;
      if (bounded && !unknown && llvm::any_of(bounds, [](float bound) { return bound != 0.0f; }))
        result.bound[static_cast<size_t>(i * columns + j)] =
            region.deviation(values, bounds, value) + unitInLastPlace(element, value);
    }
  return result;
}

} // namespace compiler
} // namespace fourfold
