// Probe.h - what this machine can do: the roof that a measurement is compared with.
#ifndef PIANOLA_RUNTIME_HOST_PROBE_H
#define PIANOLA_RUNTIME_HOST_PROBE_H

#include "runtime/Status.h"
#include "runtime/session/Memory.h"

namespace pianola {

/// Reads 1 GiB in huge pages with `threads` pinned threads, each streaming its own part with
/// prefetches 4 KiB ahead. On a machine that is shared, bandwidth comes and goes: passes are to be
/// taken next to what they are compared with, and their median counts.
class BandwidthProbe {
public:
  static Result<BandwidthProbe> create(unsigned threads);
  /// Bytes a second of one pass.
  double pass() const;

private:
  Memory memory;
  unsigned threads = 1;
  size_t part = 0; // bytes of each thread
};

/// Flops a second of inner products held in registers, with `threads` pinned threads: pairs of bf16
/// (AVX512-BF16; with `tiles` AMX, for which a roll has been opened), or f32 fused multiply-adds in
/// the widest vectors there are. 0 if the CPU has no such instruction.
double measureBf16Peak(unsigned threads, bool tiles);
double measureF32Peak(unsigned threads);

} // namespace pianola

#endif
