// What the C interfaces of specs and host programs share: descriptors and tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_C_CSPEC_H
#define FOURFOLD_RUNTIME_C_CSPEC_H

#include "fourfold/Compiler.h"
#include "fourfold/c/spec.h"

#include <vector>

struct FourfoldTensors {
  std::vector<fourfold::Tensor> tensors;
};

namespace fourfold {
namespace c {

/// Reads a descriptor of this or an earlier version.
Status readSpec(const FourfoldSpecDescriptor *descriptor, Spec *spec);

/// Name, type, shape and memory of a caller's tensor; `what` is "input" or "output".
struct TensorView {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  void *data = nullptr;
  uint64_t bytes = 0;
};
Status readTensors(const FourfoldTensor *tensors, size_t count, const char *what, std::vector<TensorView> *views);
/// The same, copied.
Status copyTensors(const FourfoldTensor *tensors, size_t count, std::vector<Tensor> *copies);

} // namespace c
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_C_CSPEC_H
