//===- ProgramBuilder.cpp - One program of tiles -------------------------===//

#include "passes/tiling/ProgramBuilder.h"
#include "passes/tiling/StageBuilder.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola::tiling {

Type ProgramBuilder::elementOf(Value value) {
  if (isa<transformer::RoutesType>(value.getType()))
    return f32(); // logits
  // Readers outside of the stage that makes the value are ops in other stages.
  for (Operation *user : value.getUsers())
    if (!isa<LinearOp, HeadLinearOp, LmHeadOp, RouteOp, RoutedLinearOp, AttentionOp>(user))
      return f32();
  return value.use_empty() ? f32() : product;
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
  else if (isa<tile::PoolType>(type))
    value = top.create<schedule::PoolOp>(user->getLoc(), type, symbol);
  else if (isa<tile::StateType>(type))
    value = top.create<schedule::StateOp>(user->getLoc(), type, symbol);
  else
    value = top.create<schedule::ContextOp>(user->getLoc(), type, symbol);
  return value;
}

// Positions that attention to a context looks at, in this stage or the next; 0: all.
static int64_t windowOf(Value context) {
  for (OpOperand &use : context.getUses()) {
    if (auto attention = dyn_cast<AttentionOp>(use.getOwner()))
      return attention.getChunk().value_or(attention.getWindow().value_or(0));
    if (isa<YieldOp>(use.getOwner()))
      return windowOf(use.getOwner()->getParentOp()->getResult(use.getOperandNumber()));
  }
  return 0;
}

Value ProgramBuilder::bindContext(AppendOp append) {
  Layout layout = layoutOf(append.getKeys());
  auto cache = symbols.lookup<CacheOp>(append.getCache());
  // All programs share it.
  Type element = cache.getElement().value_or(machine.getProduct());
  int64_t window = windowOf(append.getResult());
  int64_t ring = window ? tile::ContextType::ringFor(window, mostSlots) : 0;
  return bind(append, append.getCacheAttr(),
              tile::ContextType::get(context, layout.blocks, layout.pad, element, ring));
}

Value ProgramBuilder::bindHistory(RecordOp record) {
  Layout layout = layoutOf(record.getInput());
  // What a play writes must not stand where the taps of its first slot look.
  int64_t taps = symbols.lookup<StateOp>(record.getState()).getShape()[0];
  return bind(record, record.getStateAttr(),
              tile::StateType::get(context, 1, mostSlots + taps - 1, layout.columns()));
}

// What @forward returns, in the end.
static bool areLogits(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) { return isa<func::ReturnOp>(user); });
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
  if (auto record = dyn_cast<RecordOp>(op)) {
    to.buffer = bindHistory(record);
    return to;
  }
  if (auto select = dyn_cast<SelectOp>(op))
    return to = placeSelection(select, label);
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  layout = layoutOf(value);
  auto buffer = [&](StringRef suffix, int64_t columns, Type element) -> Value {
    bool isOfExperts = op->getNumResults() == 1 && routesBehind(op->getResult(0));
    int64_t rows = isOfExperts ? slots * layout.blocks : slots;
    return builder.create<schedule::BufferOp>(
        op->getLoc(),
        tile::BufferType::get(context, rows, isOfExperts ? layout.pad : columns, element),
        builder.getStringAttr(label + suffix), IntegerAttr());
  };
  Type element = elementOf(value);
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    int64_t heads = groupsOf(attention);
    to.splits = (machine.getRows() ? fineContextSplits : contextSplits)(
        heads, slots, slotBlockOf(attention), machine.getWorkers());
    if (to.splits > 1) {
      element = f32();
      int64_t group = attention.getHeads() / heads;
      to.statistics =
          buffer(".statistics", to.splits * heads * tile::padToLanes(2 * group), element);
    }
  }
  auto result = cast<OpResult>(value).getResultNumber();
  std::string suffix = result == 0 ? "" : "." + std::to_string(result);
  if (areLogits(value) && machine.getLoops()) {
    rowsOfPeak = rowsOf(layout);
    to.peaks = buffer(".peaks", tile::padToLanes(layout.columns() / rowsOfPeak), f32());
  }
  to.buffer = buffer(suffix, to.splits * layout.columns(), element);
  if (areLogits(value))
    logits = to;
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
  Operation *yield = source.getBody().front().getTerminator();
  for (auto [result, made] : llvm::zip_equal(source.getResults(), yield->getOperands()))
    if (Placed to = placed.lookup(result); to.scores)
      buildChoice(made.getDefiningOp<SelectOp>(), to, source.getLabel());
  return success();
}

