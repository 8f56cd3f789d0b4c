// Probe.h - what this machine can do: the roof that a measurement is compared with.
#ifndef PIANOLA_RUNTIME_HOST_PROBE_H
#define PIANOLA_RUNTIME_HOST_PROBE_H

#include "runtime/Status.h"

namespace pianola {

/// Bytes a second that `threads` pinned threads read from memory: the median of `repetitions`
/// passes over 1 GiB in huge pages, each thread streaming its own part with prefetches 4 KiB ahead.
/// (The best pass is no roof on a machine that is shared: it may be half as fast again as all the
/// others.)
Result<double> measureReadBandwidth(unsigned threads, unsigned repetitions = 9);

/// Flops a second of inner products held in registers, with `threads` pinned threads: pairs of bf16
/// (AVX512-BF16), or f32 fused multiply-adds in the widest vectors there are. 0 if the CPU has no
/// such instruction.
double measureBf16Peak(unsigned threads);
double measureF32Peak(unsigned threads);

} // namespace pianola

#endif
