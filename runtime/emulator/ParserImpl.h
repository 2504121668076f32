// The parser of PTX modules: its tokens, what it has read so far, and what each file of it reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_PARSERIMPL_H
#define FOURFOLD_RUNTIME_EMULATOR_PARSERIMPL_H

#include "ConstantExpression.h"
#include "Lexer.h"
#include "Parser.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

/// A recursive-descent parser of PTX modules (PTX ISA 4 and 11).
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

  ModuleAst run();

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
      constexpr int kMaxDepth = 200; // a level of operands takes kilobytes where sanitizers are
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
  void skipLine();
  /// .pragma takes strings and ends with a semicolon; none changes what a program computes (PTX ISA 11.4.13).
  void skipPragma();
  /// .loc 1 2 3 [, function_name L [+ 4], inlined_at 1 2 3]; .file 1 "name" [, 5, 6] (PTX ISA 11.5). Neither has an end of its own: what
  /// follows on the line may be an instruction.
  void skipLocation();
  /// What stands between two brackets, them included.
  void skipGroup(std::string_view open, std::string_view close);

  //===--------------------------------------------------------------------===//
  // Module level: Parser.cpp
  //===--------------------------------------------------------------------===//

  void topLevel();

  /// An alias is a function of its own with the body of another.
  void resolveAliases();

  void declaration();

  //===--------------------------------------------------------------------===//
  // Variables: ParseVariables.cpp
  //===--------------------------------------------------------------------===//

  /// What follows a state space: `.align 4 .v4 .b8 name[8][2] = {...}`.
  Variable variableDeclaration(Space space);

  void initializer(Variable &variable, int element);

  //===--------------------------------------------------------------------===//
  // Functions: ParseFunctions.cpp
  //===--------------------------------------------------------------------===//

  int addVariable(Variable variable);

  std::vector<int> parameterList(std::vector<std::pair<int, int>> &inRegisters);

  void function(bool isEntry);

  void dimensions(unsigned *values);

  struct Scope {
    int id;
    std::map<std::string, int, std::less<>> registers, variables;
    // `%r<100>` declares a range; members are made when first named.
    std::map<std::string, std::pair<int64_t, Type>, std::less<>> ranges;
    std::map<std::string, int, std::less<>> vectors; // elements of `.reg .v4 .f32 v`
    std::map<std::string, std::string, std::less<>> moduleVariables; // .global and .const of a function
  };

  void openScope();

  void statement();

  void bodyDirective();

  void registers();

  int findRegister(std::string_view name);

  //===--------------------------------------------------------------------===//
  // Instructions: ParseInstructions.cpp
  //===--------------------------------------------------------------------===//

  void instruction();

  Operand operand();

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

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_PARSERIMPL_H
