//===- Stage.h - The ops of a stage, lowered for a block --------*- C++ -*-===//
//
// A stage is one region of the kernel. Three kinds of sections are lowered in three ways:
//
//   products   contracts, and ops that need only their own element: see Products.cpp
//   experts    products of which the weights are experts': see Experts.cpp
//   rows       anything else; each op is computed by all consumer threads, a barrier after it, and
//              its result stands in scratch memory: see Rows.cpp, Attend.cpp, Memory.cpp,
//              Append.cpp
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_STAGE_H
#define PIANOLA_TARGETS_NVPTX_STAGE_H

#include "dialects/tile/Tape.h"
#include "dialects/tile/Tile.h"
#include "targets/nvptx/ContextLayout.h"
#include "targets/nvptx/Kernel.h"
#include "targets/nvptx/Routes.h"
#include "llvm/ADT/DenseMap.h"

namespace pianola::nvptx {

/// Where a tile value is: f32 in global or shared memory, or split in two bf16 numbers, which stand
/// in two arrays, or for more slots pair by pair as operands of products want them: of 32 columns
/// first each 8 columns' first four, then their others; of four the greater halves of two, the
/// lesser ones, then those of the next two.
struct Place {
  enum Form { F32, Split, Paired };
  Form form = F32;
  Value base;          // slot 0 of the value
  Value lesser;        // Split: the second array
  int64_t columns = 0; // of the value
  int64_t stride = 0;  // elements, f32 or bf16, from slot to slot
  // Split, for codes that are taken as they are (WeightPanels.h): 2^64 times the value, of 8
  // columns the pairs 0, 2, 1, 3; and of each four columns less their sum, the greater halves of a
  // slot's sums, then the lesser ones. If all products are with bare codes of 4 bits, pairs 1 and 3
  // are 2^60 times the value only: their weights are 16 times too great.
  bool isRaised = false, areNibbles = false;
  Value sums = {};
  int64_t sumsHalf = 0; // elements
  // An expert's members: in shared memory of each one its choice; its row is that by `perRow`.
  Value rows = {};
  int64_t perRow = 1;

  /// The row that a slot has.
  Value rowOf(Emitter &e, Value slot) const {
    return rows ? e.div(e.load(e.i32(), e.at(rows, e.mul(slot, 4))), perRow) : slot;
  }
};

class StageEmitter {
public:
  StageEmitter(Kernel &kernel, tile::StageOp stage) : e(kernel), stage(stage) {}

  /// Lowers the stage at the kernel's insertion point.
  void lower();

  /// Bytes of scratch memory that it takes.
  int64_t scratchBytes() const { return scratchPeak; }

private:
  // Stage.cpp
  /// What is done before the step's events are awaited.
  void anticipate();
  void lowerPrologue(tile::PrologueOp prologue);
  void lowerRows(tile::SectionOp section, unsigned number);
  void lowerRow(mlir::Operation &op);
  void setTile(tile::SectionOp section, Value number);
  Value evaluate(mlir::AffineMapAttr map);
  Value bindingOf(Value argument); // pointer to global memory
  Value tilesOf(unsigned section, bool end);
  Value allocate(int64_t bytes);
  Place allocateRows(int64_t slots, int64_t columns, Place::Form form = Place::F32);
  llvm::SmallVector<tile::ContractOp> productsOf(Value value);
  Place placeFor(Value value);
  Place::Form formOf(Value value);
  /// The slots of a value that are computed: high of them, from slot `slotBegin` of the play on.
  Value slotBeginOf(Value value);
  /// A result begins where what it is made of begins.
  void passSlotBegin(Value from, Value to);
  Value highOf(Value value);
  Value row(const Place &place, Value slot);
  Value elementAt(const Place &place, Value slot, Value column);
  /// Calls `body` for each 4 columns of slots 0 .. high-1; the threads share them out.
  void forQuads(Value high, int64_t columns,
                llvm::function_ref<void(Value slot, Value column)> body);
  llvm::SmallVector<Value, 4> loadQuad(const Place &place, Value slot, Value column);
  void storeQuad(llvm::ArrayRef<Value> quad, const Place &place, Value slot, Value column);
  /// Calls `body` for 0 .. count-1, dealt to threads or warps.
  void forThreads(Value count, llvm::function_ref<void(Value)> body);
  void forWarps(Value count, llvm::function_ref<void(Value)> body);

