// What a tcgen05.mma computes: its instruction descriptor and qualifiers (PTX ISA 9.7.16.4.2).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TensorInstruction.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr const char *kFormatNames[] = {"bf16", "f16", "tf32", "e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "s8", "u8", "s4", "u4", "none"};

/// The formats by their codes; None: the code stands for nothing in this kind.
ElementFormat formatOf(StepKind kind, uint32_t code) {
  using F = ElementFormat;
  static constexpr F small[] = {F::E4M3, F::E5M2, F::None, F::E2M3, F::E3M2, F::E2M1, F::None, F::None};
  switch (kind) {
  case StepKind::F16:
    return code == 0 ? F::F16 : code == 1 ? F::BF16 : F::None;
  case StepKind::TF32:
    return code == 2 ? F::TF32 : F::None;
  case StepKind::I8:
    return code == 0 ? F::U8 : code == 1 ? F::S8 : F::None;
  case StepKind::F8F6F4:
  case StepKind::MxF8F6F4:
    return small[code];
  default:
    return code == 1 ? F::E2M1 : F::None;
  }
}

bool isTransposable(ElementFormat format) { // PTX ISA 9.7.16.10.1: not what has less than 8 bits
  return format != ElementFormat::E2M1 && format != ElementFormat::E2M3 && format != ElementFormat::E3M2;
}

} // namespace

const char *kindName(StepKind kind) {
  static constexpr const char *names[] = {"f16", "tf32", "f8f6f4", "i8", "mxf8f6f4", "mxf4", "mxf4nvf4"};
  return names[static_cast<size_t>(kind)];
}

uint32_t TensorStep::elementBytes() const {
  switch (kind) {
  case StepKind::F16:
    return 2;
  case StepKind::TF32:
    return 4;
  case StepKind::MxF4:
  case StepKind::MxF4Nvf4:
    return 0;
  default:
    return 1;
  }
}

std::string TensorStep::name() const {
  const char *typeA = kFormatNames[static_cast<size_t>(a)], *typeB = kFormatNames[static_cast<size_t>(b)];
  std::string types;
  if (kind == StepKind::MxF4 || kind == StepKind::MxF4Nvf4)
    types = fmt::format("{}.{}x.{}", kindName(kind), scales, scaleFormat == numerics::ScaleFormat::UE4M3 ? "ue4m3" : "ue8m0");
  else if (kind == StepKind::MxF8F6F4)
    types = fmt::format("mxf8f6f4.{}.{}", typeA, typeB);
  else
    types = fmt::format("{}.{}{}", typeA, a == b ? "" : std::string(typeB) + ".", result == F16 ? "f16" : result == F32 ? "f32" : "s32");
  return fmt::format("tcgen05.{}.m{}n{}k{}", types, m, n, k);
}

