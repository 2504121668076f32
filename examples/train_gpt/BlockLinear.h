// The linear layer of a transformer block, behind which recipes and devices stand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_BLOCKLINEAR_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_BLOCKLINEAR_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace traingpt {

/// Sees what the linear layers get: activations ("x") and gradients ("dy"), bf16, rows x columns, row-major.
class LinearObserver {
public:
  virtual ~LinearObserver() = default;
  virtual void observe(const std::string &layer, const char *what, const uint16_t *values, int64_t rows,
                       int64_t columns) = 0;
};

/// y = x W^T for W of out x in. The model sees floats; what precision an implementation keeps is its own matter.
class BlockLinear {
public:
  BlockLinear(std::string name, int64_t out, int64_t in) : name(std::move(name)), out(out), in(in) {}
  virtual ~BlockLinear() = default;

  /// Takes the fp32 masters, out x in; called once an optimizer step.
  virtual void setWeights(const float *masters) = 0;
  /// y[tokens x out] for x[tokens x in]; keeps what backward needs until the next forward.
  virtual void forward(const float *x, float *y, int64_t tokens) = 0;
  /// dx[tokens x in] is written and dw[out x in] added to, for the last forward. dx may be null where nobody needs it.
  virtual void backward(const float *dy, float *dx, float *dw) = 0;

  /// Random numbers of the next setWeights, forward and backward come from this offset: a function of step and micro-batch, so that a resumed
  /// run draws the same.
  void setRandomOffset(uint64_t offset) { randomOffset = offset; }
  void setObserver(LinearObserver *newObserver) { observer = newObserver; }

  const std::string name;
  const int64_t out, in;

protected:
  uint64_t randomOffset = 0;
  LinearObserver *observer = nullptr;
};

/// A linear layer of bf16 operands and results: rounds at the border and leaves the products to the functions below.
class BF16Linear : public BlockLinear {
public:
  using BlockLinear::BlockLinear;
  void setWeights(const float *masters) final;
  void forward(const float *x, float *y, int64_t tokens) final;
  void backward(const float *dy, float *dx, float *dw) final;

protected:
  virtual void setWeightsBF16(const uint16_t *weights) = 0;
  virtual void forwardBF16(const uint16_t *x, uint16_t *y, int64_t tokens) = 0;
  /// `x` is that of the last forward.
  virtual void backwardBF16(const uint16_t *x, const uint16_t *dy, int64_t tokens, uint16_t *dx, float *dw) = 0;

private:
  int64_t tokens = 0;
  std::vector<uint16_t> savedX, result, incoming;
};

/// Makes the linear layers of a model.
class LinearFactory {
public:
  virtual ~LinearFactory() = default;
  virtual std::unique_ptr<BlockLinear> create(const std::string &name, int64_t out, int64_t in) = 0;
  /// The recipe and device in words, for the log.
  virtual std::string description() const = 0;
};

/// The layers of a recipe on a device. "blas" knows "bf16" and "fp32" (no rounding); "host" and the devices of the runtime ("cuda:N",
/// "emulated:TARGET") know recipes by name or folder; "auto" is blas for those two, else a GPU or the host. `seed` keys stochastic rounding. Throws
/// std::runtime_error that says what there is.
std::unique_ptr<LinearFactory> makeLinearFactory(const std::string &recipe, const std::string &device, uint64_t seed);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_BLOCKLINEAR_H
