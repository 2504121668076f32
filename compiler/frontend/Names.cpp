// Naming the values of a spec: attributes first, then the source text, then position.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Names.h"

#include "compiler/frontend/Frontend.h"
#include "dialect/Fp4.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

/// Hands out names, each once.
class Namer {
public:
  Namer(func::FuncOp function, const AsmParserState *state) : function(function), builder(function.getContext()) {
    if (state)
      collectSourceNames(*state);
  }

  LogicalResult run() {
    if (failed(takeAttributes()))
      return failure();
    for (BlockArgument argument : function.getArguments())
      if (!names.count(argument))
        give(argument, ("arg" + llvm::Twine(argument.getArgNumber())).str());
    llvm::StringMap<int> count;
    for (Operation &op : function.front())
      nameResults(op, count[op.getName().stripDialect()]);
    for (BlockArgument argument : function.getArguments())
      function.setArgAttr(argument.getArgNumber(), fp4::kNameAttr, builder.getStringAttr(names[argument]));
    return success();
  }

private:
  void collectSourceNames(const AsmParserState &state);
  LogicalResult takeAttributes();
  void nameResults(Operation &op, int &count);

  /// The source name, else `fallback`; made unique.
  void give(Value value, std::string fallback) {
    auto found = sourceNames.find(value);
    std::string wanted = found != sourceNames.end() ? found->second : std::move(fallback), name = wanted;
    for (int suffix = 1; !taken.insert(name).second; ++suffix)
      name = wanted + "_" + std::to_string(suffix);
    names[value] = name;
  }

  func::FuncOp function;
  Builder builder;
  llvm::DenseMap<Value, std::string> sourceNames, names;
  llvm::StringSet<> taken;
};

} // namespace

/// `%xr` gives "xr"; numbers, which printers invent, give "".
static std::string sourceName(const AsmParserState::SMDefinition &definition) {
  const char *start = definition.loc.Start.getPointer(), *end = definition.loc.End.getPointer();
  if (!start || end <= start)
    return "";
  llvm::StringRef text(start, end - start);
  if (!text.consume_front("%"))
    return "";
  text = text.take_until([](char c) { return c == ':' || c == ' '; });
  if (text.empty() || llvm::isDigit(text.front()) || text.contains('$'))
    return "";
  return text.str();
}

void Namer::collectSourceNames(const AsmParserState &state) {
  for (const AsmParserState::BlockDefinition &block : state.getBlockDefs()) {
    if (block.block != &function.front())
      continue;
    for (auto [argument, definition] : llvm::zip(block.block->getArguments(), block.arguments))
      if (std::string name = sourceName(definition); !name.empty())
        sourceNames[argument] = name;
  }
  for (const AsmParserState::OperationDefinition &definition : state.getOpDefs()) {
    if (definition.op->getBlock() != &function.front())
      continue;
    unsigned numResults = definition.op->getNumResults();
    for (auto [index, group] : llvm::enumerate(definition.resultGroups)) {
      std::string name = sourceName(group.definition);
      if (name.empty())
        continue;
      unsigned end =
          index + 1 < definition.resultGroups.size() ? definition.resultGroups[index + 1].startIndex : numResults;
      // %r:2 names a group: r.0, r.1.
      for (unsigned result = group.startIndex; result < end; ++result)
        sourceNames[definition.op->getResult(result)] =
            end - group.startIndex == 1 ? name : name + "." + std::to_string(result - group.startIndex);
    }
  }
}

/// Names that attributes give hold as they are: callers pass and receive tensors by them.
LogicalResult Namer::takeAttributes() {
  for (BlockArgument argument : function.getArguments())
    if (auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), fp4::kNameAttr)) {
      names[argument] = name.str();
      taken.insert(name.getValue());
    }
  Operation *terminator = function.front().getTerminator();
  for (auto [index, value] : llvm::enumerate(terminator->getOperands())) {
    auto name = function.getResultAttrOfType<StringAttr>(index, fp4::kNameAttr);
    // An argument goes by its own name: a result's is that of the copy.
    if (!name || names.count(value) || isa<BlockArgument>(value))
      continue;
    if (!taken.insert(name.getValue()).second)
      return function.emitOpError() << "names both an argument and result " << index << " '" << name.getValue() << "'";
    names[value] = name.str();
  }
  return success();
}

void Namer::nameResults(Operation &op, int &count) {
  if (op.getNumResults() == 0)
    return;
  auto kept = op.getAttrOfType<ArrayAttr>(kNamesAttr);
  llvm::SmallVector<Attribute> attributes;
  for (OpResult result : op.getResults()) {
    if (kept && result.getResultNumber() < kept.size())
      if (auto name = dyn_cast<StringAttr>(kept[result.getResultNumber()]))
        sourceNames[result] = name.str();
    if (!names.count(result))
      give(result, (op.getName().stripDialect() + "." + llvm::Twine(count)).str());
    ++count;
    attributes.push_back(builder.getStringAttr(names[result]));
  }
  op.setAttr(kNamesAttr, builder.getArrayAttr(attributes));
}

LogicalResult nameValues(func::FuncOp function, const AsmParserState *state) { return Namer(function, state).run(); }

llvm::StringRef valueName(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    auto name =
        function ? function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), fp4::kNameAttr) : StringAttr();
    return name ? name.getValue() : llvm::StringRef();
  }
  auto result = cast<OpResult>(value);
  auto names = result.getOwner()->getAttrOfType<ArrayAttr>(kNamesAttr);
  if (!names || result.getResultNumber() >= names.size())
    return {};
  auto name = dyn_cast<StringAttr>(names[result.getResultNumber()]);
  return name ? name.getValue() : llvm::StringRef();
}

std::string resultName(func::FuncOp function, unsigned index) {
  if (auto name = function.getResultAttrOfType<StringAttr>(index, fp4::kNameAttr))
    return name.str();
  // A value that is returned more than once has its own name the first time, then names that no other result has.
  Operation *terminator = function.front().getTerminator();
  Value value = terminator->getOperand(index);
  std::string base = valueName(value).empty() ? "result" + std::to_string(index) : valueName(value).str(), name = base;
  int earlier = 0;
  llvm::StringSet<> others;
  for (auto [other, operand] : llvm::enumerate(terminator->getOperands())) {
    auto attribute = function.getResultAttrOfType<StringAttr>(static_cast<unsigned>(other), fp4::kNameAttr);
    if (attribute || operand != value)
      others.insert(attribute ? attribute.getValue() : valueName(operand));
    else if (other < index)
      ++earlier;
  }
  for (int suffix = 1; others.contains(name) || earlier-- > 0; ++suffix)
    name = base + "_" + std::to_string(suffix);
  return name;
}

} // namespace compiler
} // namespace fourfold
