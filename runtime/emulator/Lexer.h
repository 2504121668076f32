// PTX text into tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_LEXER_H
#define FOURFOLD_RUNTIME_EMULATOR_LEXER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fourfold {
namespace emulator {

struct Token {
  enum Kind : uint8_t { End, Word, Directive, Integer, Float32, Float64, String, Punct };
  Kind kind = End;
  std::string_view text; // words keep their `.suffixes`; directives their dot
  uint64_t value = 0;    // integers; the bits of floats
  int line = 0;
  bool spaceBefore = false;
};

/// Splits a whole module; comments vanish. Throws LoadError on a character that PTX does not have.
std::vector<Token> tokenize(std::string_view source);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_LEXER_H
