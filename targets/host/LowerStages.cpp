//===- LowerStages.cpp - Stages as functions of the LLVM dialect ----------===//

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "pianola/roll.h"
#include "targets/host/Codes.h"
#include "targets/host/HostCode.h"
#include "targets/host/Stage.h"
#include "llvm/ADT/MapVector.h"
#include <cstddef>

using namespace mlir;

namespace pianola::host {

namespace {

// Lowers the parts of one stage.
class StageLowering {
public:
  StageLowering(tile::StageOp stage, const HostCpu &cpu, KernelFunctions &kernels,
                OpBuilder &builder)
      : stage(stage), cpu(cpu), kernels(kernels), builder(builder) {}

  void run() {
    if (tile::PrologueOp prologue = stage.getPrologue())
      lowerPart(prologue.getBody().front(), "prologue", {});
    for (auto [number, section] : llvm::enumerate(stage.getSections()))
      lowerPart(section.getBody().front(), std::to_string(number), section);
  }

  int64_t scratch = 0;

private:
  void lowerPart(Block &block, StringRef suffix, tile::SectionOp section);
  void loadCall(PartEmitter &emit);
  void setTile(PartEmitter &emit, Block &block, tile::SectionOp section, Value number);
  int64_t slotsOf(Block &block);

  tile::StageOp stage;
  const HostCpu &cpu;
  KernelFunctions &kernels;
  OpBuilder &builder;
  void keepResults(PartEmitter &emit, Block &block);
  void findResults(PartEmitter &emit);

