// Verifiers of the fp4 ops: each check carries the label of its rule in Fp4Ops.td.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Fp4.h"

#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::fp4;

//===----------------------------------------------------------------------===//
// Shared checks
//===----------------------------------------------------------------------===//

/// Equal, or at least one is dynamic.
static bool agree(int64_t lhs, int64_t rhs) {
  return ShapedType::isDynamic(lhs) || ShapedType::isDynamic(rhs) || lhs == rhs;
}

static bool agree(llvm::ArrayRef<int64_t> lhs, llvm::ArrayRef<int64_t> rhs) {
  return lhs.size() == rhs.size() &&
         llvm::all_of(llvm::zip(lhs, rhs), [](auto pair) { return agree(std::get<0>(pair), std::get<1>(pair)); });
}

static std::string text(int64_t extent) { return ShapedType::isDynamic(extent) ? "?" : std::to_string(extent); }

static std::string text(llvm::ArrayRef<int64_t> shape) {
  std::string result = "(";
  for (auto [index, extent] : llvm::enumerate(shape))
    result += (index ? "x" : "") + text(extent);
  return result + ")";
}

static llvm::ArrayRef<int64_t> shapeOf(Value value) {
  if (auto quantized = dyn_cast<QuantizedType>(value.getType()))
    return quantized.getShape();
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// The number of blocks in each dimension.
static llvm::SmallVector<int64_t> scaleShape(llvm::ArrayRef<int64_t> shape, int64_t across, int64_t along,
                                             int64_t axis) {
  llvm::SmallVector<int64_t> result;
  for (auto [dim, extent] : llvm::enumerate(shape)) {
    int64_t block = static_cast<int64_t>(dim) == axis ? along : across;
    result.push_back(ShapedType::isDynamic(extent) ? extent : (extent + block - 1) / block);
  }
  return result;
}

static bool hasScaleType(Type element, Format format) {
  return format == Format::nvfp4 ? isa<Float8E4M3FNType>(element) : isa<Float8E8M0FNUType>(element);
}

static llvm::StringRef scaleTypeName(Format format) { return format == Format::nvfp4 ? "f8E4M3FN" : "f8E8M0FNU"; }

static LogicalResult checkSameShape(Operation *op, Value input, Value result, llvm::StringRef what) {
  if (agree(shapeOf(input), shapeOf(result)))
    return success();
  return op->emitOpError() << "expects " << what << " of the input's shape " << text(shapeOf(input)) << ", but got "
                           << text(shapeOf(result));
}

static LogicalResult checkAxis(Operation *op, int64_t axis) {
  if (axis == 0 || axis == 1)
    return success();
  return op->emitOpError() << "expects axis 0 or 1, but got " << axis;
}

static LogicalResult checkMask(Operation *op, Value mask, Value input) {
  if (!mask || agree(shapeOf(mask)[0], shapeOf(input)[0]))
    return success();
  return op->emitOpError() << "expects a mask of one byte for each of the input's " << text(shapeOf(input)[0])
                           << " rows, but got " << text(shapeOf(mask)[0]);
}

//===----------------------------------------------------------------------===//
// prologue, epilogue
//===----------------------------------------------------------------------===//

static ParseResult parseElementOp(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand input;
  if (parser.parseOperand(input))
    return failure();
  constexpr llvm::StringLiteral keywords[] = {"rows", "cols", "full", "scalars"};
  llvm::SmallVector<OpAsmParser::UnresolvedOperand> operands[4];
  llvm::SmallVector<Type> types[4];
  for (int i = 0; i < 4; ++i) {
    if (failed(parser.parseOptionalKeyword(keywords[i])))
      continue;
    if (parser.parseLParen() || parser.parseOperandList(operands[i]) || parser.parseColonTypeList(types[i]) ||
        parser.parseRParen())
      return failure();
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion(), /*arguments=*/{}))
    return failure();
  Type inputType, resultType;
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseColonType(inputType) || parser.parseArrow() || parser.parseType(resultType) ||
      parser.resolveOperand(input, inputType, result.operands))
    return failure();
  llvm::SmallVector<int32_t> segments = {1};
  for (int i = 0; i < 4; ++i) {
    if (parser.resolveOperands(operands[i], types[i], loc, result.operands))
      return failure();
    segments.push_back(static_cast<int32_t>(operands[i].size()));
  }
  result.addTypes(resultType);
  result.addAttribute("operandSegmentSizes", parser.getBuilder().getDenseI32ArrayAttr(segments));
  return success();
}

