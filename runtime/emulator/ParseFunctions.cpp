// Functions and their bodies: directives, scopes, registers (PTX ISA 5.1, 11.1 to 11.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ParserImpl.h"

#include <set>

namespace fourfold {
namespace emulator {

void Parser::function(bool isEntry) {
  function_ = Function();
  names.clear();
  openScope();
  function_.isEntry = isEntry;
  function_.line = current().line;
  if (accept(".attribute"))
    skipGroup("(", ")");
  if (!isEntry && at("("))
    function_.returns = parameterList(function_.registerReturns);
  function_.name = word();
  if (at("("))
    function_.params = parameterList(function_.registerParams);
  for (;;) {
    if (accept(".maxntid"))
      dimensions(function_.maxThreads);
    else if (accept(".reqntid"))
      dimensions(function_.requiredThreads);
    else if (accept(".minnctapersm"))
      function_.minBlocks = static_cast<int>(integer());
    else if (accept(".maxnreg"))
      integer();
    else if (accept(".noreturn"))
      ;
    else if (accept(".explicitcluster"))
      function_.isExplicitCluster = true;
    else if (accept(".blocksareclusters"))
      function_.countsClusters = true;
    else if (accept(".reqnctapercluster"))
      dimensions(function_.requiredCluster);
    else if (accept(".maxclusterrank"))
      function_.maxClusterRank = static_cast<unsigned>(integer());
    else if (accept(".abi_preserve") || accept(".abi_preserve_control"))
      integer();
    else if (at(".pragma"))
      skipPragma();
    else if (accept(".maxnctapersm")) // deprecated (PTX ISA 11.4.5)
      integer();
    else if (accept(".attribute"))
      skipGroup("(", ")");
    else
      break;
  }
  if (accept("{")) {
    function_.hasBody = true;
    while (!accept("}"))
      statement();
  } else {
    expect(";");
  }
  module.functions.push_back(std::move(function_));
}

void Parser::dimensions(unsigned *values) {
  values[0] = values[1] = values[2] = 1;
  int i = 0;
  do
    values[i++] = static_cast<unsigned>(integer());
  while (i < 3 && accept(","));
}

void Parser::openScope() {
  int id = static_cast<int>(function_.labels.size());
  function_.scopeParents.push_back(names.empty() ? -1 : names.back().id);
  function_.labels.emplace_back();
  names.push_back(Scope{id, {}, {}, {}, {}, {}});
}

void Parser::statement() {
  if (current().kind == Token::End)
    fail("a function body is not closed");
  if (accept(";"))
    return;
  if (accept("{")) {
    Nested scope(*this, "a block");
    openScope();
    while (!accept("}"))
      statement();
    names.pop_back();
    return;
  }
  if (current().kind == Token::Directive)
    return bodyDirective();
  if (current().kind == Token::Word && ahead(1).text == ":" && ahead(1).kind == Token::Punct) {
    std::string label = word();
    expect(":");
    if (at(".branchtargets") || at(".callprototype") || at(".calltargets")) {
      bool targets = at(".branchtargets");
      std::string_view what = advance().text;
      std::vector<std::string> list;
      while (!accept(";")) {
        if (current().kind == Token::End)
          fail(fmt::format("expects ';' behind '{}' but finds the end of the text", what));
        if (targets && current().kind == Token::Word)
          list.emplace_back(current().text);
        advance();
      }
      function_.branchTargets[label] = std::move(list);
      return;
    }
    if (!function_.labels[names.back().id].emplace(label, static_cast<int>(function_.body.size())).second)
      fail(fmt::format("label '{}' is defined twice", label));
    return;
  }
  instruction();
}

void Parser::bodyDirective() {
  if (at(".loc") || at(".file"))
    return skipLocation();
  if (at(".pragma"))
    return skipPragma();
  if (accept(".reg"))
    return registers();
  Space space;
  if (accept(".shared"))
    space = Space::Shared;
  else if (accept(".local"))
    space = Space::Local;
  else if (accept(".param"))
    space = Space::Param;
  else if (accept(".global"))
    space = Space::Global;
  else if (accept(".const"))
    space = Space::Const;
  else
    fail(fmt::format("directive '{}' is not supported in a function body", current().text));
  do {
    Variable variable = variableDeclaration(space);
    if (space != Space::Global && space != Space::Const) {
      addVariable(std::move(variable));
      continue;
    }
    // Of the module, under a name that no text can have; seen in its scope only.
    std::string inner = fmt::format("{} {} {}", function_.name, names.back().id, variable.name);
    names.back().moduleVariables[variable.name] = inner;
    variable.name = inner;
    module.variables.push_back(std::move(variable));
  } while (accept(","));
  expect(";");
}

void Parser::registers() {
  Type type = Type::None;
  int elements = 1;
  for (; current().kind == Token::Directive; advance()) {
    if (at(".v2") || at(".v4")) {
      elements = current().text[2] - '0';
      continue;
    }
    Type named = parseType(current().text.substr(1));
    if (named == Type::None)
      fail(fmt::format("registers of type '{}' are not supported", current().text));
    type = named;
  }
  do {
    std::string name = word();
    if (elements > 1 && at("<"))
      fail(fmt::format("a range of vector registers such as '{}' is not supported", name));
    if (accept("<")) {
      names.back().ranges[name] = {integer(), type};
      expect(">");
    } else if (elements > 1) { // PTX ISA 5.4.2: its members are v.x to v.w, or v.r to v.a
      names.back().vectors[name] = elements;
      for (int i = 0; i < elements; ++i) {
        names.back().registers[name + '.' + "rgba"[i]] = static_cast<int>(function_.registers.size());
        names.back().registers[name + '.' + "xyzw"[i]] = static_cast<int>(function_.registers.size());
        function_.registers.push_back({name + '.' + "xyzw"[i], type});
      }
    } else {
      names.back().registers[name] = static_cast<int>(function_.registers.size());
      function_.registers.push_back({name, type});
    }
  } while (accept(","));
  expect(";");
}

int Parser::findRegister(std::string_view name) {
  for (size_t i = names.size(); i-- > 0;) {
    Scope &scope = names[i];
    auto found = scope.registers.find(name);
    if (found != scope.registers.end())
      return found->second;
    size_t digits = name.size();
    while (digits > 0 && std::isdigit(static_cast<unsigned char>(name[digits - 1])))
      --digits;
    // `%rd1<2>` may also be a range, so every split of the trailing digits counts.
    for (size_t split = digits; split < name.size(); ++split) {
      auto range = scope.ranges.find(name.substr(0, split));
      if (range == scope.ranges.end())
        continue;
      int64_t number = std::strtoll(std::string(name.substr(split)).c_str(), nullptr, 10);
      if (number >= range->second.first)
        continue;
      int index = static_cast<int>(function_.registers.size());
      function_.registers.push_back({std::string(name), range->second.second});
      scope.registers.emplace(std::string(name), index);
      return index;
    }
  }
  return -1;
}

} // namespace emulator
} // namespace fourfold
