// Encoding.h - matrices whose numbers are codes that share scales, as a checkpoint has them.
//
// What codes mean is said at !encoding.scaled (dialects/encoding/Encoding.td), of which Scaling is
// the same without MLIR.
#ifndef PIANOLA_LIB_CHECKPOINT_ENCODING_H
#define PIANOLA_LIB_CHECKPOINT_ENCODING_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace pianola {

enum class Code : uint8_t { I8, I4, F8E4M3, F4E2M1 };
enum class ScaleType : uint8_t { F32, BF16, F16, E8M0 };

struct Scaling {
  Code code;
  int64_t group = 0; // columns that share a scale; 0: the whole row
  ScaleType scale;
  bool zeros = false;
  // Column j of the codes is this column of the matrix; empty: column j.
  std::vector<int32_t> order = {};

  bool operator==(const Scaling &other) const {
    return code == other.code && group == other.group && scale == other.scale &&
           zeros == other.zeros && order == other.order;
  }
  bool operator!=(const Scaling &other) const { return !(*this == other); }

  int64_t groupOf(int64_t columns) const { return group ? group : columns; }
  int64_t groups(int64_t columns) const {
    return (columns + groupOf(columns) - 1) / groupOf(columns);
  }
};

/// Rows of a matrix. Codes of 8 and of 4 bits take a byte each.
struct EncodedRows {
  int64_t rows = 0, columns = 0, groups = 0;
  std::vector<uint8_t> codes; // [rows][columns]
  std::vector<float> scales;  // [rows][groups], each exact in the scaling's type
  std::vector<uint8_t> zeros; // the same, where the scaling has zero points

  /// Some of the rows.
  EncodedRows slice(int64_t first, int64_t count) const;
};

float fromBf16(uint16_t bits);
float fromF16(uint16_t bits);
float fromF8E4M3(uint8_t bits); // NaN for 0x7f and 0xff
float fromE8M0(uint8_t bits);   // NaN for 0xff

/// To the nearest, ties to even. Beyond the greatest number: infinity, which e4m3 does not have.
uint16_t toBf16(float value);
uint16_t toF16(float value);
/// To the nearest, ties to even; what is beyond 448 becomes 448.
uint8_t toF8E4M3(float value);
/// To the nearest of e2m1's numbers, ties to the even code; what is beyond 6 becomes 6.
uint8_t toF4E2M1(float value);

/// A code as a number, before its scale and without its zero point.
float codeValue(Code code, uint8_t bits);
/// The zero point of integers that come without one.
inline uint8_t impliedZero(Code code) { return code == Code::I8 ? 128 : code == Code::I4 ? 8 : 0; }

/// Row `row` as floats, in the order of the matrix's columns.
void decodeRow(const Scaling &scaling, const EncodedRows &rows, int64_t row,
               llvm::MutableArrayRef<float> out);

} // namespace pianola

#endif
