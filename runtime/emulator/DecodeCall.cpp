// Decodes calls: inlined where the callee is known and not under way, in earnest where it is not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Decoder.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace fourfold {
namespace emulator {

namespace {

/// Inlining ends here: what is deeper is called in earnest.
constexpr int kMaxInlineDepth = 64;
/// A thread's stack. CUDA's default is 1 KiB, which programs that recurse raise.
constexpr uint32_t kStackBytes = 32 << 10;

/// Functions whose address something takes: initialisers, and operands of instructions other than calls by name.
std::set<std::string> addressTaken(const ModuleAst &module) {
  std::set<std::string> names, taken;
  for (const Function &function : module.functions)
    if (!function.isEntry && function.hasBody)
      names.insert(function.name);
  auto take = [&](const std::string &name) {
    if (names.count(name))
      taken.insert(name);
  };
  for (const Variable &variable : module.variables)
    for (const Variable::Fixup &fixup : variable.fixups)
      take(fixup.symbol);
  for (const Function &function : module.functions)
    for (const Instruction &instruction : function.body)
      for (const Operand &operand : instruction.operands)
        if (operand.kind == Operand::Symbol && instruction.opcode != "call")
          take(operand.name);
  return taken;
}

} // namespace

std::vector<Decoder::Place> Decoder::callPlaces(const Operand *list, const char *what) {
  std::vector<Place> result;
  for (size_t k = 0; list && k < list->elements.size(); ++k) {
    if (list->elements[k].kind != Operand::Variable)
      fail(fmt::format("{} {} of the call is not a .param variable", what, k));
    result.push_back(frame->places[static_cast<size_t>(list->elements[k].index)]);
  }
  return result;
}

void Decoder::decodeCall() {
  take("uni");
  if (!mods.empty())
    fail(fmt::format("modifier '.{}' of 'call' is not supported", mods.front()));
  const std::vector<Operand> &operands = current->operands;
  size_t i = 0;
  const Operand *returns = nullptr, *arguments = nullptr;
  if (i < operands.size() && operands[i].kind == Operand::List)
    returns = &operands[i++];
  if (i >= operands.size() || (operands[i].kind != Operand::Symbol && operands[i].kind != Operand::Register))
    fail("a call needs the name of a function or a register with its address");
  const Operand &target = operands[i++];
  if (i < operands.size() && operands[i].kind == Operand::List)
    arguments = &operands[i];
  std::vector<Place> argumentPlaces = callPlaces(arguments, "parameter"), returnPlaces = callPlaces(returns, "return value");

  if (target.kind == Operand::Register) {
    uint32_t slot = source(target, Type::U64);
    // Which functions it may reach is not said where it matters: all whose address is taken.
    for (const std::string &name : addressTaken(*context.module))
      for (const Function &function : context.module->functions)
        if (function.name == name && function.hasBody)
          calleeIndex(function);
    emitCall(argumentPlaces, returnPlaces);
    out().src[0] = slot;
    return;
  }

  const std::string &name = target.name;
  const Function *callee = nullptr;
  for (const Function &function : context.module->functions)
    if (function.name == name && (function.hasBody || !callee))
      callee = &function;
  if (!callee)
    malformed(fmt::format("function '{}' is not defined in the module", name));
  auto count = [&](size_t found, size_t formal, const char *what) {
    if (found != formal)
      fail(fmt::format("function '{}' has {} {}s, the call gives {}", name, formal, what, found));
  };
  count(argumentPlaces.size(), callee->params.size(), "parameter");
  count(returnPlaces.size(), callee->returns.size(), "return value");
  if (!callee->hasBody)
    return decodeSupplied(name, *callee, argumentPlaces, returnPlaces);

  // What alloca takes is given back on return.
  bool allocates = std::any_of(callee->body.begin(), callee->body.end(), [](const Instruction &i) { return i.opcode == "alloca"; });
  if (allocates || std::find(active.begin(), active.end(), callee) != active.end() || frame->depth >= kMaxInlineDepth) {
    uint32_t index = calleeIndex(*callee);
    directCalls.emplace_back(regionIndex, index);
    emitCall(argumentPlaces, returnPlaces);
    out().target = index;
    return;
  }
  size_t skip = kNone;
  if (current->guard >= 0) {
    skip = kernel.code.size();
    kernel.code.emplace_back();
    out().line = current->line;
    out().guard = frame->slots[static_cast<size_t>(current->guard)];
    out().guardNegated = !current->guardNegated;
    out().flow = Flow::Branch;
    out().instrClass = InstrClass::Control;
  }
  Frame inner{callee, {}, {}, {}, 0, frame->depth + 1};
  placeVariables(inner, argumentPlaces, returnPlaces);
  inlineFunction(inner);
  if (skip != kNone)
    kernel.code[skip].target = inner.end;
}

/// Functions that a module declares and the CUDA driver has.
void Decoder::decodeSupplied(const std::string &name, const Function &callee, const std::vector<Place> &arguments,
                             const std::vector<Place> &returns) {
  struct Supplied {
    const char *name;
    size_t arguments, returns;
    Handler handler;
  };
  static const Supplied known[] = {{"__assertfail", 5, 0, failAssertion},
                                   {"vprintf", 2, 1, printFormatted},
                                   {"malloc", 1, 1, allocateInKernel},
                                   {"free", 1, 0, freeInKernel}};
  const Supplied *supplied = nullptr;
  for (const Supplied &candidate : known)
    supplied = name == candidate.name ? &candidate : supplied;
  if (!supplied)
    fail(fmt::format("function '{}' is not defined in the module; of those outside there are __assertfail, vprintf, malloc and free", name));
  if (callee.params.size() != supplied->arguments || callee.returns.size() != supplied->returns)
    fail(fmt::format("'{}' takes {} parameters and returns {} values", name, supplied->arguments, supplied->returns));
  emitCall(arguments, returns);
  out().flow = Flow::Next;
  out().handler = supplied->handler;
  out().list.insert(out().list.end(), out().list2.begin(), out().list2.end());
  out().list2.clear();
  kernel.usesHeap |= supplied->handler == allocateInKernel;
}

void Decoder::emitCall(const std::vector<Place> &arguments, const std::vector<Place> &returns) {
  kernel.code.emplace_back();
  out().line = current->line;
  if (current->guard >= 0) {
    out().guard = frame->slots[static_cast<size_t>(current->guard)];
    out().guardNegated = current->guardNegated;
  }
  out().flow = Flow::Call;
  out().ownInit = true;
  out().instrClass = InstrClass::Control;
  out().src[2] = frameBase();
  for (const Place &place : arguments) {
    if (place.space != Space::Local)
      fail("a parameter of the call is not a variable of the caller");
    out().list.push_back(static_cast<uint32_t>(place.offset));
  }
  for (const Place &place : returns) {
    if (place.space != Space::Local)
      fail("a return value of the call is not a variable of the caller");
    out().list2.push_back(static_cast<uint32_t>(place.offset));
  }
}

uint32_t Decoder::calleeIndex(const Function &function) {
  auto found = std::find(callees.begin(), callees.end(), &function);
  auto index = static_cast<uint32_t>(found - callees.begin());
  if (found != callees.end())
    return index;
  callees.push_back(&function);
  auto place = static_cast<size_t>(&function - context.module->functions.data());
  kernel.calleeAt[functionAddress(place)] = index;
  return index;
}

/// The bodies of all functions that are called in earnest, which may call more.
void Decoder::decodeCallees() {
  std::vector<uint32_t> starts;
  for (size_t i = 0; i < callees.size(); ++i) {
    const Function &function = *callees[i];
    Callee callee;
    callee.name = function.name;
    callee.baseSlot = allocate(32);
    callee.registers.push_back({callee.baseSlot, 4});
    region = &callee;
    regionIndex = static_cast<uint32_t>(i);
    regionAddresses.clear();
    Frame body{&function, {}, {}, {}, 0, 0};
    current = nullptr;
    try {
      placeVariables(body, {}, {});
      callee.start = static_cast<uint32_t>(kernel.code.size());
      inlineFunction(body);
    } catch (const Unsupported &error) {
      noteMissing(error);
    }
    auto describe = [&](const std::vector<int> &formals) {
      std::vector<Callee::Place> places;
      for (int index : formals)
        places.push_back({static_cast<uint32_t>(body.places[static_cast<size_t>(index)].offset),
                          static_cast<uint32_t>(function.variables[static_cast<size_t>(index)].bytes)});
      return places;
    };
    callee.params = describe(function.params);
    callee.returns = describe(function.returns);
    kernel.code.emplace_back();
    out().flow = Flow::Return;
    out().instrClass = InstrClass::Control;
    out().line = function.body.empty() ? function.line : function.body.back().line;
    for (const auto &[offset, slot] : regionAddresses) {
      callee.addresses.emplace_back(slot, static_cast<uint32_t>(offset));
      callee.registers.push_back({slot, 8});
    }
    region = nullptr;
    regionIndex = kNone;
    kernel.callees.push_back(std::move(callee));
  }
  kernel.stackStart = kernel.localBytes;
  if (!callees.empty() || usesStack)
    kernel.localBytes += kStackBytes;
}

/// What is missing in functions that the kernel reaches by name is missing in the kernel. Whether one is called through a pointer is seen
/// when it is.
void Decoder::spreadMissing() {
  std::set<uint32_t> reached = {kNone};
  for (size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (auto [caller, callee] : directCalls)
      if (reached.count(caller))
        reached.insert(callee);
  }
  for (uint32_t index : reached)
    if (index != kNone)
      for (const MissingPart &part : kernel.callees[index].missing)
        kernel.missing.push_back(part);
  std::sort(kernel.missing.begin(), kernel.missing.end(), [](const MissingPart &a, const MissingPart &b) { return a.line < b.line; });
}

/// A slot that holds the address of an offset in the frame of the function being decoded: set on every entry.
uint32_t Decoder::localAddress(uint64_t offset) {
  auto [found, isNew] = regionAddresses.try_emplace(offset, 0);
  if (isNew)
    found->second = allocate(64);
  return found->second;
}

} // namespace emulator
} // namespace fourfold
