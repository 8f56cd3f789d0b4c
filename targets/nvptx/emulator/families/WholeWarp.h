// WholeWarp.h - for instructions that 32 lanes execute together.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_WHOLEWARP_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_WHOLEWARP_H

#include "targets/nvptx/emulator/Playing.h"

namespace pianola::ptx {

/// True once all 32 lanes are there. Otherwise they are waited for, or there are fewer, which is a
/// finding.
inline bool gatherWarp(Warp &warp) {
  if (!warp.gatherAll())
    return false;
  if (warp.current().mask == ~0u)
    return true;
  warp.playing.report(FindingKind::BarrierDivergence, warp, firstLane(warp.current().mask),
                      "the instruction needs a warp of 32 threads");
  warp.playing.stop();
  return false;
}

} // namespace pianola::ptx

#endif
