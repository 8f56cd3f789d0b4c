//===- Tile.cpp - What one tile of a stage does ---------------------------===//

#include "dialects/tile/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

#include "dialects/tile/TileDialect.cpp.inc"
#include "dialects/tile/TileEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/tile/TileTypes.cpp.inc"

using namespace mlir;

namespace pianola::tile {

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/tile/TileAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/tile/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/tile/Tile.cpp.inc"
      >();
}

MachineAttr getMachine(Operation *module) {
  auto machine = module->getAttrOfType<MachineAttr>("tile.machine");
  if (!machine)
    module->emitError("the module states no machine (attribute tile.machine)");
  return machine;
}

int64_t evaluate(AffineMapAttr map, ArrayRef<int64_t> coordinates) {
  if (!map)
    return 0;
  SmallVector<Attribute, 4> operands;
  Builder builder(map.getContext());
  for (int64_t c : coordinates)
    operands.push_back(builder.getIndexAttr(c));
  SmallVector<Attribute, 1> results;
  if (failed(map.getValue().constantFold(operands, results)))
    return -1;
  return cast<IntegerAttr>(results[0]).getInt();
}

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

LogicalResult ContextType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t,
                                  int64_t, Type element, int64_t ring) {
  if (ring < 0 || ring % 64 != 0)
    return emitError() << "a ring has whole groups of 64 positions, not " << ring;
  if (!element.isF32() && !element.isBF16() && !element.isInteger(8) && !element.isFloat8E4M3FN())
    return emitError() << "a context is of f32, bf16, i8 or f8E4M3FN, found " << element;
  return success();
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

Type MatrixType::parse(AsmParser &parser) {
  std::pair<StringRef, int64_t> numbers[] = {{"rows", 0},      {"row_pad", 0},       {"blocks", 0},
                                             {"columns", 0},   {"column_pad", 0},    {"panel", 0},
                                             {"row_block", 0}, {"row_block_pad", 0}, {"kept", 0}};
  Type element;
  SMLoc start = parser.getCurrentLocation();
  auto parseField = [&]() -> ParseResult {
    StringRef name;
    SMLoc at = parser.getCurrentLocation();
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    if (name == "element")
      return parser.parseType(element);
    for (auto &[known, number] : numbers)
      if (name == known)
        return parser.parseInteger(number);
    return parser.emitError(at) << "a matrix has no \"" << name << "\"";
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, parseField))
    return {};
  if (!element || llvm::any_of(ArrayRef(numbers).take_front(5),
                               [](const auto &field) { return field.second < 1; })) {
    parser.emitError(start) << "a matrix needs rows, row_pad, blocks, columns, column_pad and an "
                            << "element";
    return {};
  }
  auto of = [&](size_t field) { return numbers[field].second; };
  return parser.getChecked<MatrixType>(start, parser.getContext(), of(0), of(1), of(2), of(3),
                                       of(4), element, of(5), of(6), of(7), of(8));
}

void MatrixType::print(AsmPrinter &printer) const {
  printer << "<rows = " << getRows() << ", row_pad = " << getRowPad()
          << ", blocks = " << getBlocks() << ", columns = " << getColumns()
          << ", column_pad = " << getColumnPad() << ", element = " << getElement();
  for (auto [name, number] :
       {std::pair("panel", getPanel()), std::pair("row_block", getRowBlock()),
        std::pair("row_block_pad", getRowBlockPad()), std::pair("kept", getKept())})
    if (number)
      printer << ", " << name << " = " << number;
  printer << '>';
}

LogicalResult MatrixType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t,
                                 int64_t, int64_t blocks, int64_t columns, int64_t columnPad,
                                 Type element, int64_t panel, int64_t, int64_t, int64_t kept) {
  constexpr int64_t kSide = encoding::BlocksType::kSide;
  if (kept == 0)
    return success();
  if (!encoding::isPlain(element))
    return emitError() << "blocks that are kept have f32, bf16 or f16, found " << element;
  if (columns % kSide != 0 || columnPad != columns || (panel && panel != kSide))
    return emitError() << "blocks that are kept have " << kSide
                       << " columns each, in panels, too, and no padding in between";
  if (kept < 0 || kept * kSide > blocks * columns)
    return emitError() << "of " << blocks * columns / kSide << " blocks " << kept
                       << " cannot be kept";
  return success();
}

