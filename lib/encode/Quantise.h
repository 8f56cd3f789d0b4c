// Quantise.h - numbers become codes and scales.
#ifndef PIANOLA_LIB_ENCODE_QUANTISE_H
#define PIANOLA_LIB_ENCODE_QUANTISE_H

#include "lib/checkpoint/Encoding.h"

namespace pianola {

/// Fills row `row` of `out`. Of several scales each group gets the one with the least squared
/// error; for the codes that a scale gives, the best scale is known (least squares) and taken,
/// rounded to its type. The scaling has no order.
void quantiseRow(const Scaling &scaling, llvm::ArrayRef<float> values, int64_t row,
                 EncodedRows &out);

} // namespace pianola

#endif
