// Executable::run: host tensors in, host tensors out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/ExecutableImpl.h"

#include <fmt/format.h>

#include <chrono>
#include <set>

namespace fourfold {

using namespace device;

namespace {

/// Device memory that is freed at the end of its life.
class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory &&other) noexcept
      : driver(other.driver), start(std::exchange(other.start, 0)), size(other.size) {}
  DeviceMemory &operator=(DeviceMemory &&) = delete;
  ~DeviceMemory() {
    if (start)
      driver->memFree(start);
  }
  CUresult allocate(const DriverTable &table, uint64_t bytes) {
    driver = &table;
    size = bytes;
    // The driver refuses to allocate nothing.
    return table.memAlloc(&start, bytes ? bytes : 1);
  }
  CUdeviceptr address() const { return start; }
  uint64_t bytes() const { return size; }

private:
  const DriverTable *driver = nullptr;
  CUdeviceptr start = 0;
  uint64_t size = 0;
};

/// One run: a buffer of its own for each of the plan's, so that a device that checks bounds checks each.
class Run {
public:
  Run(const Executable::Impl &executable, const Binding::Impl &bound, const RunOptions &options)
      : executable(executable), bound(bound), options(options), device(*deviceOf(executable)), driver(*device.driver) {}
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;
  ~Run() {
    for (CUevent event : events)
      if (event)
        driver.eventDestroy(event);
    if (stream) {
      // Memory must not be freed under a kernel that still runs.
      driver.streamSynchronize(stream);
      driver.streamDestroy(stream);
    }
  }

  Status run(const std::vector<const Tensor *> &inputs, std::vector<Tensor> *outputs) {
    if (Status status =
            device.check(driver.streamCreate(&stream, /*CU_STREAM_NON_BLOCKING=*/1), "cannot make a stream");
        !status.ok())
      return status;
    for (CUevent &event : events)
      if (options.records && !device.emulated)
        if (Status status = device.check(driver.eventCreate(&event, /*flags=*/0), "cannot make an event"); !status.ok())
          return status;
    if (Status status = allocate(); !status.ok())
      return status;
    const plan::Plan &plan = executable.plan;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const DeviceMemory &memory = buffers[static_cast<size_t>(plan.inputs[i].buffer)];
      CUresult result = driver.memcpyHtoDAsync(memory.address(), inputs[i]->bytes.data(), memory.bytes(), stream);
      if (Status status = device.check(result, fmt::format("cannot copy input '{}' to the device", inputs[i]->name));
          !status.ok())
        return status;
    }
    if (Status status = launch(); !status.ok())
      return status;
    if (Status status = device.check(driver.streamSynchronize(stream), "a kernel failed"); !status.ok())
      return status;
    return copyBack(outputs);
  }

