// A recursive-descent parser of PTX modules (PTX ISA 4 and 11).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Parser.h"

#include "ConstantExpression.h"
#include "Lexer.h"
#include "RegisterParameters.h"
#include "SpecialRegisters.h"

#include <cstring>
#include <fmt/format.h>
#include <set>

namespace fourfold {
namespace emulator {

namespace {

/// Of one variable: below it no sum of a few overflows. What a device has is checked where variables are placed.
constexpr int64_t kMaxBytes = int64_t{1} << 40;
constexpr uint64_t kMaxAlignment = 1 << 16;

class Parser {
public:
  explicit Parser(std::string_view source) : tokens(tokenize(source)) {
    size_t start = 0;
    while (start <= source.size()) {
      size_t end = source.find('\n', start);
      if (end == std::string_view::npos)
        end = source.size();
      module.lines.emplace_back(source.substr(start, end - start));
      start = end + 1;
    }
  }

  ModuleAst run() {
    while (current().kind != Token::End)
      topLevel();
    passRegisters(module);
    resolveAliases();
    if (module.target.empty())
      throw LoadError(1, "the module has no .target directive");
    return std::move(module);
  }

private:
  //===--------------------------------------------------------------------===//
  // Tokens
  //===--------------------------------------------------------------------===//

  const Token &current() const { return tokens[position]; }
  const Token &ahead(size_t n) const { return tokens[std::min(position + n, tokens.size() - 1)]; }
  /// The token passed over; the end of the text is never passed.
  const Token &advance() {
    const Token &passed = current();
    position += passed.kind != Token::End;
    return passed;
  }
  [[noreturn]] void fail(const std::string &message) const { throw LoadError(current().line, message); }
  /// Not a mistake: whoever uses it cannot run, others can.
  [[noreturn]] void unsupported(const std::string &message) const { throw Unsupported(current().line, message); }
  /// One level of what contains itself: the stack ends somewhere.
  class Nested {
  public:
    Nested(Parser &parser, const char *what) : parser(parser) {
      constexpr int kMaxDepth = 1000;
      if (parser.depth == kMaxDepth)
        parser.fail(fmt::format("{} is nested too deeply", what));
      ++parser.depth;
    }
    ~Nested() { --parser.depth; }
    Nested(const Nested &) = delete;
    Nested &operator=(const Nested &) = delete;

  private:
    Parser &parser;
  };
  bool at(std::string_view text) const {
    return current().kind != Token::End && current().kind != Token::String && current().text == text;
  }
  bool accept(std::string_view text) {
    if (!at(text))
      return false;
    advance();
    return true;
  }
  void expect(std::string_view text) {
    if (!accept(text))
      fail(fmt::format("expects '{}' but finds '{}'", text,
                       current().kind == Token::End ? "the end of the text" : current().text));
  }
  std::string word() {
    if (current().kind != Token::Word)
      fail(fmt::format("expects a name but finds '{}'", current().text));
    return std::string(advance().text);
  }
  int64_t integer() {
    bool negative = accept("-");
    if (current().kind != Token::Integer)
      fail(fmt::format("expects an integer but finds '{}'", current().text));
    uint64_t value = advance().value;
    return static_cast<int64_t>(negative ? 0 - value : value);
  }
  /// The longest expression of constants here.
  int64_t expression() { return parseConstant(tokens, position); }
  void skipLine() {
    int line = current().line;
    while (current().kind != Token::End && current().line == line)
      advance();
  }
  /// .pragma takes strings and ends with a semicolon; none changes what a program computes (PTX ISA 11.4.13).
  void skipPragma() {
    expect(".pragma");
    do {
      if (current().kind != Token::String)
        fail(fmt::format("expects a string after .pragma but finds '{}'", current().text));
      advance();
    } while (accept(","));
    accept(";");
  }
  /// .loc 1 2 3 [, function_name L [+ 4], inlined_at 1 2 3]; .file 1 "name" [, 5, 6] (PTX ISA 11.5). Neither has an end of its own: what
  /// follows on the line may be an instruction.
  void skipLocation() {
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
  /// What stands between two brackets, them included.
  void skipGroup(std::string_view open, std::string_view close) {
    expect(open);
    for (int depth = 1; depth > 0; advance()) {
      if (current().kind == Token::End)
        fail(fmt::format("a '{}' is not closed", open));
      depth += at(open) ? 1 : at(close) ? -1 : 0;
    }
  }

  //===--------------------------------------------------------------------===//
  // Module level
  //===--------------------------------------------------------------------===//

  void topLevel() {
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

  /// An alias is a function of its own with the body of another.
  void resolveAliases() {
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

  void declaration() {
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

  /// What follows a state space: `.align 4 .v4 .b8 name[8][2] = {...}`.
  Variable variableDeclaration(Space space) {
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

  void initializer(Variable &variable, int element) {
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

  //===--------------------------------------------------------------------===//
  // Functions
  //===--------------------------------------------------------------------===//

  int addVariable(Variable variable) {
    names.back().variables[variable.name] = static_cast<int>(function_.variables.size());
    function_.variables.push_back(std::move(variable));
    return static_cast<int>(function_.variables.size()) - 1;
  }

  std::vector<int> parameterList(std::vector<std::pair<int, int>> &inRegisters) {
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

  void function(bool isEntry) {
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

  void dimensions(unsigned *values) {
    values[0] = values[1] = values[2] = 1;
    int i = 0;
    do
      values[i++] = static_cast<unsigned>(integer());
    while (i < 3 && accept(","));
  }

  struct Scope {
    int id;
    std::map<std::string, int, std::less<>> registers, variables;
    // `%r<100>` declares a range; members are made when first named.
    std::map<std::string, std::pair<int64_t, Type>, std::less<>> ranges;
    std::map<std::string, int, std::less<>> vectors; // elements of `.reg .v4 .f32 v`
    std::map<std::string, std::string, std::less<>> moduleVariables; // .global and .const of a function
  };

  void openScope() {
    int id = static_cast<int>(function_.labels.size());
    function_.scopeParents.push_back(names.empty() ? -1 : names.back().id);
    function_.labels.emplace_back();
    names.push_back(Scope{id, {}, {}, {}, {}, {}});
  }

  void statement() {
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

  void bodyDirective() {
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

  void registers() {
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

  int findRegister(std::string_view name) {
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

  //===--------------------------------------------------------------------===//
  // Instructions
  //===--------------------------------------------------------------------===//

  void instruction() {
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

  Operand operand() {
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

  std::vector<Token> tokens;
  size_t position = 0;
  int depth = 0; // of Nested
  ModuleAst module;
  Function function_;
  std::vector<Scope> names;
  bool isCall = false; // the instruction being parsed: its brackets are lists
  struct Alias {
    std::string name, of;
    int line;
  };
  std::vector<Alias> aliases;
};

} // namespace

ModuleAst parseModule(std::string_view source) { return Parser(source).run(); }

} // namespace emulator
} // namespace fourfold