int64_t ProgramBuilder::groupsOf(AttentionOp attention) {
  // What a tile has of its query heads lies in scratch memory or registers: of latent attention,
  // where one key head is for all of them, that would be too much.
  constexpr int64_t kMostLanes = 2048;
  int64_t heads = attention.getContext().getType().getHeads(),
          lanes = layoutOf(attention.getResult()).pad;
  int64_t group = attention.getHeads() / heads, parts = 1;
  if (machine.getRows() && !attention.getSinks())
    while (parts < group && (group % parts || group / parts * lanes > kMostLanes))
      ++parts;
  return heads * parts;
}

int64_t ProgramBuilder::greatestBlock(int64_t most, llvm::function_ref<bool(int64_t)> fits) {
  while (most > 1 && (slots % most != 0 || !fits(most)))
    --most;
  return most;
}

int64_t ProgramBuilder::slotBlockOf(AttentionOp attention) {
  int64_t block = std::min(kSlotBlock, slots);
  if (!machine.getRows())
    return block;
  // Beside two chunks of the ring and what the target needs for itself there are the queries, which
  // become the result, and one key head of all slots.
  // Wide heads take more of it. What heads are joined of stands beside them, and experts have a
  // ring of their own.
  int64_t lanes = layoutOf(attention.getResult()).pad, ofHead = lanes * 4;
  int64_t ofTarget = std::max<int64_t>(13 << 10, (5 << 10) + 8 * (lanes + 4) * 4);
  module.walk([&](JoinOp join) {
    ofHead = std::max(ofHead, (lanes + layoutOf(join.getSecond()).pad) * 4);
  });
  int64_t group = attention.getHeads() / groupsOf(attention);
  int64_t room = roomBeside(ofTarget) - slots * ofHead;
  return greatestBlock(block, [&](int64_t block) { return block * group * ofHead <= room; });
}

int64_t ProgramBuilder::slotBlockOf(DeltaOp delta) {
  if (!machine.getRows())
    return slots;
  // A query and a key, which are convolved, activated, normalised and scaled, and of a value what
  // is made of it and with it.
  int64_t key = layoutOf(delta.getQueryKey()).pad, value = layoutOf(delta.getValue()).pad;
  int64_t ofSlot = (8 * key + 4 * value) * 4;
  return greatestBlock(slots,
                       [&](int64_t block) { return block * ofSlot <= roomBeside(13 << 10); });
}

int64_t ProgramBuilder::roomBeside(int64_t ofTarget) {
  // Two chunks of the ring at least; experts have a ring of their own.
  bool hasExperts = module.walk([](RouteOp) { return WalkResult::interrupt(); }).wasInterrupted();
  return machine.getRing() - (hasExperts ? 2 : 1) * (2 * machine.getChunk() + mirror()) - ofTarget;
}

// Bytes that stand behind a ring because packed panels may lie across its end: two panels of
// tiles of as many rows as any has (see LowerPrograms.cpp).
int64_t ProgramBuilder::mirror() {
  int64_t bytes = 0;
  for (auto weight : module.getOps<WeightOp>()) {
    Type type = weight.getEncoding();
    if (encoding::isPlain(type) || weight.getShape().size() < 2)
      continue;
    int64_t rows = 2 * machine.getRows(), columns = weight.getShape().back(), kept = 0;
    if (auto blocks = dyn_cast<encoding::BlocksType>(type)) {
      type = blocks.getElement();
      kept = blocks.getKept();
    }
    auto matrix = tile::MatrixType::get(context, rows, rows, 1, columns, tile::padToLanes(columns),
                                        type, panelOf(type), 0, 0, kept);
    bytes = std::max({bytes, matrix.getFirstPanel(), 2 * matrix.getPanelBytes()});
  }
  return bytes;
}

