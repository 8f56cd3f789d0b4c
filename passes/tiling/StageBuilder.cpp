//===- StageBuilder.cpp - One stage of tiles -----------------------------===//

#include "passes/tiling/StageBuilder.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola::tiling {

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Value StageBuilder::bindValue(Value value) {
  Value &argument = bindingArguments[value];
  if (!argument) {
    argument = body().addArgument(value.getType(), loc);
    bindings.push_back(value);
  }
  return argument;
}

Value StageBuilder::weight(SymbolRefAttr symbol, Type type) {
  Value &argument = weightArguments[{symbol, type}];
  if (!argument) {
    argument = body().addArgument(type, loc);
    weights.push_back(symbol);
  }
  return argument;
}

// The layout of what a matrix with an order of its own is multiplied with.
static Layout reordered(Layout layout) {
  int64_t size = layout.blocks * layout.size;
  return {false, 1, size, tile::padToLanes(size)};
}

Value StageBuilder::matrix(SymbolRefAttr symbol, Layout output, int64_t rows, Layout input) {
  auto op = owner.symbols.lookup<WeightOp>(symbol.getRootReference());
  Type element = owner.elementOnTape(op, input);
  if (owner.isReordered(element, input))
    input = reordered(input);
  int64_t panel = owner.panelOf(element);
  int64_t rowsThere = output.byHead && !panel ? output.size : rows;
  bool inBlocks = panel && output.byHead && output.size != output.pad;
  int64_t rowBlock = inBlocks ? output.size : 0;
  return weight(symbol, tile::MatrixType::get(owner.context, rowsThere, rows, input.blocks,
                                              input.size, input.pad, element, panel, rowBlock,
                                              inBlocks ? output.pad : 0,
                                              owner.keptOnTape(op, rowsThere, rowBlock, input)));
}

Type ProgramBuilder::elementOnTape(WeightOp weight, Layout input) {
  if (isa<encoding::BlocksType>(weight.getEncoding())) // see keptOnTape
    return encoding::elementOf(weight.getEncoding());
  if (auto pruned = dyn_cast<encoding::TwoOfFourType>(weight.getEncoding()))
    return isTakenPruned(weight, input) ? Type(pruned) : pruned.getElement();
  auto type = dyn_cast<encoding::ScaledType>(weight.getEncoding());
  if (!type)
    return weight.getEncoding();
  // A row that is looked up by its token is wanted in the model's order, and so is what multiplies
  // heads where they lie.
  bool isInOrder = false;
  if (type.getOrder())
    module.walk([&](Operation *op) {
      if (isa<EmbedOp, HeadLinearOp>(op))
        isInOrder |=
            op->getAttrOfType<FlatSymbolRefAttr>("weight").getValue() == weight.getSymName();
    });
  bool isTaken = !isInOrder && !(machine.getRows() && isReordered(type, input));
  return machine.getCodes() && isTaken ? Type(type) : f32();
}

// By tokens or positions.
bool ProgramBuilder::isLookedUp(WeightOp weight) {
  bool is = false;
  module.walk([&](EmbedOp op) {
    is |= op.getWeight() == weight.getSymName() || op.getPositions() == weight.getSymName();
  });
  return is;
}

// Not where rows are looked up, nor where four columns would lie across heads with padding in
// between.
bool ProgramBuilder::isTakenPruned(WeightOp weight, Layout input) {
  bool areWhole = input.blocks == 1 || input.size % 4 == 0;
  return machine.getCodes() && !isLookedUp(weight) && areWhole;
}

// Rows that share the numbers of their blocks, a tile's in panels and 32 of a tile otherwise, must
// all lie in the same blocks.
int64_t ProgramBuilder::keptOnTape(WeightOp weight, int64_t rows, int64_t rowBlock, Layout input) {
  constexpr int64_t kSide = encoding::BlocksType::kSide;
  auto type = dyn_cast<encoding::BlocksType>(weight.getEncoding());
  bool areAligned = (kSide % rows == 0 || (rows % kSide == 0 && !machine.getPanel())) &&
                    rowBlock % kSide == 0 && input.size % kSide == 0;
  return type && machine.getCodes() && areAligned && !isLookedUp(weight) ? type.getKept() : 0;
}

