// A compiled spec, loaded on a device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXECUTABLE_H
#define FOURFOLD_EXECUTABLE_H

#include "fourfold/Compiler.h"
#include "fourfold/Device.h"
#include "fourfold/Tensor.h"

#include <functional>

namespace fourfold {

/// An input or output of a spec. Extents are "384", or a dimension that is known at run time, such as "d0".
struct Parameter {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<std::string> shape;
};

/// A plan for given input shapes: every size, grid and kernel chosen. Made by `Executable::bind`, used by `launch` as
/// often as wanted. Cheap to copy.
class FOURFOLD_API Binding {
public:
  struct Impl;
  /// Bytes of the one workspace that `launch` needs, aligned to 256; the largest over the phases.
  uint64_t workspaceBytes() const;
  /// Of a plan with phases: bytes of what the weights phase, the forward pass and the gradient phase leave for later ones,
  /// aligned to 256; 0 otherwise.
  uint64_t weightsBytes() const;
  uint64_t savedBytes() const;
  uint64_t gradientBytes() const;
  const std::vector<int64_t> &outputShape(size_t output) const;
  uint64_t outputBytes(size_t output) const;
  uint64_t inputBytes(size_t input) const;

private:
  friend class Executable;
  friend class Linear;
  std::shared_ptr<const Impl> impl;
};

/// How several ranks combine values.
enum class ReduceOperation { Sum, Max };

/// Combines `count` f32 values at a device address over all ranks, on every rank with the same result, in stream order: work
/// enqueued before is seen, work enqueued after sees it. Returns 0, or a number that the caller's error message names.
using ReduceHook = int (*)(void *user, void *stream, uint64_t address, uint64_t count, ReduceOperation operation);

/// Device memory of one launch; addresses in the order of the spec's inputs and outputs.
struct LaunchBuffers {
  const uint64_t *inputs = nullptr;
  const uint64_t *outputs = nullptr;
  /// May be 0 if `workspaceBytes` is 0.
  uint64_t workspace = 0;
  /// A CUstream; null is the default stream.
  void *stream = nullptr;
  /// Of a plan with phases; each may be 0 if its size is 0 or the phase does not use it.
  uint64_t weights = 0, saved = 0, gradient = 0;
  /// Called where ranks combine values; null: there is one rank.
  ReduceHook reduceHook = nullptr;
  void *reduceUser = nullptr;
};

/// One kernel launch that `run` made and timed.
struct LaunchRecord {
  std::string label;
  /// "" for a memset or a reduction over ranks.
  std::string kernel;
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  unsigned sharedBytes = 0;
  /// On a GPU between two events on its own clock, on the emulated device of the host.
  double milliseconds = 0;
  /// Sizes of the buffers that the launch reads and writes, each once: what it has to move at least if it needs all of them.
  uint64_t bufferBytes = 0;
};

/// What `run` does besides.
struct RunOptions {
  /// Called before each launch with its number from 0, how many there are, and its label.
  std::function<void(size_t number, size_t count, const std::string &label)> progress;
  /// Called at the end for each buffer of the plan, by index, with its contents.
  std::function<void(size_t buffer, const std::vector<uint8_t> &bytes)> inspect;
  /// Gets one record a launch; each launch is then waited for.
  std::vector<LaunchRecord> *records = nullptr;
};

/// A compiled spec, loaded on a device. Cheap to copy; thread-safe once loaded.
class FOURFOLD_API Executable {
public:
  struct Impl;
  Executable() = default;
  bool isLoaded() const { return impl != nullptr; }

  /// Checks the manifest, loads the PTX and finds every kernel.
  static Status load(const Device &device, const std::string &manifest, const std::string &ptx, Executable *executable);

  /// Compiles a spec for the device and loads it; finds it loaded, or compiled in memory or on disk, if it was compiled before. Any number
  /// of threads and processes may ask for the same at once: one compiles it. After a failure everything works as before.
  static Status compile(const Device &device, const Compiler &compiler, const Spec &spec, Executable *executable,
                        std::string *warnings = nullptr);

  const std::vector<Parameter> &inputs() const;
  const std::vector<Parameter> &outputs() const;

  /// Binds the dimensions to the shapes of the inputs, in order, and evaluates every size.
  Status bind(const std::vector<std::vector<int64_t>> &inputShapes, Binding *binding) const;
  /// Enqueues all launches. Allocates nothing, waits for nothing and changes no state of the host.
  Status launch(const Binding &binding, const LaunchBuffers &buffers) const;
  /// Enqueues the launches of one phase, by its index in `phases`. Inputs, outputs and areas that it does not use may be 0.
  Status launchPhase(const Binding &binding, size_t phase, const LaunchBuffers &buffers) const;
  /// The names of the phases; empty for a plan that is launched as a whole.
  const std::vector<std::string> &phases() const;
  /// Whether a phase reads or writes an input or output.
  bool phaseUsesInput(size_t phase, size_t input) const;
  bool phaseUsesOutput(size_t phase, size_t output) const;

  /// Copies the inputs (by name, in any order) to the device, runs, and copies the outputs back.
  Status run(const std::vector<Tensor> &inputs, std::vector<Tensor> *outputs, const RunOptions &options = {}) const;

private:
  friend class Linear;
  std::shared_ptr<const Impl> impl;
};

} // namespace fourfold

#endif // FOURFOLD_EXECUTABLE_H
