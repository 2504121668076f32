// Specs put together at random.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_HOST_SPECMAKER_H
#define FOURFOLD_TESTS_HOST_SPECMAKER_H

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace fourfold {
namespace tests {

/// Grows a spec op by op from values that there are.
class SpecMaker {
public:
  explicit SpecMaker(uint32_t seed) : random(seed) {}

  std::string make() {
    matrices = {{"%x", pick({"bf16", "f16", "f32"}), "?x?"}};
    type = matrices[0].element;
    std::string body;
    for (int i = 0, count = 3 + draw(6); i < count; ++i)
      body += op("%v" + std::to_string(i));
    std::string last = "%s = fp4.column_sum " + matrices.back().text() + " -> tensor<?xf32>\n";
    return "func.func @f(%x: tensor<?x?x" + type + ">, %mask: tensor<?xi8>, %row: tensor<?xbf16>, %col: tensor<?xf32>, "
           "%seed: tensor<i64>, %offset: tensor<i64>) -> tensor<?xf32> {\n" + body + last + "return %s : tensor<?xf32>\n}\n";
  }
  std::string type;

private:
  struct Matrix {
    std::string name, element, shape;
    std::string tensor() const { return "tensor<" + shape + "x" + element + ">"; }
    std::string text() const { return name + " : " + tensor(); }
  };

  int draw(int below) { return static_cast<int>(random() % static_cast<uint32_t>(below)); }
  std::string pick(std::vector<std::string> choices) { return choices[random() % choices.size()]; }
  const Matrix any() { return matrices[random() % matrices.size()]; }

  std::string op(const std::string &name) {
    Matrix source = any();
    switch (draw(5)) {
    case 0: { // a region; the extents of transformed matrices no longer fit the vectors
      bool isOriginal = source.name == "%x" || originals.count(source.name);
      std::string element = pick({"f32", "bf16", "f16"});
      std::string operands = isOriginal ? " rows(%row : tensor<?xbf16>) cols(%col : tensor<?xf32>)" : "";
      std::string arguments = isOriginal ? "(%a: f32, %r: bf16, %c: f32)" : "(%a: f32)";
      std::string body = pick({"%t = math.exp %a : f32\n", "%t = math.tanh %a : f32\n", "%t = math.erf %a : f32\n",
                               "%h = arith.constant 0.5 : f32\n%t = arith.mulf %a, %h : f32\n",
                               "%i = arith.bitcast %a : f32 to i32\n%j = arith.shrsi %i, %i : i32\n%t = arith.sitofp %j : i32 to f32\n",
                               "%i = arith.fptosi %a : f32 to i32\n%t = arith.sitofp %i : i32 to f32\n"});
      if (isOriginal)
        body += "%w = arith.extf %r : bf16 to f32\n%u = arith.mulf %t, %w : f32\n%y = arith.addf %u, %c : f32\n";
      else
        body += "%y = arith.subf %t, %a : f32\n";
      body += element == "f32" ? "fp4.yield %y : f32\n" : "%z = arith.truncf %y : f32 to " + element + "\nfp4.yield %z : " + element + "\n";
      Matrix result = {name, element, source.shape};
      if (isOriginal)
        originals.insert(name);
      matrices.push_back(result);
      return name + " = fp4.prologue " + source.name + operands + " {\n^bb0" + arguments + ":\n" + body + "} : " +
             source.tensor() + " -> " + result.tensor() + "\n";
    }
    case 1: {
      bool isOriginal = source.name == "%x" || originals.count(source.name);
      std::string mask = isOriginal && draw(2) ? " mask(%mask : tensor<?xi8>)" : "";
      Matrix result = {name, "f32", source.shape};
      if (isOriginal)
        originals.insert(name);
      matrices.push_back(result);
      return name + "m, " + name + " = fp4.center " + source.name + mask + " : " + source.tensor() + " -> tensor<?xf32>, " +
             result.tensor() + "\n" + name + "p = fp4.matvec " + source.name + ", " + name + "m axis = 1 : " + source.tensor() +
             ", tensor<?xf32> -> tensor<?xf32>\n" + name + "q = fp4.matvec " + name + ", " + name + "p axis = 0 : " + result.tensor() +
             ", tensor<?xf32> -> tensor<?xf32>\n";
    }
    case 2: {
      Matrix result = {name, "f32", source.shape};
      std::string axis = std::to_string(draw(2));
      matrices.push_back(result);
      return name + " = fp4.hadamard " + source.name + " axis = " + axis + " : " + source.tensor() + " -> " + result.tensor() + "\n";
    }
    default:
      return quantize(name, source);
    }
  }

  std::string quantize(const std::string &name, const Matrix &source) {
    std::string block = pick({"1x16", "16x16", "1x32"}), axis = std::to_string(draw(2));
    bool isNVFP4 = block != "1x32", stochastic = draw(2);
    std::string format = isNVFP4 ? "nvfp4" : "mxfp4", scale = isNVFP4 ? "f8E4M3FN" : "f8E8M0FNU";
    std::string scales = "tensor<?x?x" + scale + ">";
    std::string type = "!fp4.quantized<?x?, " + format + ", block = " + block + ", axis = " + axis + ">";
    std::string text = name + "s" + (isNVFP4 ? ", " + name + "a" : "") + " = fp4.block_scale " + source.name + " " + format +
                       " block = " + block + " axis = " + axis + " : " + source.tensor() + " -> " + scales +
                       (isNVFP4 ? ", tensor<f32>" : "") + "\n";
    text += name + "c = fp4.quantize " + source.name + " scales(" + name + "s : " + scales + ")" +
            (isNVFP4 ? " amax(" + name + "a)" : "") + (stochastic ? " stochastic seed(%seed) offset(%offset) stream = " +
            std::to_string(draw(256)) : "") + " : " + source.tensor() + " -> " + type + "\n";
    text += name + "t = fp4.matmul " + name + "c, " + name + "c : " + type + ", " + type + " -> tensor<?x?xf32>\n";
    std::string scalars = isNVFP4 && draw(2) ? " scalars(" + name + "a : tensor<f32>)" : "", unused = scalars.empty() ? "" : ", %m: f32";
    for (int i = draw(3); i > 0; --i) // of a product's only use, or of one of two
      text += name + "e" + std::to_string(i) + " = fp4.epilogue " + name + "t" + scalars + " {\n^bb0(%a: f32" + unused +
              "):\n%r = arith.addf %a, " + (scalars.empty() ? "%a" : "%m") +
              " : f32\nfp4.yield %r : f32\n} : tensor<?x?xf32> -> tensor<?x?xf32>\n";
    text += name + " = fp4.dequantize " + name + "c : " + type + " -> tensor<?x?xf32>\n";
    Matrix result = {name, "f32", "?x?"};
    if (source.name == "%x" || originals.count(source.name))
      originals.insert(name);
    matrices.push_back(result);
    return text;
  }

  std::mt19937 random;
  std::vector<Matrix> matrices;
  std::set<std::string> originals;
};

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_HOST_SPECMAKER_H
