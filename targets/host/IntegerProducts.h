//===- IntegerProducts.h - Inner products of integer codes ------*- C++ -*-===//
//
// Weights are unsigned codes of 8 or 4 bits, q - z times a scale. Activations become integers of 16
// bits, so that products are of integers and exact: what is lost is lost in rounding an activation
// to one part in 65,000 of the greatest of its block.
//
//   a row in integer form, of C columns, padded to 32, in blocks of B:
//     codes     for every 32 columns 64 bytes
//     scales    f32, one for each block: the activation is code * scale
//     sums      i32, of each block's codes, which products with a zero point need
//
// With VNNI an instruction adds four products of unsigned by signed bytes: a code is 256 * upper +
// lower, and takes two. The 64 bytes are 32 upper ones, then 32 lower ones. Without it codes of two
// columns are multiplied as integers of 16 bits: of each 4 columns stand 0, 2, 1, 3, so that a
// weight's even bytes meet the first two and its odd ones the others.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_INTEGERPRODUCTS_H
#define PIANOLA_TARGETS_HOST_INTEGERPRODUCTS_H

#include "dialects/encoding/Encoding.h"
#include "targets/host/Emitter.h"
#include <map>

namespace pianola::host {

/// Bytes of a row in integer form: codes, scales and sums.
struct IntegerRow {
  int64_t columns, block;

  IntegerRow(encoding::ScaledType type, int64_t columns);

  int64_t blocks() const { return (columns + block - 1) / block; }
  int64_t scalesAt() const { return (columns + 31) / 32 * 64; }
  int64_t sumsAt() const { return scalesAt() + blocks() * 4; }
  int64_t bytes() const { return (sumsAt() + blocks() * 4 + 63) / 64 * 64; }
};

/// Writes a row of f32 lanes in integer form. `lanes` reads 16 of them.
void storeIntegers(Emitter &emit, const IntegerRow &row,
                   llvm::function_ref<Value(Value column)> lanes, Value to);

/// Groups of the same number of columns; of a last one with fewer there is a kind of its own.
struct IntegerKind {
  encoding::ScaledType type;
  int64_t group;     // columns, a multiple of 16
  int64_t block;     // of these that share an activation's scale
  int64_t registers; // weight vectors of 16 rows: 1 or 2
  int64_t ahead;     // bytes from what is read to what memory is asked for

  /// Bytes of a group on the tape, of 16 * registers rows.
  int64_t groupBytes() const;
  bool hasScales() const { return type.getGroup() != 0; }
  std::string name() const;
};

/// result[v][r] = (result[v][r] or 0) + the sum over `groups` groups, for `count` rows of
/// activations and 16 * registers rows of weights. Where the weights' scales are of whole rows,
/// they are left out. `activations` is the first row; `column` where the first group stands in it.
struct IntegerProducts {
  Value weights, activations, column, activationStride, results, resultStride, groups, count, fresh;
};

class IntegerKernels {
public:
  IntegerKernels(mlir::ModuleOp module, const HostCpu &cpu) : module(module), cpu(cpu) {}
  void call(Emitter &emit, const IntegerKind &kind, const IntegerRow &row,
            const IntegerProducts &products);

private:
  mlir::ModuleOp module;
  const HostCpu &cpu;
  std::map<std::string, mlir::func::FuncOp> functions;
};

/// A scale of the tape as f32.
Value loadScale(Emitter &emit, encoding::Scale type, Value pointer);
/// 16 scales of the tape as f32.
Value loadScales(Emitter &emit, encoding::Scale type, Value pointer);

} // namespace pianola::host

#endif
