//===- Softplus.h - ln(1 + e^x), by exponentials and fractions alone *- C++ -*-===//
//
// With t = e^-|x|, which is at most 1, and s = t / (2 + t), at most 1/3:
//
//     ln(1 + e^x) = max(x, 0) + ln(1 + t) = max(x, 0) + 2 artanh(s)
//                 = max(x, 0) + 2 s (1 + s^2/3 + s^4/5 + ... + s^14/15 + ...)
//
// What is left out is below 2e-9 of the sum. Nothing cancels: where x is low the result is t to the
// last bits, which the logarithm of 1 + t would not be.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_SOFTPLUS_H
#define PIANOLA_TARGETS_SOFTPLUS_H

namespace pianola {

/// For an emitter of either target.
template <typename Emitter, typename Value> Value emitSoftplus(Emitter &e, Value x) {
  Value minus = e.fmul(x, e.real(-1));
  Value t = e.exp(e.fmul(e.fmax(x, minus), e.real(-1)));
  Value s = e.fdiv(t, e.fadd(t, e.real(2))), square = e.fmul(s, s);
  Value sum = e.real(1.0f / 15);
  for (int odd = 13; odd > 0; odd -= 2)
    sum = e.fma(sum, square, e.real(1.0f / static_cast<float>(odd)));
  return e.fma(e.fadd(s, s), sum, e.fmax(x, e.real(0)));
}

} // namespace pianola

#endif
