// The linear layer for trainers: Y = X W^T forward and backward with weights, activations and gradients in 4 bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A training step of one layer:
//
//   Linear::create(device, compiler, descriptor, &layer)        once
//   layer.prepare(tokens, &plan)                                once a token count; host work, cached
//   layer.quantizeWeights(stream, t)                            after each optimizer step: w -> weights
//   layer.forward(plan, stream, t)                              x -> y, saved
//   layer.backward(plan, stream, t, accumulate)                 d, saved, weights -> dx, dw, db
//
// Memory is the caller's; `t` is a struct of device addresses. quantizeWeights, forward and the backward calls enqueue work
// on the stream and return: they allocate nothing on device or host, wait for nothing and keep no state, so that a CUDA
// graph can capture them. All random bits come from seed and offset in device memory; `advanceOffset` in the captured stream
// gives each replay new ones.
//
// Thread safety: a Linear and a LinearPlan can be used by many threads at once. Two calls that may overlap on the device need
// workspaces of their own.

#ifndef FOURFOLD_LINEAR_H
#define FOURFOLD_LINEAR_H

#include "fourfold/Compiler.h"
#include "fourfold/Executable.h"

#include <cstddef>

namespace fourfold {

/// What a layer is. Zero-initialise, then set what is wanted.
struct LinearDescriptor {
  /// sizeof(LinearDescriptor) of the caller, so that later versions can append.
  size_t structSize = sizeof(LinearDescriptor);
  /// Columns of x and of w.
  int64_t inFeatures = 0;
  /// Rows of w, columns of y.
  int64_t outFeatures = 0;
  /// A recipe by name ("averis"), or the folder of one (whatever contains a slash). Not used with a prebuilt pack.
  const char *recipe = nullptr;
  /// y = x w^T + bias, and db is written.
  bool hasBias = false;
  /// A byte a token, 0 for padding: such rows of x and d count for nothing.
  bool hasMask = false;
  /// wgrad can add to dw and db instead of writing them: for gradients accumulated over micro-batches.
  bool accumulate = false;
  /// Where several ranks hold parts of one batch's tokens: combines `count` f32 values at `address` over all ranks, in stream
  /// order. Null: one rank.
  ReduceHook reduceHook = nullptr;
  /// The hook's first argument.
  void *reduceUser = nullptr;
  /// How GPUs without FP4 tensor cores sum products: "fast", which null means too, or "faithful", to the bits of those that have them. The
  /// mode of a prebuilt pack was chosen when it was compiled: null there.
  const char *mode = nullptr;
};

/// Device addresses of a layer's tensors: row-major, contiguous, aligned to 256 bytes but for seed and offset, to 8. Each call names those it needs; others may be 0. What is needed and null, or misaligned, is an error.
struct LinearTensors {
  /// sizeof(LinearTensors) of the caller.
  size_t structSize = sizeof(LinearTensors);
  uint64_t x = 0;      ///< tokens x inFeatures, bf16
  uint64_t w = 0;      ///< outFeatures x inFeatures, bf16
  uint64_t bias = 0;   ///< outFeatures, f32
  uint64_t mask = 0;   ///< tokens, i8
  uint64_t y = 0;      ///< tokens x outFeatures, bf16; written
  uint64_t d = 0;      ///< tokens x outFeatures, bf16: the gradient of y
  uint64_t dx = 0;     ///< tokens x inFeatures, bf16; written
  uint64_t dw = 0;     ///< outFeatures x inFeatures, f32; written or added to
  uint64_t db = 0;     ///< outFeatures, f32; written or added to; hasBias only
  uint64_t seed = 0;   ///< one i64: stochastic rounding
  uint64_t offset = 0; ///< one i64: the number of this step's random bits; the same in all backward calls of a step
  /// `weightsBytes`: the quantized weight. Written by quantizeWeights, read by all others; stays valid over micro-batches.
  uint64_t weights = 0;
  /// `savedBytes`: what forward leaves for wgrad; one for each forward pass whose backward pass is outstanding.
  uint64_t saved = 0;
  /// `gradientBytes`: the quantized d, from prepareGradient to dgrad and wgrad.
  uint64_t gradient = 0;
  /// `workspaceBytes`: scratch within one call; layers on one stream can share it.
  uint64_t workspace = 0;
};

/// A layer for one token count: every size and kernel chosen. Made by `Linear::prepare`. Cheap to copy.
class FOURFOLD_API LinearPlan {
public:
  struct Impl;
  int64_t tokens() const;
  /// Bytes of the caller's memory, each area aligned to 256; 0 where none is needed.
  uint64_t weightsBytes() const;
  uint64_t savedBytes() const;
  uint64_t gradientBytes() const;
  uint64_t workspaceBytes() const;
  /// For comparison with savedBytes: what a layer in bf16 keeps, tokens * inFeatures * 2.
  uint64_t activationBytesBF16() const;
  /// Whether a call reads the unquantized tensor: if not, its memory can be reused once it is quantized.
  bool forwardReadsW() const;
  bool backwardReadsX() const;
  bool backwardReadsW() const;

private:
  friend class Linear;
  std::shared_ptr<const Impl> impl;
};

/// A linear layer, compiled and loaded on a device. Cheap to copy.
class FOURFOLD_API Linear {
public:
  struct Impl;

