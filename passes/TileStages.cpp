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

  ModuleOp module;
  tile::MachineAttr machine;
  int64_t slots;
  llvm::StringMap<tile::StageOp> &stages; // by their text
  schedule::ProgramOp program;
  MLIRContext *context;
  SymbolTable symbols;
  DenseMap<Value, Placed> placed;
  DenseMap<std::pair<Attribute, Type>, Value> bound;
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
  Value matrix(SymbolRefAttr symbol, int64_t rows, int64_t rowPad, Layout input);
  Value vector(SymbolRefAttr symbol, tile::VectorType type);
  Value weight(SymbolRefAttr symbol, Type type);

  tile::SectionOp section(ArrayRef<int64_t> grid);
  FailureOr<Value> emitPrologue(Value value);
  FailureOr<Value> emitTile(Value value, Layout layout, int64_t rows);
  LogicalResult emitStore(Value yielded, Value buffer);
  LogicalResult emitAppend(AppendOp append, Value context);
  LogicalResult emitEmbed(EmbedOp embed, Value buffer);
  LogicalResult emitAttention(AttentionOp attention, const Placed &to);

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

Value StageBuilder::matrix(SymbolRefAttr symbol, int64_t rows, int64_t rowPad, Layout input) {
  auto op = owner.symbols.lookup<WeightOp>(symbol.getRootReference());
  return weight(symbol, tile::MatrixType::get(owner.context, rows, rowPad, input.blocks, input.size,
                                              input.pad, elementType(op.getEncoding())));
}

