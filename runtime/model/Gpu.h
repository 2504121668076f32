// What the GPUs of the cost model can do in a cycle.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_MODEL_GPU_H
#define FOURFOLD_RUNTIME_MODEL_GPU_H

#include "fourfold/Status.h"

#include "runtime/emulator/Cost.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace fourfold {
namespace model {

/// Kinds of matrix steps that have a rate of their own.
enum class TensorKind : uint8_t {
  F16,         // f16 and bf16 with f32 sums
  F16HalfSums, // f16 with f16 sums
  Tf32,
  F64,
  Fp8,         // e4m3, e5m2, and the 6- and 4-bit types of kind::f8f6f4, with f32 sums
  Fp8HalfSums, // the same with f16 sums
  Int8,
  Int4,
  Bit,
  MxFp8, // kind::mxf8f6f4
  Fp4,   // kind::mxf4 and mxf4nvf4
  Count
};
inline constexpr size_t kTensorKinds = static_cast<size_t>(TensorKind::Count);

/// "f16", "fp4": for tables.
std::string_view tensorKindName(TensorKind kind);
/// The kind that a name of `Counters::mmas` belongs to: "wgmma.bf16.f32.m64n128k16" is F16. False: none.
bool tensorKindOf(std::string_view mma, TensorKind *kind);

struct Gpu {
  std::string_view name;  // of --gpu
  std::string_view title; // in full
  unsigned major, minor;
  unsigned multiprocessors;
  double clock;       // Hz, boost
  double tensorClock; // Hz at which the published figures of the tensor cores hold
  unsigned warps, blocks;   // resident in a multiprocessor
  unsigned registers;       // of 32 bits
  unsigned sharedBytes;     // of a multiprocessor
  unsigned sharedOptin;     // of a block
  double l2BytesACycle;     // of the whole GPU, at `clock`
  double memoryBytesASecond;
  double l2Bytes;           // capacity
  /// Results of a cycle in one multiprocessor, by Pipe (0: no limit beside that of issue). Tensor: unused.
  double lanes[emulator::kPipes];
  /// Floating-point or integer operations of a cycle in one multiprocessor, dense; 0: the tensor cores do not have the kind.
  double tensor[kTensorKinds];
  /// What `mma.sync` gets of `tensor`; wgmma gets 1.
  double warpShare;

  /// Doubles run at the clock of everything else.
  double clockOf(TensorKind kind) const { return kind == TensorKind::F64 ? clock : tensorClock; }
  /// Operations a second.
  double peak(TensorKind kind) const { return multiprocessors * clockOf(kind) * tensor[static_cast<size_t>(kind)]; }
};

/// The GPU of a name. InvalidArgument: there is none; the message lists those that are.
Status findGpu(std::string_view name, const Gpu **gpu);
/// "a100, h100, ...".
std::string gpuNames();
/// Whether machine code for PTX of the target ("sm_90a") exists on the GPU: a text that says why not, or "".
std::string whyNot(const Gpu &gpu, std::string_view target);

inline constexpr unsigned kPartitions = 4;             // of a multiprocessor, each issues one warp instruction a cycle
inline constexpr double kSharedBytesACycle = 128;      // of a multiprocessor: 32 banks of 4 bytes
inline constexpr double kL2PortBytes = 64;             // a cycle, between a multiprocessor and the L2 cache
inline constexpr unsigned kSectorBytes = 32;

} // namespace model
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_MODEL_GPU_H
