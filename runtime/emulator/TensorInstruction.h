// What a tcgen05.mma computes: its instruction descriptor and qualifiers (PTX ISA 9.7.16.4.2).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_TENSORINSTRUCTION_H
#define FOURFOLD_RUNTIME_EMULATOR_TENSORINSTRUCTION_H

#include "ElementFormat.h"

#include "dialect/MmaModel.h"

#include <cstdint>
#include <string>

namespace fourfold {
namespace emulator {

enum class StepKind : uint8_t { F16, TF32, F8F6F4, I8, MxF8F6F4, MxF4, MxF4Nvf4 };

/// Whether rows of A and columns of B have scales of their own for each block of K.
inline bool isBlockScaled(StepKind kind) { return kind >= StepKind::MxF8F6F4; }

/// As behind `.kind::`.
const char *kindName(StepKind kind);

/// One tcgen05.mma, decoded.
struct TensorStep {
  StepKind kind = StepKind::F16;
  uint8_t scales = 0; // of a row for a step's K: 1, 2 or 4
  ElementFormat a = ElementFormat::None, b = ElementFormat::None;
  enum Result : uint8_t { F16, F32, S32 } result = F32;
  uint32_t m = 0, n = 0, k = 0;
  bool negatesA = false, negatesB = false, isKMajorA = true, isKMajorB = true, saturates = false;
  numerics::ScaleFormat scaleFormat = numerics::ScaleFormat::UE8M0;
  uint32_t scaleIdA = 0, scaleIdB = 0;

  // From the operands.
  uint32_t laneD = 0, columnD = 0, columnA = 0, columnScaleA = 0, columnScaleB = 0; // in tensor memory
  bool hasTensorA = false; // A is in tensor memory
  bool accumulates = false;
  int inputShift = 0; // D is taken times 2^-inputShift
  uint32_t disabledLanes[4] = {};

  /// Bytes of an element in shared memory where it has a whole number of them: 4, 2, 1; 0: two elements a byte.
  uint32_t elementBytes() const;
  /// The lane of tensor memory that holds a row of D, and of A (PTX ISA 9.7.16.10.5, layouts D and F).
  uint32_t laneOf(uint32_t row) const { return m == 128 ? row : row / 16 * 32 + row % 16 + laneD; }
  /// The groups of 16 lanes that hold D.
  uint32_t groups() const { return m == 128 ? 0xff : 0x55u << (laneD / 16); }
  /// "bf16.f32.m128n256k16", for counters.
  std::string name() const;
};

/// Fills what the instruction descriptor says; returns what is wrong with it, "" if nothing. `kind` and `scales` are set.
std::string readInstructionDescriptor(uint32_t bits, TensorStep *step);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_TENSORINSTRUCTION_H
