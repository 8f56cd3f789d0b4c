//===- Routes.h - What slots have chosen, in shared memory ------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_NVPTX_ROUTES_H
#define PIANOLA_TARGETS_NVPTX_ROUTES_H

#include "dialects/tile/Tile.h"
#include "targets/nvptx/Emitter.h"

namespace pianola::nvptx {

/// Tables of 32-bit words. A choice is counted as slot * K + k, of K choices of each slot. The
/// different experts that are chosen are counted in the order of their numbers; an expert's members
/// in that of their slots.
struct Routes {
  Routes(tile::RoutesType type, Value base) : type(type), base(base) {}

  static int64_t bytesOf(tile::RoutesType type) { return (Routes(type, {}).words() + 1) * 4; }

  // Of each choice: its expert, its weight (f32), which of the chosen experts that is, and which
  // of its members.
  Value expertAt(Emitter &e, Value choice) const { return wordAt(e, 1, choice); }
  Value weightAt(Emitter &e, Value choice) const { return wordAt(e, 1 + choices(), choice); }
  Value numberAt(Emitter &e, Value choice) const { return wordAt(e, 1 + 2 * choices(), choice); }
  Value memberAt(Emitter &e, Value choice) const { return wordAt(e, 1 + 3 * choices(), choice); }
  /// Choices, by expert and member.
  Value entryAt(Emitter &e, Value index) const { return wordAt(e, 1 + 4 * choices(), index); }
  // Of each chosen expert: its id, and where its members begin among the entries (and where the
  // last one's end).
  Value chosenAt(Emitter &e, Value number) const { return wordAt(e, 1 + 5 * choices(), number); }
  Value firstAt(Emitter &e, Value number) const {
    return wordAt(e, 1 + 5 * choices() + type.getMost(), number);
  }
  Value countAt() const { return base; }

  Value load(Emitter &e, Value place) const { return e.load(e.i32(), place); }
  /// How many different experts are chosen.
  Value count(Emitter &e) const { return load(e, countAt()); }
  Value membersOf(Emitter &e, Value number) const {
    return e.sub(load(e, firstAt(e, e.add(number, 1))), load(e, firstAt(e, number)));
  }

  int64_t choices() const { return type.getSlots() * type.getChosen(); }

  mutable tile::RoutesType type;
  Value base;

private:
  int64_t words() const { return 1 + 5 * choices() + 2 * type.getMost() + 1; }
  Value wordAt(Emitter &e, int64_t table, Value index) const {
    return e.at(e.at(base, table * 4), e.mul(index, 4));
  }
};

} // namespace pianola::nvptx

#endif