template <typename OpTy>
static void printElementOp(OpTy op, OpAsmPrinter &printer) {
  printer << " " << op.getInput();
  auto printOperands = [&](llvm::StringRef keyword, OperandRange values) {
    if (values.empty())
      return;
    printer << " " << keyword << "(";
    printer.printOperands(values);
    printer << " : ";
    llvm::interleaveComma(values.getTypes(), printer);
    printer << ")";
  };
  printOperands("rows", op.getRows());
  printOperands("cols", op.getCols());
  printOperands("full", op.getFull());
  printOperands("scalars", op.getScalars());
  printer.printOptionalAttrDictWithKeyword(op->getAttrs(), {"operandSegmentSizes"});
  printer << " ";
  printer.printRegion(op.getBody());
  printer << " : " << op.getInput().getType() << " -> " << op.getResult().getType();
}

/// Rules c1 and c2 of both ops.
template <typename OpTy>
static LogicalResult verifyElementOp(OpTy op) {
  if (failed(checkSameShape(op, op.getInput(), op.getResult(), "a result"))) // prologue_c1, epilogue_c1
    return failure();
  llvm::ArrayRef<int64_t> shape = shapeOf(op.getInput());
  for (Value row : op.getRows()) // prologue_c2, epilogue_c2
    if (!agree(shapeOf(row)[0], shape[1]))
      return op.emitOpError() << "expects rows operands of the input's " << text(shape[1]) << " columns, but got "
                              << text(shapeOf(row)[0]);
  for (Value column : op.getCols())
    if (!agree(shapeOf(column)[0], shape[0]))
      return op.emitOpError() << "expects cols operands of the input's " << text(shape[0]) << " rows, but got "
                              << text(shapeOf(column)[0]);
  for (Value full : op.getFull())
    if (!agree(shapeOf(full), shape))
      return op.emitOpError() << "expects full operands of the input's shape " << text(shape) << ", but got "
                              << text(shapeOf(full));
  return success();
}

/// Rules c3 to c5 of both ops.
template <typename OpTy>
static LogicalResult verifyElementRegion(OpTy op) {
  Block &block = op.getBody().front();
  llvm::SmallVector<Type> expected = {Float32Type::get(op.getContext())};
  for (Value operand : op->getOperands().drop_front())
    expected.push_back(cast<RankedTensorType>(operand.getType()).getElementType());
  if (block.getNumArguments() != expected.size()) // prologue_c3, epilogue_c3
    return op.emitOpError() << "expects a region of " << expected.size()
                            << " arguments, one for the input and one for each operand, but got "
                            << block.getNumArguments();
  for (auto [index, type] : llvm::enumerate(expected))
    if (block.getArgument(index).getType() != type)
      return op.emitOpError() << "expects region argument " << index << " of type " << type << ", but got "
                              << block.getArgument(index).getType();
  for (Operation &inner : block.without_terminator()) { // prologue_c4, epilogue_c4
    llvm::StringRef dialect = inner.getName().getDialectNamespace();
    auto isScalar = [](Type type) { return type.isIntOrFloat(); };
    if (isa<CallOp>(inner))
      continue;
    if ((dialect != "arith" && dialect != "math") || !isMemoryEffectFree(&inner) || inner.getNumRegions() != 0 ||
        !llvm::all_of(inner.getOperandTypes(), isScalar) || !llvm::all_of(inner.getResultTypes(), isScalar)) {
      InFlightDiagnostic error = op.emitOpError()
                                 << "expects only arith, math and fp4.call ops on scalars in its region, but got '"
                                 << inner.getName() << "'";
      error.attachNote(inner.getLoc()) << "it stands here";
      return error;
    }
  }
  auto yield = cast<YieldOp>(block.getTerminator());
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  if (yield.getValue().getType() != element) // prologue_c5, epilogue_c5
    return op.emitOpError() << "expects the region to yield the result's element type " << element << ", but got "
                            << yield.getValue().getType();
  return success();
}

ParseResult PrologueOp::parse(OpAsmParser &parser, OperationState &result) { return parseElementOp(parser, result); }
void PrologueOp::print(OpAsmPrinter &printer) { printElementOp(*this, printer); }
LogicalResult PrologueOp::verify() { return verifyElementOp(*this); }
LogicalResult PrologueOp::verifyRegions() { return verifyElementRegion(*this); }