// A group of columns goes on over the border of a head, but not over padding.
bool ProgramBuilder::isReordered(Type element, Layout input) {
  auto type = dyn_cast<encoding::ScaledType>(element);
  return type && type.getGroup() &&
         (type.getOrder() || (input.blocks > 1 && input.size != input.pad));
}

int64_t ProgramBuilder::panelOf(Type element) {
  // What is packed has as many bytes in a panel's row as bf16 has.
  return encoding::isPlain(element) ? machine.getPanel()
                                    : machine.getPanel() * 16 / encoding::bitsOf(element);
}

Value StageBuilder::vector(SymbolRefAttr symbol, Layout layout, int64_t blocks) {
  return weight(symbol, tile::VectorType::get(owner.context, blocks, layout.size, layout.pad, false,
                                              owner.machine.getRows() > 0, false));
}

// Of a norm of heads, which may have none.
Value StageBuilder::headWeight(NormOp norm, Layout layout) {
  return norm.getWeight() ? vector(norm.getWeightAttr(), layout) : Value();
}

Value StageBuilder::bias(SymbolRefAttr symbol, Value value, Layout layout, int64_t rows) {
  tile::VectorType type;
  AffineMapAttr columns;
  if (owner.machine.getRows()) {
    type = tile::VectorType::get(owner.context, layout.blocks, layout.size, layout.pad, false, true,
                                 false);
    columns = map(1, 0, rows);
  } else {
    type = tile::VectorType::get(owner.context, 1, layout.byHead ? layout.size : rows, rows, true,
                                 false, false);
  }
  return builder.create<tile::BiasOp>(loc, value, weight(symbol, type), columns);
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

tile::SectionOp StageBuilder::section(ArrayRef<int64_t> grid, int64_t run) {
  builder.setInsertionPointToEnd(&body());
  auto op =
      builder.create<tile::SectionOp>(loc, builder.getDenseI64ArrayAttr(grid),
                                      run > 1 ? builder.getI64IntegerAttr(run) : IntegerAttr());
  Block &block = op.getBody().emplaceBlock();
  for (size_t i = 0; i < grid.size(); ++i)
    block.addArgument(builder.getIndexType(), loc);
  builder.setInsertionPointToEnd(&block);
  return op;
}

Value StageBuilder::loadWhole(Value buffer) {
  auto type = cast<tile::BufferType>(buffer.getType());
  // Of experts' inputs there may be a row for each choice.
  auto whole = values(type.getSlots(), type.getColumns(), type.getElement());
  return builder.create<tile::LoadOp>(loc, whole, bindValue(buffer), nullptr, nullptr);
}

// `count` whole rows from `slots` on, as numbers of type `element`.
FailureOr<Value> StageBuilder::emitRow(Value value, AffineMapAttr slots, int64_t count,
                                       Type element) {
  Layout layout = layoutOf(value);

  auto load = [&](Value buffer) -> Value {
    auto type = cast<tile::BufferType>(buffer.getType());
    int64_t ofSlot = type.getSlots() / owner.slots; // experts have a row each
    return builder.create<tile::LoadOp>(
        loc, values(count * ofSlot, type.getColumns(), type.getElement()), bindValue(buffer), slots,
        nullptr);
  };
  auto loadPlaced = [&](Value outer) -> FailureOr<Value> {
    const Placed &from = owner.placed.at(outer);
    if (from.splits == 1)
      return load(from.buffer);
    if (!slots && owner.areCombinedOnce(from, layoutOf(outer))) {
      FailureOr<Value> whole = owner.materialise(outer, source);
      return failed(whole) ? whole : load(*whole);
    }
    auto attention = outer.getDefiningOp<StageOp>();
    auto op = cast<AttentionOp>(cast<YieldOp>(attention.getBody().front().getTerminator())
                                    .getOperand(cast<OpResult>(outer).getResultNumber())
                                    .getDefiningOp());
    int64_t heads = owner.groupsOf(op);
    Value partials = load(from.buffer), statistics = load(from.statistics);
    return builder
        .create<tile::CombineOp>(loc, values(count, layout.columns(), element), partials,
                                 statistics, heads, op.getHeads() / heads, from.splits)
        .getResult();
  };
  auto round = [&](Value row) -> Value {
    auto shape = cast<RankedTensorType>(row.getType()).getShape();
    return builder.create<tile::ScaleOp>(loc, RankedTensorType::get(shape, element), row,
                                         builder.getF32FloatAttr(1));
  };
  Operation *op = value.getDefiningOp();
  if (!op || op->getParentOp() != source) {
    if (!owner.placed.count(value))
      return source.emitOpError("\"") << source.getLabel() << "\" reads a value that has no buffer";
    FailureOr<Value> result = loadPlaced(value);
    if (failed(result) || cast<RankedTensorType>(result->getType()).getElementType() == element)
      return result;
    return round(*result); // others read it as it is
  }
  RankedTensorType type = values(count, layout.columns(), element);
  auto recurse = [&](Value operand) { return emitRow(operand, slots, count, owner.f32()); };
  return TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](NormOp norm) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(norm.getInput());
        if (failed(input))
          return failure();
        Value factors, bias;
        if (norm.getWeight())
          factors = vector(norm.getWeightAttr(), layout, layout.blocks);
        if (norm.getBias())
          bias = vector(norm.getBiasAttr(), layout, layout.blocks);
        return builder
            .create<tile::NormaliseOp>(loc, type, *input, factors, bias, 1,
                                       layout.blocks * layout.size, norm.getEps(),
                                       norm.getCentred())
            .getResult();
      })
      .Case([&](AddOp add) -> FailureOr<Value> {
        FailureOr<Value> lhs = recurse(add.getLhs()), rhs = recurse(add.getRhs());
        if (failed(lhs) || failed(rhs))
          return failure();
        Value sum = builder.create<tile::AddOp>(loc, *lhs, *rhs);
        return element == owner.f32() ? sum : round(sum);
      })
      .Case([&](ScaleOp scale) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(scale.getInput());
        if (failed(input))
          return failure();
        return builder.create<tile::ScaleOp>(loc, type, *input, scale.getFactorAttr()).getResult();
      })
      .Case([&](GateOp gate) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(gate.getInput()), by = recurse(gate.getGate());
        if (failed(input) || failed(by))
          return failure();
        Value gated = builder.create<tile::GateOp>(loc, *input, *by, /*by_row=*/UnitAttr());
        return element == owner.f32() ? gated : round(gated);
      })
      .Default([&](Operation *other) -> FailureOr<Value> {
        return other->emitOpError("cannot be computed row by row");
      });
}

