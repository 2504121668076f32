// A trained tensor: value, gradient and the optimizer's moments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_PARAMETER_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_PARAMETER_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace traingpt {

struct Parameter {
  std::string name;
  int64_t rows, columns;
  bool decays; ///< false for embeddings and norms
  std::vector<float> value, grad, m, v;

  Parameter(std::string name, int64_t rows, int64_t columns, bool decays)
      : name(std::move(name)), rows(rows), columns(columns), decays(decays), value(size()), grad(size()), m(size()),
        v(size()) {}
  size_t size() const { return static_cast<size_t>(rows * columns); }
};

/// Parameters in the order of their creation, which is also that of the checkpoint.
using ParameterList = std::vector<std::unique_ptr<Parameter>>;

inline Parameter &addParameter(ParameterList &list, std::string name, int64_t rows, int64_t columns, bool decays) {
  list.push_back(std::make_unique<Parameter>(std::move(name), rows, columns, decays));
  return *list.back();
}

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_PARAMETER_H
