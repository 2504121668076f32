// Turns parsed functions into kernels: slots for registers, handlers for instructions, calls inlined.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Decoder.h"

#include "Cluster.h"

#include "LaunchControl.h"
#include "Mbarrier.h"
#include "Video.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <set>

namespace fourfold {
namespace emulator {

namespace {

template <class T>
T roundUp(T value, uint64_t unit) {
  return static_cast<T>((value + unit - 1) / unit * unit);
}

/// Of a kernel's parameters (PTX ISA 6.4.1), of a thread's local memory (CUDA C++ Programming Guide, technical specifications); of a block's
/// shared memory more than any device has: the launch knows which it is.
constexpr uint64_t kMaxParamBytes = 32764, kMaxLocalBytes = 512 << 10, kMaxSharedBytes = 16 << 20;

/// Where the variable lies behind those that are placed.
uint32_t place(uint32_t &used, const Variable &variable, uint64_t most, const char *space) {
  uint64_t start = roundUp(uint64_t{used}, static_cast<uint64_t>(std::max(1, variable.alignment)));
  if (start > most || static_cast<uint64_t>(variable.bytes) > most - start)
    throw LoadError(variable.line, fmt::format("variable '{}' of {} bytes does not fit: {} ends at {}, and {} bytes are taken", variable.name,
                                               variable.bytes, space, most, start));
  used = static_cast<uint32_t>(start + static_cast<uint64_t>(variable.bytes));
  return static_cast<uint32_t>(start);
}

} // namespace

Decoder::Decoder(const DecodeContext &context, const Function &entry) : context(context), entry(entry) {}

std::string Decoder::describe(const std::string &message) const {
  int line = current ? current->line : entry.line;
  std::string text;
  if (context.source && line >= 1 && static_cast<size_t>(line) <= context.source->size()) {
    text = (*context.source)[static_cast<size_t>(line) - 1];
    text.erase(0, text.find_first_not_of(" \t"));
  }
  return fmt::format("kernel '{}', line {}: `{}`: {}", entry.name, line, text, message);
}

void Decoder::fail(const std::string &message) const { throw Unsupported(current ? current->line : entry.line, describe(message)); }
void Decoder::malformed(const std::string &message) const { throw LoadError(current ? current->line : entry.line, describe(message)); }

void Decoder::noteMissing(const LoadError &error) {
  std::vector<MissingPart> &missing = region ? region->missing : kernel.missing;
  for (const MissingPart &part : missing) // inlined more than once
    if (part.line == error.line)
      return;
  missing.push_back({error.line, error.what()});
}

Kernel Decoder::run() {
  kernel.name = entry.name;
  kernel.source = context.source;
  std::memcpy(kernel.maxThreads, entry.maxThreads, sizeof(kernel.maxThreads));
  std::memcpy(kernel.requiredThreads, entry.requiredThreads, sizeof(kernel.requiredThreads));
  std::memcpy(kernel.requiredCluster, entry.requiredCluster, sizeof(kernel.requiredCluster));
  kernel.maxClusterRank = entry.maxClusterRank;
  kernel.needsExplicitCluster = entry.isExplicitCluster;
  kernel.countsClusters = entry.countsClusters;

  Frame top{&entry, {}, {}, {}, 0, 0};
  std::vector<Place> params;
  for (int index : entry.params) {
    const Variable &param = entry.variables[static_cast<size_t>(index)];
    uint32_t offset = place(kernel.paramBytes, param, kMaxParamBytes, "the space of parameters");
    kernel.params.push_back(param);
    kernel.paramOffsets.push_back(offset);
    params.push_back({Space::Param, offset});
  }
  try {
    placeVariables(top, params, {});
    inlineFunction(top);
  } catch (const Unsupported &error) {
    noteMissing(error);
  }

  kernel.code.emplace_back();
  out().flow = Flow::Exit;
  out().instrClass = InstrClass::Control;
  out().line = kernel.code.size() > 1 ? kernel.code[kernel.code.size() - 2].line : entry.line;
  decodeCallees();
  spreadMissing();
  if (kernel.usesWgmma && kernel.usesTensorMemory) // each guards registers in a way of its own
    kernel.missing.push_back({entry.line, fmt::format("kernel '{}', line {}: wgmma (sm_90a) and tcgen05 (sm_100a and later) in one kernel: no GPU has both", entry.name, entry.line)});
  if (!kernel.missing.empty()) { // never runs
    kernel.code.clear();
    return std::move(kernel);
  }
  kernel.costs.resize(kernel.code.size()); // what calls are made of: copies, and branches that inlining leaves out
  resolve();
  if (kernel.usesWgmma)
    guardWgmmaRegisters(kernel, uses);
  if (kernel.usesTensorMemory)
    guardTensorRegisters(kernel, uses);
  kernel.dynamicShared = roundUp(kernel.staticSharedEnd, usedDynamicAlignment);
  for (uint32_t index : dynamicConstants)
    kernel.constants[index].bits += kernel.dynamicShared;
  findReconvergence(kernel.code);
  return std::move(kernel);
}

void Decoder::placeVariables(Frame &target, const std::vector<Place> &params, const std::vector<Place> &returns) {
  const Function &function = *target.function;
  target.places.resize(function.variables.size(), Place{Space::Generic, 0});
  for (size_t i = 0; i < params.size(); ++i)
    target.places[static_cast<size_t>(function.params[i])] = params[i];
  for (size_t i = 0; i < returns.size(); ++i)
    target.places[static_cast<size_t>(function.returns[i])] = returns[i];
  for (size_t i = 0; i < function.variables.size(); ++i) {
    const Variable &variable = function.variables[i];
    if (target.places[i].space != Space::Generic)
      continue;
    switch (variable.space) {
    case Space::Local:
    case Space::Param: // of a call: private to the thread, so it lives beside the local variables
      target.places[i] = {Space::Local,
                          place(region ? region->frameBytes : kernel.localBytes, variable, kMaxLocalBytes, "the local memory of a thread")};
      break;
    case Space::Shared: {
      std::string key = fmt::format("{}/{}", function.name, i);
      auto found = sharedPlaces.find(key);
      if (found == sharedPlaces.end())
        found = sharedPlaces.emplace(key, place(kernel.staticSharedEnd, variable, kMaxSharedBytes, "shared memory")).first;
      target.places[i] = {Space::Shared, found->second};
      break;
    }
    default:
      fail(fmt::format("variable '{}' of function '{}': global and constant variables inside a function are not supported",
                       variable.name, function.name));
    }
  }
}

uint32_t Decoder::allocate(int bits) {
  uint32_t slot = kernel.numSlots;
  kernel.numSlots += bits <= 32 ? 1 : bits <= 64 ? 2 : 4;
  return slot;
}

void Decoder::inlineFunction(Frame &target) {
  const Function &function = *target.function;
  if (!function.unsupported.empty())
    fail(fmt::format("function '{}': {}", function.name, function.unsupported));
  Frame *caller = frame;
  const Instruction *callerAst = current;
  frame = &target;
  active.push_back(&function);
  for (const RegisterDecl &decl : function.registers) {
    int bits = typeBits(decl.type);
    target.slots.push_back(allocate(bits));
    if (!region)
      continue;
    region->registers.push_back({target.slots.back(), decl.type == Type::Pred ? 0u : bits <= 32 ? 4u : 8u});
    if (bits > 64) // the upper halves
      region->registers.push_back({target.slots.back() + 2, 8});
  }
  for (size_t i = 0; i <= function.body.size(); ++i) {
    target.starts.push_back(static_cast<uint32_t>(labels.size()));
    labels.push_back(kNone);
  }
  target.end = target.starts.back();
  for (size_t i = 0; i < function.body.size(); ++i) {
    labels[target.starts[i]] = static_cast<uint32_t>(kernel.code.size());
    decodeOne(function.body[i]);
  }
  labels[target.end] = static_cast<uint32_t>(kernel.code.size());
  active.pop_back();
  frame = caller;
  current = callerAst;
}

void Decoder::decodeOne(const Instruction &instruction) {
  size_t start = kernel.code.size();
  try {
    decodeSupported(instruction);
  } catch (const Unsupported &error) {
    noteMissing(error);
    // Something must stand there: labels and branches count instructions. It is never executed.
    kernel.code.resize(start);
    kernel.code.emplace_back();
    out().line = instruction.line;
  }
}

void Decoder::decodeSupported(const Instruction &instruction) {
  current = &instruction;
  mods = instruction.mods;
  if (!instruction.unsupported.empty())
    fail(instruction.unsupported);
  if (instruction.opcode == "call")
    return decodeCall();
  kernel.code.emplace_back();
  out().line = instruction.line;
  kernel.costs.resize(kernel.code.size());
  kernel.costs.back() = costOf(instruction);
  if (instruction.guard >= 0) {
    out().guard = frame->slots[static_cast<size_t>(instruction.guard)];
    out().guardNegated = instruction.guardNegated;
  }
  if (instruction.opcode == "ret" && (frame->depth > 0 || region)) {
    take("uni");
    out().flow = frame->depth > 0 ? Flow::Branch : Flow::Return;
    out().instrClass = InstrClass::Control;
    out().target = frame->depth > 0 ? frame->end : 0;
  } else {
    bool known = decodeMinMax3(*this) || decodeMove(*this) || decodeInteger(*this) || decodeBits(*this) || decodeCompare(*this) ||
                 decodePairedFloat(*this) || decodeMixedFloat(*this) || decodeFloat(*this) || decodeHalf(*this) ||
                 decodeConvert(*this) || decodeBulkCopy(*this) || decodeAsyncStore(*this) || decodeCluster(*this) || decodeMemoryRange(*this) ||
                 decodeMemory(*this) || decodeAtomic(*this) || decodeControl(*this) || decodeWarpWide(*this) || decodeAsyncCopy(*this) ||
                 decodeMatrixBytes(*this) || decodeMatrix(*this) || decodeWgmma(*this) || decodeTcgen05(*this) || decodeMbarrier(*this) || decodeStack(*this) ||
                 decodeTensorMapChange(*this) || decodeVideo(*this) ||
                 decodeLaunchControl(*this);
    if (!known)
      fail(fmt::format("instruction '{}' with these operands is not supported by the emulated device",
                       instruction.opcode));
  }
  if (!mods.empty())
    fail(fmt::format("modifier '.{}' of '{}' is not supported by the emulated device", mods.front(),
                     instruction.opcode));
}

void Decoder::resolve() {
  for (Instr &in : kernel.code) {
    if (in.flow == Flow::Branch)
      in.target = labels[in.target];
    if (in.flow == Flow::BranchIndexed)
      for (uint32_t &target : in.list)
        target = labels[target];
  }
}

//===----------------------------------------------------------------------===//
// Modifiers and operands
//===----------------------------------------------------------------------===//

bool Decoder::take(std::string_view mod) {
  auto found = std::find(mods.begin(), mods.end(), mod);
  if (found == mods.end())
    return false;
  mods.erase(found);
  return true;
}

std::string Decoder::takePrefix(std::string_view prefix) {
  for (auto it = mods.begin(); it != mods.end(); ++it)
    if (it->compare(0, prefix.size(), prefix) == 0) {
      std::string result = *it;
      mods.erase(it);
      return result;
    }
  return "";
}

Type Decoder::takeType() {
  for (auto it = mods.begin(); it != mods.end(); ++it)
    if (Type type = parseType(*it); type != Type::None) {
      mods.erase(it);
      return type;
    }
  return Type::None;
}

Type Decoder::requireType() {
  Type type = takeType();
  if (type == Type::None)
    fail(fmt::format("'{}' needs a type", current->opcode));
  return type;
}

const Operand &Decoder::operand(size_t i) const {
  if (i >= current->operands.size())
    fail(fmt::format("operand {} is missing", i + 1));
  return current->operands[i];
}

void Decoder::expectOperands(size_t low, size_t high) const {
  if (numOperands() < low || numOperands() > high)
    fail(fmt::format("'{}' takes {} to {} operands, {} are given", current->opcode, low, high, numOperands()));
}

uint32_t Decoder::constant(uint64_t bits, int width) {
  if (width < 64)
    bits &= (uint64_t{1} << width) - 1;
  int container = width == 1 ? 1 : width <= 32 ? 32 : 64;
  auto [found, isNew] = constantSlots.try_emplace({bits, container}, 0);
  if (isNew) {
    found->second = allocate(container);
    kernel.constants.push_back({found->second, bits, static_cast<uint8_t>(container == 64 ? 2 : 1), container == 1});
  }
  return found->second;
}

uint32_t Decoder::special(const std::string &name) {
  static const std::map<std::string_view, uint32_t> reserved = {{"%reserved_smem_offset_begin", kReservedShared0},
                                                                {"%reserved_smem_offset_end", kSharedStart},
                                                                {"%reserved_smem_offset_cap", kSharedStart},
                                                                {"%reserved_smem_offset_0", kReservedShared0},
                                                                {"%reserved_smem_offset_1", kReservedShared1}};
  if (auto place = reserved.find(name); place != reserved.end()) {
    kernel.sharedBegin = kReservedShared0;
    return constant(place->second, 32);
  }
  static const std::set<std::string_view> known = {"%tid.x",
                                                   "%tid.y",
                                                   "%tid.z",
                                                   "%ntid.x",
                                                   "%ntid.y",
                                                   "%ntid.z",
                                                   "%ctaid.x",
                                                   "%ctaid.y",
                                                   "%ctaid.z",
                                                   "%nctaid.x",
                                                   "%nctaid.y",
                                                   "%nctaid.z",
                                                   "%laneid",
                                                   "%warpid",
                                                   "%nwarpid",
                                                   "%smid",
                                                   "%nsmid",
                                                   "%gridid",
                                                   "%lanemask_eq",
                                                   "%lanemask_lt",
                                                   "%lanemask_le",
                                                   "%lanemask_gt",
                                                   "%lanemask_ge",
                                                   "%dynamic_smem_size",
                                                   "%total_smem_size",
                                                   "%aggr_smem_size",
                                                   "%cluster_ctarank",
                                                   "%cluster_nctarank",
                                                   "%clusterid.x",
                                                   "%clusterid.y",
                                                   "%clusterid.z",
                                                   "%nclusterid.x",
                                                   "%nclusterid.y",
                                                   "%nclusterid.z",
                                                   "%cluster_ctaid.x",
                                                   "%cluster_ctaid.y",
                                                   "%cluster_ctaid.z",
                                                   "%cluster_nctaid.x",
                                                   "%cluster_nctaid.y",
                                                   "%cluster_nctaid.z",
                                                   "%is_explicit_cluster",
                                                   "%envreg1",
                                                   "%envreg2",
                                                   "%cc"};
  if (!known.count(name))
    fail(fmt::format("special register '{}' is not supported by the emulated device", name));
  auto [found, isNew] = kernel.specials.try_emplace(name, 0);
  if (isNew)
    found->second = allocate(64);
  return found->second;
}

Type Decoder::registerType(const Operand &operand) const {
  if (operand.kind != Operand::Register)
    return Type::None;
  return frame->function->registers[static_cast<size_t>(operand.index)].type;
}

uint32_t Decoder::source(const Operand &operand, Type type) {
  int bits = typeBits(type);
  switch (operand.kind) {
  case Operand::Register: {
    Type declared = registerType(operand);
    if (declared == Type::Pred)
      fail(fmt::format("register '{}' is a predicate where a value is expected", operand.name));
    if (typeBits(declared) < bits)
      fail(fmt::format("register '{}' has {} bits where {} are needed", operand.name, typeBits(declared), bits));
    // A wider register gives its low bits: a 64-bit slot read as 32-bit lanes would be wrong, so only equal
    // containers pass.
    if (typeBits(declared) > 32 && bits <= 32)
      fail(fmt::format("register '{}' has {} bits where {} are expected", operand.name, typeBits(declared), bits));
    uint32_t slot = frame->slots[static_cast<size_t>(operand.index)];
    if (bits <= 32)
      noteUse(slot, false);
    return slot;
  }
  case Operand::Integer:
    if (type == Type::F64 || type == Type::F32)
      return constant(static_cast<uint64_t>(operand.value), bits);
    return constant(static_cast<uint64_t>(operand.value), bits);
  case Operand::Float32:
  case Operand::Float64: {
    if (bits == 64 && operand.kind == Operand::Float64)
      return constant(static_cast<uint64_t>(operand.value), 64);
    if (bits == 32) {
      uint32_t narrow = static_cast<uint32_t>(operand.value);
      if (operand.kind == Operand::Float64) {
        double wide;
        std::memcpy(&wide, &operand.value, 8);
        float value = static_cast<float>(wide);
        std::memcpy(&narrow, &value, 4);
      }
      return constant(narrow, 32);
    }
    if (bits == 64) {
      float value;
      uint32_t narrow = static_cast<uint32_t>(operand.value);
      std::memcpy(&value, &narrow, 4);
      double wide = value;
      uint64_t wideBits;
      std::memcpy(&wideBits, &wide, 8);
      return constant(wideBits, 64);
    }
    fail("a floating-point constant does not fit the type of the instruction");
  }
  case Operand::Special:
    return special(operand.name);
  case Operand::Variable: {
    const Place &place = frame->places[static_cast<size_t>(operand.index)];
    uint64_t offset = place.offset + static_cast<uint64_t>(operand.value);
    return region && place.space == Space::Local && bits == 64 ? localAddress(offset) : constant(offset, bits);
  }
  case Operand::Symbol: {
    auto found = context.symbols.find(operand.name);
    if (found == context.symbols.end()) {
      const std::vector<Function> &functions = context.module->functions;
      for (size_t i = 0; i < functions.size(); ++i)
        if (functions[i].name == operand.name && functions[i].hasBody)
          return constant(functionAddress(i), bits);
      malformed(fmt::format("'{}' is not declared", operand.name));
    }
    const Symbol &symbol = found->second;
    if (!symbol.variable->unsupported.empty())
      fail(fmt::format("variable '{}': {}", operand.name, symbol.variable->unsupported));
    if (symbol.space != Space::Shared)
      return constant(symbol.address + static_cast<uint64_t>(operand.value), bits);
    if (symbol.variable->isUnsized || symbol.variable->isExtern) {
      usedDynamicAlignment =
          std::max<uint32_t>(usedDynamicAlignment, static_cast<uint32_t>(symbol.variable->alignment));
      uint32_t slot = allocate(bits);
      dynamicConstants.push_back(static_cast<uint32_t>(kernel.constants.size()));
      kernel.constants.push_back(
          {slot, static_cast<uint64_t>(operand.value), static_cast<uint8_t>(bits > 32 ? 2 : 1), false});
      return slot;
    }
    std::string key = "/" + operand.name;
    auto taken = sharedPlaces.find(key);
    if (taken == sharedPlaces.end())
      taken = sharedPlaces.emplace(key, place(kernel.staticSharedEnd, *symbol.variable, kMaxSharedBytes, "shared memory")).first;
    return constant(taken->second + static_cast<uint64_t>(operand.value), bits);
  }
  default:
    fail(fmt::format("an operand of '{}' has a form that is not supported", current->opcode));
  }
}

uint32_t Decoder::predicate(const Operand &operand, bool &negated) {
  negated = operand.negated;
  if (operand.kind == Operand::Integer)
    return constant(operand.value ? 1 : 0, 1);
  if (operand.kind == Operand::Special && operand.name == "%is_explicit_cluster")
    return special(operand.name);
  if (registerType(operand) != Type::Pred)
    fail(fmt::format("'{}' is not a predicate", operand.name));
  return frame->slots[static_cast<size_t>(operand.index)];
}

uint32_t Decoder::destination(const Operand &operand, Type type) {
  if (operand.kind == Operand::Sink)
    return kSinkSlot;
  Type declared = registerType(operand);
  if (declared == Type::None || declared == Type::Pred)
    fail(fmt::format("'{}' is not a register for the result", operand.name));
  if (typeBits(declared) < typeBits(type))
    fail(fmt::format("register '{}' has {} bits, the result {}", operand.name, typeBits(declared), typeBits(type)));
  if (typeBits(declared) > 32 && typeBits(type) <= 32)
    fail(fmt::format("register '{}' has {} bits, the result {}", operand.name, typeBits(declared), typeBits(type)));
  uint32_t slot = frame->slots[static_cast<size_t>(operand.index)];
  if (typeBits(type) <= 32)
    noteUse(slot, true);
  return slot;
}

uint32_t Decoder::predicateDestination(const Operand &operand) {
  if (operand.kind == Operand::Sink)
    return kSinkSlot;
  if (registerType(operand) != Type::Pred)
    fail(fmt::format("'{}' is not a predicate", operand.name));
  return frame->slots[static_cast<size_t>(operand.index)];
}

void Decoder::address(const Operand &operand, Space &space) {
  if (operand.kind != Operand::Address)
    fail("expects an address in brackets");
  if (operand.elements.size() != 1)
    fail("expects an address of one part: a tensor's coordinates do not belong here");
  const Operand &base = operand.elements[0];
  out().offset = operand.value;
  if (base.kind == Operand::Register) {
    Type type = registerType(base);
    if (typeBits(type) != 64 && typeBits(type) != 32)
      fail(fmt::format("address register '{}' has {} bits", base.name, typeBits(type)));
    out().wideAddress = typeBits(type) == 64;
    out().src[0] = source(base, type);
    return;
  }
  out().wideAddress = true;
  if (base.kind == Operand::Variable && frame->places[static_cast<size_t>(base.index)].space == Space::Local &&
      space == Space::Param)
    space = Space::Local; // a parameter of a call
  out().src[0] = source(base, Type::U64);
}

uint32_t Decoder::labelByName(const std::string &name, int scope) {
  for (; scope >= 0; scope = frame->function->scopeParents[static_cast<size_t>(scope)]) {
    const auto &table = frame->function->labels[static_cast<size_t>(scope)];
    auto found = table.find(name);
    if (found != table.end())
      return frame->starts[static_cast<size_t>(found->second)];
  }
  malformed(fmt::format("label '{}' is not defined", name));
}

uint32_t Decoder::label(const Operand &operand) {
  if (operand.kind != Operand::Symbol)
    fail("expects a label");
  return labelByName(operand.name, operand.scope);
}

const std::vector<std::string> *Decoder::branchTargets(const std::string &name) const {
  auto found = frame->function->branchTargets.find(name);
  return found == frame->function->branchTargets.end() ? nullptr : &found->second;
}

void guardRegisters(Kernel &kernel, const std::vector<RegisterUse> &uses, const std::vector<bool> &concerned, bool (*owns)(const Instr &), Handler guard) {
  for (const RegisterUse &use : uses) {
    const Instr &in = kernel.code[use.instruction];
    if (use.slot < kFirstSlot || !concerned[use.slot] || owns(in) || !in.handler)
      continue;
    RegisterGuard &guarded = kernel.registerGuards[use.instruction];
    (use.isWrite ? guarded.writes : guarded.reads).push_back(use.slot);
  }
  for (auto &[index, guarded] : kernel.registerGuards) {
    Instr &in = kernel.code[index];
    guarded.handler = in.handler;
    guarded.isCopy = in.instrClass == InstrClass::Move;
    in.handler = guard;
  }
}

} // namespace emulator
} // namespace fourfold