// What is built from here on is built at its end.
void StageBuilder::beginPrologue() {
  if (!prologue) {
    builder.setInsertionPointToStart(&body());
    prologue = builder.create<tile::PrologueOp>(loc, TypeRange());
    prologue.getBody().emplaceBlock();
  }
  builder.setInsertionPointToEnd(&prologue.getBody().front());
}

// As `weight` takes it, if it has an order of its own: each such weight gets a copy.
FailureOr<Value> StageBuilder::emitPrologue(Value value, SymbolRefAttr weight) {
  auto [found, isNew] = prologueResults.try_emplace({value, weight}, prologueValues.size());
  if (!isNew)
    return prologueValues[found->second];
  OpBuilder::InsertionGuard guard(builder);
  beginPrologue();
  Value &row = prologueRows[value];
  if (!row) {
    FailureOr<Value> emitted = emitRow(value, AffineMapAttr(), owner.slots, owner.product);
    if (failed(emitted))
      return failure();
    row = *emitted;
  }
  Value result = row;
  if (weight) {
    Layout layout = layoutOf(value);
    auto order = tile::VectorType::get(owner.context, layout.blocks, layout.size, layout.pad,
                                       /*perTile=*/false, /*constant=*/false, /*order=*/true);
    Type element = cast<RankedTensorType>(row.getType()).getElementType();
    result = builder.create<tile::ReorderOp>(loc, values(reordered(layout).pad, element), row,
                                             this->weight(weight, order));
  }
  prologueValues.push_back(result);
  return result;
}

