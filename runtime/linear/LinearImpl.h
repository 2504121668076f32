// What linear layers and their plans hold.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_LINEAR_LINEARIMPL_H
#define FOURFOLD_RUNTIME_LINEAR_LINEARIMPL_H

#include "fourfold/linear.h"
#include "runtime/core/ExecutableImpl.h"
#include "runtime/linear/StreamKernels.h"

#include <map>
#include <mutex>

namespace fourfold {

/// The phases of a layer's plan, and what their names are in a manifest.
enum class Phase { Weights, Forward, Gradient, Dgrad, Wgrad };
inline constexpr int kNumPhases = 5;
inline constexpr const char *kPhaseNames[kNumPhases] = {"weights", "forward", "gradient", "dgrad", "wgrad"};

/// Inputs or outputs of a layer; more are refused when it is made, so that launches keep addresses on the stack.
inline constexpr size_t kMaxTensors = 16;

/// A recipe loaded on a device: what layers share.
struct LoadedRecipe {
  Executable executable;
  StreamKernels kernels;
};

struct LinearPlan::Impl {
  /// Of the layer; the kernels alone do not tell layers of one recipe apart.
  uint64_t layer = 0;
  int64_t tokens = 0;
  Binding binding;
  /// With the place for the db of these tokens, if it may have to be added to another.
  uint64_t gradientBytes = 0;
  /// Where that place begins.
  uint64_t biasPlace = 0;
  int64_t inFeatures = 0;
  bool forwardReadsW = false, backwardReadsX = false, backwardReadsW = false;
};

struct Linear::Impl {
  /// Unique in the process.
  uint64_t number = 0;
  Device device;
  LinearDescriptor descriptor;
  std::string recipe, mode;
  std::shared_ptr<const LoadedRecipe> loaded;
  /// The member of LinearTensors that holds each input's or output's address.
  std::vector<uint64_t LinearTensors::*> inputs, outputs;
  size_t biasGradient = kMaxTensors; // db's place in outputs
  /// The plan's index of each phase, -1 where it has none.
  int phases[kNumPhases] = {-1, -1, -1, -1, -1};
  /// Phase 0, which no token count changes.
  Binding weightsBinding;

  mutable std::mutex mutex;
  mutable std::map<int64_t, std::shared_ptr<const LinearPlan::Impl>> plans;

  Status init();
  Status bind(int64_t tokens, int onlyPhase, Binding *binding) const;
  Status prepare(int64_t tokens, std::shared_ptr<const LinearPlan::Impl> *plan) const;
  /// Whether a phase reads the input of this name.
  bool reads(Phase phase, const char *input) const;
  /// Whether db goes to the gradient area first: any backward phase may compute it, and others read it.
  bool keepsBiasGradient() const { return descriptor.accumulate && descriptor.hasBias; }
  /// Enqueues a phase. `plan` is null for the weights.
  Status launch(const LinearPlan::Impl *plan, Phase phase, void *stream, const LinearTensors &tensors) const;

private:
  Status checkSignature();
  Status findPhases();
  Status bindWeights();
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_LINEAR_LINEARIMPL_H
