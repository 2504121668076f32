// PTX modules: directives of the module, and what stands between them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ParserImpl.h"

#include "RegisterParameters.h"

namespace fourfold {
namespace emulator {

ModuleAst Parser::run() {
  while (current().kind != Token::End)
    topLevel();
  passRegisters(module);
  resolveAliases();
  if (module.target.empty())
    throw LoadError(1, "the module has no .target directive");
  return std::move(module);
}

void Parser::skipLine() {
  int line = current().line;
  while (current().kind != Token::End && current().line == line)
    advance();
}

void Parser::skipPragma() {
  expect(".pragma");
  do {
    if (current().kind != Token::String)
      fail(fmt::format("expects a string after .pragma but finds '{}'", current().text));
    advance();
  } while (accept(","));
  accept(";");
}

void Parser::skipLocation() {
  advance();
  while (current().kind == Token::Integer || current().kind == Token::String)
    advance();
  while (accept(",")) {
    if (at("function_name") || at("inlined_at")) {
      bool isName = at("function_name");
      advance();
      if (isName)
        advance();
      if (isName && accept("+"))
        advance();
    }
    while (current().kind == Token::Integer)
      advance();
  }
}

void Parser::skipGroup(std::string_view open, std::string_view close) {
  expect(open);
  for (int depth = 1; depth > 0; advance()) {
    if (current().kind == Token::End)
      fail(fmt::format("a '{}' is not closed", open));
    depth += at(open) ? 1 : at(close) ? -1 : 0;
  }
}

void Parser::topLevel() {
  if (accept(".version")) {
    // "8.7" is lexed as a float; its text is what counts.
    std::string text(advance().text);
    if (std::sscanf(text.c_str(), "%d.%d", &module.versionMajor, &module.versionMinor) != 2)
      fail(fmt::format("malformed .version '{}'", text));
  } else if (accept(".target")) {
    module.target = word();
    while (accept(","))
      word();
  } else if (accept(".address_size")) {
    module.addressSize = static_cast<int>(integer());
    if (module.addressSize != 64)
      fail("only .address_size 64 is supported");
  } else if (at(".file") || at(".loc")) {
    skipLocation();
  } else if (at(".pragma")) {
    skipPragma();
  } else if (accept(".section")) {
    advance();
    skipGroup("{", "}");
  } else if (at(".b8") || at(".b16") || at(".b32") || at(".b64")) {
    skipLine(); // loose DWARF data
  } else if (accept(".alias")) { // PTX ISA 11.6.6
    int line = current().line;
    std::string name = word();
    expect(",");
    aliases.push_back({name, word(), line});
    expect(";");
  } else if (accept(";")) {
    return;
  } else {
    declaration();
  }
}

void Parser::resolveAliases() {
  for (const Alias &alias : aliases) {
    const Function *aliasee = nullptr;
    for (const Function &function : module.functions)
      if (function.name == alias.of && function.hasBody && !function.isEntry)
        aliasee = &function;
    if (!aliasee)
      throw LoadError(alias.line, fmt::format("the alias '{}' is of '{}', which is no function that the module defines", alias.name, alias.of));
    Function copy = *aliasee;
    copy.name = alias.name;
    module.functions.push_back(std::move(copy));
  }
}

void Parser::declaration() {
  bool isExtern = false;
  for (;;) {
    if (accept(".visible") || accept(".weak") || accept(".common"))
      continue;
    if (accept(".extern")) {
      isExtern = true;
      continue;
    }
    break;
  }
  if (at(".attribute")) { // of a function; a variable's comes behind its space
    advance();
    skipGroup("(", ")");
  }
  if (accept(".entry"))
    return function(true);
  if (accept(".func"))
    return function(false);
  Space space;
  if (accept(".global"))
    space = Space::Global;
  else if (accept(".const"))
    space = Space::Const;
  else if (accept(".shared"))
    space = Space::Shared;
  else
    fail(fmt::format("directive '{}' is not supported at module level", current().text));
  do {
    Variable variable = variableDeclaration(space);
    variable.isExtern = isExtern;
    if (isExtern && space != Space::Shared)
      variable.unsupported = "it is external, and linking of several modules is not supported";
    module.variables.push_back(std::move(variable));
  } while (accept(","));
  expect(";");
}

ModuleAst parseModule(std::string_view source) { return Parser(source).run(); }

} // namespace emulator
} // namespace fourfold