bool ProgramBuilder::areCombinedOnce(const Placed &parts, Layout layout) {
  if (!machine.getCache() || !machine.getPort())
    return false;
  // Of a long context, which fills all parts.
  double bytes = parts.splits * layout.columns() * 4;
  double byAll = machine.getWorkers() * slots * bytes / (machine.getCache() * 1e-3);
  double once = bytes / (machine.getPort() * 1e-3) + machine.getStep() + machine.getEvent();
  return once < byAll;
}

FailureOr<Value> ProgramBuilder::materialise(Value value, StageOp reader) {
  if (Value buffer = materialised.lookup(value))
    return buffer;
  auto label = StringAttr::get(context, reader.getLabel() + ".rows");
  FailureOr<Value> buffer = buildRows(value, reader, label, product, /*areHiddenStates=*/false);
  if (succeeded(buffer))
    materialised[value] = *buffer;
  return buffer;
}

FailureOr<Value> ProgramBuilder::buildRows(Value value, StageOp reader, StringAttr label,
                                           Type element, bool areHiddenStates) {
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  auto type = tile::BufferType::get(context, slots, layoutOf(value).columns(), element);
  Value buffer = builder.create<schedule::BufferOp>(reader.getLoc(), type, label, IntegerAttr());
  StageBuilder stageBuilder(*this, reader);
  stageBuilder.stage.setHiddenStates(areHiddenStates);
  if (failed(stageBuilder.emitRows(value, buffer))) {
    stageBuilder.stage.erase();
    return failure();
  }
  addStep(stageBuilder.stage, reader.getLoc(), label, stageBuilder.bindings, stageBuilder.weights);
  return buffer;
}

LogicalResult ProgramBuilder::buildSample() {
  if (!logits.peaks)
    return module.emitError("the model has no head whose logits a token could be chosen by");
  OpBuilder builder(context);
  auto stage = builder.create<tile::StageOp>(module.getLoc(), "stage", /*outputs=*/false,
                                             /*hidden_states=*/false);
  Block &body = stage.getBody().emplaceBlock();
  Value values[] = {logits.buffer, logits.peaks};
  for (Value value : values)
    body.addArgument(value.getType(), module.getLoc());
  builder.setInsertionPointToEnd(&body);
  auto section = builder.create<tile::SectionOp>(module.getLoc(), builder.getDenseI64ArrayAttr(1),
                                                 IntegerAttr());
  Block &block = section.getBody().emplaceBlock();
  block.addArgument(builder.getIndexType(), module.getLoc());
  builder.setInsertionPointToEnd(&block);
  auto model = module->getAttrOfType<ModelAttr>(modelAttrName);
  int64_t columns = cast<tile::BufferType>(logits.buffer.getType()).getColumns();
  builder.create<tile::SampleOp>(module.getLoc(), body.getArgument(0),
                                 builder.getI64IntegerAttr(model ? model.getVocabulary() : columns),
                                 body.getArgument(1), builder.getI64IntegerAttr(rowsOfPeak));
  addStep(stage, module.getLoc(), builder.getStringAttr("sample"), values, {});
  return success();
}

LogicalResult ProgramBuilder::build(func::FuncOp forward, bool hiddenStates) {
  for (Operation &op : forward.getBody().front().without_terminator()) {
    auto stage = dyn_cast<StageOp>(op);
    if (!stage)
      return op.emitOpError("stands outside of every stage");
    if (failed(buildStage(stage)))
      return failure();
    if (!hiddenStates)
      continue;
    for (LmHeadOp head : stage.getBody().getOps<LmHeadOp>())
      if (failed(buildRows(head.getInput(), stage, StringAttr::get(context, "hidden_states"), f32(),
                           /*areHiddenStates=*/true)))
        return failure();
  }
  return machine.getLoops() ? buildSample() : success();
}

} // namespace pianola::tiling
