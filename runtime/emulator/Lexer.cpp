// PTX text into tokens (PTX ISA 4.1 to 4.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lexer.h"

#include "Ast.h"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

bool isWordStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%'; }
bool isWordPart(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }

class Lexer {
public:
  explicit Lexer(std::string_view source) : source(source) {}

  std::vector<Token> run() {
    for (;;) {
      size_t before = position;
      skipBlank();
      Token token;
      token.line = line;
      token.spaceBefore = position != before;
      if (position >= source.size()) {
        tokens.push_back(token);
        return std::move(tokens);
      }
      size_t start = position;
      char c = source[position];
      if (c == '"') {
        ++position;
        while (position < source.size() && source[position] != '"') {
          if (source[position] == '\n')
            ++line;
          position += source[position] == '\\' ? 2 : 1;
        }
        if (position >= source.size())
          throw LoadError(token.line, "a string is not closed");
        token.kind = Token::String;
        token.text = source.substr(start + 1, position - start - 1);
        ++position;
      } else if (std::isdigit(static_cast<unsigned char>(c)) ||
                 (c == '.' && std::isdigit(static_cast<unsigned char>(peek(1))))) {
        number(token);
        token.text = source.substr(start, position - start);
      } else if ((isWordStart(c) && (c != '%' || isWordPart(peek(1)))) || (c == '.' && isWordStart(peek(1)))) { // '%' alone divides
        token.kind = c == '.' ? Token::Directive : Token::Word;
        ++position;
        // `.a` and `kind::x` continue an opcode; a single ':' ends a label, a second dot a directive (`.reg.b16`).
        for (;;) {
          while (position < source.size() && isWordPart(source[position]))
            ++position;
          if (token.kind == Token::Word && peek(0) == '.' && isWordPart(peek(1)))
            ++position;
          else if (peek(0) == ':' && peek(1) == ':')
            position += 2;
          else
            break;
        }
        token.text = source.substr(start, position - start);
      } else if (std::strchr("{}[]()<>,;:=+-*/|!~@&^%?", c)) {
        token.kind = Token::Punct;
        ++position;
        token.text = source.substr(start, 1);
      } else {
        throw LoadError(line, fmt::format("unexpected character '{}'", c));
      }
      tokens.push_back(token);
    }
  }

private:
  char peek(size_t ahead) const { return position + ahead < source.size() ? source[position + ahead] : '\0'; }

  void skipLine() {
    while (position < source.size() && source[position] != '\n')
      ++position;
  }

  /// Lines that begin with '#' are of a preprocessor (PTX ISA 4.1): where the text came from may be passed over, what changes it may not.
  void preprocessorLine() {
    size_t start = position + 1;
    while (start < source.size() && (source[start] == ' ' || source[start] == '\t'))
      ++start;
    size_t end = start;
    while (end < source.size() && isWordPart(source[end]))
      ++end;
    std::string_view name = source.substr(start, end - start);
    bool isNumber = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0]));
    if (!isNumber && name != "line" && name != "file" && name != "pragma" && !name.empty())
      throw LoadError(line, fmt::format("the directive '#{}' of a preprocessor is not supported: preprocess the PTX before it is loaded", name));
    skipLine();
  }

  void skipBlank() {
    if (position == 0 && source.substr(0, 3) == "\xef\xbb\xbf") // the byte order mark of UTF-8
      position = 3;
    while (position < source.size()) {
      char c = source[position];
      bool startsLine = position == 0 || source[position - 1] == '\n' || (position == 3 && c == '#');
      if (c == '\n')
        ++line;
      if ((c == '@' && peek(1) == '@' && startsLine) || (c == '#' && startsLine)) {
        c == '#' ? preprocessorLine() : skipLine(); // @@DWARF: debug information of old compilers (PTX ISA 11.5.1)
        continue;
      }
      if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
        ++position;
      } else if (c == '/' && peek(1) == '/') {
        skipLine();
      } else if (c == '/' && peek(1) == '*') {
        size_t end = source.find("*/", position + 2);
        if (end == std::string_view::npos)
          throw LoadError(line, "a comment is not closed");
        for (; position < end + 2; ++position)
          line += source[position] == '\n';
      } else {
        return;
      }
    }
  }

  void number(Token &token) {
    auto radix = [&](int base, int skip) {
      position += skip;
      token.kind = Token::Integer;
      size_t start = position;
      while (std::isxdigit(static_cast<unsigned char>(peek(0))))
        ++position;
      token.value = std::strtoull(std::string(source.substr(start, position - start)).c_str(), nullptr, base);
      if (peek(0) == 'U')
        ++position;
    };
    char c = peek(0), next = peek(1);
    if (c == '0' && (next == 'f' || next == 'F' || next == 'd' || next == 'D')) {
      bool isDouble = next == 'd' || next == 'D';
      radix(16, 2);
      token.kind = isDouble ? Token::Float64 : Token::Float32;
      return;
    }
    if (c == '0' && (next == 'x' || next == 'X'))
      return radix(16, 2);
    if (c == '0' && (next == 'b' || next == 'B'))
      return radix(2, 2);
    size_t end = position;
    while (end < source.size() && std::isdigit(static_cast<unsigned char>(source[end])))
      ++end;
    char after = end < source.size() ? source[end] : '\0';
    if (after == '.' || after == 'e' || after == 'E') {
      std::string text(source.substr(position, 64));
      char *stop = nullptr;
      double value = std::strtod(text.c_str(), &stop);
      position += static_cast<size_t>(stop - text.c_str());
      token.kind = Token::Float64;
      std::memcpy(&token.value, &value, 8);
      return;
    }
    radix(c == '0' ? 8 : 10, 0);
  }

  std::string_view source;
  size_t position = 0;
  int line = 1;
  std::vector<Token> tokens;
};

} // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

} // namespace emulator
} // namespace fourfold