bool StageBuilder::fitsScratch(Value value) {
  if (!owner.machine.getRows() || prologueResults.count({value, SymbolRefAttr()}))
    return true;
  // Of experts' inputs there may be a row for each choice.
  int64_t numbers = owner.slots * layoutOf(value).columns();
  for (Value made : prologueValues)
    if (auto type = dyn_cast<RankedTensorType>(made.getType()))
      numbers += type.getNumElements();
  int64_t room = owner.machine.getScratch();
  // Experts have a ring of their own, and sums beside those of other products.
  if (!source.getBody().front().getOps<RoutedLinearOp>().empty())
    room -= 2 * owner.machine.getChunk() + owner.mirror() +
            owner.machine.getWarps() * owner.slots * 16 * 4;
  return numbers * 4 <= room;
}

// What a linear reads: the result of the prologue, or, where scratch memory has no room for that, a
// buffer in its place.
FailureOr<Value> StageBuilder::emitOperand(Value value, SymbolRefAttr weight, Layout layout) {
  auto op = owner.symbols.lookup<WeightOp>(weight.getRootReference());
  if (owner.isReordered(owner.elementOnTape(op, layout), layout))
    return emitPrologue(value, weight);
  if (fitsScratch(value))
    return emitPrologue(value);
  auto placed = owner.placed.find(value);
  if (placed != owner.placed.end() && placed->second.splits == 1)
    return loadWhole(placed->second.buffer);
  FailureOr<Value> buffer = owner.materialise(value, source);
  if (failed(buffer))
    return failure();
  return loadWhole(*buffer);
}

LogicalResult StageBuilder::emitRows(Value value, Value buffer) {
  // Weights that stand on a tape are of the same tiles in all programs.
  int64_t tiles = owner.machine.getRows() ? owner.slots : 1, count = owner.slots / tiles;
  section({tiles});
  AffineMapAttr slots = map(1, 0, count);
  Type element = cast<tile::BufferType>(buffer.getType()).getElement();
  FailureOr<Value> row = emitRow(value, slots, count, element);
  if (failed(row))
    return failure();
  builder.create<tile::StoreOp>(loc, *row, bindValue(buffer), slots, nullptr);
  return success();
}

// Whether a tile of it is a row: it has a norm of whole rows, and no products that read it.
bool StageBuilder::isOfRows() {
  Block &ops = source.getBody().front();
  return llvm::none_of(
             ops,
             [](Operation &op) { return isa<LinearOp, LmHeadOp, RouteOp, RoutedLinearOp>(op); }) &&
         llvm::any_of(ops.getOps<NormOp>(), [](NormOp norm) { return !norm.getHeads(); });
}

// Of a value of one column, which another stage has made.
FailureOr<Value> StageBuilder::emitColumn(Value value) {
  auto from = owner.placed.find(value);
  if (from == owner.placed.end())
    return source.emitOpError("\"") << source.getLabel() << "\" reads a value that has no buffer";
  auto type = cast<tile::BufferType>(from->second.buffer.getType());
  return builder
      .create<tile::LoadOp>(loc, values(tile::kLanes, type.getElement()),
                            bindValue(from->second.buffer), nullptr, nullptr)
      .getResult();
}

