// Lanes.h - loops over the lanes of a warp: how handlers of arithmetic are made from functions of
// one value.
//
// All 32 lanes are computed where that is cheap, so the compiler can use vector instructions, and
// the lanes that take part are kept. Functions that take long are called for those lanes alone.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_LANES_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_LANES_H

#include "targets/nvptx/emulator/Decoder.h"
#include "targets/nvptx/emulator/Warp.h"

namespace pianola::ptx {

/// A register of 128 bits.
struct Wide {
  uint64_t low, high;
  bool operator==(const Wide &other) const { return low == other.low && high == other.high; }
  bool operator!=(const Wide &other) const { return !(*this == other); }
};

/// d[lane] = f(lane) for the lanes of the mask.
template <typename D, typename F> inline void computeLanes(D *__restrict d, uint32_t mask, F f) {
  if (mask == ~0u) {
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      d[lane] = f(lane);
    return;
  }
  for (uint32_t lane = 0; lane < warpSize; ++lane) {
    D fresh = f(lane);
    d[lane] = mask >> lane & 1 ? fresh : d[lane];
  }
}

/// The same, one lane after the other.
template <typename D, typename F> inline void computeEach(D *d, uint32_t mask, F f) {
  forLanes(mask, [&](uint32_t lane) { d[lane] = f(lane); });
}

/// Handlers d = F(a), F(a, b), F(a, b, c). F is a type whose call operator is the instruction; its
/// operands have the types A, B and C, its result D.
template <typename F, typename D, typename A>
Step unaryLanes(Warp &warp, const Op &op, uint32_t mask) {
  const A *a = warp.in<A>(op.s[0]);
  computeLanes(warp.out<D>(op.d[0]), mask, [&](uint32_t lane) { return D(F()(a[lane])); });
  return Step::Next;
}
template <typename F, typename D, typename A, typename B = A>
Step binaryLanes(Warp &warp, const Op &op, uint32_t mask) {
  const A *a = warp.in<A>(op.s[0]);
  const B *b = warp.in<B>(op.s[1]);
  computeLanes(warp.out<D>(op.d[0]), mask, [&](uint32_t lane) { return D(F()(a[lane], b[lane])); });
  return Step::Next;
}
template <typename F, typename D, typename A, typename B = A, typename C = A>
Step ternaryLanes(Warp &warp, const Op &op, uint32_t mask) {
  const A *a = warp.in<A>(op.s[0]);
  const B *b = warp.in<B>(op.s[1]);
  const C *c = warp.in<C>(op.s[2]);
  computeLanes(warp.out<D>(op.d[0]), mask,
               [&](uint32_t lane) { return D(F()(a[lane], b[lane], c[lane])); });
  return Step::Next;
}

} // namespace pianola::ptx

#endif
