// Jumps.h - lanes go elsewhere: together, or each to a place of its own.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_JUMPS_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_JUMPS_H

#include "targets/nvptx/emulator/Warp.h"

namespace pianola::ptx {

/// The lanes of the mask go to `target`; the others of the group to the next instruction.
inline Step jump(Warp &warp, uint32_t mask, uint32_t target) {
  Group &group = warp.current();
  if (mask == group.mask) {
    group.pc = target;
    return Step::Jumped;
  }
  ++group.pc;
  warp.branchOff(mask, target);
  return Step::Switch;
}

/// Each lane to a place of its own.
template <typename F> inline Step jumpEach(Warp &warp, uint32_t mask, F targetOf) {
  uint32_t first = targetOf(firstLane(mask)), same = 0;
  forLanes(mask, [&](uint32_t lane) { same |= targetOf(lane) == first ? 1u << lane : 0; });
  if (same == warp.current().mask)
    return jump(warp, mask, first);
  // Lanes that do not take part go on; the rest is a group for each target.
  uint32_t rest = mask;
  Group &group = warp.current();
  if (mask == group.mask) {
    rest &= ~same;
    group.pc = first;
  } else {
    ++group.pc;
  }
  while (rest) {
    uint32_t target = targetOf(firstLane(rest)), lanes = 0;
    forLanes(rest, [&](uint32_t lane) { lanes |= targetOf(lane) == target ? 1u << lane : 0; });
    warp.branchOff(lanes, target);
    rest &= ~lanes;
  }
  return Step::Switch;
}

} // namespace pianola::ptx

#endif
