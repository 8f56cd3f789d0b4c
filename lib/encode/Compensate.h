// Compensate.h - codes whose errors make up for each other, on the activations that they meet.
//
// After E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, "GPTQ: Accurate Post-Training
// Quantization for Generative Pre-trained Transformers", 2022. What counts is not how far the codes
// of a row are from its weights w, but how far its products are: |(w - q) X|^2 = (w - q) H (w -
// q)^T with H = X X^T, X having an activation in each column. The first column is rounded, what
// that moves the products by is taken back as far as the other columns can do it, and so on.
#ifndef PIANOLA_LIB_ENCODE_COMPENSATE_H
#define PIANOLA_LIB_ENCODE_COMPENSATE_H

#include "lib/encode/Quantise.h"
#include "lib/reference/RowMath.h"

namespace pianola {

/// X X^T of rows x, which are the columns of X.
reference::Rows gram(const reference::Rows &x);

/// Of a finite H, the upper triangular U with U^T U = (H + d)^-1, d being on the diagonal: a
/// hundredth of its mean (one, if that is 0), or as many times ten of it as rounding needs.
reference::Rows inverseFactor(const reference::Rows &h);

/// Fills the rows of `out` one by one, columns in order. A group's scale is found, as quantiseRow
/// does, when its first column is reached, from what the weights are by then.
void compensate(const Scaling &scaling, const reference::Rows &factor,
                const reference::Rows &weights, EncodedRows &out);

/// Some of the rows, evenly spread: enough to estimate what a product does to all.
reference::Rows someRows(const reference::Rows &x);

/// |(W - Q) X|^2 / |W X|^2.
double outputError(const reference::Rows &weights, const reference::Rows &found,
                   const reference::Rows &x);

} // namespace pianola

#endif
