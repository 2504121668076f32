// Running steps: inputs by name, values between phases.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Program.h"

#include "compiler/host/Results.h"
#include "dialect/Numerics.h"

#include <algorithm>

namespace fourfold {
namespace host {

Environment::Environment(std::shared_ptr<const Program> program, std::shared_ptr<const Environment> weights)
    : source(std::move(program)), weights(std::move(weights)), values(source->values.size()),
      remaining(source->values.size()) {}

void Environment::reset() {
  std::fill(values.begin(), values.end(), nullptr);
  std::fill(remaining.begin(), remaining.end(), 0u);
}

int64_t Environment::bytesHeld() const {
  int64_t bytes = 0;
  for (const auto &value : values)
    bytes += value ? value->ownedBytes() : 0;
  return bytes;
}

static bool fits(const Shape &shape, const Shape &type) {
  return shape.size() == type.size() && std::equal(shape.begin(), shape.end(), type.begin(), [](int64_t a, int64_t b) {
           return b < 0 || a == b;
         });
}

class Run {
public:
  Run(Environment &environment, const RunRequest &request)
      : environment(environment), program(environment.program()), request(request), arguments(program.numArguments) {}

  void all();

private:
  bool isSelected(int phase) const { return request.phases == kAllPhases || (request.phases >> phase & 1u); }
  [[noreturn]] void fail(const std::string &text) const { throw Failure("'" + program.name + "' " + text); }
  [[noreturn]] static void fail(const Step &step, const std::string &text) { throw Failure(step.where + " " + text); }

  void checkPhases() const;
  void bindInputs();
  std::shared_ptr<const Value> find(int number) const;
  const Value &operand(const Step &step, size_t index) const;
  bool hasOperand(const Step &step, size_t index) const {
    return index < step.operands.size() && step.operands[index] >= 0;
  }
  /// Null where it is absent.
  const Tensor *tensor(const Step &step, size_t index) const;
  void checkExtent(const Step &step, const char *what, int64_t found, const char *of, int64_t expected) const;
  void checkMask(const Step &step) const;
  void set(const Step &step, size_t index, Value value);
  void execute(const Step &step);
  void executeElement(const Step &step);
  void executeQuantize(const Step &step);
  void executeMatmul(const Step &step);
  void release(int number);
  void ownValues();
  bool isOfRun(int number) const {
    int phase = program.values[static_cast<size_t>(number)].phase;
    return phase < 0 ? arguments[static_cast<size_t>(number)] != nullptr : isSelected(phase);
  }

