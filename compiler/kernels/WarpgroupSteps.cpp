// The vocabulary of warpgroup matrix steps, as inline PTX: NVVM's operation starts one step a time and returns its result as if it were there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/KernelBuilder.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

/// Inline PTX after which `values`, operands 0 to n - 1, stand in the registers in which they stood before: they are tied to the results.
SmallVector<Val> inPlace(KernelBuilder &k, const std::string &text, llvm::ArrayRef<Val> values, llvm::ArrayRef<Val> inputs = {},
                         llvm::StringRef inputConstraints = "") {
  SmallVector<Type> types;
  std::string constraints, ties;
  for (auto [i, value] : llvm::enumerate(values)) {
    types.push_back(value.type());
    constraints += llvm::formatv("{0}={1}", i ? "," : "", value.type().isF32() ? "f" : "r").str();
    ties += llvm::formatv(",{0}", i).str();
  }
  constraints += ties + inputConstraints.str() + ",~{memory}";
  SmallVector<Value> operands(values.begin(), values.end());
  operands.append(inputs.begin(), inputs.end());
  Value all = LLVM::InlineAsmOp::create(k.ir(), k.loc(), LLVM::LLVMStructType::getLiteral(k.context(), types), operands, text, constraints,
                                        /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                        LLVM::AsmDialectAttr(), ArrayAttr())
                  .getResult(0);
  SmallVector<Val> results;
  for (size_t i = 0; i < values.size(); ++i)
    results.push_back(k.wrap(LLVM::ExtractValueOp::create(k.ir(), k.loc(), all, static_cast<int64_t>(i))));
  return results;
}

} // namespace

void KernelBuilder::fenceOperands() {
  NVVM::FenceProxyOp::create(builder, location, NVVM::ProxyKindAttr::get(context(), NVVM::ProxyKind::async_shared),
                             NVVM::SharedSpaceAttr::get(context(), NVVM::SharedSpace::shared_cta));
}

SmallVector<Val> KernelBuilder::warpgroupSteps(llvm::ArrayRef<Val> a, Val descriptor, llvm::ArrayRef<Val> accumulators) {
  size_t count = accumulators.size(), firstA = 2 * count, steps = a.size() / 4;
  std::string result;
  for (size_t i = 0; i < count; ++i)
    result += (i ? ", $" : "$") + std::to_string(i);
  std::string text = "{\n.reg .b64 %descriptor;\nwgmma.fence.sync.aligned;\n";
  for (size_t step = 0; step < steps; ++step) {
    size_t r = firstA + 4 * step;
    text += llvm::formatv("add.s64 %descriptor, ${0}, {1};\n"
                          "wgmma.mma_async.sync.aligned.m64n{2}k16.f32.bf16.bf16 {{{3}}, {{${4}, ${5}, ${6}, ${7}}, %descriptor, 1, 1, 1, 0;\n",
                          firstA + a.size(), 2 * step, 2 * count, result, r, r + 1, r + 2, r + 3)
                .str();
  }
  text += "wgmma.commit_group.sync.aligned;\n}";
  SmallVector<Val> inputs(a.begin(), a.end());
  std::string constraints;
  for (size_t i = 0; i < a.size(); ++i)
    constraints += ",r";
  inputs.push_back(descriptor);
  return inPlace(*this, text, accumulators, inputs, constraints + ",l");
}

SmallVector<Val> KernelBuilder::waitWarpgroupSteps(int groupsLeft, llvm::ArrayRef<Val> values) {
  return inPlace(*this, llvm::formatv("wgmma.wait_group.sync.aligned {0};", groupsLeft).str(), values);
}

} // namespace compiler
} // namespace fourfold
