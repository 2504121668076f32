// Instructions and their operands (PTX ISA 4.3, 6).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ParserImpl.h"

#include "SpecialRegisters.h"

namespace fourfold {
namespace emulator {

void Parser::instruction() {
  Instruction result;
  result.line = current().line;
  if (accept("@")) {
    result.guardNegated = accept("!");
    std::string name = word();
    result.guard = findRegister(name);
    if (result.guard < 0)
      fail(fmt::format("predicate '{}' is not declared", name));
    result.line = current().line;
  }
  std::string full = word();
  size_t start = 0;
  for (size_t i = 0; i <= full.size(); ++i)
    if (i == full.size() || full[i] == '.') {
      std::string part = full.substr(start, i - start);
      if (start == 0)
        result.opcode = part;
      else
        result.mods.push_back(part);
      start = i + 1;
    }
  isCall = result.opcode == "call";
  if (!at(";")) {
    try {
      do
        result.operands.push_back(operand());
      while (accept(","));
    } catch (const Unsupported &error) {
      result.unsupported = error.what();
      while (current().kind != Token::End && !at(";"))
        advance();
    }
  }
  expect(";");
  function_.body.push_back(std::move(result));
}

Operand Parser::operand() {
  Nested braces(*this, "an operand");
  Operand result;
  if (accept("{")) {
    result.kind = Operand::Vector;
    do
      result.elements.push_back(operand());
    while (accept(","));
    expect("}");
    return result;
  }
  if (isCall && accept("(")) {
    result.kind = Operand::List;
    while (!accept(")")) {
      result.elements.push_back(operand());
      accept(",");
    }
    return result;
  }
  if (accept("[")) {
    result.kind = Operand::Address;
    result.elements.push_back(operand());
    if (accept(",")) { // a tensor: [map, {coordinates}]
      result.elements.push_back(operand());
      if (result.elements.back().kind != Operand::Vector || at(","))
        unsupported("an address of several parts must be [map, {coordinates}]: textures, surfaces and im2col offsets are not supported");
      expect("]");
      return result;
    }
    if (accept("+") || at("-"))
      result.value = expression();
    expect("]");
    return result;
  }
  if (startsConstant(tokens, position)) {
    result.kind = Operand::Integer;
    result.value = expression();
    return result;
  }
  if (accept("!")) {
    result = operand();
    result.negated = !result.negated;
    return result;
  }
  if (accept("~")) {
    result = operand();
    result.value = ~result.value;
    return result;
  }
  if (accept("-")) {
    result = operand();
    if (result.kind == Operand::Integer)
      result.value = static_cast<int64_t>(0 - static_cast<uint64_t>(result.value)); // the smallest is its own negative
    else if (result.kind == Operand::Float64)
      result.value = static_cast<int64_t>(static_cast<uint64_t>(result.value) ^ (uint64_t{1} << 63));
    else if (result.kind == Operand::Float32)
      result.value ^= int64_t{0x80000000};
    else
      unsupported("a minus sign before a register is not supported");
    return result;
  }
  const Token &token = current();
  switch (token.kind) {
  case Token::Float32:
  case Token::Float64:
    result.kind = token.kind == Token::Float32 ? Operand::Float32 : Operand::Float64;
    result.value = static_cast<int64_t>(token.value);
    advance();
    return result;
  case Token::Word:
    break;
  default:
    fail(fmt::format("unexpected '{}' in an operand", token.text));
  }
  result.name = word();
  result.scope = names.back().id;
  if (result.name == "_") {
    result.kind = Operand::Sink;
  } else if ((result.index = findRegister(result.name)) >= 0) {
    result.kind = Operand::Register;
  } else if (result.name[0] == '%') {
    // %r1.b0 of the video instructions: a list of the register and what is selected, which no other instruction takes.
    size_t dot = result.name.find('.');
    int whole = dot == std::string::npos ? -1 : findRegister(std::string_view(result.name).substr(0, dot));
    if (whole >= 0) {
      Operand base, selector;
      base.kind = Operand::Register;
      base.index = whole;
      base.name = result.name.substr(0, dot);
      selector.kind = Operand::Symbol;
      selector.name = result.name.substr(dot + 1);
      result.kind = Operand::List;
      result.elements = {base, selector};
      return result;
    }
    if (!isSpecialRegister(result.name))
      fail(fmt::format("register '{}' is not declared", result.name));
    result.kind = Operand::Special;
  } else {
    result.kind = Operand::Symbol;
    for (size_t i = names.size(); i-- > 0;) {
      if (auto vector = names[i].vectors.find(result.name); vector != names[i].vectors.end()) {
        std::string name = result.name;
        result.kind = Operand::Vector;
        for (int k = 0; k < vector->second; ++k) {
          Operand element;
          element.kind = Operand::Register;
          element.name = name + '.' + "xyzw"[k];
          element.index = findRegister(element.name);
          result.elements.push_back(element);
        }
        return result;
      }
      if (auto inner = names[i].moduleVariables.find(result.name); inner != names[i].moduleVariables.end()) {
        result.name = inner->second;
        break;
      }
      auto found = names[i].variables.find(result.name);
      if (found == names[i].variables.end())
        continue;
      result.kind = Operand::Variable;
      result.index = found->second;
      break;
    }
  }
  if (accept("|"))
    result.paired.push_back(operand());
  bool isSymbol = result.kind == Operand::Symbol || result.kind == Operand::Variable;
  if (isSymbol && at("+") && ahead(1).kind == Token::Integer) {
    advance();
    result.value = expression();
  }
  return result;
}

} // namespace emulator
} // namespace fourfold
