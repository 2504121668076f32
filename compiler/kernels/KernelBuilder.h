// A small vocabulary for writing kernels: values with operators, typed memory access, structured control flow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_KERNELBUILDER_H
#define FOURFOLD_COMPILER_KERNELS_KERNELBUILDER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

#include <functional>

// The dialects' own headers are large (NVVM's alone takes ten seconds to compile): they are included where ops are made.
namespace mlir {
namespace NVVM {
enum class MMATypes : uint32_t;
} // namespace NVVM
} // namespace mlir

namespace fourfold {
namespace compiler {

class KernelBuilder;

/// The gpu.module that kernels are built in.
using KernelModule = mlir::Operation *;

/// The type of an address in global memory.
mlir::Type globalPointerType(mlir::MLIRContext *context);

/// An SSA value with operators. Integers are i32 or i64: division, remainder, shifts right and comparisons named `u...` are
/// unsigned, the others signed. Floats are f32. The right operand may be a C++ number.
class Val {
public:
  Val() = default;
  Val(mlir::Value value, KernelBuilder *kernel) : value(value), kernel(kernel) {}

  operator mlir::Value() const { return value; } // NOLINT(google-explicit-constructor)
  mlir::Type type() const { return value.getType(); }
  explicit operator bool() const { return static_cast<bool>(value); }
  KernelBuilder &builder() const { return *kernel; }

private:
  mlir::Value value;
  KernelBuilder *kernel = nullptr;
};

Val operator+(Val lhs, Val rhs);
Val operator-(Val lhs, Val rhs);
Val operator*(Val lhs, Val rhs);
Val operator/(Val lhs, Val rhs);
Val operator%(Val lhs, Val rhs);
Val operator&(Val lhs, Val rhs);
Val operator|(Val lhs, Val rhs);
Val operator^(Val lhs, Val rhs);
Val operator<<(Val lhs, Val rhs);
Val operator>>(Val lhs, Val rhs);
Val operator+(Val lhs, int64_t rhs);
Val operator-(Val lhs, int64_t rhs);
Val operator*(Val lhs, int64_t rhs);
Val operator/(Val lhs, int64_t rhs);
Val operator%(Val lhs, int64_t rhs);
Val operator&(Val lhs, int64_t rhs);
Val operator|(Val lhs, int64_t rhs);
Val operator^(Val lhs, int64_t rhs);
Val operator<<(Val lhs, int64_t rhs);
Val operator>>(Val lhs, int64_t rhs);
/// Signed integer comparisons; ordered for floats.
Val operator<(Val lhs, Val rhs);
Val operator<(Val lhs, int64_t rhs);
Val operator>=(Val lhs, Val rhs);
Val operator>=(Val lhs, int64_t rhs);
Val equals(Val lhs, int64_t rhs);
/// Unsigned minimum and maximum.
Val umax(Val lhs, Val rhs);
Val umin(Val lhs, Val rhs);

/// Builds the body of one kernel inside a gpu.module.
class KernelBuilder {
public:
  /// Starts kernel `name` with `numThreads` threads a block in `module`; the insertion point is its body.
  KernelBuilder(KernelModule module, llvm::StringRef name, llvm::ArrayRef<mlir::Type> params, int numThreads);

  /// Takes back the promise that a pointer parameter's memory is reached through no other.
  void mayAlias(unsigned param);

  /// Adds the return. Call once, at the end.
  void finish();

  mlir::OpBuilder &ir() { return builder; }
  mlir::Location loc() const { return location; }
  mlir::MLIRContext *context() { return builder.getContext(); }
  Val wrap(mlir::Value value) { return Val(value, this); }

  // Types.
  mlir::Type i8() { return builder.getIntegerType(8); }
  mlir::Type i16() { return builder.getIntegerType(16); }
  mlir::Type i32() { return builder.getI32Type(); }
  mlir::Type i64() { return builder.getI64Type(); }
  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Type globalPtr();
  mlir::Type sharedPtr();
  mlir::Type vec(int n, mlir::Type element) { return mlir::VectorType::get({n}, element); }

  // Values.
  Val param(unsigned index);
  Val c32(int64_t value);
  Val c64(int64_t value);
  Val c16(int64_t value);
  Val cf(float value);
  Val cbool(bool value);
  Val threadId();
  Val blockId(int axis);
  /// The dynamic shared memory of the module: one symbol, with the largest alignment asked for.
  Val shared(unsigned alignment = 128);

