// Loading a PTX file, launching a kernel of it, reading results: through the driver table, as any program would.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/emulate/Session.h"

#include "runtime/emulator/Parser.h"
#include "runtime/model/Report.h"
#include "runtime/tools/Counters.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {
namespace emulate {

using namespace device;

namespace {

/// The emulated device for PTX of a target: itself, or the oldest that runs it.
std::string deviceFor(const std::string &target) {
  for (const char *name : {"sm_80", "sm_90a", "sm_100a", "sm_120a"}) {
    if (target == name)
      return name;
    int wanted = 0, has = 0;
    char suffix = 0;
    int fields = std::sscanf(target.c_str(), "sm_%d%c", &wanted, &suffix);
    std::sscanf(name, "sm_%d", &has);
    if ((fields == 1 && wanted <= has) || (suffix == 'f' && wanted / 10 == has / 10 && wanted <= has))
      return name;
  }
  return "";
}

Status driverError(const std::string &what) { return {StatusCode::DeviceError, what + ": " + emulator::lastFinding()}; }

std::string missingParts(const emulator::KernelSupport &support) {
  std::string text;
  for (const std::string &part : support.missing)
    text += "  missing: " + part + "\n";
  for (const std::string &part : support.missingIfCalled)
    text += "  missing in a function that may be called through a pointer: " + part + "\n";
  return text;
}

const emulator::Variable &parameter(const emulator::Function &kernel, size_t i) {
  return kernel.variables[static_cast<size_t>(kernel.params[i])];
}

/// Room for a CUtensorMap, aligned as it must be.
struct alignas(64) TensorMapBytes {
  uint8_t bytes[128];
};

/// CUtensorMapDataType, or -1.
int tensorDataType(const Argument &argument) {
  static const std::pair<const char *, int> types[] = {{"|u1", 0}, {"|i1", 0}, {"<u2", 1}, {"<i2", 1}, {"<u4", 2}, {"<i4", 3},  {"<u8", 4},
                                                       {"<i8", 5}, {"<f2", 6}, {"<f4", 7}, {"<f8", 8}, {"|V2", 9}};
  if (argument.tensorMap.isPacked4)
    return 13;
  for (auto [dtype, value] : types)
    if (argument.array.dtype == dtype)
      return value;
  return -1;
}

/// A tensor map of the argument's buffer, which stands at `address`. CUDA counts dimensions from the innermost, arrays from the outermost.
Status encodeTensorMap(const Argument &argument, CUdeviceptr address, TensorMapBytes *map) {
  const TensorMapOptions &options = argument.tensorMap;
  size_t rank = options.box.size();
  std::vector<uint64_t> dims, strides;
  uint64_t stride = static_cast<uint64_t>(argument.array.elementBytes);
  for (size_t i = rank; i-- > 0;) {
    auto extent = static_cast<uint64_t>(argument.array.shape[i]);
    dims.push_back(options.isPacked4 && i + 1 == rank ? 2 * extent : extent);
    stride *= extent;
    strides.push_back(stride);
  }
  std::vector<uint32_t> box(options.box.rbegin(), options.box.rend()), steps(options.steps.rbegin(), options.steps.rend());
  steps.resize(rank, 1);
  int type = tensorDataType(argument);
  if (type < 0)
    return {StatusCode::InvalidArgument, fmt::format("argument '{}': no tensor map has elements '{}'", argument.text, argument.array.dtype)};
  if (emulator::driver().tensorMapEncodeTiled(map, type, static_cast<uint32_t>(rank), reinterpret_cast<void *>(address), dims.data(),
                                              strides.data(), box.data(), steps.data(), 0, options.swizzle, 0, options.fillsNaN) != kSuccess)
    return {StatusCode::InvalidArgument,
            fmt::format("argument '{}': {} (dimension 0 is the innermost, the last of the shape)", argument.text, emulator::lastFinding())};
  return {};
}

} // namespace

Status Session::open(const std::string &file, const std::string &target) {
  path = file == "-" ? "<stdin>" : file;
  std::string text;
  if (Status status = readFile(file, &text); !status.ok())
    return status;
  try {
    ast = emulator::parseModule(text);
  } catch (const emulator::LoadError &error) {
    return {StatusCode::InvalidArgument, fmt::format("{}:{}: {}", path, error.line, error.what())};
  }
  std::string device = target.empty() ? deviceFor(ast.target) : target;
  int ordinal = device.empty() ? -1 : emulator::deviceOrdinal(device);
  if (ordinal < 0)
    return {StatusCode::InvalidArgument,
            target.empty() ? fmt::format("{} is for '{}', which no emulated device runs; there are sm_80, sm_90a, sm_100a and sm_120a",
                                         path, ast.target)
                           : fmt::format("there is no emulated device '{}'; there are sm_80, sm_90a, sm_100a and sm_120a", target)};
  const DriverTable &driver = emulator::driver();
  CUcontext context = nullptr;
  if (driver.init(0) != kSuccess || driver.primaryCtxRetain(&context, ordinal) != kSuccess ||
      driver.ctxSetCurrent(context) != kSuccess)
    return driverError("cannot start the emulated device");
  source = text;
  if (driver.moduleLoadDataEx(&module, text.c_str(), 0, nullptr, nullptr) != kSuccess)
    return {StatusCode::InvalidArgument, fmt::format("{}: {}", path, emulator::lastFinding())};
  return {};
}

std::string Session::describe(const emulator::Function &kernel) const {
  std::string text = kernel.name + "(";
  for (size_t i = 0; i < kernel.params.size(); ++i) {
    const emulator::Variable &variable = parameter(kernel, i);
    text += fmt::format("{}{}: {} byte{}", i ? ", " : "", variable.name, variable.bytes, variable.bytes == 1 ? "" : "s");
  }
  text += ")";
  auto bounds = [&](const char *name, const unsigned *sizes) {
    if (sizes[0])
      text += fmt::format(" {} {}x{}x{}", name, sizes[0], std::max(sizes[1], 1u), std::max(sizes[2], 1u));
  };
  bounds("at most", kernel.maxThreads);
  bounds("exactly", kernel.requiredThreads);
  bounds("clusters of", kernel.requiredCluster);
  if (kernel.isExplicitCluster && !kernel.requiredCluster[0])
    text += " needs --cluster";
  if (kernel.countsClusters)
    text += ", --grid counts those";
  if (kernel.maxClusterRank)
    text += fmt::format(" clusters of at most {} blocks", kernel.maxClusterRank);
  return text;
}

std::string Session::kernelList() const {
  std::vector<emulator::KernelSupport> supported = emulator::kernelSupport(module);
  std::string text;
  for (const emulator::Function &function : ast.functions) {
    if (!function.isEntry || !function.hasBody)
      continue;
    text += describe(function) + "\n";
    for (const emulator::KernelSupport &support : supported)
      if (support.name == function.name)
        text += missingParts(support);
  }
  return text;
}

Status Session::check(const std::string &wanted, std::string *text, bool *canRun) const {
  const emulator::Function *kernel = nullptr;
  if (!wanted.empty())
    if (Status status = pickKernel(wanted, &kernel); !status.ok())
      return status;
  *canRun = true;
  for (const emulator::KernelSupport &support : emulator::kernelSupport(module)) {
    if (!wanted.empty() && support.name != wanted)
      continue;
    *text += fmt::format("{}: {}\n", support.name, support.missing.empty() ? "can run" : "cannot run") + missingParts(support);
    *canRun &= support.missing.empty();
  }
  return {};
}

Status Session::pickKernel(const std::string &wanted, const emulator::Function **kernel) const {
  std::string known;
  size_t count = 0;
  *kernel = nullptr;
  for (const emulator::Function &function : ast.functions) {
    if (!function.isEntry || !function.hasBody)
      continue;
    known += (count++ ? ", " : "") + function.name;
    if (wanted.empty() ? count == 1 : function.name == wanted)
      *kernel = &function;
  }
  if (!count)
    return {StatusCode::InvalidArgument, fmt::format("{} has no kernel", path)};
  if (wanted.empty() && count > 1)
    return {StatusCode::InvalidArgument, fmt::format("{} has {} kernels: choose one with --kernel: {}", path, count, known)};
  if (!*kernel)
    return {StatusCode::NotFound, fmt::format("{} has no kernel '{}'; it has: {}", path, wanted, known)};
  return {};
}

Status Session::checkArguments(const emulator::Function &kernel, const std::vector<Argument> &arguments) const {
  if (arguments.size() != kernel.params.size())
    return {StatusCode::InvalidArgument, fmt::format("{} --arg were given, the kernel has {} parameters: {}", arguments.size(),
                                                     kernel.params.size(), describe(kernel))};
  for (size_t i = 0; i < arguments.size(); ++i) {
    const emulator::Variable &variable = parameter(kernel, i);
    bool isMap = arguments[i].isTensorMap;
    size_t bytes = isMap ? sizeof(TensorMapBytes) : arguments[i].isBuffer ? sizeof(CUdeviceptr) : arguments[i].scalar.size();
    if (static_cast<int64_t>(bytes) != variable.bytes && !(isMap && variable.bytes == sizeof(CUdeviceptr)))
      return {StatusCode::InvalidArgument,
              fmt::format("argument '{}' has {} bytes, parameter {} ('{}') has {}", arguments[i].text,
                          isMap ? "a tensor map of 128" : arguments[i].isBuffer ? "an address of 8" : std::to_string(bytes), i + 1, variable.name, variable.bytes)};
  }
  for (const Argument &argument : arguments)
    if (!argument.output.empty())
      if (Status status = checkWritable(argument.output); !status.ok())
        return status;
  return {};
}

Status Session::run(LaunchRequest &request, std::string *finding) {
  const emulator::Function *kernel;
  if (Status status = pickKernel(request.kernel, &kernel); !status.ok())
    return status;
  if (Status status = checkArguments(*kernel, request.arguments); !status.ok())
    return status;
  const DriverTable &driver = emulator::driver();
  emulator::Options options = emulator::options();
  options.checks = request.checks;
  options.threads = request.threads;
  options.maxInstructions = request.maxInstructions;
  options.order = request.order;
  emulator::setOptions(options);

  std::vector<void *> params;
  std::vector<TensorMapBytes> maps(request.arguments.size());
  std::vector<CUdeviceptr> mapAddresses(request.arguments.size()); // of maps that are passed by address
  addresses.assign(request.arguments.size(), 0);
  for (size_t i = 0; i < request.arguments.size(); ++i) {
    Argument &argument = request.arguments[i];
    if (!argument.isBuffer) {
      params.push_back(argument.scalar.data());
      continue;
    }
    if (driver.memAlloc(&addresses[i], std::max<size_t>(argument.bufferBytes(), 1)) != kSuccess)
      return driverError(fmt::format("argument '{}'", argument.text));
    if (!argument.unwritten && argument.bufferBytes() &&
        driver.memcpyHtoDAsync(addresses[i], argument.array.bytes.data(), argument.bufferBytes(), nullptr) != kSuccess)
      return driverError(fmt::format("argument '{}'", argument.text));
    if (!argument.isTensorMap) {
      params.push_back(&addresses[i]);
      continue;
    }
    if (Status status = encodeTensorMap(argument, addresses[i], &maps[i]); !status.ok())
      return status;
    params.push_back(&maps[i]);
    if (parameter(*kernel, i).bytes == sizeof(CUdeviceptr)) {
      if (driver.memAlloc(&mapAddresses[i], sizeof(maps[i])) != kSuccess ||
          driver.memcpyHtoDAsync(mapAddresses[i], &maps[i], sizeof(maps[i]), nullptr) != kSuccess)
        return driverError(fmt::format("argument '{}'", argument.text));
      params.back() = &mapAddresses[i];
    }
  }
  params.push_back(nullptr);
  CUfunction function = nullptr;
  if (driver.moduleGetFunction(&function, module, kernel->name.c_str()) != kSuccess)
    return driverError(kernel->name);
  // As a program would that needs more than the 48 KiB of the default.
  if (request.sharedBytes > 48 * 1024 &&
      driver.funcSetAttribute(function, kFunctionMaxDynamicSharedBytes, static_cast<int>(request.sharedBytes)) != kSuccess)
    return driverError(fmt::format("--shared {}", request.sharedBytes));
  // And one that has larger clusters than every device takes.
  if (uint64_t{request.cluster[0]} * request.cluster[1] * request.cluster[2] > 8 &&
      driver.funcSetAttribute(function, kFunctionNonPortableClusterSizeAllowed, 1) != kSuccess)
    return driverError("--cluster");
  emulator::resetCounters();
  LaunchAttribute attributes[2];
  LaunchConfig config;
  std::copy_n(request.grid, 3, config.grid);
  std::copy_n(request.block, 3, config.block);
  config.sharedBytes = request.sharedBytes;
  config.attributes = attributes;
  if (request.cluster[0] || request.cluster[1] || request.cluster[2]) {
    attributes[config.numAttributes].id = kLaunchClusterDimension;
    std::copy_n(request.cluster, 3, attributes[config.numAttributes++].value.clusterDim);
  }
  if (request.isCooperative) {
    attributes[config.numAttributes].id = kLaunchCooperative;
    attributes[config.numAttributes++].value.number = 1;
  }
  CUresult code = driver.launchKernelEx(&config, function, params.data(), nullptr);
  if (code == kErrorInvalidValue || code == kErrorInvalidClusterSize || code == kErrorCooperativeLaunchTooLarge || code == kErrorNotSupported)
    return {StatusCode::InvalidArgument, emulator::lastFinding()};
  if (code != kSuccess) {
    const char *name = nullptr;
    driver.getErrorName(code, &name);
    *finding = fmt::format("{}: {} ({})", path, emulator::lastFinding(), name ? name : std::to_string(code));
  }
  return {};
}

Status Session::writeOutputs(const LaunchRequest &request) {
  // All are read before the first is written: an unreadable one leaves nothing behind.
  std::vector<std::pair<std::string, std::string>> files;
  for (size_t i = 0; i < request.arguments.size(); ++i) {
    const Argument &argument = request.arguments[i];
    if (argument.output.empty())
      continue;
    npy::Array array = argument.array;
    if (argument.bufferBytes() && emulator::driver().memcpyDtoHAsync(array.bytes.data(), addresses[i], array.bytes.size(), nullptr) != kSuccess)
      return driverError(fmt::format("argument '{}'", argument.text));
    files.emplace_back(argument.output, npy::serialize(array));
  }
  for (const auto &[name, bytes] : files)
    if (Status status = writeFileAtomically(name, bytes); !status.ok())
      return status;
  return {};
}

Status Session::profile(const model::Gpu *gpu, bool json, std::string *text) const {
  emulator::Counters counters = emulator::counters();
  nlohmann::ordered_json profile = tools::countersJson(counters);
  *text = tools::countersTable(counters);
  if (gpu) {
    std::vector<model::LabelledRecord> launches;
    for (const emulator::KernelRecord &record : emulator::kernelRecords())
      launches.push_back({record.name, record});
    if (Status status = model::modelJson(*gpu, source, ast.target, launches, &profile["model"]); !status.ok())
      return status;
    *text += "\n" + model::modelTable(profile["model"]);
  }
  if (json)
    *text = profile.dump(2) + "\n";
  return {};
}

} // namespace emulate
} // namespace fourfold
