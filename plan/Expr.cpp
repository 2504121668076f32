// Integer expressions: folding, evaluation, text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/Expr.h"

#include <algorithm>
#include <cctype>

namespace fourfold {
namespace plan {

struct Expr::Node {
  Kind kind;
  int64_t value = 0;
  Expr lhs, rhs;

  Node(Kind kind, int64_t value) : kind(kind), value(value), lhs(Empty()), rhs(Empty()) {}
  Node(Kind kind, Expr lhs, Expr rhs) : kind(kind), lhs(std::move(lhs)), rhs(std::move(rhs)) {}
};

Expr::Expr() : Expr(int64_t{0}) {}
Expr::Expr(int64_t value) : node(std::make_shared<const Node>(Kind::Constant, value)) {}

Expr Expr::dim(int index) {
  Expr result{Empty()};
  result.node = std::make_shared<const Node>(Kind::Dim, index);
  return result;
}

Expr::Kind Expr::kind() const { return node->kind; }
int64_t Expr::value() const { return node->value; }

//===----------------------------------------------------------------------===//
// Meaning
//===----------------------------------------------------------------------===//

/// Applies one operator. Returns false on division by zero or overflow.
static bool apply(Expr::Kind kind, int64_t lhs, int64_t rhs, int64_t *result) {
  using Kind = Expr::Kind;
  switch (kind) {
  case Kind::Add:
    return !__builtin_add_overflow(lhs, rhs, result);
  case Kind::Sub:
    return !__builtin_sub_overflow(lhs, rhs, result);
  case Kind::Mul:
    return !__builtin_mul_overflow(lhs, rhs, result);
  case Kind::CeilDiv:
  case Kind::FloorDiv:
  case Kind::Mod: {
    // Sizes are not negative: divisors must be positive, and rounding is defined for negative dividends all the same.
    if (rhs <= 0)
      return false;
    int64_t remainder = lhs % rhs, quotient = lhs / rhs;
    if (remainder < 0) {
      remainder += rhs;
      --quotient;
    }
    *result = kind == Kind::Mod ? remainder : quotient + (kind == Kind::CeilDiv && remainder != 0);
    return true;
  }
  case Kind::Min:
    *result = std::min(lhs, rhs);
    return true;
  case Kind::Max:
    *result = std::max(lhs, rhs);
    return true;
  case Kind::Less:
    *result = lhs < rhs;
    return true;
  case Kind::LessEqual:
    *result = lhs <= rhs;
    return true;
  case Kind::Equal:
    *result = lhs == rhs;
    return true;
  case Kind::And:
    *result = lhs != 0 && rhs != 0;
    return true;
  case Kind::Or:
    *result = lhs != 0 || rhs != 0;
    return true;
  case Kind::Constant:
  case Kind::Dim:
    break;
  }
  return false;
}

Expr Expr::binary(Kind kind, Expr lhs, Expr rhs) {
  int64_t folded;
  if (lhs.isConstant() && rhs.isConstant() && apply(kind, lhs.value(), rhs.value(), &folded))
    return folded;
  bool zeroRight = rhs.isConstant() && rhs.value() == 0, oneRight = rhs.isConstant() && rhs.value() == 1;
  bool zeroLeft = lhs.isConstant() && lhs.value() == 0, oneLeft = lhs.isConstant() && lhs.value() == 1;
  if (kind == Kind::Add && zeroLeft)
    return rhs;
  if ((kind == Kind::Add || kind == Kind::Sub) && zeroRight)
    return lhs;
  if (kind == Kind::Mul && oneLeft)
    return rhs;
  if ((kind == Kind::Mul || kind == Kind::CeilDiv || kind == Kind::FloorDiv) && oneRight)
    return lhs;
  Expr result{Empty()};
  result.node = std::make_shared<const Node>(kind, std::move(lhs), std::move(rhs));
  return result;
}

int64_t Expr::evaluate(const std::vector<int64_t> &dims, std::string *error) const {
  if (node->kind == Kind::Constant)
    return node->value;
  if (node->kind == Kind::Dim) {
    if (node->value < static_cast<int64_t>(dims.size()))
      return dims[static_cast<size_t>(node->value)];
    *error = "dimension d" + std::to_string(node->value) + " is not bound";
    return 0;
  }
  int64_t lhs = node->lhs.evaluate(dims, error), rhs = node->rhs.evaluate(dims, error);
  if (!error->empty())
    return 0;
  int64_t result = 0;
  if (apply(node->kind, lhs, rhs, &result))
    return result;
  *error = "cannot evaluate '" + str() + "' for " + std::to_string(lhs) + " and " + std::to_string(rhs) +
           ": overflow, or a divisor that is not positive";
  return 0;
}

int Expr::numDims() const {
  if (node->kind == Kind::Constant)
    return 0;
  if (node->kind == Kind::Dim)
    return static_cast<int>(node->value) + 1;
  return std::max(node->lhs.numDims(), node->rhs.numDims());
}

bool Expr::operator==(const Expr &other) const {
  if (node == other.node)
    return true;
  if (node->kind != other.node->kind || node->value != other.node->value)
    return false;
  return node->kind == Kind::Constant || node->kind == Kind::Dim ||
         (node->lhs == other.node->lhs && node->rhs == other.node->rhs);
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

namespace {

struct FunctionName {
  Expr::Kind kind;
  const char *name;
};

constexpr FunctionName kFunctions[] = {
    {Expr::Kind::CeilDiv, "ceildiv"}, {Expr::Kind::FloorDiv, "floordiv"}, {Expr::Kind::Mod, "mod"},
    {Expr::Kind::Min, "min"},         {Expr::Kind::Max, "max"},           {Expr::Kind::Less, "lt"},
    {Expr::Kind::LessEqual, "le"},    {Expr::Kind::Equal, "eq"},          {Expr::Kind::And, "and"},
    {Expr::Kind::Or, "or"},
};

/// How tightly an expression binds: sums 1, products 2, everything else 3.
int precedence(Expr::Kind kind) {
  if (kind == Expr::Kind::Add || kind == Expr::Kind::Sub)
    return 1;
  return kind == Expr::Kind::Mul ? 2 : 3;
}

} // namespace

std::string Expr::str() const {
  switch (node->kind) {
  case Kind::Constant:
    return std::to_string(node->value);
  case Kind::Dim:
    return "d" + std::to_string(node->value);
  case Kind::Add:
  case Kind::Sub:
  case Kind::Mul: {
    int mine = precedence(node->kind);
    auto operand = [](const Expr &expr, int atLeast) {
      return precedence(expr.kind()) < atLeast ? "(" + expr.str() + ")" : expr.str();
    };
    const char *symbol = node->kind == Kind::Add ? " + " : node->kind == Kind::Sub ? " - " : " * ";
    // Operators associate to the left, and the tree is kept as it is.
    return operand(node->lhs, mine) + symbol + operand(node->rhs, mine + 1);
  }
  default:
    for (const FunctionName &function : kFunctions)
      if (function.kind == node->kind)
        return std::string(function.name) + "(" + node->lhs.str() + ", " + node->rhs.str() + ")";
    return "?";
  }
}

namespace {

/// Recursive descent over sums, products and calls, bounded in depth so that no text can exhaust the stack.
class ExprParser {
public:
  ExprParser(const std::string &text, std::string *error) : text(text), error(error) {}

  Expr parseAll() {
    Expr result = parseSum(0);
    skipSpace();
    if (error->empty() && position != text.size())
      fail("expected the end");
    return error->empty() ? result : Expr();
  }

private:
  static constexpr int kMaxDepth = 200;

  void fail(const std::string &expected) {
    if (error->empty())
      *error = "in expression '" + text + "' at position " + std::to_string(position) + ": " + expected;
  }
  void skipSpace() {
    while (position < text.size() && text[position] == ' ')
      ++position;
  }
  bool take(char c) {
    skipSpace();
    if (position >= text.size() || text[position] != c)
      return false;
    ++position;
    return true;
  }

  Expr parseSum(int depth) {
    Expr result = parseProduct(depth);
    while (error->empty()) {
      if (take('+'))
        result = result + parseProduct(depth);
      else if (take('-'))
        result = result - parseProduct(depth);
      else
        break;
    }
    return result;
  }

  Expr parseProduct(int depth) {
    Expr result = parseAtom(depth);
    while (error->empty() && take('*'))
      result = result * parseAtom(depth);
    return result;
  }

  bool parseNumber(int64_t *value) {
    size_t start = position;
    *value = 0;
    while (position < text.size() && std::isdigit(static_cast<unsigned char>(text[position])))
      if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, text[position++] - '0', value)) {
        fail("expected a number of at most 64 bits");
        return false;
      }
    return position != start;
  }

  Expr parseAtom(int depth) {
    if (depth > kMaxDepth) {
      fail("expected fewer nested parentheses");
      return {};
    }
    if (take('(')) {
      Expr inner = parseSum(depth + 1);
      if (!take(')'))
        fail("expected ')'");
      return inner;
    }
    bool negative = take('-');
    skipSpace();
    int64_t value;
    if (parseNumber(&value))
      return negative ? -value : value;
    if (negative) {
      fail("expected a number after '-'");
      return {};
    }
    size_t start = position;
    while (position < text.size() && std::isalpha(static_cast<unsigned char>(text[position])))
      ++position;
    std::string word = text.substr(start, position - start);
    if (word == "d") {
      if (parseNumber(&value) && value < 64)
        return Expr::dim(static_cast<int>(value));
      fail("expected a dimension d0 to d63");
      return {};
    }
    for (const FunctionName &function : kFunctions)
      if (word == function.name)
        return parseCall(function.kind, depth);
    position = start;
    fail("expected a number, a dimension or a function");
    return {};
  }

  Expr parseCall(Expr::Kind kind, int depth) {
    if (!take('('))
      fail("expected '('");
    Expr lhs = parseSum(depth + 1);
    if (!take(','))
      fail("expected ','");
    Expr rhs = parseSum(depth + 1);
    if (!take(')'))
      fail("expected ')'");
    return error->empty() ? Expr::binary(kind, lhs, rhs) : Expr();
  }

  const std::string &text;
  std::string *error;
  size_t position = 0;
};

} // namespace

Expr Expr::parse(const std::string &text, std::string *error) {
  error->clear();
  return ExprParser(text, error).parseAll();
}

} // namespace plan
} // namespace fourfold
