// Texts that LLVM's parser would follow to the end of the stack.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

#include <optional>
#include <string>

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

// Specs have less than 20. A level takes the parser some kilobytes.
constexpr size_t kMaxDepth = 128;
// Chains of operators are followed by recursion as well. No operation of a spec takes an affine map.
constexpr size_t kMaxAffine = 1024;

struct Bracket {
  char open;
  size_t at;
  bool isAffine;
};

struct Problem {
  size_t at;
  std::string message;
};

bool isAffineName(llvm::StringRef before) {
  before = before.rtrim();
  return before.ends_with("affine_map") || before.ends_with("affine_set");
}

std::optional<Problem> tooLong(const Bracket &bracket, size_t end) {
  if (!bracket.isAffine || end - bracket.at <= kMaxAffine)
    return std::nullopt;
  return Problem{bracket.at, "expects affine maps and sets of at most " + std::to_string(kMaxAffine) + " characters"};
}

std::optional<Problem> findProblem(llvm::StringRef text) {
  llvm::SmallVector<Bracket> open;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') { // a string ends with its line
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
    } else if (c == '/' && text.substr(i).starts_with("//")) {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '(' || c == '[' || c == '{' || (c == '<' && !text.substr(i).starts_with("<="))) {
      if (open.size() == kMaxDepth)
        return Problem{i, "expects brackets to be nested at most " + std::to_string(kMaxDepth) + " deep"};
      open.push_back({c, i, c == '<' && isAffineName(text.take_front(i))});
    } else if (c == '>') {
      bool isArrow = i > 0 && text[i - 1] == '-', isComparison = text.substr(i).starts_with(">=");
      if (isArrow || isComparison || open.empty() || open.back().open != '<')
        continue;
      if (std::optional<Problem> problem = tooLong(open.back(), i))
        return problem;
      open.pop_back();
    } else if (c == ')' || c == ']' || c == '}') {
      char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
      // What is left open inside is the parser's to complain of.
      if (llvm::none_of(open, [&](const Bracket &bracket) { return bracket.open == wanted; }))
        continue;
      Bracket closed;
      do {
        closed = open.pop_back_val();
        if (std::optional<Problem> problem = tooLong(closed, i))
          return problem;
      } while (closed.open != wanted);
    }
  }
  for (const Bracket &bracket : open)
    if (std::optional<Problem> problem = tooLong(bracket, text.size()))
      return problem;
  return std::nullopt;
}

} // namespace

LogicalResult checkNesting(llvm::StringRef text, llvm::StringRef fileName, MLIRContext &context) {
  std::optional<Problem> problem = findProblem(text);
  if (!problem)
    return success();
  llvm::StringRef before = text.take_front(problem->at);
  size_t line = before.count('\n') + 1, column = problem->at - (before.rfind('\n') + 1) + 1;
  return emitError(FileLineColLoc::get(&context, fileName, static_cast<unsigned>(line), static_cast<unsigned>(column))) << problem->message;
}

} // namespace compiler
} // namespace fourfold
