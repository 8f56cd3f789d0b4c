//===- CodeProducts.h - Inner products of codes -----------------*- C++ -*-===//
//
// Integers are multiplied as they are, unsigned, with activations in integer form: (q - z) times a
// scale. e2m1 is counted in halves, which makes it integers from 0 to 24 around 12.
//
// e4m3 becomes f32 in registers. As integers it would have 18 bits, and AVX512-BF16 takes its least
// numbers, which have no leading bit, for zero. What its bits become is 2^-120 of the number
// (Codes.h): activations are raised by 2^64, so that products are far from both ends of f32, and
// sums get the rest. So 64 codes take 9 instructions to widen and 4 to multiply; from the first
// cache a core of Zen 5 multiplies more than twice what memory gives it. Of several slots up to
// eight share what is widened.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_CODEPRODUCTS_H
#define PIANOLA_TARGETS_HOST_CODEPRODUCTS_H

#include "targets/host/CodeGroups.h"
#include "targets/host/IntegerRows.h"
#include "targets/host/KernelFunctions.h"

namespace pianola::host {

/// Bytes of scratch memory that a kernel with tiles needs: sums of 16 slots in two parts and 32
/// rows, and unpacked codes of a block.
constexpr int64_t kTileScratch = 4096 + 32 * kMostOfBlock;

/// What activations are multiplied with before they meet codes that become floats.
constexpr float kRaised = 0x1p64f;

/// result[v][r] = (result[v][r] or 0) + the sum over `groups` groups, for `count` rows of
/// activations and 16 * registers rows of weights. Where the weights' scales are of whole rows,
/// they are left out, and `zeros` is where the rows' zero points are, if there are any.
/// `activations` is the first row, of raised f32 or in integer form, whose scales and sums are
/// beside; `column` is where the first group stands in it. Kinds with `tiles` need kTileScratch
/// bytes of `scratch`, and read rows of activations up to the next multiple of 16.
struct CodeProducts {
  Value weights, zeros, activations, scales, sums, column, activationStride, results, resultStride,
      groups, count, fresh, scratch;
};

/// Rows of activations that codes are multiplied with as they pass by, without tiles.
int64_t codeRowsAtOnce(const HostCpu &cpu, encoding::ScaledType type, int64_t registers);

void callCodeProducts(KernelFunctions &kernels, Emitter &emit, const CodeKind &kind,
                      const CodeProducts &products);

} // namespace pianola::host

#endif
