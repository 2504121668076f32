// What holds for any text of a spec: a plan, or diagnostics.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_FUZZ_SPECCHECK_H
#define FOURFOLD_TESTS_FUZZ_SPECCHECK_H

#include "Check.h"

#include "compiler/codegen/Ptx.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/planner/Planner.h"
#include "compiler/targets/Target.h"

#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/raw_ostream.h"

inline const mlir::DialectRegistry &fuzzRegistry() {
  static const mlir::DialectRegistry *registry = [] {
    auto *made = new mlir::DialectRegistry;
    fourfold::compiler::registerSpecDialects(*made);
    fourfold::compiler::registerKernelDialects(*made);
    return made;
  }();
  return *registry;
}

/// Parses, verifies, prints and parses again, plans.
inline void checkSpec(llvm::StringRef text) {
  using namespace fourfold::compiler;
  // One context for all: creating one takes far longer than parsing a spec.
  static auto *context = new mlir::MLIRContext(fuzzRegistry(), mlir::MLIRContext::Threading::DISABLED);
  DiagnosticCollector diagnostics(*context);
  mlir::FailureOr<ParsedSpec> spec = parseSpec(text, "fuzz.mlir", *context, "");
  if (failed(spec)) {
    FUZZ_CHECK(!diagnostics.messages().empty(), "a refused spec has a diagnostic");
    return;
  }
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  spec->module->print(stream);
  mlir::FailureOr<ParsedSpec> again = parseSpec(printed, "printed.mlir", *context, "");
  if (failed(again))
    llvm::errs() << printed << diagnostics.str() << '\n';
  FUZZ_CHECK(succeeded(again), "what was printed can be parsed");
  if (failed(dropAbsent(spec->function, {})) || failed(expandMath(spec->function))) {
    FUZZ_CHECK(!diagnostics.messages().empty(), "a refused spec has a diagnostic");
    return;
  }
  std::string why;
  const Target *target = findTarget("sm_120a", &why);
  FUZZ_CHECK(target, "sm_120a has kernels");
  FUZZ_CHECK(succeeded(planSpec(spec->function, *target)) || !diagnostics.messages().empty(), "a spec without plan has a diagnostic");
}

#endif // FOURFOLD_TESTS_FUZZ_SPECCHECK_H
