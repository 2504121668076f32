// fourfold-lsp-server: diagnostics, hover and completion for specs in editors that speak the language server protocol.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/tools/ToolDialects.h"

#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  fourfold::compiler::registerToolDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
