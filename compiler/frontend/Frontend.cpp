// Parsing and naming.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"

#include "dialect/Fp4.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

/// Where parseSpec keeps the names of an op's results and of a function's arguments.
static constexpr llvm::StringLiteral kResultNames = "fp4.names";
static constexpr llvm::StringLiteral kArgumentNames = "fp4.arg_names";

void registerSpecDialects(DialectRegistry &registry) {
  registry.insert<fp4::Fp4Dialect, func::FuncDialect, arith::ArithDialect, math::MathDialect>();
}

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

static void printLocation(llvm::raw_ostream &stream, Location location) {
  if (auto file = location->findInstanceOf<FileLineColLoc>())
    stream << file.getFilename().getValue() << ":" << file.getLine() << ":" << file.getColumn() << ": ";
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context)
    : handler(&context, [this](Diagnostic &diagnostic) {
        llvm::raw_string_ostream stream(text);
        auto print = [&](Diagnostic &one, llvm::StringRef severity) {
          if (!text.empty())
            stream << "\n";
          printLocation(stream, one.getLocation());
          stream << severity << ": " << one.str();
        };
        if (diagnostic.getSeverity() == DiagnosticSeverity::Remark)
          return success();
        print(diagnostic, diagnostic.getSeverity() == DiagnosticSeverity::Error ? "error" : "warning");
        for (Diagnostic &note : diagnostic.getNotes())
          print(note, "note");
        return success();
      }) {}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// The text of an SSA name at a location of the source: `%mu` gives "mu"; numbers, and `%mu#1`, give "".
static std::string sourceName(llvm::SMRange range) {
  if (!range.isValid())
    return "";
  llvm::StringRef text(range.Start.getPointer(), range.End.getPointer() - range.Start.getPointer());
  if (!text.consume_front("%") || text.empty() || llvm::isDigit(text.front()) || text.contains('#') || text.contains(':'))
    return "";
  return text.str();
}

namespace {

class Namer {
public:
  Namer(func::FuncOp function, const AsmParserState *state) : function(function), state(state) {}

  void run();

private:
  std::string unique(std::string name);
  /// `kind` and a number that is still free.
  std::string numbered(llvm::StringRef kind);

  func::FuncOp function;
  const AsmParserState *state;
  llvm::StringSet<> taken;
};

} // namespace

std::string Namer::unique(std::string name) {
  std::string candidate = name;
  for (int i = 1; !taken.insert(candidate).second; ++i)
    candidate = name + "_" + std::to_string(i);
  return candidate;
}

std::string Namer::numbered(llvm::StringRef kind) {
  for (int i = 0;; ++i) {
    std::string candidate = (kind + llvm::Twine(i)).str();
    if (taken.insert(candidate).second)
      return candidate;
  }
}

void Namer::run() {
  Builder builder(function.getContext());
  Operation *terminator = function.front().getTerminator();
  // Names that were given come first, so that a number or a source name never takes one.
  llvm::DenseMap<Value, std::string> given;
  auto give = [&](Value value, Attribute attribute) {
    if (auto name = dyn_cast_or_null<StringAttr>(attribute); name && !given.count(value) && taken.insert(name.getValue()).second)
      given[value] = name.getValue().str();
  };
  for (auto [index, argument] : llvm::enumerate(function.getArguments()))
    give(argument, function.getArgAttr(index, fp4::kNameAttr));
  for (auto [index, operand] : llvm::enumerate(terminator->getOperands()))
    give(operand, function.getResultAttr(index, fp4::kNameAttr));

  llvm::SmallVector<Attribute> arguments;
  for (auto [index, argument] : llvm::enumerate(function.getArguments())) {
    std::string name = given.lookup(argument);
    if (name.empty() && state)
      if (const auto *definition = state->getBlockDef(argument.getOwner()))
        if (index < definition->arguments.size())
          name = sourceName(definition->arguments[index].loc);
    if (name.empty())
      name = numbered("arg");
    else if (!given.count(argument))
      name = unique(name);
    arguments.push_back(builder.getStringAttr(name));
  }
  function->setAttr(kArgumentNames, builder.getArrayAttr(arguments));

  for (Operation &op : function.front().without_terminator()) {
    llvm::SmallVector<Attribute> names;
    const AsmParserState::OperationDefinition *definition = state ? state->getOpDef(&op) : nullptr;
    for (OpResult result : op.getResults()) {
      std::string name = given.lookup(result);
      if (name.empty() && definition)
        for (const auto &group : definition->resultGroups)
          if (group.startIndex == result.getResultNumber())
            name = sourceName(group.definition.loc);
      if (name.empty())
        name = numbered(op.getName().stripDialect());
      else if (!given.count(result))
        name = unique(name);
      names.push_back(builder.getStringAttr(name));
    }
    if (!names.empty())
      op.setAttr(kResultNames, builder.getArrayAttr(names));
  }
}

