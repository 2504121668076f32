// Specs run on this machine's processor: no device, the bits of the reference evaluator, fast.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A training step of one layer, for a machine without a GPU:
//
//   compiler.link(recipe, &spec); HostProgram::prepare(compiler, spec, &program)      once
//   HostEnvironment::create(program, &weights)                                        once
//   weights.run(hostPhase(0), {w}, {})                                                after each optimizer step
//   HostEnvironment::create(program, weights, &batch)                                 once a micro-batch that is under way
//   batch.run(hostPhase(1), {x, w, ...}, {y})                                         forward
//   batch.run(hostPhase(2) | hostPhase(3) | hostPhase(4), {d, x, w, seed, offset}, {dx, dw, db})
//
// Every result has the bits that `Compiler::evaluate` gives, whatever the processor and the number of threads: codes, scales and
// means are exact by contract, and products are added up in the evaluator's order. There are no bounds of error.
//
// Work is shared among the cores with TBB: a caller's `tbb::global_control` or `tbb::task_arena` limits how many.

#ifndef FOURFOLD_HOSTPROGRAM_H
#define FOURFOLD_HOSTPROGRAM_H

#include "fourfold/Compiler.h"

#include <cstdint>

namespace fourfold {

/// An input in memory of the caller: row-major, contiguous, aligned to its element. Needed for as long as the call lasts.
struct HostInput {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  const void *data = nullptr;
};

/// Memory of the caller that a result is written to; type and shape must be the result's.
struct HostOutput {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  void *data = nullptr;
};

/// The bit of one phase: of a linked recipe 0 is weights, 1 forward, 2 gradient, 3 dgrad, 4 wgrad.
inline constexpr uint32_t hostPhase(unsigned phase) { return 1u << phase; }
inline constexpr uint32_t kHostAllPhases = ~0u;

/// A spec prepared for the host. Cheap to copy; any number of threads may use it.
class FOURFOLD_API HostProgram {
public:
  HostProgram() = default;

  /// Parses the spec and makes a list of steps of it: milliseconds, once. A mistake in the spec is a CompileError.
  static Status prepare(const Compiler &compiler, const Spec &spec, HostProgram *program);

  /// Names, in the order of the spec.
  const std::vector<std::string> &inputs() const;
  const std::vector<std::string> &results() const;
  /// Names of the phases; empty for a spec that is not a linked recipe.
  const std::vector<std::string> &phases() const;

private:
  friend class HostEnvironment;
  struct Impl;
  std::shared_ptr<const Impl> impl;
};

/// What a program keeps between phases: quantized weights, what forward saves for backward. Each value goes when the last phase that
/// needs it has run; values of phase 0 stay until it runs again. Copies share their state. One call at a time, but environments of one
/// program run beside each other.
class FOURFOLD_API HostEnvironment {
public:
  HostEnvironment() = default;

  static Status create(const HostProgram &program, HostEnvironment *environment);
  /// One that reads the values of phase 0 of `weights`, which must not run or be reset meanwhile.
  static Status create(const HostProgram &program, const HostEnvironment &weights, HostEnvironment *environment);

  /// Runs some phases: `inputs` are those that their steps use (more do no harm), `outputs` any of their results. On failure nothing has
  /// been written to outputs; InvalidArgument says which input, shape or missing phase it was.
  Status run(uint32_t phases, const std::vector<HostInput> &inputs, const std::vector<HostOutput> &outputs);
  /// Runs everything and returns all results that are tensors.
  Status run(const std::vector<Tensor> &inputs, std::vector<Tensor> *outputs);

  /// Forgets all values.
  void reset();
  /// Bytes of the values that are kept.
  uint64_t bytesHeld() const;

private:
  struct Impl;
  std::shared_ptr<Impl> impl;
};

} // namespace fourfold

#endif // FOURFOLD_HOSTPROGRAM_H
