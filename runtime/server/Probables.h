// Probables.h - the probabilities behind a row of logits.
#ifndef PIANOLA_RUNTIME_SERVER_PROBABLES_H
#define PIANOLA_RUNTIME_SERVER_PROBABLES_H

#include "runtime/server/Task.h"

namespace pianola::server {

/// Of f32 logits [vocabulary], which must live on. NaN counts as impossible.
class Probables {
public:
  Probables(const float *logits, int32_t vocabulary, size_t count);

  /// The natural logarithm of a token's probability, at least that of the smallest f32: JSON knows
  /// no infinities.
  float of(int32_t id) const;
  /// So many tokens as were asked for, of equal ones those of smaller ids first.
  const std::vector<TokenProbability> &greatest() const { return found; }

private:
  const float *logits;
  double logSum; // of exp(logit)
  std::vector<TokenProbability> found;
};

} // namespace pianola::server

#endif
