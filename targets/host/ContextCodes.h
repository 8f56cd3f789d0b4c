//===- ContextCodes.h - Contexts of codes -----------------------*- C++ -*-===//
//
// Codes of a position's head share a scale. How both lie in memory is said at !tile.context.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_CONTEXTCODES_H
#define PIANOLA_TARGETS_HOST_CONTEXTCODES_H

#include "dialects/tile/Tile.h"
#include "targets/host/Emitter.h"

namespace pianola::host {

/// Of the scales before the codes of 16 positions.
constexpr int64_t kScaleBytes = 64;

/// 16 codes of the element, without their scales, as f32.
Value loadCodes(Emitter &emit, Type element, Value pointer);

/// Rounds a row of `element` to codes and puts them and their scale where position `position` of a
/// head has them; `half` is where the head's keys, or its values, begin. `codes`: scratch memory
/// for the row.
void appendCodes(Emitter &emit, tile::ContextType context, tile::ContextPart part, Value row,
                 Type element, Value half, Value position, Value codes);

/// Writes the numbers that the codes of `count` positions are without their scales, as a context of
/// f32 has them. `from` is where the first position's group begins. Asks memory
/// for as many positions behind these.
void widenCodes(Emitter &emit, tile::ContextType context, tile::ContextPart part, Value from,
                int64_t count, Value to);

} // namespace pianola::host

#endif