// One tile of `value`: `rows` padded columns of it, from column t * rows on.
FailureOr<Value> StageBuilder::emitTile(Value value, Layout layout, int64_t rows) {
  auto recurse = [&](Value operand) { return emitTile(operand, layout, rows); };
  Operation *op = value.getDefiningOp();
  if (!op || op->getParentOp() != source) {
    auto from = owner.placed.find(value);
    if (from == owner.placed.end() || from->second.splits != 1)
      return source.emitOpError("\"") << source.getLabel() << "\" reads a value that has no buffer";
    auto type = cast<tile::BufferType>(from->second.buffer.getType());
    return builder
        .create<tile::LoadOp>(loc, values(rows, type.getElement()), bindValue(from->second.buffer),
                              nullptr, map(1, 0, rows))
        .getResult();
  }

  auto contract = [&](Value input, SymbolRefAttr symbol) -> FailureOr<Value> {
    FailureOr<Value> row = emitOperand(input, symbol, layoutOf(input));
    if (failed(row))
      return failure();
    Value weights = matrix(symbol, layout, rows, layoutOf(input));
    return builder.create<tile::ContractOp>(loc, values(rows, owner.f32()), weights, *row)
        .getResult();
  };
  return TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](LinearOp linear) -> FailureOr<Value> {
        FailureOr<Value> product = contract(linear.getInput(), linear.getWeightAttr());
        if (failed(product) || !linear.getBiasAttr())
          return product;
        return bias(linear.getBiasAttr(), *product, layout, rows);
      })
      .Case([&](HeadLinearOp linear) { return emitHeadLinear(linear, layout, rows); })
      .Case([&](JoinOp join) -> FailureOr<Value> {
        Layout first = layoutOf(join.getFirst()), second = layoutOf(join.getSecond());
        if (rows != layout.pad)
          return join.emitOpError("needs more columns than a tile has");
        FailureOr<Value> front = emitTile(join.getFirst(), first, first.pad);
        FailureOr<Value> back = emitTile(join.getSecond(), second, second.pad);
        if (failed(front) || failed(back))
          return failure();
        return builder
            .create<tile::JoinOp>(loc, values(rows, owner.f32()), *front, *back, 1, first.size,
                                  second.size)
            .getResult();
      })
      .Case([&](RouteOp route) -> FailureOr<Value> {
        FailureOr<Value> logits = contract(route.getInput(), route.getWeightAttr());
        if (failed(logits) || !route.getBiasAttr())
          return logits;
        return bias(route.getBiasAttr(), *logits, layout, rows);
      })
      .Case([&](RoutedLinearOp routed) -> FailureOr<Value> {
        return routed.getCombined() ? emitSumOfExperts(routed, layout, rows)
                                    : emitOfExpert(routed, layout, rows, tileOfExpert);
      })
      .Case([&](GateOp gate) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(gate.getInput()), by;
        bool byRow = cast<RankedTensorType>(gate.getGate().getType()).getDimSize(1) == 1;
        by = byRow ? emitColumn(gate.getGate()) : recurse(gate.getGate());
        if (failed(input) || failed(by))
          return failure();
        return builder.create<tile::GateOp>(loc, input->getType(), *input, *by, byRow).getResult();
      })
      .Case([&](LmHeadOp head) -> FailureOr<Value> {
        stage.setOutputs(true);
        return contract(head.getInput(), head.getWeightAttr());
      })
      .Case([&](NormOp norm) -> FailureOr<Value> {
        if (rows != layout.columns() / layout.blocks)
          return norm.emitOpError("needs more columns than a tile has");
        FailureOr<Value> input = recurse(norm.getInput());
        if (failed(input))
          return failure();
        return builder
            .create<tile::NormaliseOp>(loc, input->getType(), *input, headWeight(norm, layout),
                                       /*bias=*/Value(), 1, layout.size, norm.getEps(),
                                       /*centred=*/false)
            .getResult();
      })
      .Case([&](RopeOp rope) -> FailureOr<Value> {
        if (rows != layout.columns() / layout.blocks)
          return rope.emitOpError("needs more columns than a tile has");
        FailureOr<Value> input = recurse(rope.getInput());
        if (failed(input))
          return failure();
        auto table = owner.symbols.lookup<RopeTableOp>(rope.getTable());
        auto type = tile::RotationType::get(owner.context, table.getInvFreq().size());
        return builder
            .create<tile::RotateOp>(loc, *input,
                                    bindValue(owner.bind(rope, rope.getTableAttr(), type)), 1)
            .getResult();
      })
      .Case([&](ActivateOp activate) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(activate.getInput());
        if (failed(input))
          return failure();
        auto function = static_cast<tile::Activation>(activate.getActivation());
        return builder
            .create<tile::ActivateOp>(loc, input->getType(), *input, Value(), function, FloatAttr())
            .getResult();
      })
      .Case([&](GluOp glu) -> FailureOr<Value> {
        FailureOr<Value> gate = recurse(glu.getGate()), up = recurse(glu.getUp());
        if (failed(gate) || failed(up))
          return failure();
        auto function = static_cast<tile::Activation>(glu.getActivation());
        return builder
            .create<tile::ActivateOp>(loc, gate->getType(), *gate, *up, function,
                                      glu.getLimitAttr())
            .getResult();
      })
      .Case([&](ScaleOp scale) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(scale.getInput());
        if (failed(input))
          return failure();
        return builder.create<tile::ScaleOp>(loc, input->getType(), *input, scale.getFactorAttr())
            .getResult();
      })
      .Case([&](SoftcapOp cap) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(cap.getInput());
        if (failed(input))
          return failure();
        return builder.create<tile::SoftcapOp>(loc, *input, cap.getCapAttr()).getResult();
      })
      .Case([&](AddOp add) -> FailureOr<Value> {
        FailureOr<Value> lhs = recurse(add.getLhs()), rhs = recurse(add.getRhs());
        if (failed(lhs) || failed(rhs))
          return failure();
        return builder.create<tile::AddOp>(loc, *lhs, *rhs).getResult();
      })
      .Default([&](Operation *other) -> FailureOr<Value> {
        return other->emitOpError("cannot be computed tile by tile");
      });
}