private:
  static const Device::Impl *deviceOf(const Executable::Impl &executable) { return &executable.deviceImpl(); }

  Status allocate() {
    uint64_t total = 0;
    for (size_t i = 0; i < bound.bufferBytes.size(); ++i) {
      total += bound.bufferBytes[i];
      CUresult result = buffers.emplace_back().allocate(driver, bound.bufferBytes[i]);
      if (result != kSuccess)
        return device.check(result, fmt::format("cannot allocate {} bytes for buffer '{}' ({} bytes asked for so far)",
                                                bound.bufferBytes[i], executable.plan.buffers[i].name, total));
    }
    return {};
  }

  Status launch() {
    const plan::Plan &plan = executable.plan;
    auto address = [&](int buffer) { return buffers[static_cast<size_t>(buffer)].address(); };
    for (size_t i = 0; i < bound.launches.size(); ++i) {
      const BoundLaunch &step = bound.launches[i];
      if (options.progress)
        options.progress(i, bound.launches.size(), plan.launches[i].label);
      std::string what = fmt::format("launch {} ('{}') failed", i, plan.launches[i].label);
      // Earlier work must not be timed with this launch.
      if (options.records)
        if (Status status = device.check(driver.streamSynchronize(stream), "a kernel failed"); !status.ok())
          return status;
      if (options.records && !device.emulated)
        driver.eventRecord(events[0], stream);
      auto start = std::chrono::steady_clock::now();
      if (Status status = device.check(enqueue(driver, step, stream, address), what); !status.ok())
        return status;
      if (!options.records)
        continue;
      if (!device.emulated)
        driver.eventRecord(events[1], stream);
      if (Status status = device.check(driver.streamSynchronize(stream), what); !status.ok())
        return status;
      LaunchRecord record;
      record.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
      // The device's own clock leaves out the way to it.
      float measured = 0;
      if (!device.emulated && driver.eventElapsedTime(&measured, events[0], events[1]) == kSuccess)
        record.milliseconds = static_cast<double>(measured);
      record.bufferBytes = bytesTouched(step);
      record.label = plan.launches[i].label;
      if (step.function)
        record.kernel = plan.launches[i].variants[step.variant].kernel;
      std::copy(step.grid, step.grid + 3, record.grid);
      std::copy(step.block, step.block + 3, record.block);
      record.sharedBytes = step.sharedBytes;
      options.records->push_back(std::move(record));
    }
    return {};
  }

  /// The sizes of all buffers that a launch has, each once; of a memset what it sets.
  uint64_t bytesTouched(const BoundLaunch &step) const {
    if (!step.function)
      return step.bytes;
    std::set<int> touched;
    for (const BoundLaunch::Argument &argument : step.args)
      if (argument.buffer >= 0)
        touched.insert(argument.buffer);
    uint64_t bytes = 0;
    for (int buffer : touched)
      bytes += bound.bufferBytes[static_cast<size_t>(buffer)];
    return bytes;
  }

  Status read(size_t buffer, std::vector<uint8_t> *bytes) {
    const DeviceMemory &memory = buffers[buffer];
    bytes->resize(memory.bytes());
    if (bytes->empty())
      return {};
    CUresult result = driver.memcpyDtoHAsync(bytes->data(), memory.address(), memory.bytes(), stream);
    if (result == kSuccess)
      result = driver.streamSynchronize(stream);
    return device.check(result,
                        fmt::format("cannot copy buffer '{}' from the device", executable.plan.buffers[buffer].name));
  }

  Status copyBack(std::vector<Tensor> *outputs) {
    const plan::Plan &plan = executable.plan;
    outputs->clear();
    for (size_t i = 0; i < plan.outputs.size(); ++i) {
      Tensor tensor;
      tensor.name = plan.outputs[i].name;
      tensor.type = static_cast<ElementType>(plan.outputs[i].type);
      tensor.shape = bound.outputShapes[i];
      if (Status status = read(static_cast<size_t>(plan.outputs[i].buffer), &tensor.bytes); !status.ok())
        return status;
      outputs->push_back(std::move(tensor));
    }
    std::vector<uint8_t> bytes;
    for (size_t i = 0; options.inspect && i < buffers.size(); ++i) {
      if (Status status = read(i, &bytes); !status.ok())
        return status;
      options.inspect(i, bytes);
    }
    return {};
  }

  const Executable::Impl &executable;
  const Binding::Impl &bound;
  const RunOptions &options;
  const Device::Impl &device;
  const DriverTable &driver;
  std::vector<DeviceMemory> buffers;
  CUstream stream = nullptr;
  /// Around a launch that is timed on a GPU.
  CUevent events[2] = {nullptr, nullptr};
};

/// Brings the inputs into the spec's order. Every input once, none besides, each of the right type and size.
Status orderInputs(const std::vector<Parameter> &parameters, const std::vector<Tensor> &inputs,
                   std::vector<const Tensor *> *ordered) {
  ordered->assign(parameters.size(), nullptr);
  for (const Tensor &tensor : inputs) {
    size_t index = 0;
    std::string names;
    for (const Parameter &parameter : parameters)
      names += (names.empty() ? "" : ", ") + parameter.name;
    while (index < parameters.size() && parameters[index].name != tensor.name)
      ++index;
    if (index == parameters.size())
      return {StatusCode::InvalidArgument, fmt::format("unknown input '{}': the spec has {}", tensor.name, names)};
    if ((*ordered)[index])
      return {StatusCode::InvalidArgument, fmt::format("input '{}' is given twice", tensor.name)};
    if (tensor.type != parameters[index].type)
      return {StatusCode::InvalidArgument,
              fmt::format("input '{}' is of type {}, but the spec expects {}", tensor.name,
                          elementTypeName(tensor.type), elementTypeName(parameters[index].type))};
    int64_t bytes = countElements(tensor.shape);
    if (bytes < 0 || __builtin_mul_overflow(bytes, elementTypeBytes(tensor.type), &bytes) ||
        static_cast<uint64_t>(bytes) != tensor.bytes.size())
      return {StatusCode::InvalidArgument,
              fmt::format("input '{}' of shape {} and type {} has {} bytes", tensor.name, shapeText(tensor.shape),
                          elementTypeName(tensor.type), tensor.bytes.size())};
    (*ordered)[index] = &tensor;
  }
  for (size_t i = 0; i < parameters.size(); ++i)
    if (!(*ordered)[i])
      return {StatusCode::InvalidArgument, fmt::format("input '{}' is missing", parameters[i].name)};
  return {};
}

} // namespace

Status Executable::run(const std::vector<Tensor> &inputs, std::vector<Tensor> *outputs,
                       const RunOptions &options) const {
  std::vector<const Tensor *> ordered;
  if (Status status = orderInputs(impl->inputs, inputs, &ordered); !status.ok())
    return status;
  std::vector<std::vector<int64_t>> shapes;
  for (const Tensor *tensor : ordered)
    shapes.push_back(tensor->shape);
  Binding binding;
  if (Status status = bind(shapes, &binding); !status.ok())
    return status;
  const Device::Impl &device = impl->deviceImpl();
  CurrentContext current(device);
  if (Status status = device.check(current.status(), "cannot use the context"); !status.ok())
    return status;
  return Run(*impl, *binding.impl, options).run(ordered, outputs);
}

} // namespace fourfold