  // Memory.cpp
  Place slice(Value buffer, int64_t columns, mlir::AffineMapAttr slots,
              mlir::AffineMapAttr firstColumn);
  void lowerLoad(tile::LoadOp op);
  void lowerStore(tile::StoreOp op);
  void lowerGather(tile::GatherOp op);

  // Append.cpp
  void lowerAppend(tile::AppendOp op);
  /// Rounds the first `count` rows to codes, each row with a scale, and hands over these and four
  /// codes at a time, of columns from `column` on.
  void encodeRows(
      const Place &from, Value count, const ContextLayout &layout,
      llvm::function_ref<void(Value slot, Value scale)> storeScale,
      llvm::function_ref<void(Value slot, Value column, llvm::ArrayRef<Value> codes)> storeCodes);

  // Normalise.cpp
  void anticipateNorm(tile::NormaliseOp op);
  void lowerNormalise(tile::NormaliseOp op);
  std::pair<Value, Value> loadFactors(tile::NormaliseOp op, Value column);
  void normaliseByWarp(tile::NormaliseOp op, const Place &from, const Place &to);
  void normaliseOneRow(tile::NormaliseOp op, const Place &from, const Place &to);
  void normaliseByBlock(tile::NormaliseOp op, const Place &from, const Place &to);

  // Rows.cpp
  void lowerRotate(tile::RotateOp op);
  void lowerAdd(tile::AddOp op);
  void lowerScale(tile::ScaleOp op);
  void lowerCombine(tile::CombineOp op);
  void lowerGate(tile::GateOp op);
  void lowerJoin(tile::JoinOp op);

  void lowerActivate(tile::ActivateOp op);

  // States.cpp
  /// Where an element of a slot's row is recorded.
  Value recordAt(tile::RecordOp op, Value slot, Value column);
  void lowerConvolve(tile::ConvolveOp op);
  std::pair<Value, Value> gatesOf(tile::DeltaOp op, Value slot, Value head);
  void lowerDelta(tile::DeltaOp op);

  // Routes.cpp
  void lowerRoute(tile::RouteOp op);

  // Attend.cpp, Sample.cpp
  friend class AttendEmitter;
  friend class SampleEmitter;
  void anticipateAttend(tile::AttendOp op, Value begin, Value end); // of its tiles
  void lowerAttend(tile::AttendOp op);
  // Score.cpp, Choose.cpp
  friend class ScoreEmitter;
  friend class ChooseEmitter;
  void lowerScore(tile::ScoreOp op);
  void lowerChoose(tile::ChooseOp op);
  void lowerSample(tile::SampleOp op);

  // Products.cpp
  friend class ProductEmitter;
  void anticipateProducts();
  void lowerProducts(tile::SectionOp section, unsigned number);

  // Experts.cpp
  friend class ExpertsEmitter;
  /// Has the first experts' tiles of the stage brought, as soon as the choice is known.
  void tellFirstPieces();
  void lowerExperts(tile::SectionOp section, unsigned number);

  Kernel &e;
  tile::StageOp stage;
  llvm::SmallVector<Value, 4> coordinates; // of the tile
  llvm::DenseMap<Value, Place> places;
  /// Of each section: registers, in the tape's order.
  llvm::SmallVector<llvm::SmallVector<Value>> takenWeights;
  using ReadEarly = llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Variable>>;
  ReadEarly anticipatedBiases; // of norms
  ReadEarly anticipated;       // what was read
  llvm::DenseMap<Value, Routes> routes;
  Value firstPieces;                       // the list that was told of early
  Value isFirstTile;                       // of a section, i1
  llvm::DenseMap<Value, Value> slotBegins; // of values that do not start at slot 0 of the play
  int64_t scratchUsed = 0, scratchPeak = 0;
};

/// Whether a value is made where it is stored, because nobody else wants it.
bool isOnlyStored(Value value);

/// An element of an activation; `up` is null where the op has none.
Value activate(Kernel &e, tile::ActivateOp op, Value gate, Value up);

/// Emits an error for each op of the stage that the nvptx target cannot lower.
mlir::LogicalResult checkStage(tile::StageOp stage, const KernelShape &shape);

} // namespace pianola::nvptx

#endif
