// Declarations of variables and their initialisers (PTX ISA 5.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ParserImpl.h"

#include <cstring>

namespace fourfold {
namespace emulator {

/// Of one variable: below it no sum of a few overflows. What a device has is checked where variables are placed.
static constexpr int64_t kMaxBytes = int64_t{1} << 40;
static constexpr uint64_t kMaxAlignment = 1 << 16;

Variable Parser::variableDeclaration(Space space) {
  Variable variable;
  variable.space = space;
  variable.line = current().line;
  int vector = 1, alignment = 0;
  bool isPointer = false;
  while (current().kind == Token::Directive) {
    std::string_view text = advance().text.substr(1);
    if (text == "align") {
      uint64_t value = current().kind == Token::Integer ? current().value : 0;
      if (value == 0 || value > kMaxAlignment || (value & (value - 1)) != 0)
        fail(fmt::format("an alignment must be a power of two up to {}, not '{}'", kMaxAlignment, current().text));
      if (!isPointer) // after .ptr it is the alignment of what is pointed to
        alignment = static_cast<int>(value);
      advance();
    } else if (text == "v2" || text == "v4") {
      vector = text[1] - '0';
    } else if (text == "ptr") {
      isPointer = true;
    } else if (text == "global" || text == "shared" || text == "const" || text == "local") {
      // attributes of pointer parameters carry no meaning here
    } else if (parseType(text) != Type::None) {
      variable.type = parseType(text);
    } else if (text == "attribute") {
      skipGroup("(", ")");
    } else if (text == "texref" || text == "samplerref" || text == "surfref") {
      variable.unsupported = fmt::format("textures and surfaces ('.{}') are not supported by the emulated device", text);
    } else {
      fail(fmt::format("attribute '.{}' of a variable is not supported", text));
    }
  }
  variable.name = word();
  int64_t count = vector;
  while (accept("[")) {
    if (accept("]")) {
      variable.isUnsized = true;
      continue;
    }
    int64_t extent = expression();
    if (extent < 0 || __builtin_mul_overflow(count, extent, &count) || count > kMaxBytes / 16)
      fail(fmt::format("array '{}' has an extent below 0, or too many elements", variable.name));
    expect("]");
  }
  int element = typeBytes(variable.type);
  variable.alignment = alignment ? alignment : element * vector;
  variable.bytes = variable.isUnsized ? 0 : count * element;
  if (accept("=")) {
    initializer(variable, element);
    if (variable.isUnsized)
      variable.bytes = static_cast<int64_t>(variable.initializer.size());
    if (static_cast<int64_t>(variable.initializer.size()) > variable.bytes)
      fail(fmt::format("variable '{}' of {} bytes has an initialiser of {}", variable.name, variable.bytes, variable.initializer.size()));
    variable.initializer.resize(static_cast<size_t>(variable.bytes));
  }
  return variable;
}

void Parser::initializer(Variable &variable, int element) {
  Nested braces(*this, "an initialiser");
  if (accept("{")) {
    if (accept("}"))
      return;
    do
      initializer(variable, element);
    while (accept(","));
    expect("}");
    return;
  }
  uint64_t bits = 0;
  bool isConstant = startsConstant(tokens, position) && !(current().kind == Token::Integer && ahead(1).text == "(");
  bool negative = !isConstant && accept("-");
  const Token &token = current();
  // 0xff00(name) is the byte of the address that the mask selects (PTX ISA 5.4.4).
  bool isMasked = token.kind == Token::Integer && ahead(1).text == "(";
  if (token.kind == Token::Word || isMasked) {
    Variable::Fixup fixup{static_cast<int64_t>(variable.initializer.size()), "", 0, false, element, 0};
    if (isMasked) {
      uint64_t mask = token.value;
      fixup.shift = mask ? __builtin_ctzll(mask) : 0;
      if (fixup.shift % 8 != 0 || mask >> fixup.shift != 0xff || element != 1)
        fail(fmt::format("the mask '{}' of an initialiser must select a byte", token.text));
      advance();
      expect("(");
    }
    fixup.generic = accept("generic");
    if (fixup.generic)
      expect("(");
    fixup.symbol = word();
    if (fixup.generic)
      expect(")");
    if (accept("+") || at("-"))
      fixup.addend = expression();
    if (isMasked)
      expect(")");
    variable.fixups.push_back(fixup);
  } else if (isConstant) {
    bits = static_cast<uint64_t>(expression());
    if (isFloat(variable.type)) { // an integer stands for the number, not for its bits
      double wide = static_cast<double>(static_cast<int64_t>(bits));
      float narrow = static_cast<float>(wide);
      bits = 0;
      if (element == 8)
        std::memcpy(&bits, &wide, 8);
      else if (element == 4)
        std::memcpy(&bits, &narrow, 4);
      else
        fail("an initialiser of 16-bit floating point must be in hexadecimal, as .b16");
    }
  } else {
    bits = token.value;
    if (token.kind == Token::Float64 && element == 4) {
      double wide;
      std::memcpy(&wide, &bits, 8);
      float narrow = static_cast<float>(wide);
      uint32_t word32;
      std::memcpy(&word32, &narrow, 4);
      bits = word32;
    } else if (token.kind != Token::Integer && token.kind != Token::Float32 && token.kind != Token::Float64) {
      fail(fmt::format("'{}' in an initialiser is not supported", token.text));
    }
    if (negative)
      bits = token.kind == Token::Integer ? 0 - bits : bits ^ (uint64_t{1} << (element * 8 - 1));
    advance();
  }
  for (int i = 0; i < element; ++i)
    variable.initializer.push_back(i < 8 ? static_cast<uint8_t>(bits >> (8 * i)) : 0);
}

int Parser::addVariable(Variable variable) {
  names.back().variables[variable.name] = static_cast<int>(function_.variables.size());
  function_.variables.push_back(std::move(variable));
  return static_cast<int>(function_.variables.size()) - 1;
}

std::vector<int> Parser::parameterList(std::vector<std::pair<int, int>> &inRegisters) {
  std::vector<int> list;
  expect("(");
  while (!accept(")")) {
    if (accept(".reg")) {
      Variable variable = variableDeclaration(Space::Param);
      if (variable.type == Type::Pred)
        function_.unsupported = fmt::format("the parameter '{}' is a predicate, which is not supported", variable.name);
      names.back().registers[variable.name] = static_cast<int>(function_.registers.size());
      function_.registers.push_back({variable.name, variable.type});
      variable.name += " in a register"; // no name of the text's
      list.push_back(addVariable(std::move(variable)));
      inRegisters.emplace_back(list.back(), static_cast<int>(function_.registers.size()) - 1);
      accept(",");
      continue;
    }
    expect(".param");
    list.push_back(addVariable(variableDeclaration(Space::Param)));
    accept(",");
  }
  return list;
}

} // namespace emulator
} // namespace fourfold
