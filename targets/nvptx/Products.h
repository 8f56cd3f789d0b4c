//===- Products.h - Inner products of weights on the tape -------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_NVPTX_PRODUCTS_H
#define PIANOLA_TARGETS_NVPTX_PRODUCTS_H

#include "targets/nvptx/Stage.h"
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

/// A section of products.
class ProductEmitter {
public:
  ProductEmitter(StageEmitter &owner, tile::SectionOp section, unsigned number);

  /// Takes the weights of the section's first tiles out of the ring, where that is worth it: it is
  /// the stage's first section, and nothing has been awaited.
  void anticipate();
  void lower();

private:
  /// Of the worker's first tiles in this section, as many panels as fit; all of each tile, or part
  /// of one.
  struct Preload {
    int64_t tiles = 0;
    llvm::SmallVector<int64_t, 2> panels; // of each contract, for each warp
  };
  using Put = llvm::function_ref<void(Value slot, Value row, llvm::ArrayRef<Value> values)>;

  // f32 sums of one warp: [slots x rows].
  int64_t partBytes() const { return slots * rows * 4; }
  int64_t tileBytes() const { return contracts.size() * e.shape.warps * partBytes(); }
  Value partialAt(Value tileOfBatch, unsigned contract, Value warp, Value slot, Value row);

  /// Of the next tile on the tape; `taken` are the first panels, if they are in registers.
  void multiply(unsigned which, Value tileOfBatch, llvm::ArrayRef<Value> taken);
  void multiplyFloats(tile::ContractOp contract, Value panelStart, Put put);
  Value finish(Value value, Value tileOfBatch, Value slot, Value row);
  Value read(mlir::Operation &op, Value slot, Value row);
  void store(Value tileOfBatch, Value slot, Value row);
  void storePeaks(Value inside, Value tileOfBatch, Value slot, Value row);

  // Products with bf16 weights (SplitProducts.cpp).
  void multiplySplit(tile::ContractOp contract, Value panelStart, llvm::ArrayRef<Value> taken,
                     Put put);
  llvm::SmallVector<Value> weightsOf(Value panelStart);
  bool weightsAreA() const { return slots <= std::min<int64_t>(rows / 4, 4); }
  llvm::SmallVector<Value> activations(const Place &place, int64_t firstSlot, Value panel,
                                       int64_t further);
  int64_t panelsOfWarp(tile::ContractOp contract) const; // at most
  bool isAnticipated() const { return number == 0; }
  Preload planPreload() const;
  void multiplyTaken(const Preload &preload, Value begin, Value end);

  StageEmitter &s;
  Kernel &e;
  tile::SectionOp section;
  unsigned number;
  llvm::SmallVector<tile::ContractOp> contracts;
  int64_t slots, rows;
  int64_t batch;                                      // tiles
  llvm::MapVector<mlir::Operation *, Variable> early; // what was read before the products
  Value partials;                                     // of the batch
  Value high;                                         // slots that there are
};

} // namespace pianola::nvptx

#endif
