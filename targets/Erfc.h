//===- Erfc.h - The complementary error function --------------*- C++ -*-===//
///
/// For z >= 0 and t = 1 / (1 + 0.4 z), erfc(z) = t e^(-z^2) q(t), with a relative error below 1e-7
/// for z <= 9.5. q is of degree 8 and interpolates at the Chebyshev points. So both tails of
/// gelu(x) = x/2 (1 + erf(x / sqrt 2)) keep their digits: 1 + erf(z) is 2 - erfc(z), and
/// 1 + erf(-z) is erfc(z).
///
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_ERFC_H
#define PIANOLA_TARGETS_ERFC_H

namespace pianola {

/// Coefficients of q, that of the highest power first.
inline constexpr double kErfcTail[] = {0.0373838358, -0.121834666, 0.0465339124,
                                       0.1298884,    0.0514787249, 0.205131158,
                                       0.198966056,  0.226841092,  0.225611538};

} // namespace pianola

#endif
