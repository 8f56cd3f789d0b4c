/* sampling.h - the numbers of the sampler's arithmetic.
 *
 * The host's sampler computes with them and code for GPUs is generated with them, and both come to
 * the same token, bit for bit; runtime/sampling/Sampler.h says how.
 */
#ifndef PIANOLA_SAMPLING_H
#define PIANOLA_SAMPLING_H

/* The weight of the greatest logit is 2 to this power. What is rounded off the weights of 300000
 * tokens comes to less than 2^-21 of the greatest weight, hardly more than a draw tells apart; and
 * the weights of the most tokens that are allowed have a sum of 2^60 at most. */
#define PIANOLA_WEIGHT_BITS 40
#define PIANOLA_MOST_TOKENS (1 << 20)

/* top_p and draws are fractions of so many bits. */
#define PIANOLA_FRACTION_BITS 24

/* exp(x) = 2^n exp(r), n the whole number next to x * LOG2E, r = x - n ln 2. */
#define PIANOLA_EXP_LEAST (-32.0f) /* below this all weights are 0 */
#define PIANOLA_EXP_LOG2E 0x1.715476p+0f
#define PIANOLA_EXP_WHOLE 0x1.8p+23f           /* what is added to it becomes a whole number */
#define PIANOLA_EXP_LN2_HIGH 0x1.63p-1f        /* so few bits that n * LN2_HIGH is exact */
#define PIANOLA_EXP_LN2_LOW (-0x1.bd0106p-13f) /* ln 2 - LN2_HIGH */
/* exp(r) = 1 + r + r^2 (c[0] + c[1] r + ... + c[4] r^4) within 1.1e-8 for |r| <= ln 2 / 2:
 * interpolated at Chebyshev nodes. */
#define PIANOLA_EXP_SERIES                                                                         \
  {0x1p-1f, 0x1.5554dcp-3f, 0x1.55551ap-5f, 0x1.120b6ep-7f, 0x1.6d110ap-10f}

/* Draw i of a seed: splitmix64 of seed + (i + 1) * GOLDEN. */
#define PIANOLA_DRAW_GOLDEN 0x9e3779b97f4a7c15u
#define PIANOLA_DRAW_FIRST 0xbf58476d1ce4e5b9u
#define PIANOLA_DRAW_SECOND 0x94d049bb133111ebu

#endif