LogicalResult StageBuilder::build(StringRef label) {
  auto yield = cast<YieldOp>(source.getBody().front().getTerminator());
  for (auto pair : llvm::zip(yield.getValues(), source.getResults())) {
    Value value = std::get<0>(pair), result = std::get<1>(pair);
    Operation *op = value.getDefiningOp();
    Placed to = owner.place(result, label);
    LogicalResult built =
        TypeSwitch<Operation *, LogicalResult>(op)
            .Case([&](EmbedOp embed) { return emitEmbed(embed, to.buffer); })
            .Case([&](AttentionOp attention) { return emitAttention(attention, to); })
            .Case([&](SelectOp select) { return emitScores(select, to.scores); })
            .Case([&](AppendOp append) { return emitAppend(append, to.buffer); })
            .Case([&](RecordOp record) { return emitRecord(record, to.buffer); })
            .Default([&](Operation *) {
              if (Value routes = routesBehind(value))
                return emitExperts(value, routes, to);
              if (!source.getBody().front().getOps<DeltaOp>().empty())
                return emitDeltaHeads(value, to.buffer);
              return isOfRows() ? emitRows(value, to.buffer) : emitStore(value, to);
            });
    if (failed(built))
      return failure();
  }
  if (prologue) {
    builder.setInsertionPointToEnd(&prologue.getBody().front());
    builder.create<tile::YieldOp>(loc, prologueValues);
    // Results exist only now that all are known.
    builder.setInsertionPoint(prologue);
    auto complete = builder.create<tile::PrologueOp>(loc, ValueRange(prologueValues).getTypes());
    complete.getBody().takeBody(prologue.getBody());
    prologue.erase();
    for (auto [inside, result] : llvm::zip(prologueValues, complete.getResults()))
      inside.replaceUsesWithIf(result, [&](OpOperand &use) {
        return use.getOwner()->getParentOp() != complete.getOperation();
      });
  }
  return success();
}

} // namespace pianola::tiling
