//===- Encoding.h - How the bytes of a weight mean numbers ------*- C++ -*-===//
#ifndef PIANOLA_DIALECTS_ENCODING_ENCODING_H
#define PIANOLA_DIALECTS_ENCODING_ENCODING_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"

#include "dialects/encoding/EncodingDialect.h.inc"
#include "dialects/encoding/EncodingEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/encoding/EncodingTypes.h.inc"

namespace pianola::encoding {

/// Whether the type says what a weight's bytes mean: a plain one or one of this dialect.
bool isEncoding(mlir::Type type);
/// Every number stands for itself: f32, bf16 or f16.
bool isPlain(mlir::Type type);

/// What those numbers are that stand there of two in four, or of blocks; any other encoding itself.
mlir::Type elementOf(mlir::Type encoding);

/// Bits of a column: of the element itself, or of its code; half an element of two in four.
int64_t bitsOf(mlir::Type encoding);

/// Bytes of a row of so many columns, with scales and zero points, patterns, or at most the numbers
/// of blocks.
int64_t rowBytes(mlir::Type encoding, int64_t columns);

} // namespace pianola::encoding

#endif
