// One NVRTC program of all sources that a spec needs: names that clash are then errors of the C++ compiler, at their line.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/codegen/CudaFunctions.h"

#include "cuda/Nvrtc.h"
#include "cuda/PtxMerge.h"

#include "mlir/IR/Diagnostics.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

llvm::SmallVector<fp4::CudaOp> calledFunctions(func::FuncOp function) {
  llvm::SetVector<Operation *> found;
  function.walk([&](fp4::CallOp call) {
    if (Operation *callee = SymbolTable::lookupNearestSymbolFrom(call, call.getCalleeAttr()))
      found.insert(callee);
  });
  return llvm::map_to_vector(found, [](Operation *op) { return cast<fp4::CudaOp>(op); });
}

namespace {

/// "float gelu(float, int)".
std::string signatureOf(fp4::CudaOp function, llvm::StringRef name) {
  std::string text = "float " + name.str() + "(";
  for (auto [index, type] : llvm::enumerate(function.getFunctionType().getInputs()))
    text += std::string(index ? ", " : "") + (type.isF32() ? "float" : "int");
  return text + ")";
}

/// The file that an op was written in; "" where its location does not say.
llvm::StringRef fileOf(Operation *op) {
  llvm::StringRef name;
  op->getLoc()->walk([&](Location location) {
    if (auto file = dyn_cast<FileLineColLoc>(location)) {
      name = file.getFilename().getValue();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return name;
}

/// A source text, what messages call it, and the functions declared to be in it.
struct Source {
  std::string name, text;
  llvm::SmallVector<fp4::CudaOp> functions;
};

class Compilation {
public:
  Compilation(func::FuncOp function, const Target &target) : function(function), target(target) {}

  LogicalResult run(llvm::ArrayRef<fp4::CudaOp> functions, std::string *ptx);

private:
  LogicalResult collect(llvm::ArrayRef<fp4::CudaOp> functions);
  std::string program(bool withChecks) const;
  bool compile(const std::string &text, std::string *ptx, std::string *log) const;
  void reportLog(llvm::StringRef log);
  LogicalResult explainSignatures();

  func::FuncOp function;
  const Target &target;
  cuda::Nvrtc nvrtc;
  llvm::SmallVector<Source> sources;
};

} // namespace

LogicalResult Compilation::collect(llvm::ArrayRef<fp4::CudaOp> functions) {
  for (fp4::CudaOp op : functions) {
    Source source;
    if (op.getSource()) {
      source.name = "fp4.cuda @" + op.getSymName().str();
      source.text = op.getSource()->str();
    } else {
      llvm::SmallString<256> path(*op.getFile());
      if (llvm::sys::path::is_relative(path)) {
        llvm::SmallString<256> besideSpec(llvm::sys::path::parent_path(fileOf(op)));
        llvm::sys::path::append(besideSpec, path);
        path = besideSpec;
      }
      auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
      if (!buffer)
        return op.emitOpError() << "'" << op.getSymName() << "' cannot be read from '" << path
                                << "': " << buffer.getError().message()
                                << "; a relative file is looked for in the folder of the spec";
      source.name = std::string(path);
      source.text = (*buffer)->getBuffer().str();
    }
    auto same = llvm::find_if(sources, [&](const Source &other) { return other.name == source.name; });
    if (same == sources.end())
      same = &sources.emplace_back(std::move(source));
    same->functions.push_back(op);
  }
  return success();
}

static std::string quoted(llvm::StringRef name) {
  std::string text = "\"";
  for (char c : name)
    text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return text + "\"";
}

std::string Compilation::program(bool withChecks) const {
  std::string text;
  for (const Source &source : sources)
    text += "#line 1 " + quoted(source.name) + "\n" + source.text + "\n";
  if (!withChecks)
    return text;
  text += "#line 1 \"fp4.cuda\"\ntemplate <class A, class B> struct FourfoldSame { static constexpr bool value = false; };\n"
          "template <class A> struct FourfoldSame<A, A> { static constexpr bool value = true; };\n";
  for (const Source &source : sources)
    for (fp4::CudaOp op : source.functions) {
      std::string name = op.getSymName().str();
      text += "static_assert(FourfoldSame<decltype(" + name + "), " + signatureOf(op, "") + ">::value, \"" + name + "\");\n";
    }
  return text;
}

bool Compilation::compile(const std::string &text, std::string *ptx, std::string *log) const {
  std::vector<std::string> options = {"--relocatable-device-code=true", "--fmad=false"};
  for (const Source &source : sources)
    if (llvm::StringRef folder = llvm::sys::path::parent_path(source.name); !folder.empty())
      options.push_back("--include-path=" + folder.str());
  return nvrtc.compile(text, "fp4.cuda", target.name().str(), options, ptx, log);
}

/// `gelu.cu(3): error: ...` becomes a diagnostic at gelu.cu:3; lines in between are its text.
void Compilation::reportLog(llvm::StringRef log) {
  static llvm::Regex start("^(.*)\\(([0-9]+)\\): (catastrophic error|error)( #[0-9]+(-D)?)?: (.*)$");
  struct Message {
    Location where;
    std::string text;
  };
  llvm::SmallVector<Message> messages;
  llvm::SmallVector<llvm::StringRef> lines, parts;
  bool inError = false;
  log.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef line : lines) {
    if (start.match(line, &parts)) {
      unsigned number = 1;
      parts[2].getAsInteger(10, number);
      messages.push_back({FileLineColLoc::get(function.getContext(), parts[1], number, 1), parts[6].str()});
      inError = true;
    } else if (line.contains("): warning") || line.contains(" error detected") || line.contains(" errors detected")) {
      inError = false;
    } else if (inError) {
      messages.back().text += "\n" + line.rtrim().str();
    }
  }
  if (messages.empty())
    messages.push_back({sources.front().functions.front().getLoc(), "NVRTC fails: " + log.trim().str()});
  for (const Message &message : messages)
    emitError(message.where) << message.text;
}

/// The sources compile, but not with the declarations' checks: compiled with one check at a time.
LogicalResult Compilation::explainSignatures() {
  llvm::SmallVector<Source> all = sources;
  for (const Source &source : all)
    for (fp4::CudaOp op : source.functions) {
      std::string ptx, log;
      for (Source &other : sources)
        other.functions.clear();
      sources[&source - all.begin()].functions = {op};
      if (compile(program(true), &ptx, &log))
        continue;
      bool missing = log.find("undefined") != std::string::npos;
      op.emitOpError() << "expects '" << source.name << "' to define extern \"C\" __device__ "
                       << signatureOf(op, op.getSymName()) << ", but "
                       << (missing ? "it defines no function of that name" : "its function has another signature");
    }
  sources = std::move(all);
  return failure();
}

LogicalResult Compilation::run(llvm::ArrayRef<fp4::CudaOp> functions, std::string *ptx) {
  std::string error, library, log, merged;
  fp4::CudaOp first = functions.front();
  if (!cuda::Nvrtc::open(&nvrtc, &error))
    return first.emitOpError() << "'" << first.getSymName() << "' cannot be compiled: " << error;
  if (failed(collect(functions)))
    return failure();
  if (!compile(program(true), &library, &log)) {
    std::string ownLog;
    if (compile(program(false), &library, &ownLog))
      return explainSignatures();
    reportLog(ownLog);
    return failure();
  }
  // A C++ name would have its types in it: then the function is there, but not under its plain name.
  for (fp4::CudaOp op : functions)
    if (llvm::Regex("[ \t]" + op.getSymName().str() + "\\(").match(library) == false)
      return op.emitOpError() << "expects '" << op.getSymName() << "' to be extern \"C\" __device__, but it has C++ linkage";
  if (!cuda::mergePtx(*ptx, library, &merged, &error))
    return first.emitOpError() << "cannot be linked: " << error;
  *ptx = std::move(merged);
  return success();
}

LogicalResult addCudaFunctions(func::FuncOp function, const Target &target, std::string *ptx, std::string *ptxVersion) {
  llvm::SmallVector<fp4::CudaOp> functions = calledFunctions(function);
  if (functions.empty())
    return success();
  if (failed(Compilation(function, target).run(functions, ptx)))
    return failure();
  llvm::StringRef rest = llvm::StringRef(*ptx).split(".version ").second;
  *ptxVersion = rest.take_until([](char c) { return c == '\n' || c == ' '; }).str();
  return success();
}

} // namespace compiler
} // namespace fourfold
