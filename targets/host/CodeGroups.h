//===- CodeGroups.h - Groups of codes as the tape has them ------*- C++ -*-===//
//
// What all kernels of codes do alike: a group is scales, zero points and then codes of 16 or 32
// rows, step by step. A step is four columns of 8 bits, or eight of 4: the first four are lower
// halves of bytes.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_CODEGROUPS_H
#define PIANOLA_TARGETS_HOST_CODEGROUPS_H

#include "dialects/encoding/Encoding.h"
#include "targets/host/Emitter.h"

namespace pianola::host {

/// Groups of the same number of columns; of a last one with fewer there is a kind of its own.
struct CodeKind {
  encoding::ScaledType type;
  int64_t group;      // columns, a multiple of 16
  int64_t block;      // of these that share an activation's scale
  int64_t run;        // of these whose upper bytes stand side by side: see IntegerRows.h
  int64_t registers;  // weight vectors of 16 rows: 1 or 2
  int64_t ahead;      // bytes from what is read to what memory is asked for
  bool single;        // there is only one row of activations
  bool narrow;        // activations are integers of 8 bits
  bool tiles = false; // through tiles of AMX: groups and blocks are multiples of `run`
  int64_t passes = 1; // see ProductKind

  /// Bytes of a group on the tape, of 16 * registers rows, and of the codes of some of its columns.
  int64_t groupBytes() const;
  int64_t codeBytes(int64_t columns) const {
    return columns * 16 * registers * type.getCodeBits() / 8;
  }
  bool hasScales() const { return type.getGroup() != 0; }
  bool isPacked() const { return type.getCodeBits() == 4; }
  int64_t perStep() const { return isPacked() ? 8 : 4; }
  std::string name() const;
};

/// The codes of a group.
Value codesOf(Emitter &emit, const CodeKind &kind, Value group);
/// For each register: the group's scales, null where they are of whole rows; and its zero points as
/// i32, read from `ofRows` where they are of whole rows.
llvm::SmallVector<Value> scalesOf(Emitter &emit, const CodeKind &kind, Value group);
llvm::SmallVector<Value> zerosOf(Emitter &emit, const CodeKind &kind, Value group, Value ofRows);
/// A register of a step: codes of four columns, as unsigned bytes of each row, once or twice.
llvm::SmallVector<Value> countsOf(Emitter &emit, const CodeKind &kind, Value step);

/// What becomes of a block's sums of one row of activations: its scale and the sum of its codes, in
/// all lanes.
struct BlockActivation {
  Value scale, sum;
};
BlockActivation loadBlockActivation(Emitter &emit, const CodeKind &kind, Value scale, Value sum);
/// result + (sum - zero * activation.sum) * scale * activation.scale. `zero` is null where it is
/// counted already, `scale` where it comes later.
Value addCounted(Emitter &emit, Value sum, Value zero, Value scale,
                 const BlockActivation &activation, Value result);

} // namespace pianola::host

#endif
