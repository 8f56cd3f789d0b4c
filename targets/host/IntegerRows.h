//===- IntegerRows.h - Activations as integers ------------------*- C++ -*-===//
//
// Where weights are integers, activations become integers of 16 bits, so that products are of
// integers and exact: what is lost is lost in rounding an activation to one part in 65,000 of the
// greatest of its block. Activations of bf16, which have 8 bits, become integers of 8 bits where
// these save instructions: narrow ones.
//
//   a row in integer form, of C columns, padded to 32, in blocks of B:
//     codes     for every 32 columns 64 bytes, of narrow ones 32
//     scales    f32, one for each block: the activation is code * scale
//     sums      i32, of each block's codes, which products with a zero point need
//
// With VNNI an instruction adds four products of unsigned by signed bytes: a code is 256 * upper +
// lower, and takes two. The 64 bytes are 32 upper ones, then 32 lower ones. A narrow code takes
// one. Without VNNI codes of two columns are multiplied as integers of 16 bits: of each 4 columns
// stand 0, 2, 1, 3, so that a weight's even bytes meet the first two and its odd ones the others.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_INTEGERROWS_H
#define PIANOLA_TARGETS_HOST_INTEGERROWS_H

#include "dialects/encoding/Encoding.h"
#include "targets/host/Emitter.h"

namespace pianola::host {

/// Bytes of a row in integer form: codes, scales and sums.
struct IntegerRow {
  int64_t columns, block;
  bool narrow;

  /// Of `values`, for products with weights of this type.
  IntegerRow(const HostCpu &cpu, encoding::ScaledType type, mlir::RankedTensorType values);

  int64_t blocks() const { return (columns + block - 1) / block; }
  int64_t scalesAt() const { return (columns + 31) / 32 * (narrow ? 32 : 64); }
  int64_t sumsAt() const { return scalesAt() + blocks() * 4; }
  int64_t bytes() const { return (sumsAt() + blocks() * 4 + 63) / 64 * 64; }
};

/// Writes a row of f32 lanes in integer form. `lanes` reads 16 of them.
void storeIntegers(Emitter &emit, const IntegerRow &row,
                   llvm::function_ref<Value(Value column)> lanes, Value to);

} // namespace pianola::host

#endif
