// Binds a plan's dimensions to input shapes and evaluates every size, grid and argument.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/ExecutableImpl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fourfold {

using plan::Expr;

namespace {

Status invalid(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

class Binder {
public:
  Binder(const Executable::Impl &executable, Binding::Impl *binding, int onlyPhase)
      : plan(executable.plan), executable(executable), binding(*binding), onlyPhase(onlyPhase) {}

  Status run(const std::vector<std::vector<int64_t>> &inputShapes) {
    if (Status status = bindDims(inputShapes); !status.ok())
      return status;
    if (Status status = bindSizes(); !status.ok())
      return status;
    if (Status status = bindTensors(); !status.ok())
      return status;
    return bindLaunches();
  }

private:
  Status bindDims(const std::vector<std::vector<int64_t>> &shapes) {
    if (shapes.size() != plan.inputs.size())
      return invalid(fmt::format("expects {} input shapes, got {}", plan.inputs.size(), shapes.size()));
    binding.dims.assign(plan.dims.size(), -1);
    for (size_t i = 0; i < shapes.size(); ++i)
      if (Status status = bindInput(plan.inputs[i], shapes[i]); !status.ok())
        return status;
    for (size_t i = 0; i < binding.dims.size(); ++i)
      if (binding.dims[i] < 0)
        return invalid(
            fmt::format("the manifest's dimension d{} ({}) is in the shape of no input", i, plan.dims[i].origin));
    return {};
  }

  Status bindInput(const plan::TensorInfo &input, const std::vector<int64_t> &shape) {
    if (shape.size() != input.shape.size())
      return invalid(fmt::format("input '{}' has {} dimensions ({}), but the spec expects {}", input.name, shape.size(),
                                 shapeText(shape), input.shape.size()));
    for (size_t d = 0; d < shape.size(); ++d) {
      const Expr &extent = input.shape[d];
      if (shape[d] < 0)
        return invalid(fmt::format("input '{}' has {} in dimension {}", input.name, shape[d], d));
      if (shape[d] == 0)
        return invalid(
            fmt::format("input '{}' has 0 in dimension {}: an empty tensor cannot be computed on", input.name, d));
      if (extent.isConstant()) {
        if (extent.value() != shape[d])
          return invalid(fmt::format("input '{}' has {} in dimension {}, but the spec says {}", input.name, shape[d], d,
                                     extent.value()));
        continue;
      }
      int64_t &dim = binding.dims[static_cast<size_t>(extent.value())];
      if (dim < 0)
        dim = shape[d];
      else if (dim != shape[d])
        return invalid(fmt::format("input '{}' has {} in dimension {}, but dimension d{} is {} ({})", input.name,
                                   shape[d], d, extent.value(), dim,
                                   plan.dims[static_cast<size_t>(extent.value())].origin));
    }
    return {};
  }

  /// Evaluates an expression and checks its range.
  Status evaluate(const Expr &expr, int64_t low, int64_t high, const std::string &what, int64_t *value) const {
    std::string error;
    *value = expr.evaluate(binding.dims, &error);
    if (!error.empty())
      return invalid(fmt::format("{}: {}", what, error));
    if (*value < low || *value > high)
      return invalid(fmt::format("{}: '{}' is {}, expected {} to {}", what, expr.str(), *value, low, high));
    return {};
  }

  Status bindSizes() {
    // Far above any device's memory, far below where sums of sizes could overflow.
    constexpr int64_t kMaxBytes = int64_t{1} << 48;
    std::vector<uint64_t> workspaceEnds(executable.used.size(), 0);
    for (size_t i = 0; i < plan.buffers.size(); ++i) {
      const plan::Buffer &buffer = plan.buffers[i];
      int64_t bytes;
      if (Status status =
              evaluate(buffer.bytes, 0, kMaxBytes, fmt::format("bytes of buffer '{}'", buffer.name), &bytes);
          !status.ok())
        return status;
      binding.bufferBytes.push_back(static_cast<uint64_t>(bytes));
      uint64_t place = 0;
      if (buffer.kind == plan::Buffer::Kind::Workspace) {
        size_t phase = 0;
        if (Status status = workspacePhase(i, &phase); !status.ok())
          return status;
        place = append(buffer, static_cast<uint64_t>(bytes), &workspaceEnds[phase]);
        binding.workspaceBytes = std::max(binding.workspaceBytes, workspaceEnds[phase]);
      } else if (uint64_t *area = keptArea(buffer.kind)) {
        place = append(buffer, static_cast<uint64_t>(bytes), area);
      }
      binding.bufferPlace.push_back(place);
    }
    return {};
  }

  /// Where a buffer begins in its area, which grows by it.
  static uint64_t append(const plan::Buffer &buffer, uint64_t bytes, uint64_t *area) {
    uint64_t alignment = static_cast<uint64_t>(buffer.alignment);
    uint64_t place = (*area + alignment - 1) / alignment * alignment;
    *area = place + bytes;
    return place;
  }

  uint64_t *keptArea(plan::Buffer::Kind kind) {
    switch (kind) {
    case plan::Buffer::Kind::Weights:
      return &binding.weightsBytes;
    case plan::Buffer::Kind::Saved:
      return &binding.savedBytes;
    case plan::Buffer::Kind::Gradient:
      return &binding.gradientBytes;
    default:
      return nullptr;
    }
  }

  /// The one phase that a workspace buffer lives in; what lived in two would be overwritten in between.
  Status workspacePhase(size_t buffer, size_t *phase) const {
    bool found = false;
    for (size_t p = 0; p < executable.used.size(); ++p) {
      if (!executable.used[p][buffer])
        continue;
      if (found)
        return invalid(
            fmt::format("the manifest is inconsistent: workspace buffer '{}' is used in phases '{}' and '{}'",
                        plan.buffers[buffer].name, plan.phases[*phase], plan.phases[p]));
      *phase = p;
      found = true;
    }
    return {};
  }

  Status bindTensors() {
    std::vector<bool> seen(plan.buffers.size(), false);
    for (const auto *list : {&plan.inputs, &plan.outputs})
      for (size_t i = 0; i < list->size(); ++i) {
        const plan::TensorInfo &tensor = (*list)[i];
        std::vector<int64_t> shape;
        for (const Expr &extent : tensor.shape) {
          int64_t value;
          if (Status status = evaluate(extent, 1, INT64_MAX, fmt::format("shape of '{}'", tensor.name), &value);
              !status.ok())
            return status;
          shape.push_back(value);
        }
        int64_t bytes = countElements(shape);
        size_t buffer = static_cast<size_t>(tensor.buffer);
        if (bytes < 0 || __builtin_mul_overflow(bytes, plan::elementTypeBytes(tensor.type), &bytes))
          return invalid(
              fmt::format("'{}' of shape {} has more bytes than fit 64 bits", tensor.name, shapeText(shape)));
        if (static_cast<uint64_t>(bytes) != binding.bufferBytes[buffer])
          return invalid(fmt::format("the manifest is inconsistent: '{}' has {} bytes, its buffer '{}' {}", tensor.name,
                                     bytes, plan.buffers[buffer].name, binding.bufferBytes[buffer]));
        if (!seen[buffer])
          binding.bufferPlace[buffer] = i;
        seen[buffer] = true;
        if (list == &plan.outputs)
          binding.outputShapes.push_back(shape);
      }
    return {};
  }

  Status bindLaunches() {
    for (size_t i = 0; i < plan.launches.size(); ++i) {
      BoundLaunch bound;
      const plan::Launch &launch = plan.launches[i];
      std::string where = fmt::format("launch {} ('{}')", i, launch.label);
      bool skipped = onlyPhase >= 0 && launch.phase != onlyPhase;
      Status status = skipped                                     ? Status()
                      : launch.kind == plan::Launch::Kind::Reduce ? bindReduce(launch, where, &bound)
                      : launch.kind == plan::Launch::Kind::Memset ? bindMemset(launch, where, &bound)
                                                                : bindKernel(launch, i, where, &bound);
      if (!status.ok())
        return status;
      binding.launches.push_back(std::move(bound));
    }
    return {};
  }

  Status bindMemset(const plan::Launch &launch, const std::string &where, BoundLaunch *bound) {
    int64_t bytes, limit = static_cast<int64_t>(binding.bufferBytes[static_cast<size_t>(launch.buffer)]);
    if (Status status = evaluate(launch.bytes, 0, limit, where + ", bytes to clear", &bytes); !status.ok())
      return status;
    bound->buffer = launch.buffer;
    bound->bytes = static_cast<uint64_t>(bytes);
    return {};
  }

  Status bindReduce(const plan::Launch &launch, const std::string &where, BoundLaunch *bound) {
    int64_t offset, bytes, limit = static_cast<int64_t>(binding.bufferBytes[static_cast<size_t>(launch.buffer)]);
    if (Status status = evaluate(launch.offset, 0, limit, where + ", offset", &offset); !status.ok())
      return status;
    if (Status status = evaluate(launch.bytes, 0, limit - offset, where + ", bytes to combine", &bytes); !status.ok())
      return status;
    if (bytes % 4 || offset % 4)
      return invalid(fmt::format("{}: {} bytes at offset {} are not whole f32 values", where, bytes, offset));
    bound->reduce = true;
    bound->buffer = launch.buffer;
    bound->offset = static_cast<uint64_t>(offset);
    bound->bytes = static_cast<uint64_t>(bytes);
    return {};
  }

  Status bindKernel(const plan::Launch &launch, size_t index, const std::string &where, BoundLaunch *bound) {
    size_t chosen = launch.variants.size();
    for (size_t v = 0; v < launch.variants.size() && chosen == launch.variants.size(); ++v) {
      int64_t holds;
      if (Status status = evaluate(launch.variants[v].when, INT64_MIN, INT64_MAX, where + ", condition", &holds);
          !status.ok())
        return status;
      if (holds)
        chosen = v;
    }
    if (chosen == launch.variants.size())
      return invalid(fmt::format("{}: none of its {} kernels is for {}", where, launch.variants.size(), dimsText()));
    const plan::Variant &variant = launch.variants[chosen];
    bound->function = executable.functions[index][chosen];
    bound->variant = chosen;
    bound->sharedBytes = static_cast<unsigned>(variant.sharedBytes);
    for (size_t d = 0; d < 3; ++d) {
      // The driver's limits (CUDA C++ Programming Guide, compute capabilities).
      int64_t extent, limit = d == 0 ? INT32_MAX : 65535;
      if (Status status = evaluate(variant.grid[d], 1, limit, fmt::format("{}, grid dimension {}", where, d), &extent);
          !status.ok())
        return status;
      bound->grid[d] = static_cast<unsigned>(extent);
      bound->block[d] = static_cast<unsigned>(variant.block[d]);
    }
    for (size_t a = 0; a < launch.args.size(); ++a) {
      BoundLaunch::Argument argument;
      if (Status status = bindArgument(launch.args[a], fmt::format("{}, argument {}", where, a), &argument);
          !status.ok())
        return status;
      bound->args.push_back(argument);
    }
    return {};
  }

  Status bindArgument(const plan::Argument &argument, const std::string &where, BoundLaunch::Argument *bound) {
    using Kind = plan::Argument::Kind;
    if (argument.kind == Kind::F32) {
      uint32_t bits;
      std::memcpy(&bits, &argument.scalar, sizeof(bits));
      bound->value = bits;
      return {};
    }
    bool pointer = argument.kind == Kind::Pointer, small = argument.kind == Kind::I32;
    if (pointer && argument.buffer < 0)
      return {};
    int64_t value, low = pointer ? 0 : small ? INT32_MIN : INT64_MIN;
    int64_t high = pointer ? static_cast<int64_t>(binding.bufferBytes[static_cast<size_t>(argument.buffer)])
                   : small ? INT32_MAX
                           : INT64_MAX;
    if (Status status = evaluate(argument.value, low, high, where, &value); !status.ok())
      return status;
    bound->buffer = pointer ? argument.buffer : -1;
    bound->value = static_cast<uint64_t>(value);
    return {};
  }

  std::string dimsText() const {
    std::string text;
    for (size_t i = 0; i < binding.dims.size(); ++i)
      text += fmt::format("{}d{} = {} ({})", i ? ", " : "", i, binding.dims[i], plan.dims[i].origin);
    return text.empty() ? "this plan" : text;
  }

  const plan::Plan &plan;
  const Executable::Impl &executable;
  Binding::Impl &binding;
  int onlyPhase;
};

} // namespace

Status bindPlan(std::shared_ptr<const Executable::Impl> executable,
                const std::vector<std::vector<int64_t>> &inputShapes, Binding::Impl *binding,
                int onlyPhase) {
  binding->executable = executable;
  return Binder(*executable, binding, onlyPhase).run(inputShapes);
}

uint64_t Binding::workspaceBytes() const { return impl->workspaceBytes; }
uint64_t Binding::weightsBytes() const { return impl->weightsBytes; }
uint64_t Binding::savedBytes() const { return impl->savedBytes; }
uint64_t Binding::gradientBytes() const { return impl->gradientBytes; }
const std::vector<int64_t> &Binding::outputShape(size_t output) const { return impl->outputShapes[output]; }
uint64_t Binding::outputBytes(size_t output) const {
  return impl->bufferBytes[static_cast<size_t>(impl->executable->plan.outputs[output].buffer)];
}
uint64_t Binding::inputBytes(size_t input) const {
  return impl->bufferBytes[static_cast<size_t>(impl->executable->plan.inputs[input].buffer)];
}

} // namespace fourfold
