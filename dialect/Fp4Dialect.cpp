// The dialect object, its type's syntax and the fp4.name attribute.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Fp4.h"

#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::fp4;

#include "dialect/Fp4Dialect.cpp.inc"
#include "dialect/Fp4Enums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/Fp4Attributes.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/Fp4Types.cpp.inc"

int64_t mlir::fp4::formatBlockAlong(Format format) { return format == Format::nvfp4 ? 16 : 32; }

void Fp4Dialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/Fp4Attributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/Fp4Types.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/Fp4Ops.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// fp4.name
//===----------------------------------------------------------------------===//

/// True for what a command line can carry as NAME in NAME=FILE: a letter or underscore, then letters, digits, `_`, `.`,
/// `-`.
static bool isName(llvm::StringRef name) {
  return !name.empty() && (llvm::isAlpha(name.front()) || name.front() == '_') &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

/// fp4_name_c1: the value is a string that is a name; fp4_name_c2: no two arguments, and no two results, share it.
static LogicalResult verifyName(Operation *op, unsigned index, NamedAttribute attribute, bool isArgument) {
  llvm::StringRef what = isArgument ? "argument" : "result";
  if (attribute.getName() != kNameAttr)
    return op->emitError() << what << " " << index << " has unknown attribute '" << attribute.getName().getValue()
                           << "'; the dialect has '" << kNameAttr << "' and, for arguments, '" << kOptionalAttr << "'";
  auto name = dyn_cast<StringAttr>(attribute.getValue());
  if (!name || !isName(name.getValue()))
    return op->emitError()
           << what << " " << index << " expects '" << kNameAttr
           << "' to be a string of letters, digits, '_', '.' and '-' that starts with a letter or '_', but got "
           << attribute.getValue();
  auto function = dyn_cast<FunctionOpInterface>(op);
  for (unsigned other = 0; function && other < index; ++other) {
    Attribute theirs = isArgument ? function.getArgAttr(other, kNameAttr) : function.getResultAttr(other, kNameAttr);
    if (theirs == name)
      return op->emitError() << what << "s " << other << " and " << index << " are both named '" << name.getValue()
                             << "'";
  }
  return success();
}

LogicalResult Fp4Dialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned index, NamedAttribute attribute) {
  if (attribute.getName() == kOptionalAttr) { // fp4_optional_c1
    if (isa<UnitAttr>(attribute.getValue()))
      return success();
    return op->emitError() << "argument " << index << " expects '" << kOptionalAttr
                           << "' to be a unit attribute, but got " << attribute.getValue();
  }
  return verifyName(op, index, attribute, /*isArgument=*/true);
}

LogicalResult Fp4Dialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned index,
                                                      NamedAttribute attribute) {
  return verifyName(op, index, attribute, /*isArgument=*/false);
}

//===----------------------------------------------------------------------===//
// !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>
//===----------------------------------------------------------------------===//

Type QuantizedType::parse(AsmParser &parser) {
  llvm::SMLoc start = parser.getCurrentLocation();
  llvm::SmallVector<int64_t> shape, block;
  llvm::StringRef keyword;
  int64_t axis;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/true, /*withTrailingX=*/false) ||
      parser.parseComma())
    return {};
  llvm::SMLoc formatLoc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return {};
  std::optional<Format> format = symbolizeFormat(keyword);
  if (!format) {
    parser.emitError(formatLoc) << "unknown format '" << keyword << "'; expects nvfp4 or mxfp4";
    return {};
  }
  if (parser.parseComma() || parser.parseKeyword("block") || parser.parseEqual())
    return {};
  llvm::SMLoc blockLoc = parser.getCurrentLocation();
  if (parser.parseDimensionList(block, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return {};
  if (block.size() != 2) {
    parser.emitError(blockLoc) << "expects a block of two extents such as 1x16, but got " << block.size();
    return {};
  }
  if (parser.parseComma() || parser.parseKeyword("axis") || parser.parseEqual() || parser.parseInteger(axis) ||
      parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(start); }, parser.getContext(), shape, *format, block[0], block[1],
                    axis);
}

void QuantizedType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList(getShape());
  printer << ", " << stringifyFormat(getFormat()) << ", block = " << getBlockAcross() << "x" << getBlockAlong()
          << ", axis = " << getAxis() << ">";
}

LogicalResult QuantizedType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, llvm::ArrayRef<int64_t> shape,
                                    Format format, int64_t blockAcross, int64_t blockAlong, int64_t axis) {
  if (shape.size() != 2) // quantized_c1
    return emitError() << "expects a shape of 2 dimensions, but got " << shape.size();
  if (axis != 0 && axis != 1) // quantized_c2
    return emitError() << "expects axis 0 or 1, but got " << axis;
  bool across = blockAcross == 1 || (blockAcross == 16 && format == Format::nvfp4);
  if (!across || blockAlong != formatBlockAlong(format)) // quantized_c3
    return emitError() << "expects block " << (format == Format::nvfp4 ? "1x16 or 16x16" : "1x32") << " for "
                       << stringifyFormat(format) << ", but got " << blockAcross << "x" << blockAlong;
  return success();
}
