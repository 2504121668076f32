// Tensor memory, as inline PTX: what is asynchronous must not be moved or copied by the compiler, and a load is nothing without its wait.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/TensorMemory.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

/// Bits of a shared-memory descriptor (PTX ISA 9.7.16.4.1) beside the address: version 1 in 46-48, bytes between groups of eight rows in
/// units of 16 from 32 on, swizzle in 61-63. The leading dimension (from 16 on) has no use in either: rows of the swizzle are as wide as
/// the pattern, a scale tile is one core matrix wide.
constexpr uint64_t kVersion = uint64_t{1} << 46, kLeading = uint64_t{1} << 16;
/// K-major, 128-byte swizzle: eight rows every 1024 bytes.
constexpr uint64_t kCodes = uint64_t{2} << 61 | kVersion | uint64_t{1024 >> 4} << 32 | kLeading;
/// No swizzle: eight rows of 16 bytes every 128 bytes.
constexpr uint64_t kTiles = kVersion | uint64_t{128 >> 4} << 32 | kLeading;

/// The instruction descriptor of kinds mxf4 and mxf4nvf4 (PTX ISA 9.7.16.4.2): e2m1 times e2m1, 128 rows; the scales' format in bit 23, which
/// bytes of their columns in 29-30 (A) and 4-5 (B).
uint32_t instructionDescriptor(Format format, int columns, int scaleByte) {
  constexpr uint32_t kE2M1 = 1;
  uint32_t id = static_cast<uint32_t>(scaleByte), isUE8M0 = format == Format::MXFP4;
  return kE2M1 << 7 | kE2M1 << 10 | static_cast<uint32_t>(columns / 8) << 17 | isUE8M0 << 23 | 1u << 27 | id << 29 | id << 4;
}

} // namespace

void TensorMemory::emit(const std::string &text, llvm::ArrayRef<Val> inputs, llvm::StringRef constraints) {
  SmallVector<Value> operands(inputs.begin(), inputs.end());
  std::string all = constraints.str() + (constraints.empty() ? "" : ",") + "~{memory}";
  LLVM::InlineAsmOp::create(k.ir(), k.loc(), TypeRange(), operands, text, all, /*has_side_effects=*/true, /*is_align_stack=*/false,
                            LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
}

Val TensorMemory::address(Val shared) { return k.wrap(LLVM::PtrToIntOp::create(k.ir(), k.loc(), k.i32(), shared)); }

void TensorMemory::allocate(Val sharedTo, int columns) {
  emit(llvm::formatv("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [$0], {0};\n"
                     "tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;",
                     columns)
           .str(),
       {sharedTo}, "r");
}

void TensorMemory::free(Val base, int columns) {
  emit(llvm::formatv("tcgen05.dealloc.cta_group::1.sync.aligned.b32 $0, {0};", columns).str(), {base}, "r");
}

SmallVector<Val> TensorMemory::load(Val from) {
  constexpr int kColumns = 32;
  std::string registers, constraints;
  for (int i = 0; i < kColumns; ++i) {
    registers += (i ? ", $" : "$") + std::to_string(i);
    constraints += "=r,";
  }
  std::string text = "tcgen05.ld.sync.aligned.32x32b.x32.b32 {" + registers + "}, [$32];\ntcgen05.wait::ld.sync.aligned;";
  Value all = LLVM::InlineAsmOp::create(k.ir(), k.loc(), LLVM::LLVMStructType::getLiteral(k.context(), SmallVector<Type>(kColumns, k.i32())),
                                        ValueRange{from}, text, constraints + "r,~{memory}", /*has_side_effects=*/true,
                                        /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
                  .getResult(0);
  SmallVector<Val> values;
  for (int64_t i = 0; i < kColumns; ++i)
    values.push_back(k.asFloat(k.wrap(LLVM::ExtractValueOp::create(k.ir(), k.loc(), all, i))));
  return values;
}

Val TensorMemory::isElected() {
  return k.wrap(NVVM::ElectSyncOp::create(k.ir(), k.loc(), k.ir().getI1Type(), /*membermask=*/Value()));
}

void TensorMemory::initBarrier(Val barrier) { emit("mbarrier.init.shared::cta.b64 [$0], 1;", {barrier}, "r"); }

void TensorMemory::waitBarrier(Val barrier, Val parity) {
  emit("{\n.reg .pred %ended;\n$$again_${:uid}:\n"
       "mbarrier.try_wait.parity.shared::cta.b64 %ended, [$0], $1;\n"
       "@!%ended bra $$again_${:uid};\n}",
       {barrier, parity}, "r,r");
}

void TensorMemory::fenceBefore() { emit("tcgen05.fence::before_thread_sync;", {}, ""); }
void TensorMemory::fenceAfter() { emit("tcgen05.fence::after_thread_sync;", {}, ""); }

void TensorMemory::startSteps(const TensorSteps &stage, Val accumulators, Val scales, Val codesA, Val codesB, Val tiles, Val firstRowB,
                              Val accumulate, Val barrier) {
  auto descriptor = [&](Val from, uint64_t bits) { return k.zext64(from >> 4) | static_cast<int64_t>(bits); };
  const int numTiles = stage.scaleTiles(), columns = TensorSteps::kScaleColumns;
  // Operands: 0 accumulators, 1 A, 2 B, 3 scale tiles, 4 their columns, 5 those of B's first row, 6 accumulate, 7 barrier.
  std::string text = "{\n.reg .b64 %from, %a, %b;\n.reg .b32 %to, %scale_a, %scale_b;\n.reg .pred %first, %later;\n"
                     "setp.ne.s32 %first, $6, 0;\nsetp.eq.s32 %later, $6, $6;\n";
  // Of A, then of each 128 rows of B, tile after tile along K; B's rows of one tile stand side by side.
  for (int row = 0; row < 1 + stage.tileRowsB(); ++row)
    for (int tile = 0; tile < numTiles; ++tile) {
      int to = row == 0 ? tile * columns : (numTiles + tile * stage.tileRowsB() + row - 1) * columns;
      text += llvm::formatv("add.s64 %from, $3, {0};\nadd.s32 %to, $4, {1};\n"
                            "tcgen05.cp.cta_group::1.32x128b.warpx4 [%to], %from;\n",
                            (row * numTiles + tile) * (512 >> 4), to)
                  .str();
    }
  const bool isNVFP4 = stage.format == Format::NVFP4;
  for (int step = 0; step < stage.steps; ++step) {
    int tile = step * numTiles / stage.steps, byte = isNVFP4 ? 0 : 2 * (step % 2);
    text += llvm::formatv("add.s64 %a, $1, {0};\nadd.s64 %b, $2, {0};\nadd.s32 %scale_a, $4, {1};\nadd.s32 %scale_b, $5, {2};\n"
                          "tcgen05.mma.cta_group::1.kind::mxf4nvf4.block_scale.scale_vec::{3} [$0], %a, %b, {4}, [%scale_a], [%scale_b], {5};\n",
                          step * (32 >> 4), tile * columns, tile * stage.tileRowsB() * columns, isNVFP4 ? "4X" : "2X",
                          instructionDescriptor(stage.format, stage.tileN, byte), step == 0 ? "%first" : "%later")
                .str();
  }
  text += "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [$7];\n}";
  emit(text,
       {accumulators, descriptor(codesA, kCodes), descriptor(codesB, kCodes), descriptor(tiles, kTiles), scales,
        scales + numTiles * columns + firstRowB, accumulate, barrier},
       "r,l,l,l,r,r,r,r");
}

} // namespace compiler
} // namespace fourfold