ParseResult EpilogueOp::parse(OpAsmParser &parser, OperationState &result) { return parseElementOp(parser, result); }
void EpilogueOp::print(OpAsmPrinter &printer) { printElementOp(*this, printer); }
LogicalResult EpilogueOp::verify() { return verifyElementOp(*this); }
LogicalResult EpilogueOp::verifyRegions() { return verifyElementRegion(*this); }

//===----------------------------------------------------------------------===//
// center, hadamard
//===----------------------------------------------------------------------===//

LogicalResult CenterOp::verify() {
  if (failed(checkSameShape(*this, getInput(), getResidual(), "a residual"))) // center_c1
    return failure();
  if (!agree(shapeOf(getMean())[0], shapeOf(getInput())[1])) // center_c2
    return emitOpError() << "expects a mean of one value for each of the input's " << text(shapeOf(getInput())[1])
                         << " columns, but got " << text(shapeOf(getMean())[0]);
  return checkMask(*this, getMask(), getInput()); // center_c3
}

LogicalResult HadamardOp::verify() {
  if (failed(checkAxis(*this, getAxis()))) // hadamard_c2
    return failure();
  llvm::SmallVector<int64_t> expected(shapeOf(getInput()));
  if (int64_t &extent = expected[getAxis()]; !ShapedType::isDynamic(extent))
    extent = (extent + 15) / 16 * 16;
  if (!agree(shapeOf(getResult()), expected)) // hadamard_c1
    return emitOpError() << "expects a result of shape " << text(expected)
                         << ", the input's with whole groups of 16 along axis " << getAxis() << ", but got "
                         << text(shapeOf(getResult()));
  if (getSigns().size() != 16) // hadamard_c3
    return emitOpError() << "expects 16 signs, but got " << getSigns().size();
  for (int32_t sign : getSigns())
    if (sign != 1 && sign != -1)
      return emitOpError() << "expects signs of 1 or -1, but got " << sign;
  return success();
}

//===----------------------------------------------------------------------===//
// block_scale, quantize, dequantize
//===----------------------------------------------------------------------===//

