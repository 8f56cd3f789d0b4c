//===- TileStages.cpp - Turn stages into tiles ----------------------------===//
//
// A stage is tiled backwards, from what it yields. Each yielded value, and each half of an append,
// becomes one section, whose region is built by walking from the value up to the linears that make
// it; whatever a linear reads is built in the prologue. So no shape of layer is built in here: what
// fuse-stages put together comes out as tiles.
//
//===----------------------------------------------------------------------===//

#include "dialects/transformer/Layout.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_TILESTAGES
#include "passes/Passes.h.inc"

using namespace transformer;

namespace {

// Slots that one attention or embedding tile takes on.
constexpr int64_t kSlotBlock = 16;
// Positions that a part of a context has at least before another one gets any, where a reader of
// the parts pays for each: 128 take an SM about as long to attend to as all of them to read one
// part more (head size 64 to 128, f32).
constexpr int64_t kLeastPart = 128;

// What becomes of a value that crosses stages.
struct Placed {
  Value buffer;
  Value statistics; // of a split attention
  int64_t splits = 1;
};

// Builds one program.
class ProgramBuilder {
public:
  ProgramBuilder(ModuleOp module, tile::MachineAttr machine, int64_t slots,
                 llvm::StringMap<tile::StageOp> &stages, schedule::ProgramOp program)
      : module(module), machine(machine), slots(slots), stages(stages), program(program),
        context(module.getContext()), symbols(module) {}

  LogicalResult build(func::FuncOp forward);

private:
  friend class StageBuilder;

  LogicalResult buildStage(StageOp stage);
  tile::StageOp define(tile::StageOp built);

  Type f32() { return Float32Type::get(context); }
  // The type that inner products take a value in, if nothing but linears and attention read it.
  Type elementOf(Value value);
  Placed place(Value value, StringRef label);
  Value bind(Operation *symbolUser, SymbolRefAttr symbol, Type type);
  Value bindContext(AppendOp append);
  // Rows of a product tile.
  int64_t rowsOf(Layout layout) {
    return machine.getRows() ? fineTileRows(layout, machine.getWorkers(), machine.getRows())
                             : tileRows(layout, machine.getWorkers());
  }
  // A buffer with what a prologue of `reader` would compute, one slot a tile.
  FailureOr<Value> materialise(Value value, StageOp reader);
  LogicalResult buildSample();
  void addStep(tile::StageOp built, Location loc, StringAttr label, ArrayRef<Value> bindings,
               ArrayRef<Attribute> weights);

  ModuleOp module;
  tile::MachineAttr machine;
  int64_t slots;
  llvm::StringMap<tile::StageOp> &stages; // by their text
  schedule::ProgramOp program;
  MLIRContext *context;
  SymbolTable symbols;
  DenseMap<Value, Placed> placed;
  DenseMap<std::pair<Attribute, Type>, Value> bound;
  DenseMap<Value, Value> materialised;
  Value logits; // buffer
};

// Builds one tile.stage and collects what its step binds.
class StageBuilder {
public:
  StageBuilder(ProgramBuilder &owner, StageOp source)
      : owner(owner), source(source), loc(source.getLoc()), builder(owner.context) {
    stage = builder.create<tile::StageOp>(loc, "stage", /*outputs=*/false);
    stage.getBody().emplaceBlock();
  }

  LogicalResult build(StringRef label);
  // A stage that computes, slot by slot, what a prologue of `source` would.
  LogicalResult buildRows(Value value, Value buffer);

  tile::StageOp stage;
  SmallVector<Value> bindings;
  SmallVector<Attribute> weights;

private:
  Block &body() { return stage.getBody().front(); }
  RankedTensorType values(int64_t columns, Type element) {
    return RankedTensorType::get({owner.slots, columns}, element);
  }
  RankedTensorType values(int64_t rows, int64_t columns, Type element) {
    return RankedTensorType::get({rows, columns}, element);
  }
  // A map of the tile coordinates: coordinate `dim` of `dims` times `factor`.
  AffineMapAttr map(unsigned dims, unsigned dim, int64_t factor) {
    return AffineMapAttr::get(
        AffineMap::get(dims, 0, getAffineDimExpr(dim, owner.context) * factor));
  }
  Value bindValue(Value value);
  Value matrix(SymbolRefAttr symbol, Layout output, int64_t rows, Layout input);
  // A norm weight.
  Value vector(SymbolRefAttr symbol, Layout layout);
  Value bias(SymbolRefAttr symbol, Value value, Layout layout, int64_t rows);
  Value weight(SymbolRefAttr symbol, Type type);

