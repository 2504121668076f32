// Loads modules: target checks, variables, kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Module.h"

#include "Decoder.h"
#include "Device.h"
#include "Parser.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// What ".target sm_XYa" asks for against what the device is: "a" code runs on exactly that device, "f" code on its
/// family (the same major), plain code on everything newer.
int checkTarget(const std::string &target, const DeviceInfo &device, std::string &finding) {
  int number = 0;
  char suffix = 0;
  if (std::sscanf(target.c_str(), "sm_%d%c", &number, &suffix) < 1 || number < 50) {
    finding = fmt::format("target '{}' is not known", target);
    return device::kErrorInvalidPtx;
  }
  int major = number / 10, minor = number % 10;
  bool fits;
  if (suffix == 'a')
    fits = target == device.target;
  else if (suffix == 'f')
    fits = major == device.major && minor <= device.minor;
  else
    fits = number <= device.major * 10 + device.minor;
  if (fits)
    return device::kSuccess;
  finding = fmt::format("the module is for '{}' and cannot run on the emulated {}", target, device.target);
  return device::kErrorNoBinaryForGpu;
}

void placeVariables(const ModuleAst &ast, Memory &memory, Module &module, DecodeContext &context) {
  for (const Variable &variable : ast.variables) {
    Symbol symbol{variable.space, 0, &variable};
    auto earlier = context.symbols.find(variable.name);
    if (variable.isExtern && earlier != context.symbols.end())
      continue; // a declaration of what is defined
    if (variable.space != Space::Shared && !variable.isExtern && variable.unsupported.empty()) {
      if (static_cast<uint64_t>(variable.bytes) > kTotalMemory - std::min(kTotalMemory, memory.bytesInUse()))
        throw LoadError(variable.line, fmt::format("variable '{}' of {} bytes does not fit: {} of {} are in use", variable.name,
                                                   variable.bytes, memory.bytesInUse(), kTotalMemory));
      symbol.address = memory.allocate(static_cast<uint64_t>(variable.bytes), static_cast<uint64_t>(variable.alignment),
                                       fmt::format("variable '{}'", variable.name));
      if (!symbol.address)
        throw LoadError(variable.line, fmt::format("no memory for variable '{}'", variable.name));
      if (Allocation *allocation = memory.find(symbol.address, static_cast<uint64_t>(variable.bytes))) {
        // Variables without initialiser are zero (PTX ISA 5.4.4).
        std::memset(allocation->data.get(), 0, allocation->bytes);
        std::memset(allocation->shadow.get(), 1, allocation->bytes);
        if (!variable.initializer.empty())
          std::memcpy(allocation->data.get(), variable.initializer.data(), variable.initializer.size());
      }
      module.variables[variable.name] = {symbol.address, static_cast<uint64_t>(variable.bytes)};
    }
    context.symbols[variable.name] = symbol;
  }
  for (const Variable &variable : ast.variables)
    for (const Variable::Fixup &fixup : variable.fixups) {
      if (!variable.unsupported.empty())
        continue;
      auto found = context.symbols.find(fixup.symbol);
      uint64_t function = 0;
      for (size_t i = 0; i < ast.functions.size() && found == context.symbols.end(); ++i)
        if (ast.functions[i].name == fixup.symbol && ast.functions[i].hasBody)
          function = functionAddress(i);
      if (function == 0 && (found == context.symbols.end() || found->second.space == Space::Shared))
        throw LoadError(variable.line,
                        fmt::format("line {}: initialiser of '{}' names '{}', which has no address in device memory",
                                    variable.line, variable.name, fixup.symbol));
      uint64_t value = (function ? function : found->second.address) + static_cast<uint64_t>(fixup.addend);
      value >>= fixup.shift;
      uint64_t address = context.symbols[variable.name].address + static_cast<uint64_t>(fixup.offset);
      std::memcpy(memory.find(address, static_cast<uint64_t>(fixup.bytes))->at(address), &value,
                  static_cast<size_t>(fixup.bytes));
    }
}

} // namespace

int loadModule(const char *text, const DeviceInfo &device, Memory &memory, std::unique_ptr<Module> &module,
               std::string &finding) {
  module = std::make_unique<Module>();
  try {
    // Not PTX text: cubins and fat binaries start with other magic numbers.
    std::string_view source(text);
    if (source.find(".version") == std::string_view::npos) {
      finding = "the image is not PTX text; the emulated device executes PTX only";
      return device::kErrorInvalidImage;
    }
    ModuleAst ast = parseModule(source);
    // Later 9.x add instructions and directives, which are refused by name where they are used; LLVM writes the newest it knows of.
    if (ast.versionMajor > 9) {
      finding = fmt::format("PTX version {}.{} is newer than 9.x", ast.versionMajor, ast.versionMinor);
      return device::kErrorUnsupportedPtxVersion;
    }
    if (int error = checkTarget(ast.target, device, finding))
      return error;
    DecodeContext context;
    context.module = &ast;
    context.source = std::make_shared<const std::vector<std::string>>(ast.lines);
    placeVariables(ast, memory, *module, context);
    for (const Function &function : ast.functions) {
      if (!function.isEntry || !function.hasBody)
        continue;
      auto loaded = std::make_unique<LoadedFunction>();
      loaded->kernel = Decoder(context, function).run();
      if (loaded->kernel.usesHeap && !memory.makeHeap())
        throw LoadError(function.line, "no memory for the heap of kernels");
      module->functions[function.name] = std::move(loaded);
    }
    return device::kSuccess;
  } catch (const LoadError &error) {
    std::string what = error.what();
    finding = what.find("line ") == std::string::npos ? fmt::format("line {}: {}", error.line, what) : what;
    unloadModule(*module, memory);
    return device::kErrorInvalidPtx;
  } catch (const std::exception &error) {
    finding = fmt::format("the module could not be loaded: {}", error.what());
    unloadModule(*module, memory);
    return device::kErrorInvalidPtx;
  }
}

void unloadModule(Module &module, Memory &memory) {
  for (const auto &[name, variable] : module.variables)
    memory.release(variable.address);
  module.variables.clear();
}

} // namespace emulator
} // namespace fourfold
