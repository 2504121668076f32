// LLVM IR -> optimized LLVM IR -> PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/codegen/BackEnd.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

namespace fourfold {
namespace compiler {

namespace {

std::unique_ptr<llvm::TargetMachine> makeMachine(llvm::Module &module, const Target &target, std::string *error) {
  static std::once_flag initialized;
  std::call_once(initialized, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string why;
  const llvm::Target *backEnd = llvm::TargetRegistry::lookupTarget(triple, why);
  if (!backEnd) {
    *error = "LLVM has no NVPTX back end: " + why;
    return nullptr;
  }
  llvm::TargetOptions options;
  // Contraction of a multiplication and an addition would change codes; `.rn` keeps ptxas from it too.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(backEnd->createTargetMachine(triple, target.name(), target.ptxFeature(), options,
                                                                            llvm::Reloc::Static, std::nullopt,
                                                                            llvm::CodeGenOptLevel::Aggressive));
  if (!machine) {
    *error = ("LLVM cannot generate code for " + target.name()).str();
    return nullptr;
  }
  module.setTargetTriple(triple);
  module.setDataLayout(machine->createDataLayout());
  return machine;
}

/// Generators emit loads, unrolled arithmetic and loops in the shape they should have; what is left to do is to share what they
/// repeat, move invariant address arithmetic out of the main loops and clean up. This takes a third of the time of LLVM's default
/// pipeline and gives ptxas the same registers.
bool optimize(llvm::Module &module, llvm::TargetMachine &machine, std::string *error) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error problem = builder.parsePassPipeline(
          passes, "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse<memssa>,adce)")) {
    *error = "cannot optimize the kernels: " + llvm::toString(std::move(problem));
    return false;
  }
  passes.run(module, modules);
  return true;
}

} // namespace

bool optimizedIr(KernelIr &ir, const Target &target, std::string *text, std::string *error) {
  std::unique_ptr<llvm::TargetMachine> machine = makeMachine(*ir.module, target, error);
  if (!machine || !optimize(*ir.module, *machine, error))
    return false;
  llvm::raw_string_ostream stream(*text);
  ir.module->print(stream, nullptr);
  return true;
}

bool emitPtx(KernelIr &ir, const Target &target, std::string *ptx, std::string *error) {
  std::unique_ptr<llvm::TargetMachine> machine = makeMachine(*ir.module, target, error);
  if (!machine || !optimize(*ir.module, *machine, error))
    return false;
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
    *error = ("LLVM cannot emit PTX for " + target.name()).str();
    return false;
  }
  passes.run(*ir.module);
  ptx->assign(buffer.begin(), buffer.end());
  return true;
}

/// LLVM writes a header up to `.address_size`, then declarations, each ended by a semicolon, then kernels.
std::string joinPtx(const std::vector<std::string> &parts) {
  constexpr llvm::StringLiteral kKernel = ".visible .entry ", kAddressSize = ".address_size 64\n";
  llvm::SmallSetVector<llvm::StringRef, 4> declarations;
  llvm::StringRef header;
  std::string kernels;
  for (llvm::StringRef part : parts) {
    size_t body = std::min(part.find(kKernel), part.size()), start = part.find(kAddressSize) + kAddressSize.size();
    header = part.take_front(start);
    kernels += "\n" + part.substr(body).str();
    llvm::SmallVector<llvm::StringRef> statements;
    part.slice(start, body).split(statements, ';');
    for (llvm::StringRef statement : llvm::ArrayRef(statements).drop_back()) {
      statement = statement.ltrim();
      while (statement.consume_front("//"))
        statement = statement.split('\n').second.ltrim();
      declarations.insert(statement);
    }
  }
  std::string text = header.str();
  for (llvm::StringRef declaration : declarations)
    text += "\n" + declaration.str() + ";\n";
  return text + kernels;
}

} // namespace compiler
} // namespace fourfold
