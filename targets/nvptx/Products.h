//===- Products.h - Inner products of weights on the tape -------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_NVPTX_PRODUCTS_H
#define PIANOLA_TARGETS_NVPTX_PRODUCTS_H

#include "dialects/tile/Tape.h"
#include "targets/nvptx/Stage.h"
#include "targets/nvptx/WeightPanels.h"
#include "llvm/ADT/MapVector.h"

namespace pianola::nvptx {

/// Registers of a lane that weights may take before a step's events are awaited: together a third
/// of what a block may have for its ring, which an SM of an H200 reads in the 2 us that an event
/// takes. Beside 64, the 168 that a thread has leave enough for a prologue. More slots have more
/// sums and activations in registers; and for chips before sm_90 ptxas needs more of them for the
/// same code.
inline int64_t preloadRegisters(const KernelShape &shape, int64_t slots) {
  int64_t most = (slots <= 4 ? 64 : 32) / (shape.bulk ? 1 : 2);
  return std::min(most, shape.shared / 3 / (shape.consumers() * 4));
}

/// A block of slots: those of one A operand. See docs/gpu.md.
constexpr int64_t kSlotsOfA = 8;

/// Whether what a section loads is read where it lies, as a whole.
bool isReadInPlace(tile::LoadOp load);

/// A section of products, or with `experts` what one of its tiles does for an expert.
class ProductEmitter {
public:
  ProductEmitter(StageEmitter &owner, tile::SectionOp section, unsigned number,
                 tile::ExpertsOp experts = {});

  /// Takes the weights of the section's first tiles out of the ring, before anything is awaited, as
  /// far as registers are planned for them. They begin at byte `start` of the tape; where those
  /// behind what was taken begin. Nothing is taken if `stopped`.
  Value anticipate(Value start, Value stopped);
  bool isAnticipated() const { return plan.tiles > 0; }
  void lower();

private:
  friend class ExpertsEmitter;
  using Put = llvm::function_ref<void(Value slot, Value row, llvm::ArrayRef<Value> values)>;

  // f32 sums of one warp: [slots x rows].
  int64_t partBytes() const { return slots * rows * 4; }
  void begin();
  /// Places what the tile's products read where it lies, if that depends on the tile.
  void findOperands(Value tile);
  int64_t tileBytes() const { return contracts.size() * e.shape.warps * partBytes(); }
  Value partialAt(Value tileOfBatch, unsigned contract, Value warp, Value slot, Value row);

  /// Of the next tile on the tape; `taken` are the first panels, if they are in registers.
  void multiply(unsigned which, Value tileOfBatch, llvm::ArrayRef<Value> taken);
  void multiplyFloats(tile::ContractOp contract, Value panelStart, Put put);
  Value sumAt(Value slot, Value row);
  Value finish(Value value, Value tileOfBatch, Value slot, Value row);
  Value read(mlir::Operation &op, Value slot, Value row);
  void store(tile::StoreOp op, Value value, Value slot, Value row);
  void storeElement(Value tileOfBatch, Value slot, Value row);
  void storeWithPeak(tile::PeakOp peak, Value inside, Value tileOfBatch, Value slot, Value row);

  // Products with weights of bf16, or codes that become bf16 (SplitProducts.cpp).
  void multiplySplit(tile::ContractOp contract, Value tileStart, llvm::ArrayRef<Value> taken,
                     Put put);
  // The same with codes as they are (CodeProducts.cpp).
  void multiplyCodes(tile::ContractOp contract, Value tileStart, llvm::ArrayRef<Value> taken,
                     Put put);
  bool takesBare(tile::ContractOp contract) const;
  int64_t slotsApart() const { return slots <= 2 ? slots : 4; } // in the columns of B
  /// Pairs of columns of B that a group of bare codes takes.
  int64_t pairsOfGroup(tile::MatrixType matrix) const {
    return slotsApart() * (areFolded(matrix) ? 2 : 1);
  }
  /// Whether a warp's `which`-th panel of `count` and its next stand side by side on the tape: so
  /// it takes panels of bare codes, as long as there are two for every warp.
  bool isPair(tile::ContractOp contract, int64_t which, int64_t count) const;
  /// What sums of a product must be multiplied by at the end.
  double factorOf(const WeightPanels &source, const Place &place) const;
  WeightPanels panelsOf(tile::ContractOp contract);
  bool weightsAreA() const { return tile::areWeightsFirst(rows, slots); }
  llvm::SmallVector<Value> activations(const Place &place, int64_t firstSlot, Value step,
                                       int64_t further, int64_t stepsOfPanel);
  int64_t panelsOfWarp(tile::ContractOp contract) const; // at most
  int64_t batchOf(llvm::ArrayRef<tile::ContractOp> contracts, int64_t most) const;
  /// Of the section's first tiles, how many were taken early.
  Value countTaken();
  void multiplyTaken(Value taken);

  StageEmitter &s;
  Kernel &e;
  tile::SectionOp section;
  unsigned number;
  tile::ExpertsOp experts; // or none
  Ring &ring;              // where the weights come from
  mlir::Block &body;
  llvm::SmallVector<tile::ContractOp> contracts;
  int64_t slots, rows;
  int64_t batch;                                      // tiles
  llvm::MapVector<mlir::Operation *, Variable> early; // what was read before the products
  /// Whether what was taken early are whole tiles.
  bool takesWholeTiles() const;

  llvm::SmallVector<tile::EarlyPanels> plans; // of all sections
  tile::EarlyPanels plan;                     // of this one
  Value partials;                             // of the batch
  Value high;                                 // slots that there are
  Value expert, weight;                       // of the expert's member that is finished
  Value sums;                                 // of experts, [slots x rows] in scratch memory
};

} // namespace pianola::nvptx

#endif