  Environment &environment;
  const Program &program;
  const RunRequest &request;
  std::vector<std::shared_ptr<const Value>> arguments;
};

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

void Run::checkPhases() const {
  if (request.phases == kAllPhases || request.phases == 0)
    return;
  if (program.phases.empty())
    fail("has no phases: run it as a whole");
  if (request.phases >> program.phases.size())
    fail("has " + std::to_string(program.phases.size()) + " phases, but the run asks for more");
}

void Run::bindInputs() {
  std::vector<bool> isNeeded(program.numArguments);
  for (const Step &step : program.steps)
    for (int number : step.operands)
      if (isSelected(step.phase) && number >= 0 && static_cast<size_t>(number) < program.numArguments)
        isNeeded[static_cast<size_t>(number)] = true;
  std::string known;
  for (size_t i = 0; i < program.numArguments; ++i)
    known += (i ? ", " : "") + program.values[i].name;
  for (size_t i = 0; i < request.numInputs; ++i) {
    const FourfoldHostTensor &input = request.inputs[i];
    std::string name = input.name ? input.name : "";
    auto end = program.values.begin() + static_cast<int64_t>(program.numArguments);
    auto found = std::find_if(program.values.begin(), end, [&](const ValueInfo &info) { return info.name == name; });
    if (found == end)
      fail("has no input '" + name + "'; it takes " + (known.empty() ? "none" : known));
    size_t number = static_cast<size_t>(found - program.values.begin());
    if (arguments[number])
      fail("gets input '" + name + "' twice");
    std::string given = input.elementType ? input.elementType : "";
    if (given != elementName(found->element))
      fail("expects elements of " + std::string(elementName(found->element)) + " for input '" + name + "', but got '" +
           given + "'");
    Tensor tensor;
    tensor.element = found->element;
    tensor.shape.assign(input.shape, input.shape + std::max(input.rank, 0));
    if (!fits(tensor.shape, found->shape) ||
        std::any_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t extent) { return extent < 0; }))
      fail("expects shape " + shapeText(found->shape) + " for input '" + name + "', but got " +
           shapeText(tensor.shape));
    tensor.data = input.data;
    if (!input.data && tensor.size() != 0)
      fail("gets input '" + name + "' without data");
    arguments[number] = std::make_shared<Value>(std::move(tensor));
  }
  for (size_t i = 0; i < program.numArguments; ++i)
    if (!arguments[i] && (isNeeded[i] || request.phases == kAllPhases))
      fail("needs input '" + program.values[i].name + "', which is missing; it takes " + known);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

std::shared_ptr<const Value> Run::find(int number) const {
  size_t index = static_cast<size_t>(number);
  if (index < program.numArguments)
    return arguments[index];
  if (environment.values[index])
    return environment.values[index];
  return environment.weights ? environment.weights->values[index] : nullptr;
}

const Value &Run::operand(const Step &step, size_t index) const {
  int number = step.operands[index];
  std::shared_ptr<const Value> value = find(number);
  if (!value) {
    const ValueInfo &info = program.values[static_cast<size_t>(number)];
    std::string phase = info.phase >= 0 && static_cast<size_t>(info.phase) < program.phases.size()
                            ? program.phases[static_cast<size_t>(info.phase)]
                            : "whole";
    fail(step, "needs '" + info.name + "' of phase '" + phase + "', which has not run in this environment or whose values "
               "have all been used: run it first");
  }
  return *value;
}

const Tensor *Run::tensor(const Step &step, size_t index) const {
  return hasOperand(step, index) ? &operand(step, index).tensor : nullptr;
}

void Run::checkExtent(const Step &step, const char *what, int64_t found, const char *of, int64_t expected) const {
  if (found != expected)
    fail(step, std::string("has ") + what + " of " + std::to_string(found) + ", but " + of + " of " +
                   std::to_string(expected));
}

void Run::set(const Step &step, size_t index, Value value) {
  if (index >= step.results.size() || step.results[index] < 0)
    return;
  size_t number = static_cast<size_t>(step.results[index]);
  const ValueInfo &info = program.values[number];
  if (!fits(value.shape(), info.shape))
    fail(step, "result '" + info.name + "' expects shape " + shapeText(info.shape) + ", but these inputs give " +
                   shapeText(value.shape()));
  environment.remaining[number] = info.uses;
  bool isKept = info.uses || request.intermediates;
  environment.values[number] = isKept ? std::make_shared<const Value>(std::move(value)) : nullptr;
}

void Run::release(int number) {
  size_t index = static_cast<size_t>(number);
  if (number < 0 || index < program.numArguments || environment.remaining[index] == 0)
    return;
  bool staysForAll = !program.phases.empty() && program.values[index].phase == kWeightsPhase;
  if (staysForAll || --environment.remaining[index] > 0 || request.intermediates)
    return;
  environment.values[index] = nullptr;
}

/// What later phases need must not point into memory of this run's caller.
void Run::ownValues() {
  for (auto &value : environment.values)
    if (value && !value->isOwned())
      value = std::make_shared<const Value>(materialized(*value));
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

void Run::checkMask(const Step &step) const {
  if (const Tensor *mask = tensor(step, 1))
    checkExtent(step, "a mask", mask->shape[0], "an input with rows", operand(step, 0).rows());
}

void Run::executeElement(const Step &step) {
  ElementOperands operands;
  operands.input = &operand(step, 0);
  int64_t rows = operands.input->rows(), columns = operands.input->columns();
  size_t index = 1;
  for (size_t i = 0; i < step.numRows; ++i, ++index) {
    operands.rows.push_back(tensor(step, index));
    checkExtent(step, "a rows operand", operands.rows.back()->shape[0], "an input with columns", columns);
  }
  for (size_t i = 0; i < step.numCols; ++i, ++index) {
    operands.cols.push_back(tensor(step, index));
    checkExtent(step, "a cols operand", operands.cols.back()->shape[0], "an input with rows", rows);
  }
  for (size_t i = 0; i < step.numFull; ++i, ++index) {
    operands.full.push_back(&operand(step, index));
    checkExtent(step, "a full operand with rows", operands.full.back()->rows(), "an input with rows", rows);
    checkExtent(step, "a full operand with columns", operands.full.back()->columns(), "an input with columns", columns);
  }
  for (size_t i = 0; i < step.numScalars; ++i, ++index)
    operands.scalars.push_back(tensor(step, index));
  Element element = program.values[static_cast<size_t>(step.results[0])].element;
  set(step, 0, Value(applyRegion(step.region, operands, element)));
}

void Run::executeQuantize(const Step &step) {
  const Value &input = operand(step, 0);
  const Tensor &scales = *tensor(step, 1);
  bool isRowMajor = step.blocks.axis == 1;
  size_t axis = isRowMajor ? 1 : 0;
  int64_t k = isRowMajor ? input.columns() : input.rows(), rows = isRowMajor ? input.rows() : input.columns();
  checkExtent(step, "scales along the scaled axis", scales.shape[axis], "blocks",
              numerics::ceilDiv(k, step.blocks.along));
  checkExtent(step, "scales across the scaled axis", scales.shape[1 - axis], "blocks",
              numerics::ceilDiv(rows, step.blocks.across));
  Rounding rounding;
  rounding.isStochastic = step.isStochastic;
  if (const Tensor *seed = tensor(step, 3))
    rounding.seed = static_cast<uint64_t>(*seed->as<int64_t>());
  if (const Tensor *offset = tensor(step, 4))
    rounding.offset = numerics::streamOffset(static_cast<uint64_t>(*offset->as<int64_t>()), step.stream);
  float amax = hasOperand(step, 2) ? scalarFloat(*tensor(step, 2)) : 0.0f;
  set(step, 0, Value(quantize(input, scales, amax, step.blocks, rounding)));
}

void Run::executeMatmul(const Step &step) {
  const Quantized &lhs = operand(step, 0).quantized, &rhs = operand(step, 1).quantized;
  checkExtent(step, "a left contracted extent", lhs.k, "a right contracted extent", rhs.k);
  set(step, 0, Value(multiply(lhs, rhs)));
}

void Run::execute(const Step &step) {
  switch (step.kind) {
  case StepKind::Element:
    return executeElement(step);
  case StepKind::Center: {
    checkMask(step);
    Centered result = center(operand(step, 0), tensor(step, 1));
    set(step, 0, std::move(result.mean));
    return set(step, 1, std::move(result.residual));
  }
  case StepKind::ColumnSum:
    checkMask(step);
    return set(step, 0, Value(columnSum(operand(step, 0), tensor(step, 1))));
  case StepKind::Hadamard:
    return set(step, 0, hadamard(operand(step, 0), step.axis, step.signs));
  case StepKind::BlockScale: {
    BlockScales result = blockScale(operand(step, 0), step.blocks);
    Tensor amax(Element::F32, {});
    *amax.mutableAs<float>() = result.amax;
    set(step, 0, Value(std::move(result.scales)));
    return set(step, 1, Value(std::move(amax)));
  }
  case StepKind::Quantize:
    return executeQuantize(step);
  case StepKind::Dequantize:
    return set(step, 0, Value(dequantize(operand(step, 0).quantized)));
  case StepKind::Matmul:
    return executeMatmul(step);
  case StepKind::DenseMatmul: {
    const Tensor &lhs = *tensor(step, 0), &rhs = *tensor(step, 1);
    checkExtent(step, "a left contracted extent", lhs.shape[static_cast<size_t>(step.axis)], "a right contracted extent",
                rhs.shape[static_cast<size_t>(step.rightAxis)]);
    return set(step, 0, Value(multiplyDense(lhs, step.axis, rhs, step.rightAxis)));
  }
  case StepKind::Reshape: {
    Tensor result = flattened(operand(step, 0));
    if (result.shape.size() == 2)
      result.shape.erase(result.shape.begin());
    else
      result.shape.insert(result.shape.begin(), 1);
    return set(step, 0, Value(std::move(result)));
  }
  case StepKind::Matvec: {
    const Value &matrix = operand(step, 0);
    const Tensor &vector = *tensor(step, 1);
    checkExtent(step, "a vector", vector.shape[0], "a contracted extent",
                step.axis == 1 ? matrix.columns() : matrix.rows());
    return set(step, 0, Value(matvec(matrix, vector, step.axis)));
  }
  }
}

void Run::all() {
  checkPhases();
  bindInputs();
  for (const Step &step : program.steps) {
    if (!isSelected(step.phase))
      continue;
    execute(step);
    for (int number : step.operands)
      release(number);
  }
  deliverResults(program, request, [&](int number) { return isOfRun(number) ? find(number) : nullptr; });
  for (const Result &result : program.results)
    if (isOfRun(result.value))
      release(result.value);
  if (request.intermediates)
    for (size_t i = 0; i < environment.values.size(); ++i)
      if (environment.remaining[i] == 0)
        environment.values[i] = nullptr;
  ownValues();
}

void run(Environment &environment, const RunRequest &request) { Run(environment, request).all(); }

std::string tryRun(Environment &environment, const RunRequest &request) {
  try {
    run(environment, request);
    return "";
  } catch (const std::bad_alloc &) {
    return "'" + environment.program().name + "' needs more memory than this machine has left";
  } catch (const std::exception &error) {
    return error.what();
  }
}

} // namespace host
} // namespace fourfold
