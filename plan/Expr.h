// Integer functions of a spec's dynamic dimensions: sizes, grids, conditions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_PLAN_EXPR_H
#define FOURFOLD_PLAN_EXPR_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fourfold {
namespace plan {

/// An immutable integer expression over dimensions `d0, d1, ...`. Its text form is what the manifest stores:
/// `ceildiv(d0, 128) * 512`. Comparisons give 0 or 1. Cheap to copy.
class Expr {
public:
  enum class Kind { Constant, Dim, Add, Sub, Mul, CeilDiv, FloorDiv, Mod, Min, Max, Less, LessEqual, Equal, And, Or };

  /// The constant 0.
  Expr();
  /// A constant; implicit, so that `dim * 512` reads well.
  Expr(int64_t value); // NOLINT(google-explicit-constructor)
  /// Dimension `index`.
  static Expr dim(int index);
  /// Applies a binary operator; folds constants and neutral elements.
  static Expr binary(Kind kind, Expr lhs, Expr rhs);

  Kind kind() const;
  bool isConstant() const { return kind() == Kind::Constant; }
  /// The value of a constant or the index of a dimension.
  int64_t value() const;

  /// Evaluates with the given dimensions. Sets `*error` and returns 0 on division by zero, 64-bit overflow or an unbound dimension.
  int64_t evaluate(const std::vector<int64_t> &dims, std::string *error) const;
  /// One more than the largest dimension index used, 0 if none.
  int numDims() const;
  /// Text with the fewest parentheses; `parse(str())` gives an equal expression.
  std::string str() const;
  /// Parses the text form. On bad text sets `*error` (position and what was expected) and returns the constant 0.
  static Expr parse(const std::string &text, std::string *error);

  bool operator==(const Expr &other) const;

private:
  struct Node;
  struct Empty {};
  explicit Expr(Empty) {}

  std::shared_ptr<const Node> node;
};

inline Expr operator+(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::Add, lhs, rhs); }
inline Expr operator-(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::Sub, lhs, rhs); }
inline Expr operator*(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::Mul, lhs, rhs); }
inline Expr ceilDiv(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::CeilDiv, lhs, rhs); }
inline Expr floorDiv(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::FloorDiv, lhs, rhs); }
inline Expr mod(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::Mod, lhs, rhs); }
inline Expr min(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::Min, lhs, rhs); }
inline Expr max(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::Max, lhs, rhs); }
inline Expr lessEqual(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::LessEqual, lhs, rhs); }
inline Expr both(const Expr &lhs, const Expr &rhs) { return Expr::binary(Expr::Kind::And, lhs, rhs); }

} // namespace plan
} // namespace fourfold

#endif // FOURFOLD_PLAN_EXPR_H
