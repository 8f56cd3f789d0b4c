//===- ContextLayout.h - Where keys and values are --------------*- C++ -*-===//
//
// Of a context (see !tile.context) as lanes read it. Keys of a head are lines: of 16 positions one
// column each, or of bf16 two. Its values are rows: of one position, or of bf16 two. Four positions
// of a line, like four columns of a row, are read together: four words, f32 numbers or pairs of
// bf16 ones, or a single word of codes.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_CONTEXTLAYOUT_H
#define PIANOLA_TARGETS_NVPTX_CONTEXTLAYOUT_H

#include "dialects/tile/Tile.h"
#include "targets/nvptx/Kernel.h"

namespace pianola::nvptx {

struct ContextLayout {
  explicit ContextLayout(tile::ContextType type);

  tile::ContextType type;
  bool hasCodes;
  int64_t size;        // lanes of a head
  int64_t pair;        // columns of a line, positions of a row
  int64_t words;       // of a read
  int64_t lineBytes;   // of keys
  int64_t rowBytes;    // of values
  int64_t columnBytes; // from one column of a row to the next

  Type wordType(Emitter &e) const;
  /// Where the keys of a head begin, or its values.
  Value half(Kernel &e, Value context, Value head, tile::ContextPart part) const;
  /// Where in a half a position stands: elsewhere only in a ring. Blocks of 8 stay whole.
  Value place(Emitter &e, Value position) const;
  /// In a half: a place's elements in the first line; the row that it is in; its scale.
  Value keyAt(Emitter &e, Value half, Value position) const;
  Value rowAt(Emitter &e, Value half, Value position) const;
  Value scaleAt(Emitter &e, Value half, Value position) const;

  /// Number `index` of a word, in the order of memory; of a code without its scale.
  Value number(Emitter &e, Value word, int64_t index) const;
  /// Four numbers times the inverse of their scale as codes, in the lower bytes of words.
  llvm::SmallVector<Value, 4> encode(Emitter &e, llvm::ArrayRef<Value> numbers) const;
  /// What the greatest number of a head becomes.
  double greatestCode() const { return type.getElement().isInteger(8) ? 127 : 448; }

private:
  Value groupAt(Emitter &e, Value half, Value position) const;
  int64_t groupBytes, scaleBytes; // of 16 positions; of these in front of the codes
};

/// A byte or a half of a word, zeros above it.
Value loadNarrow(Emitter &e, Type type, Value at);
/// Words in the lower bytes of which codes are, as one.
Value packBytes(Emitter &e, llvm::ArrayRef<Value> bytes);

} // namespace pianola::nvptx

#endif
