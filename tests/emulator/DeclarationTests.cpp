// Declarations of variables: sizes, alignments and initialisers that nothing can have are refused, with the name and the line.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const char *const kHeader = ".version 8.7\n.target sm_120a\n.address_size 64\n";

/// What is said about a module, "" for one that loads.
std::string load(const std::string &declarations) {
  Device device;
  return device.load(kHeader + declarations) == kSuccess ? "" : lastFinding();
}

std::string loadKernel(const std::string &declaration) {
  return load(".visible .entry k(.param .u64 p) {\n" + declaration + "\n  ret;\n}\n");
}

TEST(Declarations, ExtentsBelowZeroOrTooLargeAreRefused) {
  EXPECT_EQ(load(".global .b8 a[16];\n"), "");
  EXPECT_EQ(load(".global .b8 a[-16];\n"), "line 4: array 'a' has an extent below 0, or too many elements");
  EXPECT_NE(load(".global .b8 a[4294967296][4294967296];\n"), "");
  EXPECT_NE(load(".global .b8 a[9223372036854775807];\n"), "");
  // More than the device has.
  EXPECT_NE(load(".global .b8 a[8589934593];\n").find("variable 'a' of 8589934593 bytes does not fit"), std::string::npos);
}

TEST(Declarations, AlignmentsArePowersOfTwo) {
  EXPECT_EQ(load(".global .align 1024 .b8 a[16];\n"), "");
  EXPECT_EQ(load(".global .align 3 .b8 a[16];\n"), "line 4: an alignment must be a power of two up to 65536, not '3'");
  EXPECT_NE(load(".global .align 0 .b8 a[16];\n"), "");
  EXPECT_NE(load(".global .align 4294967296 .b8 a[16];\n"), "");
}

TEST(Declarations, InitialisersFitTheirVariables) {
  EXPECT_EQ(load(".global .u32 b = 7;\n.global .u64 a[2] = {b, 1};\n"), "");
  EXPECT_EQ(load(".global .u32 a[2] = {1, 2, 3};\n"), "line 4: variable 'a' of 8 bytes has an initialiser of 12");
  // An address behind the end would be written there.
  EXPECT_EQ(load(".global .u32 b = 7;\n.global .u64 a[1] = {1, b};\n"), "line 5: variable 'a' of 8 bytes has an initialiser of 16");
}

TEST(Declarations, WhatDoesNotFitItsSpaceIsRefused) {
  EXPECT_EQ(loadKernel(".local .b8 a[524288];"), "");
  EXPECT_EQ(loadKernel(".local .b8 a[524289];"),
            "line 5: variable 'a' of 524289 bytes does not fit: the local memory of a thread ends at 524288, and 0 bytes are taken");
  EXPECT_NE(loadKernel(".shared .b8 a[16777216];\n.shared .b8 b[4278190080];"), "");
  // A sum that 32 bits do not hold.
  EXPECT_NE(loadKernel(".local .b8 a[4];\n.local .b8 b[4294967294];"), "");
  EXPECT_EQ(load(".visible .entry k(.param .align 4 .b8 a[32764]) { ret; }\n"), "");
  EXPECT_NE(load(".visible .entry k(.param .align 4 .b8 a[32768]) { ret; }\n").find("the space of parameters ends at 32764"), std::string::npos);
}

TEST(Declarations, NestingHasAnEnd) {
  auto nested = [](const std::string &open, int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i)
      text += open;
    return text;
  };
  constexpr int kMillion = 1000000; // far more than a stack holds
  EXPECT_EQ(loadKernel(nested("{", 150) + nested("}", 150)), "");
  EXPECT_EQ(loadKernel(nested("{", kMillion)), "line 5: a block is nested too deeply");
  EXPECT_EQ(loadKernel(".reg .b32 %r;\nmov.b32 %r, " + nested("{", kMillion)), "line 6: an operand is nested too deeply");
  EXPECT_EQ(loadKernel(".reg .b32 %r;\nld.global.b32 %r, " + nested("[", kMillion)), "line 6: an operand is nested too deeply");
  EXPECT_EQ(load(".global .b32 a[" + nested("(", kMillion)), "line 4: an expression is nested too deeply");
  EXPECT_EQ(load(".global .b32 a[4] = " + nested("{", kMillion)), "line 4: an initialiser is nested too deeply");
}

TEST(Declarations, WhatIsNotEndedIsRefused) {
  EXPECT_EQ(load(".global .attribute(.managed) .align 8 .b8 a[16];\n"), "");
  EXPECT_EQ(load(".global .align 8 .attribute .b8 a[16];\n"), "line 4: expects '(' but finds '.b8'");
  EXPECT_EQ(load(".global .attribute(.managed .b8 a[16];\n"), "line 5: a '(' is not closed");
  EXPECT_EQ(loadKernel("there: ret;\nlist: .branchtargets there;"), "");
  EXPECT_EQ(load(".visible .entry k() {\nthere: ret;\nlist: .branchtargets there"), "line 6: expects ';' behind '.branchtargets' but finds the end of the text");
}

} // namespace
