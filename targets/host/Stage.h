//===- Stage.h - The frame that the ops of a stage are lowered in *- C++ -*-===//
//
// A part (a prologue or a section) is one function. It loops over its tiles; a tile's ops are
// lowered one after the other, each a loop over the valid slots. Between ops, values lie in scratch
// memory, where they fit the first cache: an epilogue costs a tile little beside its inner
// products, and no op needs to know which other ops it is fused with.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_STAGE_H
#define PIANOLA_TARGETS_HOST_STAGE_H

#include "dialects/tile/Tape.h"
#include "dialects/tile/Tile.h"
#include "targets/host/Emitter.h"
#include "targets/host/HostCpu.h"
#include "targets/host/IntegerRows.h"
#include "targets/host/KernelFunctions.h"
#include "targets/host/Products.h"
#include "targets/host/TileRegisters.h"
#include "llvm/ADT/DenseMap.h"
#include <map>
#include <optional>

namespace pianola::host {

/// A tile value: where slot 0 of the tile is, and how far it is to the next slot.
struct Place {
  Value base;
  Type element;
  int64_t columns; // of the value
  int64_t stride;  // elements from slot to slot

  int64_t elementBytes() const { return element.getIntOrFloatBitWidth() / 8; }
};

/// Lowers the ops of one part.
class PartEmitter : public Emitter {
public:
  PartEmitter(mlir::OpBuilder &builder, mlir::Location loc, const HostCpu &cpu,
              KernelFunctions &kernels, Value call)
      : Emitter(builder, loc, cpu), kernels(kernels), call(call) {}

  KernelFunctions &kernels;
  Value call; // PianolaHostCall *

  // Fields of the call, loaded on entry.
  Value bindings, resident, scratch, tokens, positions, sequences, slots, capacity;

  llvm::SmallVector<Value, 3> coordinates;        // of the tile, as i64
  Value slotBegin;                                // slot of the play that the tile's slot 0 is
  Value low, high;                                // the tile's slots to compute, low .. high-1
  bool oneSlot = false;                           // the program has one slot
  Value tape;                                     // what the tile consumes
  llvm::DenseMap<Value, int64_t> tapeOffsets;     // of the tile's pieces, by stage argument
  llvm::DenseMap<Value, int64_t> residentOffsets; // of the resident vectors
  llvm::DenseMap<Value, Place> places;            // of values
  llvm::DenseMap<Value, Place> splits;            // of values in split form: see Products.h
  llvm::DenseMap<Value, Place> raised;            // of values, raised: see CodeProducts.h
  /// Of values in integer form, by the size of their blocks: the first row.
  llvm::DenseMap<std::pair<Value, int64_t>, Value> integers;
  llvm::DenseMap<Value, int64_t> offsets;   // of values, in scratch memory
  llvm::DenseMap<Value, Value> routes;      // see Experts.cpp
  llvm::DenseMap<Value, Value> expertTiles; // of pools
  // Of what is done for an expert, whose members are the slots then: its number, the choices of its
  // members, the weights of all choices, and how many choices a slot has.
  Value expert, memberEntries, memberWeights;
  int64_t choicesOfSlot = 1;
  int64_t partSlots = 1; // of the part's values, but for those with a row for each choice
  int64_t scratchUsed = 0, scratchPeak = 0;

  /// The tiles of AMX that the products of a contraction go through, if they do. Those of one slot
  /// do not: they wait for memory, and 15 of a tile's 16 rows would be nothing.
  std::optional<TileShape> tilesOf(tile::ContractOp op);
  /// The shapes that tiles have in the part. If there are several, each contraction sets its own.
  std::map<TileShape, Value> configurations;
  /// Rows of scratch memory for so many slots: tiles read and write 16 at a time.
  int64_t paddedSlots(int64_t slots) const;

