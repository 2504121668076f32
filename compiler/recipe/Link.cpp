// Three specs become one function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Names.h"
#include "compiler/recipe/Recipe.h"
#include "dialect/Fp4.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

/// What a recipe's functions are called, take and give.
struct Role {
  llvm::StringLiteral function;
  llvm::SmallVector<llvm::StringLiteral> needed, allowed, results, optionalResults;
};

const Role &roleOf(int index) {
  static const Role roles[] = {
      {"linear_forward", {"x", "w"}, {"bias", "mask", "seed", "offset"}, {"y"}, {}},
      {"linear_dgrad", {"d", "w"}, {"mask", "seed", "offset"}, {"dx"}, {}},
      {"linear_wgrad", {"d", "x"}, {"mask", "dw_in", "seed", "offset"}, {"dw"}, {"db"}},
  };
  return roles[index];
}
constexpr size_t kNumRoles = 3;

template <typename List>
std::string listed(const List &names) {
  std::string text;
  for (llvm::StringRef name : names)
    text += (text.empty() ? "" : ", ") + name.str();
  return text;
}

class Linker {
public:
  Linker(MLIRContext &context, llvm::ArrayRef<std::string> absent) : context(context), absent(absent) {}

  FailureOr<ParsedSpec> run(llvm::ArrayRef<RecipeSource> sources, bool distributed);

private:
  LogicalResult check(func::FuncOp function, const Role &role);
  LogicalResult addArguments(func::FuncOp function);
  LogicalResult addDeclarations(ModuleOp module);
  void addBody(func::FuncOp function);
  LogicalResult removeDuplicates();
  LogicalResult sortByPhase();
  void nameOps();
  /// Of the names that are left out those that this function has: another of the recipe's may have the others.
  llvm::SmallVector<std::string> absentFrom(func::FuncOp function) const {
    llvm::SmallVector<std::string> names;
    for (BlockArgument argument : function.getArguments())
      if (isAbsent(valueName(argument)))
        names.push_back(valueName(argument).str());
    return names;
  }
  bool isAbsent(llvm::StringRef name) const { return llvm::is_contained(absent, name); }

  MLIRContext &context;
  llvm::ArrayRef<std::string> absent;
  ParsedSpec linked;
  llvm::StringMap<Value> arguments;
  llvm::SmallVector<Value> results;
  llvm::SmallVector<std::string> resultNames;
};

} // namespace

LogicalResult Linker::check(func::FuncOp function, const Role &role) {
  if (function.getName() != role.function)
    return function.emitOpError() << "expects the function '" << role.function << "', but got '" << function.getName()
                                  << "'";
  llvm::StringSet<> found;
  for (BlockArgument argument : function.getArguments()) {
    llvm::StringRef name = valueName(argument);
    found.insert(name);
    if (!llvm::is_contained(role.needed, name) && !llvm::is_contained(role.allowed, name))
      return function.emitOpError() << "of a recipe cannot have argument '" << name << "'; it takes "
                                    << listed(role.needed) << " and may take " << listed(role.allowed);
  }
  for (llvm::StringRef name : role.needed)
    if (!found.contains(name))
      return function.emitOpError() << "of a recipe needs argument '" << name << "'; it takes " << listed(role.needed);
  llvm::StringSet<> given;
  Operation *terminator = function.front().getTerminator();
  for (unsigned i = 0; i < terminator->getNumOperands(); ++i) {
    std::string name = resultName(function, i);
    given.insert(name);
    if (!llvm::is_contained(role.results, name) && !llvm::is_contained(role.optionalResults, name))
      return function.emitOpError() << "of a recipe cannot have result '" << name << "'; it gives "
                                    << listed(role.results)
                                    << (role.optionalResults.empty() ? "" : " and may give ")
                                    << listed(role.optionalResults);
  }
  for (llvm::StringRef name : role.results)
    if (!given.contains(name))
      return function.emitOpError() << "of a recipe needs result '" << name << "'; it gives " << listed(given.keys());
  return success();
}

/// One argument a name; types must be the same.
LogicalResult Linker::addArguments(func::FuncOp function) {
  Block &block = linked.function.front();
  for (BlockArgument argument : function.getArguments()) {
    llvm::StringRef name = valueName(argument);
    auto [entry, isNew] = arguments.try_emplace(name, Value());
    if (isNew) {
      entry->second = block.addArgument(argument.getType(), argument.getLoc());
      continue;
    }
    if (entry->second.getType() != argument.getType())
      return function.emitOpError() << "takes '" << name << "' as " << argument.getType()
                                    << ", but another function of the recipe as " << entry->second.getType();
  }
  return success();
}

/// Functions in CUDA C++ that several specs declare must be the same.
LogicalResult Linker::addDeclarations(ModuleOp module) {
  OpBuilder builder(&context);
  builder.setInsertionPoint(linked.function);
  for (auto op : module.getOps<fp4::CudaOp>()) {
    Operation *other = linked.module->lookupSymbol(op.getSymName());
    if (!other) {
      builder.clone(*op);
    } else if (other->getName() != op->getName() || other->getAttrDictionary() != op->getAttrDictionary()) {
      InFlightDiagnostic error = op.emitOpError() << "'" << op.getSymName() << "' is something else in another spec of the recipe";
      error.attachNote(other->getLoc()) << "the other one";
      return error;
    }
  }
  return success();
}