std::string readInstructionDescriptor(uint32_t bits, TensorStep *step) {
  auto field = [&](int low, int width) { return bits >> low & ((1u << width) - 1); };
  bool isScaled = isBlockScaled(step->kind), isInteger = step->kind == StepKind::I8;
  auto mustBeZero = [&](int low, int width, const char *what) -> std::string {
    return field(low, width) ? fmt::format("{} ({} {}) is {}, it must be 0", what, width == 1 ? "bit" : "bits",
                                           width == 1 ? std::to_string(low) : fmt::format("{} to {}", low, low + width - 1), field(low, width))
                             : "";
  };
  auto check = [](std::string &wrong, std::string text) { wrong = wrong.empty() ? std::move(text) : wrong; };
  std::string wrong;
  check(wrong, mustBeZero(0, 2, "the sparsity selector of a dense product"));
  check(wrong, mustBeZero(2, 1, "the flag of sparsity, without .sp,"));
  if (isScaled || !isInteger)
    check(wrong, mustBeZero(3, 1, isScaled ? "a reserved bit" : "saturation, which only kind::i8 has,"));
  check(wrong, mustBeZero(6, 1, "a reserved bit"));
  if (!wrong.empty())
    return wrong;

  step->saturates = field(3, 1);
  step->a = formatOf(step->kind, field(7, 3));
  step->b = formatOf(step->kind, field(10, 3));
  if (step->a == ElementFormat::None || step->b == ElementFormat::None)
    return fmt::format("the type of {} (bits {}) is {}, which is none of kind::{}", step->a == ElementFormat::None ? "A" : "B",
                       step->a == ElementFormat::None ? "7 to 9" : "10 to 12", field(step->a == ElementFormat::None ? 7 : 10, 3), kindName(step->kind));
  step->negatesA = field(13, 1);
  step->negatesB = field(14, 1);
  if (isInteger && (step->negatesA || step->negatesB))
    return "A or B is negated (bits 13, 14), which kind::i8 does not do";
  step->isKMajorA = !field(15, 1);
  step->isKMajorB = !field(16, 1);
  if ((!step->isKMajorA && !isTransposable(step->a)) || (!step->isKMajorB && !isTransposable(step->b)))
    return "A or B is transposed (bits 15, 16): types of 4 and 6 bits are K-major only";
  step->n = field(17, 6) * 8;
  step->k = 32 / (step->elementBytes() ? step->elementBytes() : 1) * (step->elementBytes() ? 1 : 2);

  if (isScaled) {
    step->result = TensorStep::F32;
    check(wrong, mustBeZero(24, 3, "a reserved field"));
    step->m = field(27, 2) * 128;
    step->scaleIdB = field(4, 2);
    step->scaleIdA = field(29, 2);
    step->scaleFormat = field(23, 1) ? numerics::ScaleFormat::UE8M0 : numerics::ScaleFormat::UE4M3;
    if (field(31, 1))
      return "K is 96 (bit 31), which takes sm_103a";
    if (step->scales != 4 && step->scaleFormat == numerics::ScaleFormat::UE4M3)
      return fmt::format("the type of the scales (bit 23) is ue4m3: kind::{} with blocks of 32 takes ue8m0 (1)", kindName(step->kind));
    for (auto [id, what] : {std::pair{step->scaleIdA, "A (bits 29, 30)"}, std::pair{step->scaleIdB, "B (bits 4, 5)"}})
      if ((step->scales == 4 && id) || (step->scales == 2 && id % 2))
        return fmt::format("the scale id of {} is {}: with scale_vec::{}X it is {}", what, id, step->scales, step->scales == 4 ? "0" : "0 or 2");
  } else {
    uint32_t result = field(4, 2);
    check(wrong, mustBeZero(23, 1, "a reserved bit"));
    check(wrong, mustBeZero(29, 1, "a reserved bit"));
    check(wrong, mustBeZero(30, 2, "the largest shift, which only .ws has,"));
    bool hasHalf = step->kind == StepKind::F8F6F4 || (step->kind == StepKind::F16 && step->a == ElementFormat::F16 && step->b == ElementFormat::F16);
    if (isInteger ? result != 2 : result != 1 && (result != 0 || !hasHalf))
      return fmt::format("the type of D (bits 4, 5) is {}: kind::{} of these A and B takes {}", result, kindName(step->kind),
                         isInteger ? "2 (s32)" : hasHalf ? "0 (f16) or 1 (f32)" : "1 (f32)");
    step->result = static_cast<TensorStep::Result>(result);
    step->m = field(24, 5) * 16;
  }
  if (!wrong.empty())
    return wrong;
  if (step->m != 128 && (step->m != 64 || isScaled))
    return fmt::format("M is {}: with cta_group::1 it is {}128 for kind::{}", step->m, isScaled ? "" : "64 or ", kindName(step->kind));
  // PTX ISA 9.7.16.2.1, shapes of tcgen05.mma.
  uint32_t unit = isScaled || step->m == 64 ? 8 : 16;
  bool isRefused = isInteger && step->n > 32 && step->n % 16;
  if (step->n < unit || step->n > 256 || step->n % unit || isRefused || (isInteger && step->n == 40))
    return fmt::format("N (bits 17 to 22, in units of 8) is {}: with M = {} and kind::{} it is a multiple of {} from {} to 256", step->n, step->m,
                       kindName(step->kind), isInteger && step->n > 32 ? 16 : unit, unit);
  return "";
}

} // namespace emulator
} // namespace fourfold
