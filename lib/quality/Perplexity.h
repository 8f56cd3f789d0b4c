// Perplexity.h - what logits say of a text, and how far two models' logits are apart.
#ifndef PIANOLA_LIB_QUALITY_PERPLEXITY_H
#define PIANOLA_LIB_QUALITY_PERPLEXITY_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace pianola {

/// A part of a text that is fed at once. Token i of the text is scored, by the logits after token
/// i - 1, for scored <= i < end.
struct Window {
  size_t first, scored, end;
};

/// Windows of at most `context` (2 or more) tokens, each half a context after the one before.
/// Every token but the text's first is scored once: in the first window all of them, in each later
/// one those that the window before did not reach. So a scored token has the whole text before it,
/// or at least half a context.
std::vector<Window> windowsOf(size_t tokens, size_t context);

/// -log softmax(logits)[token], in nats. NaN if a logit is.
double surprise(llvm::ArrayRef<float> logits, int32_t token);

/// D(p || q), in nats, p and q being the softmax of each. NaN if a logit is.
double divergence(llvm::ArrayRef<float> p, llvm::ArrayRef<float> q);

/// The first of the greatest logits.
int32_t topToken(llvm::ArrayRef<float> logits);

/// A mean and its standard error, as if the numbers were independent; 0 for a single one.
struct Mean {
  double value = 0, error = 0;
};
Mean meanOf(llvm::ArrayRef<double> values);

/// The smallest of the numbers that `share` of them (0 to 1) do not exceed.
double quantileOf(std::vector<double> values, double share);

/// exp of a mean of logarithms, with the standard error that follows to the first order.
Mean expOf(Mean logarithm);

} // namespace pianola

#endif
