// Quantise.h - numbers become codes and scales.
#ifndef PIANOLA_LIB_ENCODE_QUANTISE_H
#define PIANOLA_LIB_ENCODE_QUANTISE_H

#include "lib/checkpoint/Encoding.h"

namespace pianola {

/// What a group of columns of a row has in common; without zero points the zero is the code's.
struct GroupScale {
  float scale = 0;
  uint8_t zero = 0;
};

/// The scale, exact in its type, and the zero point that quantiseRow gives these numbers.
GroupScale findScale(const Scaling &scaling, llvm::ArrayRef<float> values);
/// The code whose value is nearest.
uint8_t codeOf(const Scaling &scaling, GroupScale group, float value);
inline float valueOf(const Scaling &scaling, GroupScale group, uint8_t code) {
  return group.scale * (codeValue(scaling.code, code) - group.zero);
}
void setGroup(GroupScale group, int64_t row, int64_t number, EncodedRows &out);

/// Fills row `row` of `out`. Of several scales each group gets the one with the least squared
/// error; for the codes that a scale gives, the best scale is known (least squares) and taken,
/// rounded to its type. The scaling has no order.
void quantiseRow(const Scaling &scaling, llvm::ArrayRef<float> values, int64_t row,
                 EncodedRows &out);

} // namespace pianola

#endif
