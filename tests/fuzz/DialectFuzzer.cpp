// Fuzzes specs: parse, verify, print again, plan. Any text either has a plan or diagnostics.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Not bytecode: LLVM's reader of it corrupts memory when the bytes are damaged, so that specs in bytecode must be trusted (docs/tool.md).

#include "Check.h"

#include "compiler/codegen/Ptx.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/planner/Planner.h"
#include "compiler/targets/Target.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace fourfold::compiler;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // One context for all: creating one takes far longer than parsing a spec.
  static MLIRContext *context = [] {
    DialectRegistry registry;
    registerSpecDialects(registry);
    registerKernelDialects(registry);
    return new MLIRContext(registry, MLIRContext::Threading::DISABLED);
  }();
  DiagnosticCollector diagnostics(*context);
  std::string text(reinterpret_cast<const char *>(data), size);
  if (isBytecode(llvm::MemoryBufferRef(text, "fuzz.mlir")))
    return 0;
  FailureOr<ParsedSpec> spec = parseSpec(text, "fuzz.mlir", *context, "");
  if (failed(spec)) {
    FUZZ_CHECK(!diagnostics.messages().empty(), "a refused spec has a diagnostic");
    return 0;
  }
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  spec->module->print(stream);
  FailureOr<ParsedSpec> again = parseSpec(printed, "printed.mlir", *context, "");
  if (failed(again))
    llvm::errs() << printed << diagnostics.str() << '\n';
  FUZZ_CHECK(succeeded(again), "what was printed can be parsed");
  if (failed(dropAbsent(spec->function, {})) || failed(expandMath(spec->function))) {
    FUZZ_CHECK(!diagnostics.messages().empty(), "a refused spec has a diagnostic");
    return 0;
  }
  std::string why;
  const Target *target = findTarget("sm_120a", &why);
  FUZZ_CHECK(target, "sm_120a has kernels");
  FUZZ_CHECK(succeeded(planSpec(spec->function, *target)) || !diagnostics.messages().empty(), "a spec without plan has a diagnostic");
  return 0;
}