  // Arithmetic that operators do not cover.
  Val toI64(Val value);         ///< sign extension
  Val truncate32(Val value);    ///< i64 -> i32
  Val zext32(Val value);        ///< i1, i8, i16 -> i32
  Val zext64(Val value);        ///< i32 -> i64
  Val asFloat(Val bits);        ///< bitcast i32 -> f32
  Val asBits(Val value);        ///< bitcast f32 -> i32
  Val intToFloat(Val value);    ///< signed i32 -> f32
  Val select(Val condition, Val yes, Val no);
  Val absolute(Val value);      ///< |f32|
  Val minimum(Val lhs, Val rhs); ///< f32, a NaN operand is ignored (PTX min.f32)
  Val maximum(Val lhs, Val rhs);
  Val fma(Val a, Val b, Val c);
  Val multiplyInDouble(Val value, double factor); ///< f32 times an f64, rounded to f64 and then to f32
  Val logicalAnd(Val lhs, Val rhs);
  Val int64ToFloatRZ(Val value); ///< signed i64 -> f32, truncated
  /// prmt.b32: each of the selector's four low nibbles names one of the eight bytes of (high, low), the lowest first; bit 3 must be 0.
  Val permuteBytes(Val low, Val high, Val selector);
  /// fma.rn.bf16x2 on pairs in i32 registers; subnormals are kept.
  Val fmaBF16x2(Val a, Val b, Val c);

  // Memory. Offsets are in bytes; alignment in bytes.
  Val offset(Val pointer, Val bytes);
  Val offset(Val pointer, int64_t bytes);
  Val load(mlir::Type type, Val pointer, int alignment = 0);
  void store(Val value, Val pointer, int alignment = 0);
  Val extract(Val vector, int index);
  Val pack(llvm::ArrayRef<Val> elements);
  /// red.global.max.u32
  void atomicMaxU32(Val pointer, Val value);

  // Warp and block.
  void barrier();
  void warpSync();
  Val shuffleXor(Val value, int laneMask);
  /// cp.async.cg 16 bytes; `sizeBytes` (i32, 0 or 16) zero-fills the rest.
  void copyAsync16(Val sharedTo, Val globalFrom, Val sizeBytes = Val());
  void commitCopies();
  void waitCopies(int groupsLeft);
  /// Four 8x8 matrices of 16-bit elements, as they stand or transposed.
  llvm::SmallVector<Val> loadMatrixX4(Val sharedRow, bool transpose = false);
  /// mma.sync m16n8 of `stepK` elements of `type` along K: operands in i32 registers; bf16 and f16 accumulate in four f32, s8 in four i32.
  llvm::SmallVector<Val> matrixStep(mlir::NVVM::MMATypes type, int stepK, llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b,
                                    llvm::ArrayRef<Val> c);

  // Warpgroups (PTX ISA 9.7.15).
  /// What was written to shared memory by ordinary stores becomes visible to matrix steps of warpgroups, after the next barrier.
  void fenceOperands();
  /// Starts steps of 64 x N x 16 in bf16, one for each four registers of A, as one group: B stands K-major in 128-byte swizzled rows from
  /// `descriptor` on, 32 bytes a step. Returns the accumulators, which nothing may touch before the group has been waited for, nor the
  /// registers of A.
  llvm::SmallVector<Val> warpgroupSteps(llvm::ArrayRef<Val> a, Val descriptor, llvm::ArrayRef<Val> accumulators);
  /// Waits until all but the youngest `groupsLeft` groups have ended. Returns `values`, accumulators or others: what is made of the returned
  /// ones is made after the wait.
  llvm::SmallVector<Val> waitWarpgroupSteps(int groupsLeft, llvm::ArrayRef<Val> values);

  // Control flow.
  using Body = std::function<llvm::SmallVector<Val>()>;
  void ifThen(Val condition, const std::function<void()> &then);
  llvm::SmallVector<Val> ifElse(Val condition, mlir::TypeRange types, const Body &then, const Body &otherwise);
  /// The assembler unrolls loops of a few steps, unless they stay `Rolled`.
  enum class Unroll { AsSeenFit, Rolled };
  llvm::SmallVector<Val>
  forLoop(Val from, Val to, Val step, llvm::ArrayRef<Val> initial,
          const std::function<llvm::SmallVector<Val>(Val index, llvm::ArrayRef<Val> carried)> &body,
          Unroll unroll = Unroll::AsSeenFit);

private:
  mlir::OpBuilder builder;
  mlir::Location location;
  KernelModule module;
  /// The llvm.func.
  mlir::Operation *function;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_KERNELBUILDER_H
