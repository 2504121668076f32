// Inputs that mutants are run on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_INPUTS_H
#define FOURFOLD_TESTS_MUTATION_INPUTS_H

#include "fourfold/Fourfold.h"

#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

/// Where an input has values that decide something.
struct Special {
  enum Kind {
    Anywhere,       // the largest value, which decides the scale of a tensor: a kernel that leaves out its place is found out
    Last,           // the largest value in the last place
    Place,          // the largest value in a row and column that the number says
    Corner,         // in the last place a value so large that it decides a sum of 16 as well
    Column,         // a column of large values, which decides about the mean; -1: the last
    Infinities,     // one in each column and row up to 32, of one input only
    LateInfinities, // in rows from 64
    Ties,           // values half-way between those of four bits, where the scales are 1; of an even number of rows the means are 0
    ScaleTies,      // magnitudes of blocks whose last bit decides between two block scales; the number says where
    Far             // a NaN in a row of the second tile of scales, which the first must not see
  };
  Kind kind = Anywhere;
  int64_t number = 0;
};

/// One run of a plan.
struct Trial {
  std::vector<int64_t> dims;
  Special special;
};

/// Shapes, full tiles and ragged ones, for a plan of so many inputs. `when` is the condition of the kernel that the plan was reduced to.
std::vector<Trial> makeTrials(size_t inputs, const std::string &when);

/// Values with a mean, so that centring, amaxes and scales all matter.
Tensor makeInput(const Parameter &parameter, const Trial &trial, size_t input);

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_INPUTS_H
