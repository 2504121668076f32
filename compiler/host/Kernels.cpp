// The loops for each instruction set, and which one this machine takes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiled with -ffp-contract=off like everything, and with -fno-math-errno and -fno-trapping-math: neither changes a value.

#include "compiler/host/Kernels.h"
#include "compiler/host/RegionCode.h"

#include <cmath>
#include <cstring>

namespace fourfold {
namespace host {

namespace generic {
#include "compiler/host/Kernels.inc"
#include "compiler/host/Region.inc"
} // namespace generic

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
namespace avx2 {
#include "compiler/host/Kernels.inc"
#include "compiler/host/Region.inc"
} // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
namespace avx512 {
#include "compiler/host/Kernels.inc"
#include "compiler/host/Region.inc"
} // namespace avx512
#pragma GCC pop_options
#endif

bool supportsIsa(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
  case Isa::AVX512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  case Isa::AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  case Isa::Generic:
    return true;
  }
#endif
  return isa == Isa::Generic;
}

Isa detectIsa() {
  static const Isa best = supportsIsa(Isa::AVX512) ? Isa::AVX512 : supportsIsa(Isa::AVX2) ? Isa::AVX2 : Isa::Generic;
  return best;
}

const Kernels &kernelsFor(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::AVX512)
    return avx512::table;
  if (isa == Isa::AVX2)
    return avx2::table;
#endif
  (void)isa;
  return generic::table;
}

const Kernels &kernels() { return kernelsFor(detectIsa()); }

} // namespace host
} // namespace fourfold
