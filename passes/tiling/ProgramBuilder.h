//===- ProgramBuilder.h - One program of tiles ----------------------*- C++ -*-===//
#ifndef PIANOLA_PASSES_TILING_PROGRAMBUILDER_H
#define PIANOLA_PASSES_TILING_PROGRAMBUILDER_H

#include "dialects/schedule/Schedule.h"
#include "dialects/transformer/Layout.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

namespace pianola::tiling {

/// What becomes of a value that crosses stages.
struct Placed {
  mlir::Value buffer;
  mlir::Value statistics; // of a split attention
  mlir::Value peaks;      // of logits
  mlir::Value scores;     // of a selection
  int64_t splits = 1;
};

/// The routes of what each of a slot's experts makes for itself, a row of its own; null of any
/// other value.
mlir::Value routesBehind(mlir::Value value);

/// Builds one program.
class ProgramBuilder {
public:
  /// Linears and attention take activations as `product`. No program of the module has more than
  /// `mostSlots` slots.
  ProgramBuilder(mlir::ModuleOp module, tile::MachineAttr machine, mlir::Type product,
                 int64_t slots, int64_t mostSlots, llvm::StringMap<tile::StageOp> &stages,
                 schedule::ProgramOp program)
      : module(module), machine(machine), product(product), slots(slots), mostSlots(mostSlots),
        stages(stages), program(program), context(module.getContext()), symbols(module) {}

  /// With `hiddenStates`, what the head reads is left behind beside the logits.
  mlir::LogicalResult build(mlir::func::FuncOp forward, bool hiddenStates);

private:
  friend class StageBuilder;

  mlir::LogicalResult buildStage(transformer::StageOp stage);
  tile::StageOp define(tile::StageOp built);

  mlir::Type f32() { return mlir::Float32Type::get(context); }
  // The type that inner products take a value in, if nothing but linears and attention read it.
  mlir::Type elementOf(mlir::Value value);
  Placed place(mlir::Value value, llvm::StringRef label);
  mlir::Value bind(mlir::Operation *symbolUser, mlir::SymbolRefAttr symbol, mlir::Type type);
  mlir::Value bindContext(transformer::AppendOp append);
  mlir::Value bindHistory(transformer::RecordOp record);
  // What a matrix that multiplies `input` stands as on the tape. Codes that the machine does not
  // take as they are become f32, which they mean exactly.
  mlir::Type elementOnTape(transformer::WeightOp weight, transformer::Layout input);
  // Whether it can stand as two of four columns; otherwise it does in full.
  bool isTakenPruned(transformer::WeightOp weight, transformer::Layout input);
  // Blocks of columns that stand on the tape, in tiles of so many rows, out of blocks of rows if
  // these have padding; 0: all.
  int64_t keptOnTape(transformer::WeightOp weight, int64_t rows, int64_t rowBlock,
                     transformer::Layout input);
  bool isLookedUp(transformer::WeightOp weight);
  // Whether columns of such a matrix stand in another order than those of `input`, or without their
  // padding.
  static bool isReordered(mlir::Type element, transformer::Layout input);
  int64_t panelOf(mlir::Type element); // columns, of such a matrix; 0 without panels
  // Rows of a product tile.
  int64_t rowsOf(transformer::Layout layout) {
    return machine.getRows()
               ? transformer::fineTileRows(layout, machine.getWorkers(), machine.getRows())
               : transformer::tileRows(layout, machine.getWorkers());
  }
  // Groups of query heads with the same key head, each for a tile of its own.
  int64_t groupsOf(transformer::AttentionOp attention);
  // As many slots as fit, at most `most`, of blocks of which all slots are a whole number.
  int64_t greatestBlock(int64_t most, llvm::function_ref<bool(int64_t block)> fits);
  // Slots that one tile of an attention takes on: fewer where heads are wide and memory is short.
  int64_t slotBlockOf(transformer::AttentionOp attention);
  // The same of a delta rule.
  int64_t slotBlockOf(transformer::DeltaOp delta);
  // The same of a selection, and the parts that it scores its positions in.
  int64_t slotBlockOf(transformer::SelectOp select);
  int64_t partsOf(transformer::SelectOp select);
  Placed placeSelection(transformer::SelectOp select, llvm::StringRef label);
  // What follows its scores.
  void buildChoice(transformer::SelectOp select, const Placed &to, llvm::StringRef label);
  // Bytes of scratch memory that a stage may have where the target needs so many for itself.
  int64_t roomBeside(int64_t ofTarget);
  int64_t mirror(); // of a ring
  // Whether it is quicker to combine the parts of a context once, slot by slot, and to wait for
  // that, than to have every worker read all parts of all slots.
  bool areCombinedOnce(const Placed &parts, transformer::Layout layout);
  // A buffer with what a prologue of `reader` would compute.
  mlir::FailureOr<mlir::Value> materialise(mlir::Value value, transformer::StageOp reader);
  mlir::FailureOr<mlir::Value> buildRows(mlir::Value value, transformer::StageOp reader,
                                         mlir::StringAttr label, mlir::Type element,
                                         bool areHiddenStates);
  mlir::LogicalResult buildSample();
  void addStep(tile::StageOp built, mlir::Location loc, mlir::StringAttr label,
               llvm::ArrayRef<mlir::Value> bindings, llvm::ArrayRef<mlir::Attribute> weights);

  mlir::ModuleOp module;
  tile::MachineAttr machine;
  mlir::Type product;
  int64_t slots, mostSlots;
  llvm::StringMap<tile::StageOp> &stages; // by their text
  schedule::ProgramOp program;
  mlir::MLIRContext *context;
  mlir::SymbolTable symbols;
  llvm::DenseMap<mlir::Value, Placed> placed;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Type>, mlir::Value> bound;
  llvm::DenseMap<mlir::Value, mlir::Value> materialised;
  Placed logits;
  int64_t rowsOfPeak = 0; // logits
};

} // namespace pianola::tiling

#endif