  // Where the prologue left its results: bytes of scratch, or a buffer it only looked at; and where
  // the other forms are that inner products need.
  struct Kept {
    tile::LoadOp view;
    int64_t offset = -1, splitOffset = -1, raisedOffset = -1;
    std::map<int64_t, int64_t> integerOffsets; // by the size of blocks
  };
  llvm::MapVector<Value, Kept> kept;
  int64_t keptBytes = 0;
};

#define FIELD(name) offsetof(PianolaHostCall, name)

void StageLowering::loadCall(PartEmitter &emit) {
  auto pointer = [&](size_t offset) {
    return emit.load(emit.pointer(), emit.at(emit.call, offset), 8);
  };
  auto number = [&](size_t offset) { return emit.load(emit.i64(), emit.at(emit.call, offset), 8); };
  emit.bindings = pointer(FIELD(bindings));
  emit.resident = pointer(FIELD(resident));
  emit.scratch = pointer(FIELD(scratch));
  emit.tokens = pointer(FIELD(tokens));
  emit.positions = pointer(FIELD(positions));
  emit.sequences = pointer(FIELD(sequences));
  emit.slots = number(FIELD(slots));
  emit.capacity = number(FIELD(capacity));
  for (const tile::TapePiece &piece : tile::getResidentPieces(stage))
    emit.residentOffsets[stage.getBody().getArgument(piece.argument)] = piece.offset;
}

// Slots of the part's values: they all agree, but for those with a row for each of a slot's
// choices.
int64_t StageLowering::slotsOf(Block &block) {
  std::optional<int64_t> slots;
  for (Operation &op : block)
    for (Type type : llvm::concat<Type>(llvm::to_vector(op.getResultTypes()),
                                        llvm::to_vector(op.getOperandTypes())))
      if (auto value = dyn_cast<RankedTensorType>(type))
        slots = std::min(slots.value_or(value.getDimSize(0)), value.getDimSize(0));
      else if (auto routes = dyn_cast<tile::RoutesType>(type))
        slots = std::min(slots.value_or(routes.getSlots()), routes.getSlots());
  return slots.value_or(1);
}

// The coordinates of tile `number`, and which of its slots there are.
void StageLowering::setTile(PartEmitter &emit, Block &block, tile::SectionOp section,
                            Value number) {
  emit.coordinates.clear();
  if (section) {
    emit.coordinates.resize(section.getGrid().size());
    for (size_t d = section.getGrid().size(); d-- > 0;) {
      emit.coordinates[d] = d == 0 ? number : emit.rem(number, section.getGrid()[d]);
      if (d > 0)
        number = emit.div(number, section.getGrid()[d]);
    }
  }
  AffineMapAttr slots;
  for (Operation &op : block)
    if (auto map = op.getAttrOfType<AffineMapAttr>("slots"))
      slots = map;
  int64_t most = emit.partSlots = slotsOf(block);
  emit.oneSlot = most == 1;
  emit.slotBegin = emit.evaluate(slots);
  emit.low = emit.constant(0);
  if (emit.oneSlot && !slots && !stage.getOutputs()) {
    emit.high = emit.constant(1);
    return;
  }
  emit.high = emit.min(emit.sub(emit.slots, emit.slotBegin), emit.constant(most));
  if (stage.getOutputs())
    emit.low = emit.max(
        emit.sub(emit.load(emit.i64(), emit.at(emit.call, FIELD(first_output)), 8), emit.slotBegin),
        emit.low);
}

// Which products take a value, or rows of it.
static SmallVector<tile::ContractOp> contractsOf(Value value) {
  SmallVector<tile::ContractOp> contracts;
  for (Operation *user : value.getUsers()) {
    if (auto contract = dyn_cast<tile::ContractOp>(user))
      contracts.push_back(contract);
    else if (isa<tile::MembersOp>(user))
      contracts.append(contractsOf(user->getResult(0)));
  }
  return contracts;
}

// Which values of the prologue the sections need, and in which form.
void StageLowering::keepResults(PartEmitter &emit, Block &block) {
  for (auto pair :
       llvm::zip(block.getTerminator()->getOperands(), stage.getPrologue().getResults())) {
    Value inside = std::get<0>(pair), result = std::get<1>(pair);
    Kept &keep = kept[result];
    if (isa<tile::RoutesType>(result.getType())) {
      keep.offset = emit.offsets.lookup(inside);
      continue;
    }
    if (emit.offsets.contains(inside))
      keep.offset = emit.offsets.lookup(inside);
    else
      keep.view = inside.getDefiningOp<tile::LoadOp>();
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<tile::ContractOp> contracts = contractsOf(result);
    bool split = type.getElementType().isF32() && llvm::any_of(contracts, [&](auto contract) {
                   Type element = contract.getMatrix().getType().getElement();
                   return formFor(cpu, element, type.getElementType()) == Form::Split;
                 });
    emit.withRows(type.getDimSize(0), [&] {
      if (split) {
        keep.splitOffset = emit.scratchUsed;
        emit.splitRows(emit.places.lookup(inside), type.getDimSize(0));
      }
      for (tile::ContractOp contract : contracts) {
        auto scaled = dyn_cast<encoding::ScaledType>(contract.getMatrix().getType().getElement());
        if (!scaled)
          continue;
        if (!isCounted(scaled)) {
          if (keep.raisedOffset < 0) {
            keep.raisedOffset = emit.scratchUsed;
            emit.raiseRows(emit.places.lookup(inside), type.getDimSize(0));
          }
          continue;
        }
        // As those rows stand that are multiplied.
        IntegerRow packed(cpu, scaled, cast<RankedTensorType>(contract.getValue().getType()));
        if (keep.integerOffsets.try_emplace(packed.block, emit.scratchUsed).second)
          emit.storeIntegerRows(emit.places.lookup(inside), packed, type.getDimSize(0));
      }
    });
  }
}

void StageLowering::findResults(PartEmitter &emit) {
  for (auto &[value, keep] : kept) {
    if (isa<tile::RoutesType>(value.getType())) {
      emit.routes[value] = emit.at(emit.scratch, keep.offset);
      continue;
    }
    auto type = cast<RankedTensorType>(value.getType());
    int64_t columns = type.getDimSize(1);
    if (tile::LoadOp view = keep.view)
      emit.places[value] =
          emit.slice(view.getBuffer(), columns, view.getSlotsAttr(), view.getColumnsAttr());
    else
      emit.places[value] = {emit.at(emit.scratch, keep.offset), type.getElementType(), columns,
                            columns};
    if (keep.splitOffset >= 0)
      emit.splits[value] = {emit.at(emit.scratch, keep.splitOffset), emit.bf16(), columns,
                            rowBytes(Form::Split, columns) / 2};
    if (keep.raisedOffset >= 0)
      emit.raised[value] = {emit.at(emit.scratch, keep.raisedOffset), emit.f32(), columns, columns};
    for (auto [block, offset] : keep.integerOffsets)
      emit.integers[{value, block}] = emit.at(emit.scratch, offset);
  }
}

void StageLowering::lowerPart(Block &block, StringRef suffix, tile::SectionOp section) {
  Location loc = stage.getLoc();
  OpBuilder::InsertionGuard guard(builder);
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto function = builder.create<func::FuncOp>(loc, (stage.getSymName() + "." + suffix).str(),
                                               builder.getFunctionType({pointer}, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  PartEmitter emit(builder, loc, cpu, kernels, function.getArgument(0));
  loadCall(emit);
  emit.scratchUsed = emit.scratchPeak = keptBytes;

  // One slot of a stage with outputs may turn out not to be wanted.
  auto lowerTile = [&] {
    emit.when(emit.less(emit.low, emit.high), [&] {
      for (Operation &op : block)
        emit.lower(op);
      if (!section)
        keepResults(emit, block);
    });
  };

  block.walk([&](tile::ContractOp op) {
    if (std::optional<TileShape> shape = emit.tilesOf(op);
        shape && !emit.configurations.count(*shape))
      emit.configurations[*shape] = findConfiguration(emit, *shape);
  });
  if (emit.configurations.size() == 1)
    configureTiles(emit, emit.configurations.begin()->second);
  if (!section) {
    setTile(emit, block, {}, {});
    lowerTile();
    keptBytes = emit.scratchPeak;
  } else {
    findResults(emit);
    auto pieces = tile::getTilePieces(section);
    for (const tile::TapePiece &piece : pieces)
      emit.tapeOffsets[stage.getBody().getArgument(piece.argument)] = piece.offset;
    Value begin = emit.load(emit.i64(), emit.at(emit.call, FIELD(begin)), 8);
    Value end = emit.load(emit.i64(), emit.at(emit.call, FIELD(end)), 8);
    Value tape = emit.load(emit.pointer(), emit.at(emit.call, FIELD(tape)), 8);
    emit.loop(begin, end, 1, [&](Value number) {
      emit.tape = emit.at(tape, emit.mul(emit.sub(number, begin), tile::getTapeBytes(pieces)));
      setTile(emit, block, section, number);
      lowerTile();
    });
  }
  if (!emit.configurations.empty())
    releaseTiles(emit);
  builder.create<func::ReturnOp>(loc);
  scratch = std::max(scratch, emit.scratchPeak);
}

} // namespace

llvm::Expected<LoweredStages> lowerStages(ModuleOp module, const HostCpu &cpu) {
  MLIRContext *context = module.getContext();
  context->loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, scf::SCFDialect,
                       vector::VectorDialect>();
  LoweredStages lowered;
  lowered.module = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(lowered.module->getBody());
  KernelFunctions kernels(*lowered.module, cpu);
  bool fits = true;
  for (tile::StageOp stage : module.getOps<tile::StageOp>())
    fits &= succeeded(checkStage(stage));
  if (!fits)
    return llvm::createStringError("the host target cannot make code for these stages");
  for (tile::StageOp stage : module.getOps<tile::StageOp>()) {
    StageLowering lowering(stage, cpu, kernels, builder);
    lowering.run();
    lowered.scratch = std::max<uint64_t>(lowered.scratch, lowering.scratch);
  }

  PassManager passes(context);
  passes.addPass(createCSEPass());
  passes.addPass(createConvertSCFToCFPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(*lowered.module)))
    return llvm::createStringError("the stages cannot be lowered to the LLVM dialect");
  return lowered;
}

} // namespace pianola::host
