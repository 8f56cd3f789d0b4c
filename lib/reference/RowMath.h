// RowMath.h - the arithmetic of the interpreter, on rows of f32.
//
// Written to be read. Sums run in double, everything else in f32; see the transformer dialect's ops
// for the formulas.
#ifndef PIANOLA_LIB_REFERENCE_ROWMATH_H
#define PIANOLA_LIB_REFERENCE_ROWMATH_H

#include "dialects/transformer/Transformer.h"

#include "llvm/ADT/ArrayRef.h"

#include <functional>
#include <vector>

namespace pianola::reference {

/// `rows` rows of `columns` numbers, one after the other.
struct Rows {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;

  Rows() = default;
  Rows(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(size_t(rows) * size_t(columns)) {}

  /// Some of the rows.
  Rows slice(int64_t first, int64_t count) const;
  /// Puts more rows behind these; the first say how many columns there are.
  void append(const Rows &more);

  llvm::ArrayRef<float> row(int64_t i) const {
    return {values.data() + i * columns, size_t(columns)};
  }
  llvm::MutableArrayRef<float> row(int64_t i) {
    return {values.data() + i * columns, size_t(columns)};
  }
};

double dot(llvm::ArrayRef<float> a, llvm::ArrayRef<float> b);

/// y[i] = W x[i].
Rows linear(const Rows &x, const Rows &weight);

/// The same of the first numbers of each of `heads` equal slices, each with rows of its own.
Rows headLinear(const Rows &x, const Rows &weight, int64_t heads);

/// The slices of x, each followed by that of y.
Rows join(const Rows &x, const Rows &y, int64_t heads);

/// Layer norm of every row; no `bias`: none.
Rows layerNorm(const Rows &x, llvm::ArrayRef<float> weight, llvm::ArrayRef<float> bias, float eps);

/// RMS norm of each of `heads` equal slices of every row; no `weight`: ones.
Rows norm(const Rows &x, llvm::ArrayRef<float> weight, int64_t heads, float eps);

/// Rotates every head of row i to position base + i.
Rows rope(const Rows &x, transformer::RopeTableOp table, int64_t heads, int64_t base);

/// Rounds numbers to those that a cache of `element` (see transformer.cache) can keep, every head
/// of `headSize` of a row for itself; no element: as they are.
void roundTo(Rows &rows, mlir::Type element, int64_t headSize);

/// Of each row, positions in ascending order.
using Selection = std::vector<std::vector<int64_t>>;

/// Which `top` positions of these have the greatest scores; -infinity: a position that is not seen.
using Chooser = std::function<std::vector<int64_t>(llvm::ArrayRef<float> scores, size_t top)>;

/// Of equals the first.
std::vector<int64_t> chooseFirst(llvm::ArrayRef<float> scores, size_t top);

/// What rows of an index at position base + i choose of keys of positions 0, 1, ...
Selection select(const Rows &query, const Rows &weights, const Rows &keys, transformer::SelectOp op,
                 int64_t base, const Chooser &choose);

/// Attention of the query at position base + i over keys and values of positions 0, 1, ...
/// `sinks`: none, or one for each head; `selection`: null, or of each row.
Rows attention(const Rows &query, const Rows &keys, const Rows &values, transformer::AttentionOp op,
               llvm::ArrayRef<float> sinks, int64_t base, const Selection *selection = nullptr);

Rows activate(const Rows &rows, transformer::Activation activation);

/// `limit` is that of swiglu_oai.
Rows glu(const Rows &gate, const Rows &up, transformer::Activation activation, float limit);

Rows add(const Rows &lhs, const Rows &rhs);

Rows scale(const Rows &rows, float factor);

/// cap * tanh(x / cap).
Rows softcap(const Rows &rows, float cap);

/// Adds the same numbers to each row.
void addToRows(Rows &rows, llvm::ArrayRef<float> bias);

} // namespace pianola::reference

#endif
