// What the GPUs of the cost model can do in a cycle, and where the numbers are from.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/Gpu.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace fourfold {
namespace model {

namespace {

// Sources:
//  [A100]   NVIDIA A100 Tensor Core GPU Architecture, V1.0: tables 1 and 4, "A100 L2 Cache" (5120 bytes a clock)
//  [H100]   NVIDIA H100 Tensor Core GPU Architecture, V1.04: table 3; tensor figures at 1830 MHz, others at 1980 MHz
//  [H200]   NVIDIA H200 Tensor Core GPU data sheet: as H100 SXM, with 4.8 TB/s
//  [Ada]    NVIDIA Ada GPU Architecture, V2.02: appendix A, GeForce RTX 4090
//  [GB202]  NVIDIA RTX Blackwell GPU Architecture, V1.1: appendix A, GeForce RTX 5090
//  [B200]   NVIDIA Blackwell Architecture Technical Brief: HGX B200, an eighth of it (2.25 PFLOP/s dense bf16, 4.5 fp8, 9 fp4, 8 TB/s)
//  [Guide]  CUDA C++ Programming Guide, "Compute Capabilities", table of technical specifications: warps, blocks, registers, shared memory
//  [Rates]  CUDA C++ Best Practices Guide, "Throughput of Native Arithmetic Instructions"
//  [Luo]    Luo et al., Benchmarking and Dissecting the Nvidia Hopper GPU Architecture, arXiv 2402.13499: mma.sync gets about 63 % of the
//           peak on H100, wgmma what is left to it by its operands
//  [mmapeak] main-horse.github.io/posts/5090-mm-perf: on RTX 5090, block-scaled fp8 gets half of block-scaled fp4
//  [L2]     L2 of GPUs beside A100 has no published figure: 64 bytes a clock and multiprocessor, the width of its port, which is an upper
//           bound. What is measured is less: 5.5 to 7 TB/s on H100 PCIe (chipsandcheese.com, 2023-07-02)

constexpr double kPort = kL2PortBytes; // [L2]

//                none control fma  half alu integer mul fp64 xu lsu tensor
#define LANES_80  {0,   0,      64,  128, 64, 128,    64, 32,  16, 32, 0}
#define LANES_89  {0,   0,      128, 128, 64, 128,    64, 2,   16, 32, 0}
#define LANES_90  {0,   0,      128, 128, 64, 128,    64, 64,  16, 32, 0}
#define LANES_100 {0,   0,      128, 64,  64, 128,    64, 64,  16, 32, 0}
#define LANES_120 {0,   0,      128, 64,  64, 128,    64, 2,   16, 32, 0}
// [Rates], as 32-bit lanes: a pair of f16 is one. "integer" is the ALU and the multiplier together, on which ptxas puts additions as IMAD;
// 12.0 adds integers at 128 and shifts at 64.

const Gpu kGpus[] = {
    {"a100", "NVIDIA A100 SXM4 80GB", 8, 0, 108, 1.410e9, 1.410e9, 64, 32, 65536, 164 * 1024, 163 * 1024, 5120, 2.039e12, 40e6, LANES_80,
     // f16 f16/f16 tf32  f64  fp8 fp8/f16 int8  int4  bit    mxfp8 fp4: [A100], operations a cycle and multiprocessor
     {2048, 2048, 1024, 128, 0, 0, 4096, 8192, 32768, 0, 0}, 1},
    {"h100", "NVIDIA H100 SXM5 80GB", 9, 0, 132, 1.980e9, 1.830e9, 64, 32, 65536, 228 * 1024, 227 * 1024, kPort * 132, 3.35e12, 50e6, LANES_90,
     {4096, 4096, 2048, 256, 8192, 8192, 8192, 0, 0, 0, 0}, 0.63}, // [H100], [Luo]
    {"h200", "NVIDIA H200 SXM5 141GB", 9, 0, 132, 1.980e9, 1.830e9, 64, 32, 65536, 228 * 1024, 227 * 1024, kPort * 132, 4.8e12, 50e6, LANES_90,
     {4096, 4096, 2048, 256, 8192, 8192, 8192, 0, 0, 0, 0}, 0.63}, // [H200], [Luo]
    {"rtx4090", "NVIDIA GeForce RTX 4090", 8, 9, 128, 2.520e9, 2.520e9, 48, 24, 65536, 100 * 1024, 99 * 1024, kPort * 128, 1.008e12, 72e6, LANES_89,
     {512, 1024, 256, 0, 1024, 2048, 2048, 4096, 0, 0, 0}, 1}, // [Ada]
    {"rtx5090", "NVIDIA GeForce RTX 5090", 12, 0, 170, 2.407e9, 2.407e9, 48, 24, 65536, 100 * 1024, 99 * 1024, kPort * 170, 1.792e12, 96e6, LANES_120,
     {512, 1024, 256, 0, 1024, 2048, 2048, 0, 0, 2048, 4096}, 1}, // [GB202], [mmapeak]
    {"b200", "NVIDIA B200", 10, 0, 148, 1.965e9, 1.856e9, 64, 32, 65536, 228 * 1024, 227 * 1024, kPort * 148, 8e12, 126e6, LANES_100,
     {8192, 8192, 4096, 128, 16384, 16384, 16384, 0, 0, 16384, 32768}, 1}, // [B200], of tcgen05; mma.sync has no published figure
};

} // namespace

std::string_view tensorKindName(TensorKind kind) {
  static constexpr std::string_view names[] = {"f16", "f16 with f16 sums", "tf32", "f64", "fp8", "fp8 with f16 sums", "int8", "int4", "bit", "mxfp8", "fp4"};
  static_assert(std::size(names) == kTensorKinds);
  return names[static_cast<size_t>(kind)];
}

bool tensorKindOf(std::string_view mma, TensorKind *kind) {
  auto starts = [&](std::string_view prefix) { return mma.substr(0, prefix.size()) == prefix; };
  auto contains = [&](std::string_view part) { return mma.find(part) != mma.npos; };
  auto is = [&](TensorKind found) {
    *kind = found;
    return true;
  };
  if (starts("tcgen05."))
    mma.remove_prefix(mma.find('.') + 1);
  if (starts("mxf4"))
    return is(TensorKind::Fp4);
  if (starts("mxf8"))
    return is(TensorKind::MxFp8);
  // wmma names d, a, b, c; wgmma a, d; mma and tcgen05 a, [b,] d.
  bool isWmma = starts("wmma.");
  if (isWmma || starts("wgmma."))
    mma.remove_prefix(mma.find('.') + 1);
  std::string_view sums = mma.substr(0, mma.find('.'));
  if (isWmma)
    mma.remove_prefix(sums.size() + 1);
  std::string_view a = mma.substr(0, mma.find('.'));
  bool isHalf = isWmma ? sums == "f16" : contains(".f16.m");
  if (a == "f16" || a == "bf16")
    return is(isHalf ? TensorKind::F16HalfSums : TensorKind::F16);
  if (a == "tf32")
    return is(TensorKind::Tf32);
  if (a == "f64")
    return is(TensorKind::F64);
  if (a == "s8" || a == "u8")
    return is(TensorKind::Int8);
  if (a == "s4" || a == "u4")
    return is(TensorKind::Int4);
  if (a == "b1")
    return is(TensorKind::Bit);
  if (a == "e4m3" || a == "e5m2" || a == "e3m2" || a == "e2m3" || a == "e2m1")
    return is(isHalf ? TensorKind::Fp8HalfSums : TensorKind::Fp8);
  return false;
}

std::string gpuNames() {
  std::string names;
  for (const Gpu &gpu : kGpus)
    names += (names.empty() ? "" : ", ") + std::string(gpu.name);
  return names;
}

Status findGpu(std::string_view name, const Gpu **gpu) {
  for (const Gpu &candidate : kGpus)
    if (candidate.name == name) {
      *gpu = &candidate;
      return {};
    }
  return {StatusCode::InvalidArgument, fmt::format("there is no GPU '{}' in the cost model: use one of {}", name, gpuNames())};
}

std::string whyNot(const Gpu &gpu, std::string_view target) {
  unsigned number = 0;
  if (target.substr(0, 3) != "sm_" || std::from_chars(target.data() + 3, target.data() + target.size(), number).ec != std::errc())
    return fmt::format("'{}' is no target", target);
  unsigned own = 10 * gpu.major + gpu.minor;
  char last = target.back();
  // PTX for sm_90a runs on 9.0 alone, for a family (100f) within its major version, any other on what is newer (PTX ISA 11.1.2).
  bool runs = last == 'a' ? number == own : last == 'f' ? number / 10 == gpu.major && number <= own : number <= own;
  return runs ? "" : fmt::format("{} has compute capability {}.{}, which does not run PTX for {}", gpu.title, gpu.major, gpu.minor, target);
}

} // namespace model
} // namespace fourfold
