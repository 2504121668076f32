// Constant expressions of integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ConstantExpression.h"

#include "Ast.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>

namespace fourfold {
namespace emulator {

namespace {

/// Deeper than any that a program has; the stack ends somewhere.
constexpr int kMaxDepth = 200;

/// The binary operators by how tightly they bind (PTX ISA 4.5.4, table of precedence), longest first where one begins another.
struct Binary {
  std::string_view text;
  int precedence;
};
constexpr Binary kBinaries[] = {{"<<", 8}, {">>", 8}, {"<=", 7}, {">=", 7}, {"==", 6}, {"!=", 6}, {"&&", 2}, {"||", 1}, {"*", 10},
                                {"/", 10}, {"%", 10}, {"+", 9},  {"-", 9},  {"<", 7},  {">", 7},  {"&", 5},  {"^", 4},  {"|", 3}};

/// Literals are signed, unless they have a U or do not fit; what an unsigned operand is part of is unsigned (PTX ISA 4.5.5).
struct Value {
  uint64_t bits;
  bool isUnsigned;
  int64_t asSigned() const { return static_cast<int64_t>(bits); }
};

class Evaluator {
public:
  Evaluator(const std::vector<Token> &tokens, size_t &position) : tokens(tokens), position(position) {}

  Value conditional() {
    Value condition = binary(1);
    if (!accept("?"))
      return condition;
    if (++depth > kMaxDepth)
      fail("an expression is nested too deeply");
    Value first = conditional();
    if (!accept(":"))
      fail("expects ':' of a conditional expression");
    Value second = conditional();
    --depth;
    bool isUnsigned = first.isUnsigned || second.isUnsigned;
    return {condition.bits ? first.bits : second.bits, isUnsigned};
  }

private:
  const Token &at(size_t ahead) const { return tokens[std::min(position + ahead, tokens.size() - 1)]; }
  bool isPunct(size_t ahead, std::string_view text) const { return at(ahead).kind == Token::Punct && at(ahead).text == text; }
  bool accept(std::string_view text) {
    if (!isPunct(0, text))
      return false;
    ++position;
    return true;
  }
  [[noreturn]] void fail(const std::string &message) const { throw LoadError(at(0).line, message); }

  /// The operator at the position; the lexer gives single characters.
  const Binary *operatorHere() const {
    for (const Binary &candidate : kBinaries) {
      if (!isPunct(0, candidate.text.substr(0, 1)))
        continue;
      if (candidate.text.size() == 1 || (isPunct(1, candidate.text.substr(1)) && !at(1).spaceBefore))
        return &candidate;
    }
    return nullptr;
  }

  Value binary(int lowest) {
    if (++depth > kMaxDepth)
      fail("an expression is nested too deeply");
    Value left = unary();
    for (;;) {
      const Binary *op = operatorHere();
      if (!op || op->precedence < lowest)
        break;
      position += op->text.size();
      left = apply(op->text, left, binary(op->precedence + 1));
    }
    --depth;
    return left;
  }

  Value apply(std::string_view op, Value a, Value b) {
    bool isUnsigned = a.isUnsigned || b.isUnsigned;
    auto truth = [](bool value) { return Value{value, false}; };
    if (op == "<<" || op == ">>") { // of the type of the left operand
      if (b.bits > 63)
        return {op == ">>" && !a.isUnsigned && a.asSigned() < 0 ? ~uint64_t{0} : 0, a.isUnsigned};
      if (op == "<<")
        return {a.bits << b.bits, a.isUnsigned};
      return {a.isUnsigned ? a.bits >> b.bits : static_cast<uint64_t>(a.asSigned() >> b.bits), a.isUnsigned};
    }
    if (op == "/" || op == "%") {
      if (b.bits == 0)
        fail("a constant expression divides by 0");
      if (!isUnsigned && b.asSigned() == -1) // the smallest has no negative
        return {op == "/" ? 0 - a.bits : 0, false};
      if (isUnsigned)
        return {op == "/" ? a.bits / b.bits : a.bits % b.bits, true};
      return {static_cast<uint64_t>(op == "/" ? a.asSigned() / b.asSigned() : a.asSigned() % b.asSigned()), false};
    }
    bool less = isUnsigned ? a.bits < b.bits : a.asSigned() < b.asSigned(), equal = a.bits == b.bits;
    if (op == "<")
      return truth(less);
    if (op == ">")
      return truth(!less && !equal);
    if (op == "<=")
      return truth(less || equal);
    if (op == ">=")
      return truth(!less);
    if (op == "==")
      return truth(equal);
    if (op == "!=")
      return truth(!equal);
    if (op == "&&")
      return truth(a.bits && b.bits);
    if (op == "||")
      return truth(a.bits || b.bits);
    uint64_t bits = op == "*"   ? a.bits * b.bits
                    : op == "+" ? a.bits + b.bits
                    : op == "-" ? a.bits - b.bits
                    : op == "&" ? a.bits & b.bits
                    : op == "^" ? a.bits ^ b.bits
                                : a.bits | b.bits;
    return {bits, isUnsigned};
  }

  Value unary() {
    if (++depth > kMaxDepth)
      fail("an expression is nested too deeply");
    Value result = primary();
    --depth;
    return result;
  }

  Value primary() {
    if (accept("-")) {
      Value value = unary();
      return {0 - value.bits, value.isUnsigned};
    }
    if (accept("+"))
      return unary();
    if (accept("~")) {
      Value value = unary();
      return {~value.bits, value.isUnsigned};
    }
    if (accept("!"))
      return {!unary().bits, false};
    if (isPunct(0, "(") && at(1).kind == Token::Directive && isPunct(2, ")")) {
      bool isUnsigned = at(1).text == ".u64";
      if (!isUnsigned && at(1).text != ".s64")
        fail("a constant expression is cast to .s64 or .u64");
      position += 3;
      return {unary().bits, isUnsigned};
    }
    if (accept("(")) {
      Value value = conditional();
      if (!accept(")"))
        fail("a bracket of a constant expression is not closed");
      return value;
    }
    const Token &token = at(0);
    if (token.kind == Token::Word && token.text == "WARP_SZ") { // PTX ISA 4.4
      ++position;
      return {32, false};
    }
    if (token.kind != Token::Integer)
      fail(fmt::format("expects an integer but finds '{}'", token.kind == Token::End ? "the end of the text" : token.text));
    ++position;
    return {token.value, token.text.back() == 'U' || token.value >> 63 != 0};
  }

  const std::vector<Token> &tokens;
  size_t &position;
  int depth = 0;
};

} // namespace

bool startsConstant(const std::vector<Token> &tokens, size_t position) {
  for (; position < tokens.size(); ++position) {
    const Token &token = tokens[position];
    if (token.kind == Token::Integer || (token.kind == Token::Word && token.text == "WARP_SZ"))
      return true;
    if (token.kind == Token::Directive) { // a cast
      if (token.text != ".s64" && token.text != ".u64")
        return false;
      continue;
    }
    if (token.kind != Token::Punct || std::string_view("+-~!()").find(token.text[0]) == std::string_view::npos)
      return false;
  }
  return false;
}

int64_t parseConstant(const std::vector<Token> &tokens, size_t &position) {
  return Evaluator(tokens, position).conditional().asSigned();
}

} // namespace emulator
} // namespace fourfold