  tile::SectionOp section(ArrayRef<int64_t> grid);
  bool fitsScratch(Layout layout) {
    return !owner.machine.getRows() ||
           owner.slots * layout.columns() * 4 <= owner.machine.getScratch();
  }
  Value loadWhole(Value buffer);
  FailureOr<Value> emitRow(Value value, AffineMapAttr slots, int64_t count);
  FailureOr<Value> emitOperand(Value value);
  FailureOr<Value> emitPrologue(Value value);
  FailureOr<Value> emitHeads(Value value, AffineMapAttr slots, int64_t count, int64_t heads,
                             AffineMapAttr columns);
  FailureOr<Value> emitTile(Value value, Layout layout, int64_t rows);
  LogicalResult emitStore(Value yielded, Value buffer);
  LogicalResult emitAppend(AppendOp append, Value context);
  LogicalResult emitEmbed(EmbedOp embed, Value buffer);
  LogicalResult emitAttention(AttentionOp attention, const Placed &to);
  LogicalResult emitFreshAppend(AppendOp append);

  ProgramBuilder &owner;
  StageOp source;
  Location loc;
  OpBuilder builder;
  tile::PrologueOp prologue;
  SmallVector<Value> prologueValues;         // inside, in order of results
  DenseMap<Value, unsigned> prologueResults; // by source value
  DenseMap<std::pair<Attribute, Type>, Value> weightArguments;
  DenseMap<Value, Value> bindingArguments;
};

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

Value StageBuilder::matrix(SymbolRefAttr symbol, Layout output, int64_t rows, Layout input) {
  auto op = owner.symbols.lookup<WeightOp>(symbol.getRootReference());
  Type element = elementType(op.getEncoding());
  int64_t panel = owner.machine.getPanel();
  if (!panel)
    return weight(symbol,
                  tile::MatrixType::get(owner.context, output.byHead ? output.size : rows, rows,
                                        input.blocks, input.size, input.pad, element, 0, 0, 0));
  bool inBlocks = output.byHead && output.size != output.pad;
  return weight(symbol, tile::MatrixType::get(owner.context, rows, rows, input.blocks, input.size,
                                              input.pad, element, panel, inBlocks ? output.size : 0,
                                              inBlocks ? output.pad : 0));
}

Value StageBuilder::vector(SymbolRefAttr symbol, Layout layout) {
  return weight(symbol, tile::VectorType::get(owner.context, 1, layout.size, layout.pad, false,
                                              owner.machine.getRows() > 0));
}

Value StageBuilder::bias(SymbolRefAttr symbol, Value value, Layout layout, int64_t rows) {
  tile::VectorType type;
  AffineMapAttr columns;
  if (owner.machine.getRows()) {
    type =
        tile::VectorType::get(owner.context, layout.blocks, layout.size, layout.pad, false, true);
    columns = map(1, 0, rows);
  } else {
    type = tile::VectorType::get(owner.context, 1, layout.byHead ? layout.size : rows, rows, true,
                                 false);
  }
  return builder.create<tile::BiasOp>(loc, value, weight(symbol, type), columns);
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

tile::SectionOp StageBuilder::section(ArrayRef<int64_t> grid) {
  builder.setInsertionPointToEnd(&body());
  auto op = builder.create<tile::SectionOp>(loc, grid);
  Block &block = op.getBody().emplaceBlock();
  for (size_t i = 0; i < grid.size(); ++i)
    block.addArgument(builder.getIndexType(), loc);
  builder.setInsertionPointToEnd(&block);
  return op;
}

Value StageBuilder::loadWhole(Value buffer) {
  auto type = cast<tile::BufferType>(buffer.getType());
  return builder.create<tile::LoadOp>(loc, values(type.getColumns(), type.getElement()),
                                      bindValue(buffer), nullptr, nullptr);
}

// What linears read: `count` whole rows from `slots` on, in the element type of products.
FailureOr<Value> StageBuilder::emitRow(Value value, AffineMapAttr slots, int64_t count) {
  Type product = owner.machine.getProduct();
  Layout layout = layoutOf(value);

  auto load = [&](Value buffer) -> Value {
    auto type = cast<tile::BufferType>(buffer.getType());
    return builder.create<tile::LoadOp>(loc, values(count, type.getColumns(), type.getElement()),
                                        bindValue(buffer), slots, nullptr);
  };
  auto loadPlaced = [&](Value outer) -> Value {
    const Placed &from = owner.placed.at(outer);
    if (from.splits == 1)
      return load(from.buffer);
    auto attention = outer.getDefiningOp<StageOp>();
    auto op = cast<AttentionOp>(cast<YieldOp>(attention.getBody().front().getTerminator())
                                    .getOperand(cast<OpResult>(outer).getResultNumber())
                                    .getDefiningOp());
    int64_t heads = op.getContext().getType().getHeads();
    Value partials = load(from.buffer), statistics = load(from.statistics);
    return builder.create<tile::CombineOp>(loc, values(count, layout.columns(), product), partials,
                                           statistics, heads, op.getHeads() / heads, from.splits);
  };
  if (auto norm = value.getDefiningOp<NormOp>(); norm && norm->getParentOp() == source) {
    Layout row = layoutOf(norm.getInput());
    if (row.byHead)
      return norm.emitOpError("normalises rows that stand head by head");
    Value weights = vector(norm.getWeightAttr(), row);
    return builder
        .create<tile::NormaliseOp>(loc, values(count, row.columns(), product),
                                   loadPlaced(norm.getInput()), weights, 1, row.size, norm.getEps())
        .getResult();
  }
  if (!owner.placed.count(value))
    return source.emitOpError("\"")
           << source.getLabel() << "\" has a linear that reads another of the same stage";
  Value result = loadPlaced(value);
  if (cast<RankedTensorType>(result.getType()).getElementType() != product)
    return source.emitOpError("\"")
           << source.getLabel() << "\" multiplies a value that others read unrounded";
  return result;
}

FailureOr<Value> StageBuilder::emitPrologue(Value value) {
  if (auto found = prologueResults.find(value); found != prologueResults.end())
    return prologueValues[found->second];
  OpBuilder::InsertionGuard guard(builder);
  if (!prologue) {
    builder.setInsertionPointToStart(&body());
    prologue = builder.create<tile::PrologueOp>(loc, TypeRange());
    prologue.getBody().emplaceBlock();
  }
  builder.setInsertionPointToEnd(&prologue.getBody().front());
  FailureOr<Value> result = emitRow(value, AffineMapAttr(), owner.slots);
  if (failed(result))
    return failure();
  prologueResults[value] = prologueValues.size();
  prologueValues.push_back(*result);
  return result;
}

// What a linear reads: the result of the prologue, or, where scratch memory has no room for that, a
// buffer in its place.
FailureOr<Value> StageBuilder::emitOperand(Value value) {
  if (fitsScratch(layoutOf(value)))
    return emitPrologue(value);
  auto placed = owner.placed.find(value);
  if (placed != owner.placed.end() && placed->second.splits == 1)
    return loadWhole(placed->second.buffer);
  FailureOr<Value> buffer = owner.materialise(value, source);
  if (failed(buffer))
    return failure();
  return loadWhole(*buffer);
}

LogicalResult StageBuilder::buildRows(Value value, Value buffer) {
  section({owner.slots});
  FailureOr<Value> row = emitRow(value, map(1, 0, 1), 1);
  if (failed(row))
    return failure();
  builder.create<tile::StoreOp>(loc, *row, bindValue(buffer), map(1, 0, 1), nullptr);
  return success();
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
    FailureOr<Value> row = emitOperand(input);
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
            .create<tile::NormaliseOp>(loc, input->getType(), *input,
                                       vector(norm.getWeightAttr(), layout), 1, layout.size,
                                       norm.getEps())
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
      .Case([&](GluOp glu) -> FailureOr<Value> {
        FailureOr<Value> gate = recurse(glu.getGate()), up = recurse(glu.getUp());
        if (failed(gate) || failed(up))
          return failure();
        auto function = static_cast<tile::Activation>(glu.getActivation());
        return builder.create<tile::ActivateOp>(loc, gate->getType(), *gate, *up, function)
            .getResult();
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

//===----------------------------------------------------------------------===//
// Sections
//===----------------------------------------------------------------------===//

LogicalResult StageBuilder::emitStore(Value yielded, Value buffer) {
  Layout layout = layoutOf(yielded);
  int64_t rows = owner.rowsOf(layout);
  section({layout.columns() / rows});
  FailureOr<Value> value = emitTile(yielded, layout, rows);
  if (failed(value))
    return failure();
  builder.create<tile::StoreOp>(loc, *value, bindValue(buffer), nullptr, map(1, 0, rows));
  return success();
}

LogicalResult StageBuilder::emitAppend(AppendOp append, Value context) {
  for (auto [value, part] : {std::pair(append.getKeys(), tile::ContextPart::Key),
                             std::pair(append.getValues(), tile::ContextPart::Value)}) {
    Layout layout = layoutOf(value);
    section({layout.blocks});
    FailureOr<Value> head = emitTile(value, layout, layout.pad);
    if (failed(head))
      return failure();
    builder.create<tile::AppendOp>(loc, *head, bindValue(context), part, map(1, 0, 1).getValue());
  }
  return success();
}

LogicalResult StageBuilder::emitEmbed(EmbedOp embed, Value buffer) {
  auto weight = owner.symbols.lookup<WeightOp>(embed.getWeight());
  Layout layout = layoutOf(embed.getResult());
  int64_t vocabulary = weight.getShape()[0];
  bool tied = false;
  owner.module.walk([&](LmHeadOp head) { tied |= head.getWeight() == embed.getWeight(); });
  int64_t rows = tied ? owner.rowsOf(Layout::plain(vocabulary)) : 0;
  auto type =
      tile::TableType::get(owner.context, vocabulary, layout.size, layout.pad, rows,
                           elementType(weight.getEncoding()), tied ? owner.machine.getPanel() : 0);
  int64_t block = std::min(kSlotBlock, owner.slots);
  section({(owner.slots + block - 1) / block});
  AffineMapAttr from = owner.slots > block ? map(1, 0, block) : AffineMapAttr();
  Value table = bindValue(owner.bind(embed, embed.getWeightAttr(), type));
  Value value = builder.create<tile::GatherOp>(
      loc, values(block, layout.columns(), owner.f32()), table, from,
      embed.getScaleAttr() ? embed.getScaleAttr() : builder.getF32FloatAttr(1.0f));
  builder.create<tile::StoreOp>(loc, value, bindValue(buffer), from, nullptr);
  return success();
}

LogicalResult StageBuilder::emitAttention(AttentionOp attention, const Placed &to) {
  ContextType context = attention.getContext().getType();
  int64_t heads = context.getHeads(), group = attention.getHeads() / heads;
  Layout layout = layoutOf(attention.getResult());
  int64_t columns = group * layout.pad;
  int64_t block = std::min(kSlotBlock, owner.slots), splits = to.splits;
  section({heads, (owner.slots + block - 1) / block, splits});
  AffineMapAttr slots = owner.slots > block ? map(3, 1, block) : AffineMapAttr();

  FailureOr<Value> queries =
      emitHeads(attention.getQuery(), slots, block, group, map(3, 0, columns));
  if (failed(queries))
    return failure();
  // The append stands in this stage if whole heads are the readers' business.
  auto append = attention.getContext().getDefiningOp<AppendOp>();
  Value cache, keys, newValues;
  if (append && append->getParentOp() == source) {
    cache = owner.bindContext(append);
    for (auto [value, to] :
         {std::pair(append.getKeys(), &keys), std::pair(append.getValues(), &newValues)}) {
      FailureOr<Value> heads =
          emitHeads(value, AffineMapAttr(), owner.slots, 1, map(3, 0, layout.pad));
      if (failed(heads))
        return failure();
      *to = *heads;
    }
  } else {
    cache = owner.placed.at(attention.getContext()).buffer;
  }
  Type statistics;
  if (splits > 1)
    statistics = values(block, tile::padToLanes(2 * group), owner.f32());
  auto op = builder.create<tile::AttendOp>(
      loc, values(block, columns, owner.f32()), statistics, *queries, bindValue(cache), keys,
      newValues, map(3, 0, 1), slots, splits > 1 ? map(3, 2, 1) : AffineMapAttr(),
      attention.getScaleAttr(), builder.getI64IntegerAttr(attention.getWindow().value_or(0)),
      builder.getI64IntegerAttr(splits),
      keys ? builder.getI64IntegerAttr(kLeastPart) : IntegerAttr());

  // Parts stand one after the other, in each the key/value heads.
  auto store = [&](Value value, Value buffer) {
    int64_t width = cast<RankedTensorType>(value.getType()).getDimSize(1);
    AffineExpr head = getAffineDimExpr(0, owner.context),
               split = getAffineDimExpr(2, owner.context);
    auto at = AffineMapAttr::get(AffineMap::get(3, 0, split * (heads * width) + head * width));
    builder.create<tile::StoreOp>(loc, value, bindValue(buffer), slots, at);
  };
  store(op.getOutput(), to.buffer);
  if (splits > 1)
    store(op.getStatistics(), to.statistics);
  return keys ? emitFreshAppend(append) : success();
}

// Whole heads of a value: `heads` of them from `columns` on, in `count` slots from `slots` on.
FailureOr<Value> StageBuilder::emitHeads(Value value, AffineMapAttr slots, int64_t count,
                                         int64_t heads, AffineMapAttr columns) {
  Operation *op = value.getDefiningOp();
  Layout layout = layoutOf(value);
  if (!op || op->getParentOp() != source) {
    const Placed &from = owner.placed.at(value);
    auto type = cast<tile::BufferType>(from.buffer.getType());
    return builder
        .create<tile::LoadOp>(loc, values(count, heads * layout.pad, type.getElement()),
                              bindValue(from.buffer), slots, columns)
        .getResult();
  }
  if (!isa<NormOp, RopeOp>(op))
    return op->emitOpError("cannot be computed head by head");
  FailureOr<Value> input = emitHeads(op->getOperand(0), slots, count, heads, columns);
  if (failed(input))
    return failure();
  if (auto norm = dyn_cast<NormOp>(op))
    return builder
        .create<tile::NormaliseOp>(loc, input->getType(), *input,
                                   vector(norm.getWeightAttr(), layout), heads, layout.size,
                                   norm.getEps())
        .getResult();
  auto rope = cast<RopeOp>(op);
  auto table = owner.symbols.lookup<RopeTableOp>(rope.getTable());
  auto type = tile::RotationType::get(owner.context, table.getInvFreq().size());
  return builder
      .create<tile::RotateOp>(loc, *input, bindValue(owner.bind(rope, rope.getTableAttr(), type)),
                              heads)
      .getResult();
}

LogicalResult StageBuilder::emitFreshAppend(AppendOp append) {
  Value cache = owner.bindContext(append);
  Layout layout = layoutOf(append.getKeys());
  section({layout.blocks});
  for (auto [value, part] : {std::pair(append.getKeys(), tile::ContextPart::Key),
                             std::pair(append.getValues(), tile::ContextPart::Value)}) {
    FailureOr<Value> head =
        emitHeads(value, AffineMapAttr(), owner.slots, 1, map(1, 0, layout.pad));
    if (failed(head))
      return failure();
    builder.create<tile::AppendOp>(loc, *head, bindValue(cache), part, map(1, 0, 1).getValue());
  }
  return success();
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
            .Case([&](AppendOp append) { return emitAppend(append, to.buffer); })
            .Default([&](Operation *) { return emitStore(value, to.buffer); });
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

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

Type ProgramBuilder::elementOf(Value value) {
  // Readers outside of the stage that makes the value are ops in other stages.
  for (Operation *user : value.getUsers())
    if (!isa<LinearOp, LmHeadOp, AttentionOp>(user))
      return f32();
  return value.use_empty() ? f32() : machine.getProduct();
}

Value ProgramBuilder::bind(Operation *user, SymbolRefAttr symbol, Type type) {
  Value &value = bound[{symbol, type}];
  if (value)
    return value;
  // Symbols are bound at the top, buffers right before the step that writes them.
  OpBuilder top = OpBuilder::atBlockBegin(&program.getBody().front());
  if (isa<tile::TableType>(type))
    value = top.create<schedule::TableOp>(user->getLoc(), type, symbol);
  else if (isa<tile::RotationType>(type))
    value = top.create<schedule::RotationOp>(user->getLoc(), type, symbol);
  else
    value = top.create<schedule::ContextOp>(user->getLoc(), type, symbol);
  return value;
}

Value ProgramBuilder::bindContext(AppendOp append) {
  Layout layout = layoutOf(append.getKeys());
  return bind(append, append.getCacheAttr(),
              tile::ContextType::get(context, layout.blocks, layout.pad, machine.getProduct()));
}

Placed ProgramBuilder::place(Value value, StringRef label) {
  Placed &to = placed[value];
  Operation *op =
      cast<YieldOp>(cast<StageOp>(value.getDefiningOp()).getBody().front().getTerminator())
          .getOperand(cast<OpResult>(value).getResultNumber())
          .getDefiningOp();
  Layout layout;
  if (auto append = dyn_cast<AppendOp>(op)) {
    to.buffer = bindContext(append);
    return to;
  }
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  auto buffer = [&](StringRef suffix, int64_t columns, Type element) -> Value {
    return builder.create<schedule::BufferOp>(
        op->getLoc(), tile::BufferType::get(context, slots, columns, element),
        builder.getStringAttr(label + suffix), IntegerAttr());
  };
  layout = layoutOf(value);
  Type element = elementOf(value);
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    int64_t heads = attention.getContext().getType().getHeads();
    to.splits = (machine.getRows() ? fineContextSplits : contextSplits)(heads, slots, kSlotBlock,
                                                                        machine.getWorkers());
    if (to.splits > 1) {
      element = f32();
      int64_t group = attention.getHeads() / heads;
      to.statistics =
          buffer(".statistics", to.splits * heads * tile::padToLanes(2 * group), element);
    }
  }
  auto result = cast<OpResult>(value).getResultNumber();
  std::string suffix = result == 0 ? "" : "." + std::to_string(result);
  to.buffer = buffer(suffix, to.splits * layout.columns(), element);
  if (isa<LmHeadOp>(op))
    logits = to.buffer;
  return to;
}

// Stages whose text is the same are one: the layers of a model differ in their weights alone.
tile::StageOp ProgramBuilder::define(tile::StageOp built) {
  std::string text;
  llvm::raw_string_ostream(text) << *built;
  auto [entry, isNew] = stages.try_emplace(text, built);
  if (!isNew) {
    built.erase();
    return entry->second;
  }
  OpBuilder(program).insert(built);
  return built;
}

void ProgramBuilder::addStep(tile::StageOp built, Location loc, StringAttr label,
                             ArrayRef<Value> bindings, ArrayRef<Attribute> weights) {
  tile::StageOp stage = define(built);
  if (stage == built) {
    StringRef kind = label.getValue().rsplit('.').second;
    std::string wanted =
        (program.getSymName() + "." + (kind.empty() ? label.getValue() : kind)).str();
    std::string name = wanted;
    for (unsigned i = 2; symbols.lookup(name); ++i)
      name = wanted + "_" + std::to_string(i);
    stage.setSymName(name);
    symbols.insert(stage, stage->getIterator());
  }
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  builder.create<schedule::StepOp>(loc, label, FlatSymbolRefAttr::get(stage.getSymNameAttr()),
                                   bindings, ValueRange(), Value(),
                                   weights.empty() ? ArrayAttr() : builder.getArrayAttr(weights),
                                   ArrayAttr(), DenseI64ArrayAttr(), schedule::CostAttr());
}

LogicalResult ProgramBuilder::buildStage(StageOp source) {
  StageBuilder stageBuilder(*this, source);
  if (failed(stageBuilder.build(source.getLabel()))) {
    stageBuilder.stage.erase();
    return failure();
  }
  addStep(stageBuilder.stage, source.getLoc(), source.getLabelAttr(), stageBuilder.bindings,
          stageBuilder.weights);
  return success();
}

FailureOr<Value> ProgramBuilder::materialise(Value value, StageOp reader) {
  if (Value buffer = materialised.lookup(value))
    return buffer;
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  auto label = builder.getStringAttr(reader.getLabel() + ".rows");
  auto type =
      tile::BufferType::get(context, slots, layoutOf(value).columns(), machine.getProduct());
  Value buffer = builder.create<schedule::BufferOp>(reader.getLoc(), type, label, IntegerAttr());
  StageBuilder stageBuilder(*this, reader);
  if (failed(stageBuilder.buildRows(value, buffer))) {
    stageBuilder.stage.erase();
    return failure();
  }
  addStep(stageBuilder.stage, reader.getLoc(), label, stageBuilder.bindings, stageBuilder.weights);
  return materialised[value] = buffer;
}

LogicalResult ProgramBuilder::buildSample() {
  if (!logits)
    return module.emitError("the model has no head whose logits a token could be chosen by");
  OpBuilder builder(context);
  auto stage = builder.create<tile::StageOp>(module.getLoc(), "stage", /*outputs=*/false);
  Block &body = stage.getBody().emplaceBlock();
  Value argument = body.addArgument(logits.getType(), module.getLoc());
  builder.setInsertionPointToEnd(&body);
  auto section = builder.create<tile::SectionOp>(module.getLoc(), ArrayRef<int64_t>{1});
  Block &block = section.getBody().emplaceBlock();
  block.addArgument(builder.getIndexType(), module.getLoc());
  builder.setInsertionPointToEnd(&block);
  auto model = module->getAttrOfType<ModelAttr>(modelAttrName);
  int64_t columns = cast<tile::BufferType>(logits.getType()).getColumns();
  builder.create<tile::SampleOp>(module.getLoc(), argument,
                                 model ? model.getVocabulary() : columns);
  addStep(stage, module.getLoc(), builder.getStringAttr("sample"), logits, {});
  return success();
}

LogicalResult ProgramBuilder::build(func::FuncOp forward) {
  for (Operation &op : forward.getBody().front().without_terminator()) {
    auto stage = dyn_cast<StageOp>(op);
    if (!stage)
      return op.emitOpError("stands outside of every stage");
    if (failed(buildStage(stage)))
      return failure();
  }
  return machine.getLoops() ? buildSample() : success();
}

struct TileStages : impl::TileStagesBase<TileStages> {
  using TileStagesBase::TileStagesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    tile::MachineAttr machine = tile::getMachine(module);
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!machine || !forward) {
      if (!forward)
        module.emitError("the module has no function @forward");
      return signalPassFailure();
    }
    SmallVector<int64_t> counts(slots.begin(), slots.end());
    if (counts.empty())
      counts = {1, 64};
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    for (int64_t count : counts) {
      llvm::StringMap<tile::StageOp> stages;
      std::string name = count == 1 ? "decode" : "prefill_" + std::to_string(count);
      auto program = builder.create<schedule::ProgramOp>(
          module.getLoc(), name, count, IntegerAttr(), machine.getLoops() && count == 1);
      program.getBody().emplaceBlock();
      if (failed(ProgramBuilder(module, machine, count, stages, program).build(forward)))
        return signalPassFailure();
    }
    forward.erase();
  }
};

} // namespace
} // namespace pianola
