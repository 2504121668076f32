// A kernel in the form that warps execute: slots instead of names, one handler an instruction.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_PROGRAM_H
#define FOURFOLD_RUNTIME_EMULATOR_PROGRAM_H

#include "Ast.h"
#include "Cost.h"
#include "Counters.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

struct Instr;
struct Warp;
using Handler = void (*)(Warp &, const Instr &, uint32_t mask);

inline constexpr int kLanes = 32;
inline constexpr uint32_t kAllLanes = 0xffffffffu;
/// Registers are slots of 128 bytes: 32 lanes of 4 bytes, two slots for 64-bit and four for 128-bit registers. A
/// predicate is the first word of its slot, one bit a lane.
inline constexpr uint32_t kSlotBytes = 128;
inline constexpr uint32_t kZeroSlot = 0; // four slots, always zero, always initialised
inline constexpr uint32_t kSinkSlot = 4; // four slots, written and never read
inline constexpr uint32_t kFirstSlot = 8;
inline constexpr uint32_t kNone = 0xffffffffu;

/// Where the windows of the generic address space stand. Device memory lies below; see Memory.h.
inline constexpr uint64_t kSharedWindow = 0x00007e0000000000ull;
inline constexpr uint64_t kLocalWindow = 0x00007d0000000000ull;
inline constexpr uint64_t kParamWindow = 0x00007c0000000000ull;
inline constexpr uint64_t kWindowBytes = uint64_t{1} << 32;
/// Shared variables start here: address 0 stays invalid, as sm_90 and later reserve the first KiB.
inline constexpr uint32_t kSharedStart = 1024;
/// What programs may use of the first KiB (PTX ISA 10.34, %reserved_smem_offset_<N>): cooperative groups keep barriers there.
inline constexpr uint32_t kReservedShared0 = 256, kReservedShared1 = 512;

/// How the interpreter's loop treats an instruction.
enum class Flow : uint8_t { Next, Branch, BranchIndexed, Call, Return, Exit, Barrier, Trap, Wait };

/// An instruction that a kernel has and the emulated device has not.
struct MissingPart {
  int line;
  std::string message; // with kernel, line and text
};

struct Instr {
  Handler handler = nullptr;
  uint32_t dst = kSinkSlot, dst2 = kSinkSlot;
  uint32_t src[4] = {kZeroSlot, kZeroSlot, kZeroSlot, kZeroSlot};
  uint32_t guard = kNone;
  bool guardNegated = false;
  bool ownInit = false;    // the handler keeps the initialisation bits itself
  bool wideAddress = true; // 64-bit address register
  bool takesPeers = false; // names .shared::cluster, or is generic: its address may be of another block of the cluster
  bool isFlag = false;     // an atomic, volatile or ordered access: it may order others
  Flow flow = Flow::Next;
  InstrClass instrClass = InstrClass::Move;
  Space space = Space::Generic;
  uint8_t bytes = 0; // of one memory element
  uint8_t variant = 0, variant2 = 0;
  uint32_t flags = 0; // meaning belongs to the handler
  int64_t offset = 0;
  uint32_t target = 0, reconverge = kNone;
  int32_t line = 0;
  uint32_t mmaKind = 0;
  std::vector<uint32_t> list, list2; // vectors of registers; branch targets
};

/// A function that is called in earnest rather than inlined: through a pointer, or recursively. Its registers are slots of their own, which a
/// nested activation of the same function saves; its variables lie in a frame on the thread's stack in local memory.
struct Callee {
  std::string name;
  uint32_t start = 0; // instruction
  struct Register {
    uint32_t slot;
    uint32_t bytes; // of a lane; 0: a predicate
  };
  std::vector<Register> registers; // those below included
  uint32_t baseSlot = kZeroSlot; // where the frame starts in local memory, 32 bits a lane
  uint32_t frameBytes = 0;
  struct Place {
    uint32_t offset, bytes;
  };
  std::vector<Place> params, returns;                     // in the frame
  std::vector<std::pair<uint32_t, uint32_t>> addresses; // slots that hold the address of an offset in the frame
  std::vector<MissingPart> missing; // why it must not be entered
};

/// Functions have addresses, which are no memory.
inline constexpr uint64_t kCodeWindow = 0x00007b0000000000ull;
inline uint64_t functionAddress(size_t index) { return kCodeWindow + 16 * (index + 1); }

/// What an instruction does to registers that wgmma or tcgen05.ld works on while they must be left alone, and the handler that this stands before.
struct RegisterGuard {
  Handler handler = nullptr;
  bool isCopy = false; // a mov
  std::vector<uint32_t> reads, writes;
};

struct Constant {
  uint32_t slot;
  uint64_t bits;
  uint8_t units; // slots: 1 or 2
  bool isPredicate;
};

/// A shared or module variable that operands refer to.
inline constexpr size_t kMaxMmaKinds = 128;
struct Kernel {
  std::string name;
  std::vector<Instr> code;
  std::vector<InstrCost> costs; // one an instruction
  uint32_t numSlots = kFirstSlot;
  std::vector<Constant> constants;
  std::map<std::string, uint32_t> specials; // special register -> slot
  std::vector<Variable> params;
  std::vector<uint32_t> paramOffsets;
  uint32_t paramBytes = 0;
  uint32_t staticSharedEnd = kSharedStart, dynamicShared = kSharedStart;
  uint32_t localBytes = 0; // of a thread, the stack included
  uint32_t stackStart = 0; // where the frames of called functions begin
  std::vector<Callee> callees;
  std::map<uint64_t, uint32_t> calleeAt; // by address
  unsigned maxThreads[3] = {0, 0, 0}, requiredThreads[3] = {0, 0, 0};
  unsigned requiredCluster[3] = {0, 0, 0}; // .reqnctapercluster
  unsigned maxClusterRank = 0;             // blocks; 0: no limit of the kernel's own
  bool needsExplicitCluster = false;
  bool countsClusters = false; // .blocksareclusters: a launch gives the grid in clusters
  bool usesClusters = false; // has an instruction that can tell
  bool sharesByFlags = false; // uses volatile, atomic or acquire/release shared accesses: races cannot be told
  std::vector<std::string> mmaKinds;
  bool usesHeap = false; // calls malloc
  uint32_t sharedBegin = kSharedStart; // less where the kernel asks for reserved shared memory
  bool usesTensorMemory = false; // tcgen05
  bool usesTensorFences = false; // tcgen05.fence: then one that is missing is a mistake
  bool usesWgmma = false;
  bool usesMbarriers = false; // or bulk copies
  bool usesAsyncProxy = false; // bulk copies
  std::vector<MissingPart> missing; // why it must not be launched
  std::map<uint32_t, RegisterGuard> registerGuards; // by instruction; only in a kernel that uses wgmma or tcgen05.ld
  std::shared_ptr<const std::vector<std::string>> source;
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_PROGRAM_H
