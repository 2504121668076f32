// Mutants of PTX text: one wait, barrier, predicate, bound, selector, swizzle, index or address changed at a time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_MUTATE_H
#define FOURFOLD_TESTS_MUTATION_MUTATE_H

#include <cstddef>
#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

/// A kernel's lines in the text of a module.
struct KernelText {
  std::string name;
  size_t head = 0;            // the line with `.entry`, from 0
  size_t first = 0, last = 0; // of its body, `last` not included
};

/// One line changed.
struct Mutant {
  size_t line = 0;    // from 0
  std::string kind;   // "wait", "barrier", ...
  std::string before; // the line, trimmed
  std::string after;  // what stands there instead; "" where it was deleted
};

std::vector<std::string> splitLines(const std::string &text);
std::string joinLines(const std::vector<std::string> &lines);

/// Whether mutants of the kind take away what orders accesses: they are few, and never sampled.
bool isOrder(const std::string &kind);

/// The kernels of a module as LLVM's back end and nvcc lay it out: a line with `.entry NAME(`, the body between lines `{` and `}`.
std::vector<KernelText> findKernels(const std::vector<std::string> &lines);

/// Every mutant of a kernel, in the order of its lines.
std::vector<Mutant> enumerate(const std::vector<std::string> &lines, const KernelText &kernel);

/// Those that take away order, and up to `most` of each other kind, evenly over the lines; 0: all.
std::vector<Mutant> sample(const std::vector<Mutant> &all, size_t most);

/// A module with this kernel alone; `first`: where the first line of its body is in it.
std::vector<std::string> linesOf(const std::vector<std::string> &lines, const KernelText &kernel, size_t *first);

/// The kernel's text without its name and the numbers of its labels: what is the same here is the same kernel.
std::string normalised(const std::vector<std::string> &lines, const KernelText &kernel);

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_MUTATE_H