void Linker::addBody(func::FuncOp function) {
  IRMapping mapping;
  for (BlockArgument argument : function.getArguments())
    mapping.map(argument, arguments[valueName(argument)]);
  OpBuilder builder = OpBuilder::atBlockEnd(&linked.function.front());
  for (Operation &op : function.front().without_terminator())
    builder.clone(op, mapping);
  for (auto [index, value] : llvm::enumerate(function.front().getTerminator()->getOperands())) {
    std::string name = resultName(function, index);
    if (isAbsent(name))
      continue;
    results.push_back(mapping.lookup(value));
    resultNames.push_back(name);
  }
}

/// Names of values are no part of what an op computes: they are put aside while equal ops are found.
LogicalResult Linker::removeDuplicates() {
  llvm::DenseMap<Operation *, Attribute> names;
  for (Operation &op : linked.function.front())
    if (Attribute name = op.removeAttr(kNamesAttr))
      names[&op] = name;
  PassManager passes(&context);
  passes.addPass(createCSEPass());
  if (failed(passes.run(*linked.module)))
    return failure();
  for (Operation &op : linked.function.front())
    if (Attribute name = names.lookup(&op))
      op.setAttr(kNamesAttr, name);
  // What nothing needs any more: a result that the layer does without.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(linked.function.front().without_terminator())))
    if (op.use_empty())
      op.erase();
  return success();
}

LogicalResult Linker::sortByPhase() {
  FailureOr<llvm::DenseMap<Operation *, Phase>> phases = phasesOf(linked.function);
  if (failed(phases))
    return failure();
  Block &block = linked.function.front();
  llvm::SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  llvm::stable_sort(ops, [&](Operation *lhs, Operation *rhs) { return (*phases)[lhs] < (*phases)[rhs]; });
  for (Operation *op : ops)
    op->moveBefore(block.getTerminator());
  return success();
}

/// Two functions may use one name for two values: the later one gets a number.
void Linker::nameOps() {
  Builder builder(&context);
  llvm::StringSet<> taken;
  for (auto &entry : arguments)
    taken.insert(entry.first());
  llvm::DenseMap<Value, std::string> fixed;
  for (auto [value, name] : llvm::zip(results, resultNames)) {
    fixed[value] = name;
    taken.insert(name);
  }
  for (Operation &op : linked.function.front().without_terminator()) {
    llvm::SmallVector<Attribute> names;
    for (OpResult result : op.getResults()) {
      std::string name = fixed.lookup(result);
      if (name.empty()) {
        std::string wanted = valueName(result).str();
        name = wanted;
        for (int suffix = 2; !taken.insert(name).second; ++suffix)
          name = wanted + std::to_string(suffix);
      }
      names.push_back(builder.getStringAttr(name));
    }
    op.setAttr(kNamesAttr, builder.getArrayAttr(names));
  }
}

FailureOr<ParsedSpec> Linker::run(llvm::ArrayRef<RecipeSource> sources, bool distributed) {
  if (sources.size() != kNumRoles)
    return emitError(UnknownLoc::get(&context))
               << "a recipe has three specs, linear_forward, linear_dgrad and linear_wgrad, but got " << sources.size(),
           failure();
  OpBuilder builder(&context);
  context.loadDialect<func::FuncDialect>();
  auto location = FileLineColLoc::get(&context, sources[0].fileName, 1, 1);
  linked.module = ModuleOp::create(location);
  builder.setInsertionPointToEnd(linked.module->getBody());
  linked.function = func::FuncOp::create(builder, location, "linear", builder.getFunctionType({}, {}));
  linked.function.addEntryBlock();

  for (auto [index, source] : llvm::enumerate(sources)) {
    const Role &role = roleOf(static_cast<int>(index));
    FailureOr<ParsedSpec> parsed = parseSpec(source.text, source.fileName, context, role.function);
    if (failed(parsed) || failed(check(parsed->function, role)) || failed(dropAbsent(parsed->function, absentFrom(parsed->function))) ||
        failed(addDeclarations(*parsed->module)) || failed(addArguments(parsed->function)))
      return failure();
    addBody(parsed->function);
  }
  builder.setInsertionPointToEnd(&linked.function.front());
  func::ReturnOp::create(builder, location, results);
  llvm::SmallVector<Type> argumentTypes(linked.function.front().getArgumentTypes()), resultTypes;
  for (Value value : results)
    resultTypes.push_back(value.getType());
  linked.function.setFunctionType(builder.getFunctionType(argumentTypes, resultTypes));
  for (auto &entry : arguments)
    linked.function.setArgAttr(cast<BlockArgument>(entry.second).getArgNumber(), fp4::kNameAttr,
                               builder.getStringAttr(entry.first()));
  for (auto [index, name] : llvm::enumerate(resultNames))
    linked.function.setResultAttr(index, fp4::kNameAttr, builder.getStringAttr(name));
  linked.function->setAttr(kRecipeAttr, builder.getUnitAttr());
  if (distributed)
    linked.function->setAttr(kDistributedAttr, builder.getUnitAttr());

  if (failed(removeDuplicates()))
    return failure();
  // Equal results of two functions are one value now.
  results.assign(linked.function.front().getTerminator()->operand_begin(),
                 linked.function.front().getTerminator()->operand_end());
  if (failed(sortByPhase()))
    return failure();
  nameOps();
  if (failed(verify(*linked.module)))
    return failure();
  return std::move(linked);
}

FailureOr<ParsedSpec> linkRecipe(llvm::ArrayRef<RecipeSource> sources, llvm::ArrayRef<std::string> absent,
                                 bool distributed, MLIRContext &context) {
  return Linker(context, absent).run(sources, distributed);
}

} // namespace compiler
} // namespace fourfold
