//===- WeightPanels.h - Weights from the ring to operands -------*- C++ -*-===//
//
// Of a panel's every 8 rows, lane (g, t) = (lane / 4, lane % 4) has 16 bytes of row g. A product
// takes 32 columns at a time, a *step*: the lane has 8 of them, as four pairs of bf16. A panel of
// bf16 is one step; one of codes is two or four, and becomes bf16 in registers:
//
//   i8       128 + (q & 127) is a bf16 with q's bits in it, and q - 128 is that less 256 or, if
//            bit 7 is set, 128
//   i4       128 + q - (128 + z)
//   f8e4m3   exponent and mantissa moved into a bf16's, times 2^(127 - 7)
//   f4e2m1   the same, times 2^(127 - 1)
//
// All of that is exact, as is a product with half an activation in f32. Scales are for sums.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_WEIGHTPANELS_H
#define PIANOLA_TARGETS_NVPTX_WEIGHTPANELS_H

#include "dialects/tile/Tile.h"
#include "targets/nvptx/Kernel.h"

namespace pianola::nvptx {

/// Products with weights of this element take split activations: bf16 and codes.
bool takesSplit(Type element);

/// The `index`-th of the scales that stand in `words`, as f32.
Value scaleIn(Emitter &e, encoding::Scale type, llvm::ArrayRef<Value> words, int64_t index);

/// A panel is a list of a lane's registers: 16 bytes of each 8 rows, then scales, then zero points.
class WeightPanels {
public:
  /// With `areA` weights are the first operand of products; see SplitProducts.cpp.
  WeightPanels(Kernel &kernel, tile::MatrixType matrix, bool areA);

  int64_t steps() const { return matrix.getPanel() / 32; }
  /// Steps of a panel that share scales; 0 without scales or if all of a row do.
  int64_t stepsOfScale() const;
  bool hasRowScales() const { return matrix.getFirstPanel() > 0; }

  /// Waits for the panel that begins at byte `start` of the tape; then it can be read.
  Value await(Value start) { return e.ringBytes(start, matrix.getPanelBytes()); }
  llvm::SmallVector<Value> read(Value position);
  /// Scales and zero points of whole rows, of the tile that begins there; nothing without.
  llvm::SmallVector<Value> readRows(Value start);
  /// As many zeros, for what was not read.
  llvm::SmallVector<Value> zeros();
  llvm::SmallVector<Value> zerosOfRows();

  /// Operands of one step.
  struct Step {
    llvm::SmallVector<Value> pairs;                        // four of row g of each 8 rows
    llvm::SmallVector<llvm::SmallVector<Value, 4>> scales; // of a lane's sums: see scalesOfSums
  };
  /// `ofRows` is what readRows gave.
  Step step(llvm::ArrayRef<Value> panel, llvm::ArrayRef<Value> ofRows, int64_t number);
  /// Of a panel that was not read, for products that leave no registers for it. Weights are the
  /// second operand.
  Step readStep(Value position, llvm::ArrayRef<Value> ofRows, Value number);
  /// The scales of the four sums that a lane has of 16 or 8 rows.
  llvm::SmallVector<Value, 4> rowScales(llvm::ArrayRef<Value> ofRows, int64_t group);

private:
  // What a lane has of so many scales of each row.
  struct Scales {
    int64_t ofRow;
    int64_t bytes; // of the scales of those rows of a block that the lane needs
    int64_t words; // registers for these
    int64_t zeros; // registers for zero points: 0 or 1
  };
  Scales scalesOf(int64_t ofRow) const;
  int64_t blocks() const { return matrix.getRows() / 8; }
  int64_t groups() const { return areA && blocks() > 1 ? blocks() / 2 : blocks(); }
  int64_t bytesBeforeCodes() const { return matrix.getPanelBytes() - blocks() * 512; }
  llvm::SmallVector<Value> zerosFor(const Scales &scales);
  llvm::SmallVector<Value> load(Value position, Value within, int64_t bytes, int64_t alignment);
  void readScales(Value position, const Scales &scales, llvm::SmallVectorImpl<Value> &into);
  Value zeroOfRow(llvm::ArrayRef<Value> ofRows, int64_t block);
  llvm::SmallVector<Value, 4> scalesOfSums(llvm::ArrayRef<Value> registers, const Scales &scales,
                                           int64_t group, int64_t index);
  llvm::SmallVector<Value, 4> unpack(Value low, Value high, Value zero);

  Kernel &e;
  tile::MatrixType matrix;
  encoding::ScaledType codes; // null for bf16
  bool areA;
};

} // namespace pianola::nvptx

#endif
