// The compiler, as a plug-in that is opened when it is needed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_H
#define FOURFOLD_COMPILER_H

#include "fourfold/Export.h"
#include "fourfold/Status.h"
#include "fourfold/Tensor.h"

#include <memory>

namespace fourfold {

/// A fusion spec: MLIR text. Bytecode is refused: see `Compiler::emit`.
struct Spec {
  std::string text;
  /// For diagnostics.
  std::string fileName = "<spec>";
  /// Empty: the only function of the module.
  std::string function;
  /// Arguments marked `fp4.optional` that the caller leaves out: a mask is then full, any other reads as -0.0.
  std::vector<std::string> absent;
  /// How targets without FP4 tensor cores (sm_80, sm_90a) sum products: "fast", which is also what "" means, in bf16 steps; "faithful", to
  /// the bits of those that have them. For the latter targets both are the same.
  std::string mode = "";
};

/// The specs of a linear layer: linear_forward (x, w -> y), linear_dgrad (d, w -> dx) and linear_wgrad (d, x -> dw [, db]).
struct Recipe {
  Spec forward, dgrad, wgrad;
  /// Optional arguments (bias, mask, dw_in), and the result db, that the layer does without.
  std::vector<std::string> absent;
  /// Statistics are reduced over ranks: the plan has launches of kind `reduce`.
  bool distributed = false;
  /// As `Spec::mode`.
  std::string mode;
};

/// What a spec compiles to.
struct CompiledSpec {
  /// The kernel plan as JSON.
  std::string manifest;
  std::string ptx;
  /// One diagnostic a line, empty if there is none.
  std::string warnings;
};

/// One value of the reference evaluator.
struct EvaluatedValue {
  /// "tensor", "codes" (rows x K, one code a byte), "scales" (rows x K-blocks, one byte each) or "amax" (one f32).
  /// Codes and scales have type I8.
  std::string part;
  Tensor tensor;
  /// Empty: a device must agree bit for bit. Otherwise how far each element may be off.
  std::vector<float> bound;
  /// Not empty: the evaluator cannot know this value, and why; `tensor` then means nothing.
  std::string unchecked = {};
};

/// A target that the compiler knows.
struct TargetInfo {
  std::string name;
  bool supported = false;
  /// Why it is not supported.
  std::string reason;
};

/// The compiler plug-in libfourfold_jit.so. Cheap to copy; thread-safe once opened.
///
/// What was compiled, linked and listed is kept in memory and on disk (see docs/cache.md): the plug-in itself is loaded when something
/// has to be compiled or evaluated for the first time.
class FOURFOLD_API Compiler {
public:
  struct Impl;
  Compiler() = default;

  /// Opens the plug-in: `path` if given, else FOURFOLD_JIT, else libfourfold_jit.so in the folder of this library, in the folder ../lib of
  /// the executable, or where the system's loader looks.
  static Status open(Compiler *compiler, const std::string &path = "");
  /// Loads the plug-in now. Not needed: whatever needs it loads it.
  Status load() const;

  /// Compiles a spec for a target such as "sm_120a".
  Status compile(const Spec &spec, const std::string &target, CompiledSpec *compiled) const;
  /// Compiles up to a stage, "plan", "kernels", "llvm" or "ptx", and returns its text. Stage "text" gives the text of a spec in MLIR
  /// bytecode. LLVM reads that in this process and can corrupt its memory when bytes are damaged: use it only for bytes that you trust,
  /// or in a process of their own, as the tool does.
  /// Stages "kernels", "llvm" and "ptx" can be of the one kernel named, without the others: it is then compiled anew each time.
  Status emit(const Spec &spec, const std::string &target, const std::string &stage, std::string *text,
              std::string *warnings = nullptr, const std::string &kernel = "") const;
  /// Evaluates a spec on the host: the results, and with `intermediates` every named value. Bounds are for FP4 tensor cores, or, where
  /// `mode`, which is the manifest's, says "fast", for products summed in fp32.
  Status evaluate(const Spec &spec, const std::vector<Tensor> &inputs, bool intermediates,
                  std::vector<EvaluatedValue> *values, const std::string &mode = "") const;
  /// Sets `spec->absent` to the optional arguments that are not among `present`. A name in `present` that the spec does not have is
  /// passed over: what takes the tensors says so.
  Status leaveOut(Spec *spec, const std::vector<std::string> &present) const;
  /// Merges the specs of a recipe into one, whose plan has the phases weights, forward, gradient, dgrad, wgrad: what a later phase
  /// derives from an earlier one's inputs is computed there and kept.
  Status link(const Recipe &recipe, Spec *linked) const;
  /// All targets the compiler knows of.
  Status targets(std::vector<TargetInfo> *list) const;

  /// Of the compiler and of LLVM.
  std::string version() const;
  /// The file that was opened.
  std::string path() const;

private:
  friend class Executable;
  friend class HostProgram;
  std::shared_ptr<const Impl> impl;
};

} // namespace fourfold

#endif // FOURFOLD_COMPILER_H