Value StageBuilder::vector(SymbolRefAttr symbol, tile::VectorType type) {
  return weight(symbol, type);
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

// What linears read: a whole row, in the element type of products.
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
  Type product = owner.machine.getProduct();
  Layout layout = layoutOf(value);
  Value result;

  auto load = [&](Value buffer) -> Value {
    auto type = cast<tile::BufferType>(buffer.getType());
    return builder.create<tile::LoadOp>(loc, values(type.getColumns(), type.getElement()),
                                        bindValue(buffer), nullptr, nullptr);
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
    return builder.create<tile::CombineOp>(loc, values(layout.columns(), product), partials,
                                           statistics, heads, op.getHeads() / heads, from.splits);
  };
  if (auto norm = value.getDefiningOp<NormOp>(); norm && norm->getParentOp() == source) {
    Layout row = layoutOf(norm.getInput());
    if (row.byHead)
      return norm.emitOpError("normalises rows that stand head by head");
    Value weights = vector(norm.getWeightAttr(),
                           tile::VectorType::get(owner.context, 1, row.size, row.pad, false));
    result = builder.create<tile::NormaliseOp>(loc, values(row.columns(), product),
                                               loadPlaced(norm.getInput()), weights, 1, row.size,
                                               norm.getEps());
  } else if (owner.placed.count(value)) {
    result = loadPlaced(value);
    if (cast<RankedTensorType>(result.getType()).getElementType() != product)
      return source.emitOpError("\"")
             << source.getLabel() << "\" multiplies a value that others read unrounded";
  } else {
    return source.emitOpError("\"")
           << source.getLabel() << "\" has a linear that reads another of the same stage";
  }
  prologueResults[value] = prologueValues.size();
  prologueValues.push_back(result);
  return result;
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

  // Rows of the matrix in a tile, without padding.
  int64_t valid = layout.byHead ? layout.size : rows;
  auto contract = [&](Value input, SymbolRefAttr symbol) -> FailureOr<Value> {
    FailureOr<Value> row = emitPrologue(input);
    if (failed(row))
      return failure();
    Value weights = matrix(symbol, valid, rows, layoutOf(input));
    return builder.create<tile::ContractOp>(loc, values(rows, owner.f32()), weights, *row)
        .getResult();
  };
  return TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](LinearOp linear) -> FailureOr<Value> {
        FailureOr<Value> product = contract(linear.getInput(), linear.getWeightAttr());
        if (failed(product) || !linear.getBiasAttr())
          return product;
        auto type = tile::VectorType::get(owner.context, 1, valid, rows, true);
        return builder.create<tile::BiasOp>(loc, *product, vector(linear.getBiasAttr(), type))
            .getResult();
      })
      .Case([&](LmHeadOp head) -> FailureOr<Value> {
        stage.setOutputs(true);
        return contract(head.getInput(), head.getWeightAttr());
      })
      .Case([&](NormOp norm) -> FailureOr<Value> {
        FailureOr<Value> input = recurse(norm.getInput());
        if (failed(input))
          return failure();
        auto type = tile::VectorType::get(owner.context, 1, layout.size, layout.pad, false);
        return builder
            .create<tile::NormaliseOp>(loc, input->getType(), *input,
                                       vector(norm.getWeightAttr(), type), 1, layout.size,
                                       norm.getEps())
            .getResult();
      })
      .Case([&](RopeOp rope) -> FailureOr<Value> {
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
  int64_t rows = tileRows(layout, owner.machine.getWorkers());
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
  int64_t rows = tied ? tileRows(Layout::plain(vocabulary), owner.machine.getWorkers()) : 0;
  auto type = tile::TableType::get(owner.context, vocabulary, layout.size, layout.pad, rows,
                                   elementType(weight.getEncoding()));
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

  const Placed &from = owner.placed.at(attention.getQuery());
  Type element = cast<tile::BufferType>(from.buffer.getType()).getElement();
  Value queries = builder.create<tile::LoadOp>(loc, values(block, columns, element),
                                               bindValue(from.buffer), slots, map(3, 0, columns));
  Type statistics;
  if (splits > 1)
    statistics = values(block, tile::padToLanes(2 * group), owner.f32());
  auto op = builder.create<tile::AttendOp>(
      loc, values(block, columns, owner.f32()), statistics, queries,
      bindValue(owner.placed.at(attention.getContext()).buffer), map(3, 0, 1), slots,
      splits > 1 ? map(3, 2, 1) : AffineMapAttr(), attention.getScaleAttr(),
      builder.getI64IntegerAttr(attention.getWindow().value_or(0)),
      builder.getI64IntegerAttr(splits));

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

Placed ProgramBuilder::place(Value value, StringRef label) {
  Placed &to = placed[value];
  Operation *op =
      cast<YieldOp>(cast<StageOp>(value.getDefiningOp()).getBody().front().getTerminator())
          .getOperand(cast<OpResult>(value).getResultNumber())
          .getDefiningOp();
  Layout layout;
  if (auto append = dyn_cast<AppendOp>(op)) {
    layout = layoutOf(append.getKeys());
    auto type = tile::ContextType::get(context, layout.blocks, layout.pad, machine.getProduct());
    to.buffer = bind(append, append.getCacheAttr(), type);
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
    to.splits = contextSplits(heads, slots, kSlotBlock, machine.getWorkers());
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

LogicalResult ProgramBuilder::buildStage(StageOp source) {
  StageBuilder stageBuilder(*this, source);
  if (failed(stageBuilder.build(source.getLabel()))) {
    stageBuilder.stage.erase();
    return failure();
  }
  tile::StageOp stage = define(stageBuilder.stage);
  if (stage == stageBuilder.stage) {
    StringRef kind = source.getLabel().rsplit('.').second;
    std::string wanted =
        (program.getSymName() + "." + (kind.empty() ? source.getLabel() : kind)).str();
    std::string name = wanted;
    for (unsigned i = 2; symbols.lookup(name); ++i)
      name = wanted + "_" + std::to_string(i);
    stage.setSymName(name);
    symbols.insert(stage, stage->getIterator());
  }
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  builder.create<schedule::StepOp>(
      source.getLoc(), source.getLabelAttr(), FlatSymbolRefAttr::get(stage.getSymNameAttr()),
      stageBuilder.bindings, ValueRange(), Value(),
      stageBuilder.weights.empty() ? ArrayAttr() : builder.getArrayAttr(stageBuilder.weights),
      ArrayAttr(), DenseI64ArrayAttr(), schedule::CostAttr());
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
  return success();
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
      auto program =
          builder.create<schedule::ProgramOp>(module.getLoc(), name, count, IntegerAttr());
      program.getBody().emplaceBlock();
      if (failed(ProgramBuilder(module, machine, count, stages, program).build(forward)))
        return signalPassFailure();
    }
    forward.erase();
  }
};

} // namespace
} // namespace pianola