static ParseResult parseBlock(OpAsmParser &parser, IntegerAttr &across, IntegerAttr &along) {
  llvm::SmallVector<int64_t> block;
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(block, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return failure();
  if (block.size() != 2)
    return parser.emitError(loc) << "expects a block of two extents such as 1x16, but got " << block.size();
  across = parser.getBuilder().getI64IntegerAttr(block[0]);
  along = parser.getBuilder().getI64IntegerAttr(block[1]);
  return success();
}

static void printBlock(OpAsmPrinter &printer, Operation *, IntegerAttr across, IntegerAttr along) {
  printer << across.getInt() << "x" << along.getInt();
}

/// The type with its mnemonic: the default would print `<?x384, nvfp4, ...>`, which reads as nothing people know.
static ParseResult parseQuantizedType(OpAsmParser &parser, Type &type) {
  QuantizedType quantized;
  if (parser.parseType(quantized))
    return failure();
  type = quantized;
  return success();
}

static void printQuantizedType(OpAsmPrinter &printer, Operation *, Type type) { printer << type; }

/// A quantized type as above, or any other.
static ParseResult parseOperandType(OpAsmParser &parser, Type &type) { return parser.parseType(type); }

static void printOperandType(OpAsmPrinter &printer, Operation *, Type type) { printer << type; }

/// `stochastic`, or nothing for nearest.
static ParseResult parseRounding(OpAsmParser &parser, RoundingAttr &rounding) {
  Rounding value = succeeded(parser.parseOptionalKeyword("stochastic")) ? Rounding::stochastic : Rounding::nearest;
  if (value == Rounding::nearest)
    (void)parser.parseOptionalKeyword("nearest");
  rounding = RoundingAttr::get(parser.getContext(), value);
  return success();
}

static void printRounding(OpAsmPrinter &printer, Operation *, RoundingAttr rounding) {
  if (rounding.getValue() != Rounding::nearest)
    printer << " " << stringifyRounding(rounding.getValue());
}

LogicalResult BlockScaleOp::verify() {
  if (failed(checkAxis(*this, getAxis()))) // block_scale_c1
    return failure();
  int64_t across = getBlockAcross(), along = getBlockAlong();
  bool isNVFP4 = getFormat() == Format::nvfp4;
  if ((across != 1 && !(across == 16 && isNVFP4)) || along != formatBlockAlong(getFormat())) // block_scale_c2
    return emitOpError() << "expects block " << (isNVFP4 ? "1x16 or 16x16" : "1x32") << " for "
                         << stringifyFormat(getFormat()) << ", but got " << across << "x" << along;
  Type element = getScales().getType().getElementType();
  if (!hasScaleType(element, getFormat())) // block_scale_c3
    return emitOpError() << "expects scales of " << scaleTypeName(getFormat()) << " for "
                         << stringifyFormat(getFormat()) << ", but got " << element;
  llvm::ArrayRef<int64_t> shape = shapeOf(getInput());
  llvm::SmallVector<int64_t> expected = scaleShape(shape, across, along, getAxis());
  if (!agree(shapeOf(getScales()), expected)) // block_scale_c4
    return emitOpError() << "expects scales of shape " << text(expected) << " for an input of shape " << text(shape)
                         << " and block " << across << "x" << along << " along axis " << getAxis() << ", but got "
                         << text(shapeOf(getScales()));
  if (isNVFP4 != static_cast<bool>(getAmax())) // block_scale_c5
    return emitOpError() << "expects " << (isNVFP4 ? "an amax result" : "no amax result") << " for "
                         << stringifyFormat(getFormat()) << ", but got " << (isNVFP4 ? "none" : "one");
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (failed(checkSameShape(*this, getInput(), getResult(), "a result"))) // quantize_c1
    return failure();
  QuantizedType type = getResult().getType();
  llvm::ArrayRef<int64_t> shape = shapeOf(getInput());
  llvm::SmallVector<int64_t> expected = scaleShape(shape, type.getBlockAcross(), type.getBlockAlong(), type.getAxis());
  if (!agree(shapeOf(getScales()), expected)) // quantize_c2
    return emitOpError() << "expects scales of shape " << text(expected) << " for an input of shape " << text(shape)
                         << " and block " << type.getBlockAcross() << "x" << type.getBlockAlong() << " along axis "
                         << type.getAxis() << ", but got " << text(shapeOf(getScales()));
  Type element = getScales().getType().getElementType();
  if (!hasScaleType(element, type.getFormat())) // quantize_c3
    return emitOpError() << "expects scales of " << scaleTypeName(type.getFormat()) << " for "
                         << stringifyFormat(type.getFormat()) << ", but got " << element;
  bool isNVFP4 = type.getFormat() == Format::nvfp4;
  if (isNVFP4 != static_cast<bool>(getAmax())) // quantize_c4
    return emitOpError() << "expects " << (isNVFP4 ? "an amax" : "no amax") << " for "
                         << stringifyFormat(type.getFormat()) << ", but got " << (isNVFP4 ? "none" : "one");
  bool stochastic = getRounding() == Rounding::stochastic;
  if (stochastic != static_cast<bool>(getSeed()) || stochastic != static_cast<bool>(getOffset())) // quantize_c5
    return emitOpError() << "expects " << (stochastic ? "seed and offset" : "neither seed nor offset") << " with "
                         << stringifyRounding(getRounding()) << " rounding, but got "
                         << (getSeed()     ? getOffset() ? "both" : "a seed alone"
                             : getOffset() ? "an offset alone"
                                           : "neither");
  int64_t stream = getStream(), limit = stochastic ? 255 : 0;
  if (stream < 0 || stream > limit) // quantize_c6
    return emitOpError() << "expects stream 0" << (stochastic ? " to 255" : "") << " with "
                         << stringifyRounding(getRounding()) << " rounding, but got " << stream;
  return success();
}

LogicalResult DequantizeOp::verify() {
  return checkSameShape(*this, getInput(), getResult(), "a result"); // dequantize_c1
}

//===----------------------------------------------------------------------===//
// matmul, matvec, column_sum
//===----------------------------------------------------------------------===//

static int64_t contractedAxis(MatmulOp op, Value operand, size_t index) {
  auto quantized = dyn_cast<QuantizedType>(operand.getType());
  return quantized ? quantized.getAxis() : (*op.getAxes())[index];
}

int64_t MatmulOp::getLhsAxis() { return contractedAxis(*this, getLhs(), 0); }
int64_t MatmulOp::getRhsAxis() { return contractedAxis(*this, getRhs(), 1); }

LogicalResult MatmulOp::verify() {
  auto lhsType = dyn_cast<QuantizedType>(getLhs().getType()), rhsType = dyn_cast<QuantizedType>(getRhs().getType());
  if (lhsType && rhsType) {
    if (lhsType.getFormat() != rhsType.getFormat()) // matmul_c1
      return emitOpError() << "expects operands of one format, but got " << stringifyFormat(lhsType.getFormat()) << " and "
                           << stringifyFormat(rhsType.getFormat());
  } else if (lhsType || rhsType || getElementTypeOrSelf(getLhs()) != getElementTypeOrSelf(getRhs())) { // matmul_c1
    return emitOpError() << "expects two quantized operands, or two dense ones of one element type, but got "
                         << getLhs().getType() << " and " << getRhs().getType();
  }
  if (isDense() != getAxes().has_value()) // matmul_c4
    return emitOpError() << (isDense() ? "expects axes = [A, B], the contracted axis of each dense operand"
                                       : "expects no axes: the types of quantized operands have them");
  if (getAxes() && (getAxes()->size() != 2 || llvm::any_of(*getAxes(), [](int64_t axis) { return axis != 0 && axis != 1; })))
    return emitOpError() << "expects two axes of 0 or 1, but got [" << *getAxes() << "]";
  int64_t axisL = getLhsAxis(), axisR = getRhsAxis();
  llvm::ArrayRef<int64_t> lhs = shapeOf(getLhs()), rhs = shapeOf(getRhs());
  if (!agree(lhs[axisL], rhs[axisR])) // matmul_c2
    return emitOpError() << "contracts the left operand's axis " << axisL << " (" << text(lhs[axisL])
                         << ") with the right operand's axis " << axisR << " (" << text(rhs[axisR])
                         << "): the " << (isDense() ? "contracted" : "scaled") << " axes must have equal extents";
  llvm::SmallVector<int64_t> expected = {lhs[1 - axisL], rhs[1 - axisR]};
  if (!agree(shapeOf(getResult()), expected)) // matmul_c3
    return emitOpError() << "expects a result of shape " << text(expected)
                         << ", the extents that are not contracted, but got " << text(shapeOf(getResult()));
  return success();
}

LogicalResult MatvecOp::verify() {
  if (failed(checkAxis(*this, getAxis()))) // matvec_c1
    return failure();
  llvm::ArrayRef<int64_t> shape = shapeOf(getMatrix());
  int64_t axis = getAxis();
  if (!agree(shapeOf(getVector())[0], shape[axis])) // matvec_c2
    return emitOpError() << "expects a vector of the matrix's extent " << text(shape[axis]) << " along axis " << axis
                         << ", but got " << text(shapeOf(getVector())[0]);
  if (!agree(shapeOf(getResult())[0], shape[1 - axis])) // matvec_c3
    return emitOpError() << "expects a result of the matrix's extent " << text(shape[1 - axis]) << " along axis "
                         << 1 - axis << ", but got " << text(shapeOf(getResult())[0]);
  return success();
}

LogicalResult ColumnSumOp::verify() {
  if (!agree(shapeOf(getResult())[0], shapeOf(getInput())[1])) // column_sum_c1
    return emitOpError() << "expects a result of one value for each of the input's " << text(shapeOf(getInput())[1])
                         << " columns, but got " << text(shapeOf(getResult())[0]);
  return checkMask(*this, getMask(), getInput()); // column_sum_c2
}

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()), to = cast<RankedTensorType>(getResult().getType());
  RankedTensorType matrix = from.getRank() == 2 ? from : to, vector = from.getRank() == 2 ? to : from;
  if (vector.getRank() != 1 || matrix.getRank() != 2 || matrix.getShape()[0] != 1) // reshape_c1
    return emitOpError() << "expects a vector and a matrix of one row, but got " << from << " and " << to;
  if (!agree(vector.getShape()[0], matrix.getShape()[1]) ||
      from.getElementType() != to.getElementType()) // reshape_c2
    return emitOpError() << "expects equal extents and element types, but got " << from << " and " << to;
  return success();
}

#define GET_OP_CLASSES
#include "dialect/Fp4Ops.cpp.inc"
