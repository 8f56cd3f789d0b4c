//===- WeightPanels.h - Weights from the ring to operands -------*- C++ -*-===//
//
// Of a panel's every 8 rows, lane (g, t) = (lane / 4, lane % 4) has 16 bytes of row g. A product
// takes 32 columns at a time, a *step*: the lane has 8 of them, as four pairs of bf16. A panel of
// bf16 is one step; one of codes is two or four, and one of two of four columns is two.
//
// Codes are bf16 as they stand, only very small: those with an exponent of 0 and of 1 count in the
// same unit, so that 16 bits of which the lower 8 are q are q 2^-133.
//
//   i8       a byte in each half
//   i4       the lower or the upper four bits of a half's lower byte: then it is 16 q 2^-133
//   f8e4m3   exponent and mantissa moved into a bf16's: 2^-120 of the value
//   f4e2m1   the same, 2^-126
//
// Tensor cores keep such numbers (Fasi et al., Numerical behavior of NVIDIA tensor cores, 2021, on
// A100; Khattak and Mikaitis, whose bit-accurate models of 2025 go from A100 to B200): they enter
// the sum with the exponent -126, so that a product is cut off 2^-23 of 128 units below the
// greatest one, like that of 128 + q would be. Sums must not be as small: *bare* codes are
// multiplied by activations that were raised by 2^64. A norm's squares overflow where those do.
//
// Where activations are not raised for them, codes are made greater instead: q 2^-133 2^127 - z/64,
// or the small floats' value. All of that is exact, as is a product with half an activation in f32.
// Scales are for sums.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_WEIGHTPANELS_H
#define PIANOLA_TARGETS_NVPTX_WEIGHTPANELS_H

#include "dialects/tile/Tile.h"
#include "targets/nvptx/Kernel.h"

namespace pianola::nvptx {

/// Products with weights of this element take split activations: bf16 and what is packed.
bool takesSplit(Type element);

/// By what activations are raised for bare codes.
constexpr double kRaise = 0x1p64;
/// Whether a matrix's codes are taken as they are: where they are A.
bool takesBareCodes(tile::MatrixType matrix, int64_t slots);
/// Bare codes of 8 rows: two panels side by side make the 16 rows of A.
inline bool areFolded(tile::MatrixType matrix) { return matrix.getRows() == 8; }

/// Panels that a warp takes at a time, if their codes are bare. For chips before sm_90 ptxas has
/// not the registers for two of 16 rows.
inline int64_t panelsTogether(const KernelShape &shape, tile::MatrixType matrix) {
  return shape.bulk || areFolded(matrix) ? 2 : 1;
}

/// The `index`-th of the scales that stand in `words`, as f32.
Value scaleIn(Emitter &e, encoding::Scale type, llvm::ArrayRef<Value> words, int64_t index);

/// A panel is a list of a lane's registers: 16 bytes of each 8 rows, then scales, then zero points;
/// or patterns, two bytes of each 8 rows; or its number among the matrix's blocks of columns.
class WeightPanels {
public:
  /// With `areA` weights are the first operand of products; see SplitProducts.cpp. If codes are
  /// bare, a lane wants scales of every `apart`-th group only, from `mine` on.
  WeightPanels(Kernel &kernel, Ring &ring, tile::MatrixType matrix, bool areA, bool areBare = false,
               int64_t apart = 1, Value mine = {});

  int64_t steps() const { return matrix.getPanel() / 32; }
  /// Steps of a panel that share scales; 0 without scales or if all of a row do.
  int64_t stepsOfScale() const;
  bool hasRowScales() const { return matrix.getFirstPanel() > 0; }
  /// Of a panel's groups of columns that share a scale, those that are added up apart.
  int64_t apart() const { return groupsApart; }
  Value mine() const { return firstGroup; }
  /// What steps give is 2^this times the weights (less zero points, if they are bare).
  int64_t exponent() const;
  /// The zero point of all weights that have none of their own.
  int64_t zeroPoint() const { return codes.getCodeBits() == 8 ? 128 : 8; }

  /// Waits for the panel that begins at byte `start` of the ring; then it can be read.
  Value await(Value start, int64_t count = 1) {
    return ring.await(start, count * matrix.getPanelBytes());
  }
  /// The `which`-th panel from there.
  llvm::SmallVector<Value> read(Value position, int64_t which = 0);
  /// Scales and zero points of whole rows, of the tile that begins there; nothing without.
  llvm::SmallVector<Value> readRows(Value start);
  /// The same from the front of what was taken before, which loses them, if anything was.
  llvm::SmallVector<Value> takeRows(Value start, llvm::ArrayRef<Value> &taken);
  /// As many zeros, for what was not read.
  llvm::SmallVector<Value> zeros();
  llvm::SmallVector<Value> zerosOfRows();

  /// As if of 16 rows: what two panels of 8 have, or the scales of whole rows twice.
  llvm::SmallVector<Value> fold(llvm::ArrayRef<Value> first, llvm::ArrayRef<Value> second);
  llvm::SmallVector<Value> foldRows(llvm::ArrayRef<Value> ofRows);

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
  /// Bare codes: four of row g of each 8 rows.
  llvm::SmallVector<Value> bareStep(llvm::ArrayRef<Value> panel, int64_t number);
  /// The scales of the four sums that a lane has of 16 rows, of the `batch`-th of its groups.
  llvm::SmallVector<Value, 4> bareScales(llvm::ArrayRef<Value> panel, int64_t group, int64_t batch);
  /// The zero point of row g of 8 rows, in 32 bits.
  Value bareZero(llvm::ArrayRef<Value> panel, llvm::ArrayRef<Value> ofRows, int64_t block,
                 int64_t batch);
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
  /// Of what products take: folded, if codes are bare.
  int64_t blocksOfA() const { return areBare && areFolded(matrix) ? 2 : blocks(); }
  int64_t groups() const { return areA && blocks() > 1 ? blocks() / 2 : blocks(); }
  int64_t bytesBeforeCodes() const { return matrix.getPanelBytes() - blocks() * 512; }
  llvm::SmallVector<Value> zerosFor(const Scales &scales);
  llvm::SmallVector<Value> load(Value position, Value within, int64_t further, int64_t bytes,
                                int64_t alignment);
  void readScales(Value position, int64_t further, const Scales &scales,
                  llvm::SmallVectorImpl<Value> &into);
  void readApart(Value position, int64_t further, llvm::SmallVectorImpl<Value> &into);
  Scales ofPanel() const;
  Value zeroOfRow(llvm::ArrayRef<Value> ofRows, int64_t block);
  llvm::SmallVector<Value, 4> scalesOfSums(llvm::ArrayRef<Value> registers, const Scales &scales,
                                           int64_t group, int64_t index);
  llvm::SmallVector<Value, 4> spread(Value first, Value second, Value patterns, int64_t number);
  llvm::SmallVector<Value, 4> unpack(Value low, Value high);
  llvm::SmallVector<Value, 4> unpackGreater(Value low, Value high, Value zero);

  Kernel &e;
  Ring &ring;
  tile::MatrixType matrix;
  encoding::ScaledType codes; // null without
  bool areA, areBare;
  int64_t groupsApart;
  Value firstGroup; // of the lane
};

} // namespace pianola::nvptx

#endif