static int64_t padTo(int64_t bytes, int64_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

int64_t MatrixType::getScaleColumns() const {
  int64_t group = getCodes().getGroup();
  return group ? std::gcd(group, getPanel()) : 0;
}

int64_t MatrixType::getScalesBytes(int64_t ofRow) const {
  return padTo(getRows() * ofRow * getCodes().getScaleBytes(), 16);
}

int64_t MatrixType::getZerosBytes(int64_t ofRow) const {
  return padTo(getRows() * ofRow * getCodes().getZeroBytes(), 16);
}

int64_t MatrixType::getPanelBytes() const {
  int64_t bytes = getRows() * getPanel() * encoding::bitsOf(getElement()) / 8;
  if (getCodes())
    return bytes + getScalesBytes(getPanelScales()) + getZerosBytes(getPanelScales());
  if (isPruned())
    return bytes + getRows() * encoding::TwoOfFourType::getPatternBytes(getPanel());
  return getKept() ? bytes + kNumberBytes : bytes;
}

int64_t MatrixType::getNumbersBytes() const { return padTo(getKept() * 4, 64); }

int64_t MatrixType::getKeptGroupBytes(int64_t rows) const {
  return getNumbersBytes() + rows * encoding::rowBytes(getElement(), getKeptDepth());
}

int64_t MatrixType::getFirstPanel() const {
  return getCodes() && getPanelScales() == 0 ? getScalesBytes(1) + getZerosBytes(1) : 0;
}

int64_t MatrixType::getTileBytes() const {
  if (getKept() && !getPanel()) {
    int64_t last = getRowPad() % 32;
    return getRowPad() / 32 * getKeptGroupBytes(32) + (last ? getKeptGroupBytes(last) : 0);
  }
  if (!getPanel())
    return padTo(getRowPad() * encoding::rowBytes(getElement(), getDepth()), 64);
  return padTo(getFirstPanel() + getPanels() * getPanelBytes(), isPlain() ? 2048 : 64);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

PrologueOp StageOp::getPrologue() {
  auto prologues = getBody().front().getOps<PrologueOp>();
  return prologues.empty() ? PrologueOp() : *prologues.begin();
}

SmallVector<SectionOp> StageOp::getSections() {
  return llvm::to_vector(getBody().front().getOps<SectionOp>());
}

int64_t StageOp::getTileCount() {
  int64_t count = 0;
  for (SectionOp section : getSections())
    count += section.getTileCount();
  return count;
}

ParseResult StageOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(), result.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true))
    return failure();
  for (StringRef mark : {"outputs", "hidden_states"})
    if (succeeded(parser.parseOptionalKeyword(mark)))
      result.addAttribute(mark, parser.getBuilder().getUnitAttr());
  return failure(parser.parseRegion(*result.addRegion(), arguments) ||
                 parser.parseOptionalAttrDictWithKeyword(result.attributes));
}

void StageOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  llvm::interleaveComma(getBody().getArguments(), printer,
                        [&](BlockArgument argument) { printer.printRegionArgument(argument); });
  printer << ")" << (getOutputs() ? " outputs" : "")
          << (getHiddenStates() ? " hidden_states " : " ");
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {"sym_name", "outputs", "hidden_states"});
}

LogicalResult StageOp::verify() {
  for (Operation &op : getBody().front()) {
    if (!isa<PrologueOp, SectionOp>(op))
      return op.emitOpError("stands directly in a stage, which holds a prologue and sections only");
    if (isa<PrologueOp>(op) && &op != &getBody().front().front())
      return op.emitOpError("must come first in its stage, and only once");
  }
  if (getSections().empty())
    return emitOpError("has no section");
  for (BlockArgument argument : getBody().getArguments())
    if (!isa<BufferType, ContextType, StateType, MatrixType, VectorType, TableType, RotationType,
             PoolType>(argument.getType()))
      return emitOpError("argument ") << argument.getArgNumber() << " has type "
                                      << argument.getType() << ", which no step can bind";
  return success();
}

LogicalResult YieldOp::verify() {
  if (isa<PrologueOp>((*this)->getParentOp()) &&
      getOperandTypes() != (*this)->getParentOp()->getResultTypes())
    return emitOpError("yields other types than the prologue's results");
  return success();
}

int64_t SectionOp::getTileCount() {
  int64_t count = 1;
  for (int64_t extent : getGrid())
    count *= extent;
  return count;
}

SmallVector<int64_t, 4> SectionOp::getCoordinates(int64_t tile) {
  SmallVector<int64_t, 4> coordinates(getGrid().size());
  for (size_t d = getGrid().size(); d-- > 0;) {
    coordinates[d] = tile % getGrid()[d];
    tile /= getGrid()[d];
  }
  return coordinates;
}

