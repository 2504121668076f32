// Names of kernels, and grids that several launches share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/PlanNames.h"

#include "compiler/kernels/Quantize.h"
#include "compiler/kernels/QuantizeTile.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

using plan::Expr;

std::string typeName(Type type) {
  std::string name;
  llvm::raw_string_ostream(name) << type;
  return name;
}

std::string identifier(llvm::StringRef name) {
  std::string result = name.str();
  for (char &c : result)
    if (!llvm::isAlnum(c))
      c = '_';
  return result;
}

SmallVector<int> signsOf(fp4::HadamardOp hadamard) {
  return hadamard ? SmallVector<int>(hadamard.getSigns()) : SmallVector<int>();
}

std::string signsName(llvm::ArrayRef<int> signs) {
  if (signs.empty())
    return "";
  uint32_t bits = 0;
  for (auto [i, sign] : llvm::enumerate(signs))
    bits |= sign < 0 ? 1u << i : 0u;
  return "_hadamard" + llvm::utohexstr(bits, /*LowerCase=*/true);
}

Expr sixteenGrid(llvm::ArrayRef<Expr> extents) {
  return plan::ceilDiv(extents[0] * plan::ceilDiv(extents[1], 16), kRowThreads);
}

std::array<Expr, 3> tileGrid(llvm::ArrayRef<Expr> extents) {
  return {plan::ceilDiv(extents[1], 2 * kQuantizeTileColumns) * 2, plan::ceilDiv(extents[0], kQuantizeTileRows), 1};
}

} // namespace compiler
} // namespace fourfold