  /// Links the recipe's passes, compiles them for the device and loads them. Layers of one recipe and the same options share
  /// their kernels. NotFound: no such recipe; CompileError: its specs were rejected.
  static Status create(const Device &device, const Compiler &compiler, const LinearDescriptor &descriptor,
                       Linear *linear);
  /// From a manifest and PTX compiled before, with the same options; what does not fit is an InvalidArgument.
  static Status create(const Device &device, const CompiledSpec &pack, const LinearDescriptor &descriptor,
                       Linear *linear);

  /// All sizes for a token count, 1 or more. Host work only; cached.
  Status prepare(int64_t tokens, LinearPlan *plan) const;
  /// As LinearPlan::weightsBytes, which no token count changes.
  uint64_t weightsBytes() const;

  /// w [, seed, offset] -> weights. Needs areas of all sizes that are not 0, as all calls below; seed and offset for recipes
  /// that round weights stochastically.
  Status quantizeWeights(void *stream, const LinearTensors &tensors) const;
  /// x, weights [, bias, mask, seed, offset] -> y, saved. Needs also w if `forwardReadsW`.
  Status forward(const LinearPlan &plan, void *stream, const LinearTensors &tensors) const;
  /// d [, mask, seed, offset] -> gradient [, db]: quantizes d once for both products. db is the sum of d's columns: recipes that
  /// need it for more than the bias compute it here already.
  Status prepareGradient(const LinearPlan &plan, void *stream, const LinearTensors &tensors) const;
  /// gradient, weights -> dx. Needs also d or w if the recipe reads them.
  Status dgrad(const LinearPlan &plan, void *stream, const LinearTensors &tensors) const;
  /// gradient, saved -> dw [, db]. Needs also d or x if the recipe reads them. With `accumulate` (a descriptor's, too) adds
  /// to dw and db.
  Status wgrad(const LinearPlan &plan, void *stream, const LinearTensors &tensors, bool accumulate = false) const;
  /// The three above.
  Status backward(const LinearPlan &plan, void *stream, const LinearTensors &tensors, bool accumulate = false) const;

  /// Adds `by` to the 64-bit number at `offset` in stream order, modulo 2^64.
  Status advanceOffset(void *stream, uint64_t offset, uint64_t by = 1) const;

  const LinearDescriptor &descriptor() const;
  const Device &device() const;

private:
  std::shared_ptr<const Impl> impl;
};

} // namespace fourfold

#endif // FOURFOLD_LINEAR_H
