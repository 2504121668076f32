// Diagnostics as text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

static llvm::StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  return "error";
}

static void render(const Diagnostic &diagnostic, llvm::raw_ostream &stream) {
  // Fused and call-site locations lead to where the text stands.
  if (auto location = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>())
    stream << location.getFilename().getValue() << ":" << location.getLine() << ":" << location.getColumn() << ": ";
  stream << severityName(diagnostic.getSeverity()) << ": " << diagnostic.str();
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context)
    : handler(&context, [this](Diagnostic &diagnostic) {
        // The op itself as a note would repeat the spec; messages name what matters.
        std::string text;
        llvm::raw_string_ostream stream(text);
        render(diagnostic, stream);
        for (Diagnostic &note : diagnostic.getNotes()) {
          if (llvm::StringRef(note.str()).starts_with("see current operation"))
            continue;
          stream << "\n";
          render(note, stream);
        }
        collected.push_back(std::move(text));
        return success();
      }) {
  context.printOpOnDiagnostic(false);
}

std::string DiagnosticCollector::str() const { return llvm::join(collected, "\n"); }

} // namespace compiler
} // namespace fourfold