LogicalResult SectionOp::verify() {
  if (getGrid().empty() || llvm::any_of(getGrid(), [](int64_t n) { return n < 1; }))
    return emitOpError("needs a grid of positive extents");
  Block &block = getBody().front();
  if (block.getNumArguments() != getGrid().size() ||
      llvm::any_of(block.getArgumentTypes(), [](Type type) { return !type.isIndex(); }))
    return emitOpError("has ") << block.getNumArguments() << " block arguments, but its grid has "
                               << getGrid().size() << " dimensions (each one index)";
  if (int64_t run = getRun().value_or(1); run < 1 || getTileCount() % run != 0)
    return emitOpError("of ") << getTileCount() << " tiles has no runs of " << run;
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult verifyMap(Operation *op, AffineMapAttr map, StringRef name) {
  if (!map)
    return success();
  auto section = op->getParentOfType<SectionOp>();
  unsigned dims = section ? section.getGrid().size() : 0;
  if (map.getValue().getNumDims() != dims || map.getValue().getNumSymbols() != 0 ||
      map.getValue().getNumResults() != 1)
    return op->emitOpError() << name << " must map " << dims
                             << " tile coordinates to one number, got " << map;
  return success();
}

static LogicalResult verifySlice(Operation *op, BufferType buffer, RankedTensorType value,
                                 AffineMapAttr slots, AffineMapAttr columns) {
  if (failed(verifyMap(op, slots, "slots")) || failed(verifyMap(op, columns, "columns")))
    return failure();
  if (value.getRank() != 2 || value.getDimSize(0) > buffer.getSlots() ||
      value.getDimSize(1) > buffer.getColumns())
    return op->emitOpError() << "a slice of shape " << value << " does not fit in " << buffer;
  return success();
}

LogicalResult LoadOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (type.getElementType() != getBuffer().getType().getElement())
    return emitOpError("loads ") << type.getElementType() << " from a buffer of "
                                 << getBuffer().getType().getElement();
  return verifySlice(*this, getBuffer().getType(), type, getSlotsAttr(), getColumnsAttr());
}

LogicalResult StoreOp::verify() {
  return verifySlice(*this, getBuffer().getType(), cast<RankedTensorType>(getValue().getType()),
                     getSlotsAttr(), getColumnsAttr());
}

LogicalResult AppendOp::verify() {
  int64_t columns = cast<RankedTensorType>(getValue().getType()).getDimSize(1);
  if (columns != getContext().getType().getSize())
    return emitOpError("appends ")
           << columns << " columns to heads of " << getContext().getType().getSize();
  return verifyMap(*this, getHeadAttr(), "head");
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

LogicalResult ContractOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  MatrixType matrix = getMatrix().getType();
  if (value.getDimSize(1) != matrix.getDepth())
    return emitOpError("contracts ")
           << value.getDimSize(1) << " columns with a matrix of depth " << matrix.getDepth();
  if (result.getDimSize(0) != value.getDimSize(0) || result.getDimSize(1) != matrix.getRowPad() ||
      !result.getElementType().isF32())
    return emitOpError("must give f32 values of ")
           << value.getDimSize(0) << " x " << matrix.getRowPad() << ", got " << result;
  return success();
}

LogicalResult BiasOp::verify() {
  int64_t columns = cast<RankedTensorType>(getValue().getType()).getDimSize(1);
  VectorType vector = getVector().getType();
  if (getOfExpert()) {
    auto experts = (*this)->getParentOfType<ExpertsOp>();
    if (!experts || !vector.getConstant() ||
        vector.getBlocks() != experts.getRoutes().getType().getExperts())
      return emitOpError("of an expert needs a constant vector with a block for each expert");
  }
  if (vector.getConstant())
    return verifyMap(*this, getColumnsAttr(), "columns");
  if (getColumns())
    return emitOpError("counts columns of a vector that stands on the tape tile by tile");
  if (vector.getBlocks() * vector.getPad() != columns)
    return emitOpError("adds ") << vector.getBlocks() * vector.getPad() << " elements to "
                                << columns << " columns";
  return success();
}

LogicalResult ReorderOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  VectorType order = getOrder().getType();
  if (!order.getOrder())
    return emitOpError("needs an order, got ") << order;
  if (value.getDimSize(1) != order.getBlocks() * order.getPad())
    return emitOpError("has a value of ") << value.getDimSize(1) << " columns, but the order of "
                                          << order.getBlocks() * order.getPad();
  int64_t columns = padToLanes(order.getBlocks() * order.getSize());
  if (result.getElementType() != value.getElementType() ||
      result.getDimSize(0) != value.getDimSize(0) || result.getDimSize(1) != columns)
    return emitOpError("of ") << value << " has " << columns << " columns, got " << result;
  return success();
}