llvm::StringRef valueName(Value value) {
  ArrayAttr names;
  unsigned index = 0;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    names = argument.getOwner()->getParentOp()->getAttrOfType<ArrayAttr>(kArgumentNames);
    index = argument.getArgNumber();
  } else {
    names = value.getDefiningOp()->getAttrOfType<ArrayAttr>(kResultNames);
    index = cast<OpResult>(value).getResultNumber();
  }
  return names && index < names.size() ? cast<StringAttr>(names[index]).getValue() : llvm::StringRef("value");
}

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

static FailureOr<func::FuncOp> findFunction(ModuleOp module, llvm::StringRef name) {
  llvm::SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  std::string list;
  for (func::FuncOp function : functions)
    list += (list.empty() ? "" : ", ") + function.getName().str();
  if (!name.empty()) {
    for (func::FuncOp function : functions)
      if (function.getName() == name)
        return function;
    return module.emitError() << "has no function '" << name << "'; it has: " << (list.empty() ? "none" : list), failure();
  }
  if (functions.size() == 1)
    return functions.front();
  if (functions.empty())
    return module.emitError("has no function; a spec is a func.func"), failure();
  return module.emitError() << "has " << functions.size() << " functions (" << list << "); say which with --function",
         failure();
}

FailureOr<ParsedSpec> parseSpec(llvm::StringRef text, llvm::StringRef fileName, MLIRContext &context,
                                llvm::StringRef functionName) {
  ParsedSpec spec;
  // The copy is NUL-terminated, which the lexer needs, and must outlive the parser state that points into it.
  std::unique_ptr<llvm::MemoryBuffer> buffer = llvm::MemoryBuffer::getMemBufferCopy(text, fileName);
  llvm::MemoryBufferRef contents = buffer->getMemBufferRef();
  bool isText = !isBytecode(contents);
  AsmParserState state;
  ParserConfig config(&context);
  if (isText) {
    llvm::SourceMgr manager;
    manager.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
    spec.module = ModuleOp::create(UnknownLoc::get(&context));
    Block *body = spec.module->getBody();
    if (failed(parseAsmSourceFile(manager, body, config, &state)))
      return failure();
    // A file may hold one explicit module.
    if (llvm::hasSingleElement(*body))
      if (auto inner = dyn_cast<ModuleOp>(body->front())) {
        inner->remove();
        spec.module = inner;
      }
    spec.module->getOperation()->setLoc(FileLineColLoc::get(&context, fileName, 1, 1));
    if (failed(verify(*spec.module)))
      return failure();
    FailureOr<func::FuncOp> function = findFunction(*spec.module, functionName);
    if (failed(function))
      return failure();
    spec.function = *function;
    if (spec.function.isExternal())
      return spec.function.emitError("has no body: nothing to compute"), failure();
    Namer(spec.function, &state).run();
    return spec;
  }

  spec.module = parseSourceString<ModuleOp>(text, config, fileName);
  if (!spec.module)
    return failure();
  FailureOr<func::FuncOp> function = findFunction(*spec.module, functionName);
  if (failed(function))
    return failure();
  spec.function = *function;
  if (spec.function.isExternal())
    return spec.function.emitError("has no body: nothing to compute"), failure();
  Namer(spec.function, nullptr).run();
  return spec;
}

} // namespace compiler
} // namespace fourfold
