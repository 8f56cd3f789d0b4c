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

/// Whether the type says what a weight's bytes mean: f32, bf16, f16 or a scaled one.
bool isEncoding(mlir::Type type);

/// Bits of a number: of the element itself, or of its code.
int64_t bitsOf(mlir::Type encoding);

/// Bytes of a row of so many columns, scales and zero points included.
int64_t rowBytes(mlir::Type encoding, int64_t columns);

} // namespace pianola::encoding

#endif
