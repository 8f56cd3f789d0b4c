//===- IntegerRows.h - Activations as integers ------------------*- C++ -*-===//
//
// Where weights are integers, activations become integers of 16 bits, so that products are of
// integers and exact: what is lost is lost in rounding an activation to one part in 65,000 of the
// greatest of its block. Activations of bf16, which have 8 bits, become integers of 8 bits where
// these save instructions: narrow ones.
//
//   a row in integer form, of C columns, padded to whole runs, in blocks of B:
//     codes     two bytes each, of narrow ones one
//     scales    f32, one for each block: the activation is code * scale
//     sums      i32, of each block's codes, which products with a zero point need
//
// With VNNI an instruction adds four products of unsigned by signed bytes: a code is 256 * upper +
// lower, and takes two. In a run of 32 columns stand the upper bytes, then the lower ones; runs are
// 64 columns where tiles of AMX can take so many of a block at once. A narrow code takes one.
// Without VNNI codes of two columns are multiplied as integers of 16 bits: of each 4 columns stand
// 0, 2, 1, 3, so that a weight's even bytes meet the first two and its odd ones the others.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_INTEGERROWS_H
#define PIANOLA_TARGETS_HOST_INTEGERROWS_H

#include "dialects/encoding/Encoding.h"
#include "targets/host/Emitter.h"

namespace pianola::host {

/// Most columns that share a scale: a sum of their products fits 31 bits, 128 * 255 * 32512.
constexpr int64_t kMostOfBlock = 128;

/// Bytes of a row in integer form: codes, scales and sums.
struct IntegerRow {
  int64_t columns, block, run = 32;
  bool narrow;
  bool tiles; // they are read through tiles of AMX, 16 rows at a time

  /// Of `values`, for products with weights of this type.
  IntegerRow(const HostCpu &cpu, encoding::ScaledType type, mlir::RankedTensorType values);

  int64_t blocks() const { return (columns + block - 1) / block; }
  int64_t scalesAt() const { return (columns + run - 1) / run * run * (narrow ? 1 : 2); }
  int64_t sumsAt() const { return scalesAt() + blocks() * 4; }
  int64_t bytes() const { return (sumsAt() + blocks() * 4 + 63) / 64 * 64; }
};

/// Writes a row of f32 lanes in integer form. `lanes` reads 16 of them.
void storeIntegers(Emitter &emit, const IntegerRow &row,
                   llvm::function_ref<Value(Value column)> lanes, Value to);

} // namespace pianola::host

#endif