LogicalResult NormaliseOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  int64_t groups = getGroups(), columns = value.getDimSize(1);
  if (groups < 1 || columns % groups != 0)
    return emitOpError("cannot split ") << columns << " columns into " << groups << " groups";
  auto vector = getVector() ? cast<VectorType>(getVector().getType()) : VectorType();
  if (vector && vector.getBlocks() * vector.getPad() != columns / groups)
    return emitOpError("has groups of ") << columns / groups << " columns, but a vector of "
                                         << vector.getBlocks() * vector.getPad();
  if (getSize() < 1 || static_cast<int64_t>(getSize()) > columns / groups)
    return emitOpError("size ") << getSize() << " is not in 1 .. " << columns / groups;
  if (cast<RankedTensorType>(getResult().getType()).getShape() != value.getShape())
    return emitOpError("changes the shape from ") << value << " to " << getResult().getType();
  if (getCentred() && (groups != 1 || (vector && vector.getBlocks() != 1)))
    return emitOpError("is centred, and its columns are not one row with padding at its end");
  if (getBias() && !vector)
    return emitOpError("has a bias and no vector");
  if (getBias() && getBias().getType() != vector)
    return emitOpError("has a bias of ") << getBias().getType() << " and a vector of " << vector;
  return success();
}

LogicalResult ActivateOp::verify() {
  bool isLimited = getFunction() == Activation::SwigluOai;
  if (isLimited != bool(getLimit()))
    return emitOpError(isLimited ? "needs a limit" : "has a limit, which is swiglu_oai's alone");
  if (isLimited && !getUp())
    return emitOpError("of swiglu_oai needs a gate and what goes through it");
  return success();
}

LogicalResult ScaleOp::verify() {
  if (cast<RankedTensorType>(getResult().getType()).getShape() !=
      cast<RankedTensorType>(getValue().getType()).getShape())
    return emitOpError("changes the shape from ")
           << getValue().getType() << " to " << getResult().getType();
  return success();
}

LogicalResult JoinOp::verify() {
  auto first = cast<RankedTensorType>(getFirst().getType());
  auto second = cast<RankedTensorType>(getSecond().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t heads = getHeads(), size = getSize(), behind = getBehind();
  auto fits = [&](RankedTensorType type, int64_t numbers) {
    return numbers > 0 && type.getDimSize(1) % heads == 0 &&
           numbers <= type.getDimSize(1) / heads && type.getDimSize(0) == result.getDimSize(0);
  };
  if (heads < 1 || !fits(first, size) || !fits(second, behind) || !fits(result, size + behind))
    return emitOpError("does not make ")
           << heads << " heads of " << size << " and " << behind << " numbers of " << first
           << " and " << second << " as " << result;
  return success();
}

LogicalResult GateOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  auto by = cast<RankedTensorType>(getBy().getType());
  if (value.getDimSize(0) != by.getDimSize(0) ||
      (!getByRow() && value.getDimSize(1) != by.getDimSize(1)))
    return emitOpError("multiplies ") << value << " by the sigmoids of " << by;
  return success();
}

LogicalResult RotateOp::verify() {
  int64_t groups = getGroups();
  int64_t columns = cast<RankedTensorType>(getValue().getType()).getDimSize(1);
  if (groups < 1 || columns % groups != 0 ||
      2 * getRotation().getType().getPairs() > columns / groups)
    return emitOpError("cannot rotate ") << 2 * getRotation().getType().getPairs() << " lanes of "
                                         << groups << " groups in " << columns << " columns";
  return success();
}

LogicalResult SampleOp::verify() {
  BufferType logits = getLogits().getType();
  if (!logits.getElement().isF32() || static_cast<int64_t>(getVocabulary()) < 1 ||
      static_cast<int64_t>(getVocabulary()) > logits.getColumns())
    return emitOpError("chooses among ") << getVocabulary() << " logits of " << logits;
  if (!getPeaks())
    return success();
  auto peaks = cast<BufferType>(getPeaks().getType());
  int64_t rows = getRows().value_or(0);
  if (rows < 1 || !peaks.getElement().isF32() ||
      static_cast<int64_t>(getVocabulary()) > peaks.getColumns() * rows)
    return emitOpError("has ") << peaks << " for peaks of " << rows << " of " << getVocabulary()
                               << " logits";
  return success();
}

LogicalResult PeakOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  BufferType buffer = getBuffer().getType();
  if (failed(verifyMap(*this, getColumnsAttr(), "columns")))
    return failure();
  if (value.getElementType() != buffer.getElement() || value.getDimSize(0) > buffer.getSlots())
    return emitOpError("writes peaks of ") << value << " to " << buffer;
  return success();
}

} // namespace pianola::tile

#define GET_OP_CLASSES
#include "dialects/tile/Tile.cpp.inc"