  /// Scratch memory for `count` elements, on a cache line; it lasts as long as the part.
  Value allocate(Type element, int64_t count);
  /// Scratch memory for a value, and its place.
  Place place(Value value);
  /// Where a slice of a buffer lies.
  Place slice(Value buffer, int64_t columns, mlir::AffineMapAttr slots,
              mlir::AffineMapAttr firstColumn);
  /// The address bound to a stage argument.
  Value bindingOf(Value argument);
  /// Of a slot of the tile: its position, and the sequence whose context it sees.
  Value positionOf(Value slot);
  Value sequenceOf(Value slot);
  /// Where keys or values of a head begin in a sequence's context.
  Value halfOf(mlir::TypedValue<tile::ContextType> context, Value sequence, Value head,
               tile::ContextPart part);
  /// Where in a half a position stands: elsewhere only in a ring.
  Value placeOf(tile::ContextType context, Value position);
  /// The value of an affine map at the tile's coordinates; 0 for a null map.
  Value evaluate(mlir::AffineMapAttr map);
  /// The address of a tape piece: a matrix tile or a vector.
  Value weightAt(Value argument);
  /// Address of a slot's first column.
  Value row(const Place &place, Value slot);

  void lower(mlir::Operation &op);
  void lowerRows(mlir::Operation &op);
  /// Calls `body` with low and high as they are for a value of so many rows.
  void withRows(int64_t rows, llvm::function_ref<void()> body);

  // Memory.cpp
  void lowerLoad(tile::LoadOp op);
  void lowerStore(tile::StoreOp op);
  void lowerGather(tile::GatherOp op);
  Value rowToGather(tile::GatherOp op, Value slot);
  void gatherCodes(tile::GatherOp op, encoding::ScaledType type, const Place &to);
  void lowerAppend(tile::AppendOp op);
  // Elementwise.cpp
  void lowerBias(tile::BiasOp op);
  void lowerAdd(tile::AddOp op);
  void lowerScale(tile::ScaleOp op);
  void lowerSoftcap(tile::SoftcapOp op);
  void lowerActivate(tile::ActivateOp op);
  void lowerReorder(tile::ReorderOp op);
  void lowerGate(tile::GateOp op);
  void lowerJoin(tile::JoinOp op);
  void lowerNormalise(tile::NormaliseOp op);
  void lowerRotate(tile::RotateOp op);
  // Contract.cpp
  void lowerContract(tile::ContractOp op);
  void lowerCodes(tile::ContractOp op, encoding::ScaledType type);
  Place raisedOf(Value value);
  Place raiseRows(const Place &from, int64_t slots);
  Value integersOf(Value value, const IntegerRow &packed);
  Value storeIntegerRows(const Place &from, const IntegerRow &packed, int64_t slots);
  // Attend.cpp
  void lowerAttend(tile::AttendOp op);
  void lowerCombine(tile::CombineOp op);
  // Score.cpp, Choose.cpp
  void lowerScore(tile::ScoreOp op);
  void lowerChoose(tile::ChooseOp op);
  // States.cpp
  Value stateOf(mlir::TypedValue<tile::StateType> state, Value slot);
  void lowerRecord(tile::RecordOp op);
  void lowerConvolve(tile::ConvolveOp op);
  void lowerDelta(tile::DeltaOp op);

  // Experts.cpp
  void lowerRoute(tile::RouteOp op);
  void lowerExperts(tile::ExpertsOp op);
  void lowerMembers(tile::MembersOp op);
  void lowerWeights(tile::WeightsOp op);
  void lowerWeigh(tile::WeighOp op);
  void lowerScatter(tile::ScatterOp op);
  Value choiceOf(Value member);
  Value slotOf(Value member);

  /// Writes rows low .. high-1 of an f32 value, which has `slots` rows, in split form.
  Place splitRows(const Place &from, int64_t slots);
  /// Copies rows low .. high-1, converting.
  void copyRows(const Place &from, const Place &to);
  /// Calls `body` for each slot low .. high-1 and the first of each 16 columns.
  void forLanes(int64_t columns, llvm::function_ref<void(Value slot, Value column)> body);
  Value lanes(const Place &place, Value slot, Value column);
  void setLanes(Value value, const Place &place, Value slot, Value column);
};

/// Emits an error for each op of the stage that the host target cannot lower.
mlir::LogicalResult checkStage(tile::StageOp stage);

} // namespace pianola::host

#endif
