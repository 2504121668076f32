// Validation of plans, and their form for people.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/Plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {
namespace plan {

const char *elementTypeName(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return "f32";
  case ElementType::BF16:
    return "bf16";
  case ElementType::F16:
    return "f16";
  case ElementType::I64:
    return "i64";
  case ElementType::I32:
    return "i32";
  case ElementType::I8:
    return "i8";
  }
  return "?";
}

int64_t elementTypeBytes(ElementType type) {
  switch (type) {
  case ElementType::I64:
    return 8;
  case ElementType::F32:
  case ElementType::I32:
    return 4;
  case ElementType::BF16:
  case ElementType::F16:
    return 2;
  case ElementType::I8:
    return 1;
  }
  return 0;
}

//===----------------------------------------------------------------------===//
// Validation
//===----------------------------------------------------------------------===//

namespace {

/// A kernel name is a PTX identifier of letters, digits and underscores.
bool isKernelName(const std::string &name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

class Validator {
public:
  explicit Validator(const Plan &plan) : plan(plan) {}

  std::string run() {
    for (size_t i = 0; i < plan.buffers.size(); ++i)
      checkBuffer(plan.buffers[i], fmt::format("buffer {} ('{}')", i, plan.buffers[i].name));
    for (const TensorInfo &input : plan.inputs)
      checkTensor(input, "input", Buffer::Kind::Input);
    for (const TensorInfo &output : plan.outputs)
      checkTensor(output, "output", Buffer::Kind::Output);
    if (plan.phases.empty())
      for (size_t i = 0; i < plan.buffers.size(); ++i)
        if (plan.buffers[i].kind > Buffer::Kind::Workspace)
          report(fmt::format("buffer {} ('{}') is kept between phases, but the plan has none", i, plan.buffers[i].name));
    for (size_t i = 0; i < plan.launches.size(); ++i)
      checkLaunch(plan.launches[i], fmt::format("launch {} ('{}')", i, plan.launches[i].label));
    return problem;
  }

private:
  void report(std::string text) {
    if (problem.empty())
      problem = std::move(text);
  }
  void checkExpr(const Expr &expr, const std::string &where) {
    if (expr.numDims() > static_cast<int>(plan.dims.size()))
      report(fmt::format("{}: '{}' uses dimension d{}, but the plan has {}", where, expr.str(), expr.numDims() - 1,
                         plan.dims.size()));
  }
  void checkIndex(int buffer, const std::string &where) {
    if (buffer < 0 || buffer >= static_cast<int>(plan.buffers.size()))
      report(fmt::format("{}: buffer {} does not exist, the plan has {}", where, buffer, plan.buffers.size()));
  }

  void checkBuffer(const Buffer &buffer, const std::string &where) {
    checkExpr(buffer.bytes, where);
    if (buffer.alignment <= 0 || (buffer.alignment & (buffer.alignment - 1)) != 0 || buffer.alignment > 4096)
      report(fmt::format("{}: alignment {} is not a power of two up to 4096", where, buffer.alignment));
    for (const Expr &extent : buffer.contents.shape)
      checkExpr(extent, where);
    checkExpr(buffer.contents.rows, where);
    checkExpr(buffer.contents.k, where);
    bool quantized = buffer.contents.part == Contents::Part::Codes || buffer.contents.part == Contents::Part::Scales;
    if (!quantized)
      return;
    if (buffer.contents.format != "nvfp4" && buffer.contents.format != "mxfp4")
      report(fmt::format("{}: format '{}' is not nvfp4 or mxfp4", where, buffer.contents.format));
    if (buffer.contents.blockSize != 16 && buffer.contents.blockSize != 32)
      report(fmt::format("{}: block size {} is not 16 or 32", where, buffer.contents.blockSize));
    if (buffer.contents.blockRows != 1 && buffer.contents.blockRows != 16)
      report(fmt::format("{}: {} rows a block, expected 1 or 16", where, buffer.contents.blockRows));
  }

  void checkTensor(const TensorInfo &tensor, const char *what, Buffer::Kind kind) {
    std::string where = fmt::format("{} '{}'", what, tensor.name);
    if (tensor.name.empty())
      report(fmt::format("{} without a name", what));
    checkIndex(tensor.buffer, where);
    if (problem.empty() && plan.buffers[static_cast<size_t>(tensor.buffer)].kind != kind)
      report(fmt::format("{}: buffer {} is of another kind", where, tensor.buffer));
    for (const Expr &extent : tensor.shape) {
      checkExpr(extent, where);
      if (kind == Buffer::Kind::Input && extent.kind() != Expr::Kind::Constant && extent.kind() != Expr::Kind::Dim)
        report(fmt::format("{}: extent '{}' is neither a number nor a dimension", where, extent.str()));
    }
  }

  void checkLaunch(const Launch &launch, const std::string &where) {
    if (launch.phase < 0 || launch.phase >= static_cast<int>(std::max<size_t>(1, plan.phases.size())))
      report(fmt::format("{}: phase {} does not exist, the plan has {}", where, launch.phase, plan.phases.size()));
    if (launch.kind != Launch::Kind::Kernel) {
      checkIndex(launch.buffer, where);
      checkExpr(launch.bytes, where);
      checkExpr(launch.offset, where);
      return;
    }
    if (launch.variants.empty())
      report(fmt::format("{}: no kernel", where));
    for (const Variant &variant : launch.variants) {
      if (!isKernelName(variant.kernel))
        report(fmt::format("{}: kernel name '{}' is not an identifier", where, variant.kernel));
      checkExpr(variant.when, where);
      for (const Expr &extent : variant.grid)
        checkExpr(extent, where);
      int64_t threads = 1;
      for (int extent : variant.block) {
        if (extent < 1 || extent > 1024)
          report(fmt::format("{}: block extent {} is not 1 to 1024", where, extent));
        threads *= extent;
      }
      if (problem.empty() && threads > 1024)
        report(fmt::format("{}: {} threads a block, at most 1024", where, threads));
      if (variant.sharedBytes < 0 || variant.sharedBytes > 256 * 1024)
        report(fmt::format("{}: {} bytes of shared memory are not 0 to 262144", where, variant.sharedBytes));
    }
    for (const Argument &argument : launch.args) {
      checkExpr(argument.value, where);
      if (argument.kind == Argument::Kind::Pointer && argument.buffer != -1)
        checkIndex(argument.buffer, where);
    }
  }

  const Plan &plan;
  std::string problem;
};

std::string shapeText(const std::vector<Expr> &shape) {
  std::string text;
  for (const Expr &extent : shape)
    text += (text.empty() ? "" : " x ") + extent.str();
  return text.empty() ? "scalar" : text;
}

std::string contentsText(const Buffer &buffer) {
  const Contents &contents = buffer.contents;
  switch (contents.part) {
  case Contents::Part::Tensor:
    return contents.value.empty() ? "scratch"
                                  : fmt::format("{} of {}", elementTypeName(contents.type), shapeText(contents.shape));
  case Contents::Part::Codes:
    return fmt::format("{} codes, {} rows by {}", contents.format, contents.rows.str(), contents.k.str());
  case Contents::Part::Scales:
    return fmt::format("{} scales, a {}x{} block each, 128x4 tiles", contents.format, contents.blockRows,
                       contents.blockSize);
  case Contents::Part::Amax:
    return "largest finite magnitude, f32";
  }
  return "";
}

} // namespace

std::string Plan::validate() const { return Validator(*this).run(); }

std::string Plan::str() const {
  std::string text = fmt::format("plan {} for {} (PTX {}{}{})\n", spec, target, ptxVersion, mode.empty() ? "" : ", mode ", mode);
  if (!dims.empty())
    text += "\ndimensions\n";
  for (size_t i = 0; i < dims.size(); ++i)
    text += fmt::format("  d{}  {}\n", i, dims[i].origin);
  text += "\nbuffers\n";
  size_t width = 0;
  for (const Buffer &buffer : buffers)
    width = std::max(width, buffer.name.size());
  for (const Buffer &buffer : buffers) {
    text += fmt::format("  {:<{}}  {:<9}  {} bytes: {}\n", buffer.name, width, bufferKindName(buffer.kind),
                        buffer.bytes.str(), contentsText(buffer));
  }
  text += "\nlaunches\n";
  for (size_t i = 0; i < launches.size(); ++i) {
    const Launch &launch = launches[i];
    if (!phases.empty() && (i == 0 || launch.phase != launches[i - 1].phase))
      text += fmt::format(" {}\n", phases[static_cast<size_t>(launch.phase)]);
    text += fmt::format("  {}. {}\n", i + 1, launch.label);
    if (launch.kind == Launch::Kind::Reduce) {
      text += fmt::format("       {} over ranks of {} ({} bytes from {})\n", reductionName(launch.reduction),
                          buffers[static_cast<size_t>(launch.buffer)].name, launch.bytes.str(), launch.offset.str());
      continue;
    }
    if (launch.kind == Launch::Kind::Memset) {
      text += fmt::format("       memset {} ({} bytes)\n", buffers[static_cast<size_t>(launch.buffer)].name,
                          launch.bytes.str());
      continue;
    }
    for (const Variant &variant : launch.variants) {
      text += fmt::format("       {}  grid ({}, {}, {})  block {}", variant.kernel, variant.grid[0].str(),
                          variant.grid[1].str(), variant.grid[2].str(),
                          variant.block[0] * variant.block[1] * variant.block[2]);
      if (variant.sharedBytes)
        text += fmt::format("  shared {}", variant.sharedBytes);
      if (!(variant.when == Expr(1)))
        text += fmt::format("  when {}", variant.when.str());
      text += "\n";
    }
    text += "       (";
    for (size_t j = 0; j < launch.args.size(); ++j) {
      const Argument &argument = launch.args[j];
      text += j ? ", " : "";
      if (argument.kind == Argument::Kind::Pointer)
        text += argument.buffer < 0 ? "null" : buffers[static_cast<size_t>(argument.buffer)].name;
      else if (argument.kind == Argument::Kind::F32)
        text += fmt::format("{}", argument.scalar);
      else
        text += argument.value.str();
    }
    text += ")\n";
  }
  return text;
}

} // namespace plan
} // namespace fourfold
