// fourfold run: runs a spec on a device or by the evaluator, checks and profiles it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/HostProgram.h"
#include "runtime/npy/Npy.h"
#include "runtime/tools/Check.h"
#include "runtime/model/Report.h"
#include "runtime/tools/Profile.h"
#include "runtime/tools/Progress.h"
#include "runtime/tools/SpecSource.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace fourfold {
namespace tools {

namespace {

struct RunCommandOptions {
  SpecSource source;
  std::string device = "auto";
  std::vector<std::string> inputs, outputs;
  std::string profileForm, gpu;
  bool check = false, profile = false, json = false;
};

/// "x=FILE", taken apart.
struct NamedFile {
  std::string name, path;
};

Status invalid(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

class RunCommand {
public:
  explicit RunCommand(const RunCommandOptions &options) : options(options) {}

  int run() {
    for (auto step : {&RunCommand::readArguments, &RunCommand::openAll, &RunCommand::compile, &RunCommand::readInputs,
                      &RunCommand::execute, &RunCommand::compare, &RunCommand::writeOutputs})
      if (Status status = (this->*step)(); !status.ok())
        return fail(status);
    report();
    return options.check && !allPassed(checked) ? kFailure : kSuccess;
  }

private:
  /// The reference evaluator, or the host program, which gives the same fast.
  bool evaluatorOnly() const { return options.device == "evaluate" || options.device == "host"; }

  static Status parseFiles(const std::vector<std::string> &arguments, const std::string &flag,
                           std::vector<NamedFile> *files) {
    for (const std::string &argument : arguments) {
      size_t equals = argument.find('=');
      if (equals == 0 || equals == std::string::npos || equals + 1 == argument.size())
        return invalid(fmt::format("{} '{}': expected NAME=FILE", flag, argument));
      NamedFile file = {argument.substr(0, equals), argument.substr(equals + 1)};
      for (const NamedFile &other : *files) {
        if (other.name == file.name)
          return invalid(fmt::format("{} '{}' is given twice: '{}' and '{}'", flag, file.name, other.path, file.path));
        if (flag == "--output" && other.path == file.path)
          return invalid(
              fmt::format("outputs '{}' and '{}' would both be written to '{}'", other.name, file.name, file.path));
      }
      files->push_back(file);
    }
    return {};
  }

  Status readArguments() {
    if (evaluatorOnly() && (options.check || options.profile))
      return invalid(fmt::format("{} compares or measures a device, and --device {} uses none",
                                 options.check ? "--check" : "--profile", options.device));
    if (!options.gpu.empty())
      if (Status status = model::findGpu(options.gpu, &gpu); !status.ok())
        return invalid("--gpu: " + status.message());
    if (Status status = parseFiles(options.inputs, "--input", &inputFiles); !status.ok())
      return status;
    if (Status status = parseFiles(options.outputs, "--output", &outputFiles); !status.ok())
      return status;
    return readSource(options.source, &spec);
  }

  /// The device comes first: a typing mistake in its name should not cost a compilation.
  Status openAll() {
    if (!evaluatorOnly() && options.device != "auto")
      if (Status status = Device::open(options.device, &device); !status.ok()) {
        std::string hint = status.code() == StatusCode::InvalidArgument && options.device.find(':') == std::string::npos
                               ? ", or evaluate, or host"
                               : "";
        return {status.code(), status.message() + hint};
      }
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    return options.device == "auto" ? openAutomatically() : Status();
  }

  /// A GPU counts only if the compiler can compile for it.
  Status openAutomatically() {
    std::vector<TargetInfo> targets;
    std::vector<std::string> supported;
    if (Status status = compiler.targets(&targets); !status.ok())
      return status;
    for (const TargetInfo &target : targets)
      if (target.supported)
        supported.push_back(target.name);
    return Device::openAuto(supported, &device);
  }

  Status compile() {
    std::string error;
    std::vector<std::string> given;
    for (const NamedFile &file : inputFiles)
      given.push_back(file.name);
    if (Status status = completeSource(options.source, compiler, given, /*distributed=*/false, &spec); !status.ok())
      return status;
    if (gpu && !device.isEmulated())
      return invalid(fmt::format("--gpu {} needs what the emulated device counts, and --device {} runs on {}: use --device emulated:TARGET", options.gpu,
                                 options.device, device.name()));
    if (std::string reason = gpu ? model::whyNot(*gpu, device.target()) : ""; !reason.empty())
      return invalid(fmt::format("--gpu {}: {}; --device {} takes another target", options.gpu, reason, "emulated:TARGET"));
    // The evaluator runs every spec, with kernels or without.
    Status status = evaluatorOnly() ? compiler.emit(spec, "sm_120a", "signature", &compiled.manifest, &compiled.warnings)
                                    : compiler.compile(spec, device.target(), &compiled);
    if (!status.ok())
      return status;
    warn(compiled.warnings);
    if (!plan::Plan::fromJson(compiled.manifest, &plan, &error))
      return {StatusCode::CompileError, error};
    if (Status checked = checkNames(); !checked.ok())
      return checked;
    return {};
  }

  static std::string namesOf(const std::vector<plan::TensorInfo> &tensors) {
    std::string text;
    for (const plan::TensorInfo &tensor : tensors)
      text += (text.empty() ? "" : ", ") + tensor.name;
    return text.empty() ? "none" : text;
  }

  Status checkNames() const {
    for (const NamedFile &file : inputFiles)
      if (std::none_of(plan.inputs.begin(), plan.inputs.end(),
                       [&](const auto &input) { return input.name == file.name; }))
        return invalid(fmt::format("unknown input '{}': function '{}' in {} has {}", file.name, plan.spec,
                                   spec.fileName, namesOf(plan.inputs)));
    for (const plan::TensorInfo &input : plan.inputs)
      if (std::none_of(inputFiles.begin(), inputFiles.end(),
                       [&](const NamedFile &file) { return file.name == input.name; }))
        return invalid(fmt::format("input '{}' of function '{}' in {} is missing: pass --input {}=FILE.npy", input.name,
                                   plan.spec, spec.fileName, input.name));
    for (const NamedFile &file : outputFiles) {
      if (std::none_of(plan.outputs.begin(), plan.outputs.end(),
                       [&](const auto &output) { return output.name == file.name; }))
        return invalid(fmt::format("unknown output '{}': function '{}' in {} returns {}", file.name, plan.spec,
                                   spec.fileName, namesOf(plan.outputs)));
      if (Status status = checkWritable(file.path); !status.ok())
        return status;
    }
    return {};
  }

  /// "?x384" as the spec has it, for messages.
  static std::string declaredShape(const plan::TensorInfo &input) {
    std::string text;
    for (const plan::Expr &extent : input.shape)
      text += (text.empty() ? "" : "x") + (extent.isConstant() ? extent.str() : "?");
    return text.empty() ? "scalar" : text;
  }

  /// Which file an input came from, in the dimensions' words.
  Status checkShapes() const {
    std::vector<int64_t> dims(plan.dims.size(), -1);
    for (size_t i = 0; i < plan.inputs.size(); ++i) {
      const plan::TensorInfo &input = plan.inputs[i];
      const std::vector<int64_t> &shape = inputs[i].shape;
      const std::string &path = pathOf(input.name);
      if (shape.size() != input.shape.size())
        return invalid(fmt::format("{}: input '{}' has {} dimensions ({}), but the spec expects {} ({})", path,
                                   input.name, shape.size(), shapeText(shape), input.shape.size(),
                                   declaredShape(input)));
      for (size_t d = 0; d < shape.size(); ++d) {
        const plan::Expr &extent = input.shape[d];
        if (shape[d] == 0)
          return invalid(fmt::format("{}: input '{}' has 0 in dimension {} ({}): an empty tensor cannot be computed on",
                                     path, input.name, d, shapeText(shape)));
        if (extent.isConstant() && extent.value() != shape[d])
          return invalid(fmt::format("{}: input '{}' has {} in dimension {}, but the spec says {}", path, input.name,
                                     shape[d], d, extent.value()));
        if (extent.isConstant())
          continue;
        int64_t &dim = dims[static_cast<size_t>(extent.value())];
        if (dim >= 0 && dim != shape[d])
          return invalid(fmt::format("{}: input '{}' has {} in dimension {}, but dimension d{} is {} ({})", path,
                                     input.name, shape[d], d, extent.value(), dim,
                                     plan.dims[static_cast<size_t>(extent.value())].origin));
        dim = shape[d];
      }
    }
    return {};
  }

  const std::string &pathOf(const std::string &name) const {
    return std::find_if(inputFiles.begin(), inputFiles.end(), [&](const NamedFile &file) { return file.name == name; })
        ->path;
  }

  Status readInputs() {
    for (const plan::TensorInfo &input : plan.inputs) {
      npy::Array array;
      if (Status status = npy::read(pathOf(input.name), &array); !status.ok())
        return status;
      Tensor tensor;
      if (Status status = npy::convert(array, input.name, static_cast<ElementType>(input.type), &tensor); !status.ok())
        return {status.code(), pathOf(input.name) + ": " + status.message()};
      inputs.push_back(std::move(tensor));
    }
    return checkShapes();
  }

  Status evaluate(bool intermediates) {
    Progress progress;
    progress.set("evaluating the spec on the host");
    return compiler.evaluate(spec, inputs, intermediates, &values, plan.mode);
  }

  Status runOnHost() {
    HostProgram program;
    HostEnvironment environment;
    if (Status status = HostProgram::prepare(compiler, spec, &program); !status.ok())
      return status;
    if (Status status = HostEnvironment::create(program, &environment); !status.ok())
      return status;
    Progress progress;
    progress.set("running the spec on the host");
    return environment.run(inputs, &outputs);
  }

  Status execute() {
    if (options.device == "host")
      return runOnHost();
    if (evaluatorOnly()) {
      if (Status status = evaluate(false); !status.ok())
        return status;
      for (EvaluatedValue &value : values)
        if (value.part == "tensor")
          outputs.push_back(std::move(value.tensor));
      return {};
    }
    if (Status status = Executable::load(device, compiled.manifest, compiled.ptx, &executable); !status.ok())
      return status;
    Progress progress;
    RunOptions run;
    run.progress = [&](size_t number, size_t count, const std::string &label) {
      progress.set(fmt::format("launch {} of {}: {}", number + 1, count, label));
    };
    if (options.check)
      run.inspect = [&](size_t, const std::vector<uint8_t> &bytes) { buffers.push_back(bytes); };
    if (options.profile)
      run.records = &records;
    resetProfile(device);
    return executable.run(inputs, &outputs, run);
  }

  Status compare() {
    if (options.profile)
      profile = profileJson(device, records);
    if (gpu) {
      std::vector<model::LabelledRecord> launches;
      if (Status status = labelled(records, &launches); !status.ok())
        return status;
      if (Status status = model::modelJson(*gpu, compiled.ptx, device.target(), launches, &profile["model"]); !status.ok())
        return status;
    }
    if (!options.check)
      return {};
    if (Status status = evaluate(true); !status.ok())
      return status;
    checked = check(plan, buffers, inputs, values);
    return {};
  }

  /// A failed check is reported, and its outputs are written nowhere: they are known to be wrong.
  Status writeOutputs() {
    if (options.check && !allPassed(checked))
      return {};
    for (const NamedFile &file : outputFiles) {
      auto tensor =
          std::find_if(outputs.begin(), outputs.end(), [&](const Tensor &output) { return output.name == file.name; });
      if (tensor == outputs.end())
        return {StatusCode::CompileError, fmt::format("output '{}' was not computed", file.name)};
      if (Status status = npy::write(file.path, *tensor); !status.ok())
        return status;
    }
    return {};
  }

  void report() const {
    if (options.json) {
      nlohmann::ordered_json json = {
          {"spec", spec.fileName}, {"function", plan.spec}, {"device", evaluatorOnly() ? options.device : device.name()}};
      if (!evaluatorOnly() && !device.choice().empty())
        json["deviceChoice"] = device.choice();
      json["outputs"] = nlohmann::ordered_json::array();
      for (const Tensor &output : outputs)
        json["outputs"].push_back(
            {{"name", output.name}, {"type", elementTypeName(output.type)}, {"shape", output.shape}});
      if (options.check)
        json["check"] = checkJson(checked);
      if (options.profile)
        json["profile"] = profile;
      std::puts(json.dump(1).c_str());
      return;
    }
    // Nobody said where: so that a laptop's emulation is not taken for the server's GPU.
    if (device.isOpen() && !device.choice().empty())
      warn("fourfold: note: ran on " + device.choice());
    if (options.check)
      std::fputs(checkTable(checked).c_str(), stdout);
    if (options.profile)
      std::fputs(((options.check ? "\n" : "") + profileTable(profile)).c_str(), stdout);
  }

  const RunCommandOptions &options;
  const model::Gpu *gpu = nullptr; // of --gpu
  Spec spec;
  std::vector<NamedFile> inputFiles, outputFiles;
  Compiler compiler;
  Device device;
  CompiledSpec compiled;
  Executable executable;
  plan::Plan plan;
  std::vector<Tensor> inputs, outputs;
  std::vector<EvaluatedValue> values;
  std::vector<std::vector<uint8_t>> buffers;
  std::vector<LaunchRecord> records;
  std::vector<CheckedPart> checked;
  nlohmann::ordered_json profile;
};

} // namespace

void addRunCommand(CLI::App &app, int *result) {
  auto options = std::make_shared<RunCommandOptions>();
  CLI::App *command = app.add_subcommand("run", "Run a spec on a device, and check it against the evaluator");
  addSourceOptions(command, &options->source);
  command
      ->add_option(
          "--device", options->device,
          "cuda:N, emulated:TARGET, evaluate (the reference evaluator alone), host (the same results from this "
          "machine's processor, fast), or auto: a GPU the compiler has kernels for, else emulated:sm_120a")
      ->capture_default_str();
  command
      ->add_option("--input", options->inputs,
                   "NAME=FILE.npy, once for each input; rounded to the spec's type, nearest even")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--output", options->outputs,
          "NAME=FILE.npy for each result to keep; f32 and bf16 are written as '<f4' (widening is exact), f16 as '<f2'")
      ->allow_extra_args(false);
  command->add_flag("--check", options->check, "Compare every value on the device with the reference evaluator");
  CLI::Option *profile =
      command
          ->add_flag("--profile{table}", options->profileForm,
                     "Print launches, times and, on the emulated device, counters; on a GPU, bytes of the buffers. --profile=json: as JSON, as with --json")
          ->check(CLI::IsMember({"table", "json"}));
  command->add_option("--gpu", options->gpu, "With --profile on an emulated device: the least times on this GPU, and what binds: " + model::gpuNames())
      ->needs(profile);
  command->add_flag("--json", options->json, "Print results of --check and --profile as JSON");
  command->footer(
      "Examples:\n"
      "  fourfold run spec.mlir --input x=x.npy --input w=w.npy --output y=y.npy\n"
      "  fourfold run spec.mlir --device emulated:sm_120a --input x=x.npy --input w=w.npy --check --profile\n"
      "  fourfold run spec.mlir --device evaluate --input x=x.npy --input w=w.npy --output y=reference.npy\n\n"
      "Inputs may be f2, f4, f8, i1 to i8, u1 to u8, b1, or V2 (bfloat16 of ml_dtypes), in either byte order.\n"
      "--check: codes, scales and everything that no matmul precedes must be equal bit for bit; results of a matmul\n"
      "must lie within the evaluator's bound. Outputs are written only if it passes.\n\n"
      "Exit status: 0 success; 1 bad input, a failed run or a failed check; 2 wrong usage.");
  command->callback([options, result] {
    options->profile = !options->profileForm.empty();
    options->json |= options->profileForm == "json";
    *result = RunCommand(*options).run();
  });
}

} // namespace tools
} // namespace fourfold
