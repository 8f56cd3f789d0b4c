// Instructions that all lanes of a mask execute together: shuffles, votes, matches, reductions.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"

#include <algorithm>

namespace pianola::ptx {

namespace {

/// Waits until every lane that is named has come, and calls f(members) for each set of lanes that
/// named each other.
template <typename F> Step together(Warp &warp, Slot members, uint32_t mask, F f) {
  const uint32_t *named = warp.in<uint32_t>(members);
  uint32_t needs = 0, wrong = 0;
  forLanes(mask, [&](uint32_t lane) {
    needs |= named[lane];
    wrong |= named[lane] >> lane & 1 ? 0 : 1u << lane;
  });
  if (wrong) {
    warp.playing.report(FindingKind::BarrierDivergence, warp, firstLane(wrong),
                        "a lane executes this with a mask that does not name itself");
    warp.playing.stop();
    return Step::Switch;
  }
  if (!warp.gather(needs))
    return Step::Switch;
  mask = warp.current().mask;
  for (uint32_t rest = mask; rest;) {
    uint32_t value = named[firstLane(rest)], set = 0;
    forLanes(rest, [&](uint32_t lane) { set |= named[lane] == value ? 1u << lane : 0; });
    f(set);
    rest &= ~set;
  }
  return Step::Next;
}

enum class Shuffle : uint16_t { Up, Down, Butterfly, Index };

/// The segment mask and the clamp of an operand c lie in bits 8-12 and 0-4 (PTX ISA, shfl.sync).
Step shuffle(Warp &warp, const Op &op, uint32_t mask) {
  return together(warp, op.s[3], mask, [&](uint32_t set) {
    const uint32_t *a = warp.in<uint32_t>(op.s[0]), *b = warp.in<uint32_t>(op.s[1]),
                   *c = warp.in<uint32_t>(op.s[2]);
    uint32_t values[32], inside = 0, absent = 0;
    forLanes(set, [&](uint32_t lane) {
      uint32_t by = b[lane] & 31, clamp = c[lane] & 31, segment = c[lane] >> 8 & 31;
      uint32_t most = (lane & segment) | (clamp & ~segment), least = lane & segment;
      uint32_t from = lane;
      bool valid = false;
      switch (Shuffle(op.mode)) {
      case Shuffle::Up:
        from = lane - by, valid = int32_t(from) >= int32_t(most);
        break;
      case Shuffle::Down:
        from = lane + by, valid = from <= most;
        break;
      case Shuffle::Butterfly:
        from = lane ^ by, valid = from <= most;
        break;
      case Shuffle::Index:
        from = least | (by & ~segment), valid = from <= most;
        break;
      }
      if (!valid)
        from = lane;
      inside |= valid ? 1u << lane : 0;
      values[lane] = a[from & 31];
      if (!(set >> (from & 31) & 1))
        absent |= 1u << lane;
    });
    if (absent)
      warp.playing.report(FindingKind::BarrierDivergence, warp, firstLane(absent),
                          "the lane whose value is read does not take part");
    uint32_t *d = warp.out<uint32_t>(op.d[0]);
    forLanes(set, [&](uint32_t lane) { d[lane] = values[lane]; });
    if (op.d[1] != noSlot)
      warp.setPredicate(op.d[1], set, inside);
  });
}

enum class Vote : uint16_t { All, Any, Uniform, Ballot };

Step vote(Warp &warp, const Op &op, uint32_t mask) {
  return together(warp, op.s[1], mask, [&](uint32_t set) {
    uint32_t ayes = (warp.predicate(op.s[0]) ^ (op.value ? ~0u : 0)) & set;
    switch (Vote(op.mode)) {
    case Vote::All:
      return warp.setPredicate(op.d[0], set, ayes == set ? ~0u : 0);
    case Vote::Any:
      return warp.setPredicate(op.d[0], set, ayes ? ~0u : 0);
    case Vote::Uniform:
      return warp.setPredicate(op.d[0], set, ayes == set || !ayes ? ~0u : 0);
    case Vote::Ballot:
      return forLanes(set, [&](uint32_t lane) { warp.out<uint32_t>(op.d[0])[lane] = ayes; });
    }
  });
}

template <typename T> Step match(Warp &warp, const Op &op, uint32_t mask) {
  return together(warp, op.s[1], mask, [&](uint32_t set) {
    const T *a = warp.in<T>(op.s[0]);
    uint32_t equal[32], whole = 0;
    forLanes(set, [&](uint32_t lane) {
      equal[lane] = 0;
      forLanes(set, [&](uint32_t other) { equal[lane] |= a[other] == a[lane] ? 1u << other : 0; });
      whole |= equal[lane] == set ? 1u << lane : 0;
    });
    uint32_t *d = warp.out<uint32_t>(op.d[0]);
    forLanes(set, [&](uint32_t lane) { d[lane] = !op.mode ? equal[lane] : whole ? set : 0; });
    if (op.d[1] != noSlot)
      warp.setPredicate(op.d[1], set, whole ? ~0u : 0);
  });
}

enum class Redux : uint16_t { Add, Min, Max, And, Or, Xor };

template <typename T> Step redux(Warp &warp, const Op &op, uint32_t mask) {
  return together(warp, op.s[1], mask, [&](uint32_t set) {
    const T *a = warp.in<T>(op.s[0]);
    T sum = a[firstLane(set)];
    forLanes(set & (set - 1), [&](uint32_t lane) {
      switch (Redux(op.mode)) {
      case Redux::Add:
        sum = T(uint32_t(sum) + uint32_t(a[lane]));
        break;
      case Redux::Min:
        sum = std::min(sum, a[lane]);
        break;
      case Redux::Max:
        sum = std::max(sum, a[lane]);
        break;
      case Redux::And:
        sum = T(sum & a[lane]);
        break;
      case Redux::Or:
        sum = T(sum | a[lane]);
        break;
      case Redux::Xor:
        sum = T(sum ^ a[lane]);
        break;
      }
    });
    T *d = warp.out<T>(op.d[0]);
    forLanes(set, [&](uint32_t lane) { d[lane] = sum; });
  });
}

/// The lowest lane leads: the ISA leaves the choice to the implementation, but wants it to be the
/// same each time.
Step elect(Warp &warp, const Op &op, uint32_t mask) {
  return together(warp, op.s[0], mask, [&](uint32_t set) {
    uint32_t leader = firstLane(set);
    if (op.d[0] != noSlot)
      forLanes(set, [&](uint32_t lane) { warp.out<uint32_t>(op.d[0])[lane] = leader; });
    warp.setPredicate(op.d[1], set, 1u << leader);
  });
}

Step activeMask(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) { warp.out<uint32_t>(op.d[0])[lane] = mask; });
  return Step::Next;
}

/// d, or d|p.
bool defineWithPredicate(Decoder &decoder, const Operand &result) {
  Op &op = decoder.op;
  if (result.kind != Operand::Kind::Pair)
    return decoder.define(result, 4, op.d[0]);
  return decoder.define(result.elements[0], 4, op.d[0]) &&
         decoder.definePredicate(result.elements[1], op.d[1]);
}

/// What all of these have in common: they wait, and a result may not be where another lane's
/// operand is.
bool beginTogether(Decoder &decoder) {
  decoder.op.splits = true;
  decoder.op.earlyClobber = true;
  return decoder.accept("sync") || decoder.fail("only the .sync form is supported");
}

} // namespace

bool decodeShuffle(Decoder &decoder) {
  Op &op = decoder.op;
  if (!beginTogether(decoder))
    return false;
  Shuffle kind = decoder.accept("up")     ? Shuffle::Up
                 : decoder.accept("down") ? Shuffle::Down
                 : decoder.accept("bfly") ? Shuffle::Butterfly
                                          : Shuffle::Index;
  if (kind == Shuffle::Index && !decoder.accept("idx"))
    return false;
  op.mode = uint16_t(kind);
  return decoder.accept("b32") && decoder.expectOperands(5) &&
         defineWithPredicate(decoder, decoder.operands()[0]) &&
         decoder.use(1, Type::B32, op.s[0]) && decoder.use(2, Type::B32, op.s[1]) &&
         decoder.use(3, Type::B32, op.s[2]) && decoder.use(4, Type::B32, op.s[3]) &&
         decoder.run(shuffle);
}

bool decodeVote(Decoder &decoder) {
  Op &op = decoder.op;
  if (!beginTogether(decoder) || !decoder.expectOperands(3))
    return false;
  Vote kind = decoder.accept("all")   ? Vote::All
              : decoder.accept("any") ? Vote::Any
              : decoder.accept("uni") ? Vote::Uniform
                                      : Vote::Ballot;
  if (kind == Vote::Ballot && !decoder.accept("ballot"))
    return false;
  op.mode = uint16_t(kind);
  bool negated = false;
  const Operand &result = decoder.operands()[0];
  if (!decoder.takeType(op.type) || (kind == Vote::Ballot) != (op.type == Type::B32))
    return false;
  if (kind == Vote::Ballot ? !decoder.define(result, 4, op.d[0])
                           : !decoder.definePredicate(result, op.d[0]))
    return false;
  if (!decoder.usePredicate(decoder.operands()[1], op.s[0], negated) ||
      !decoder.use(2, Type::B32, op.s[1]))
    return false;
  op.value = negated;
  return decoder.run(vote);
}

bool decodeMatch(Decoder &decoder) {
  Op &op = decoder.op;
  if (!beginTogether(decoder) || !decoder.expectOperands(3))
    return false;
  op.mode = decoder.accept("all");
  if (!op.mode && !decoder.accept("any"))
    return false;
  if (!decoder.takeType(op.type) || (op.type != Type::B32 && op.type != Type::B64))
    return false;
  return defineWithPredicate(decoder, decoder.operands()[0]) && decoder.use(1, op.type, op.s[0]) &&
         decoder.use(2, Type::B32, op.s[1]) &&
         decoder.run(op.type == Type::B32 ? match<uint32_t> : match<uint64_t>);
}

bool decodeRedux(Decoder &decoder) {
  Op &op = decoder.op;
  if (!beginTogether(decoder) || !decoder.expectOperands(3))
    return false;
  static const std::pair<const char *, Redux> kinds[] = {{"add", Redux::Add}, {"min", Redux::Min},
                                                         {"max", Redux::Max}, {"and", Redux::And},
                                                         {"or", Redux::Or},   {"xor", Redux::Xor}};
  bool known = false;
  for (auto [word, kind] : kinds)
    if (!known && decoder.accept(word))
      op.mode = uint16_t(kind), known = true;
  if (!known || !decoder.takeType(op.type))
    return false;
  bool arithmetic = Redux(op.mode) <= Redux::Max;
  if (arithmetic ? op.type != Type::U32 && op.type != Type::S32 : op.type != Type::B32)
    return false;
  return decoder.define(0, 4, op.d[0]) && decoder.use(1, op.type, op.s[0]) &&
         decoder.use(2, Type::B32, op.s[1]) &&
         decoder.run(op.type == Type::S32 ? redux<int32_t> : redux<uint32_t>);
}

bool decodeElect(Decoder &decoder) {
  Op &op = decoder.op;
  if (!beginTogether(decoder) || !decoder.expectOperands(2))
    return false;
  const Operand &result = decoder.operands()[0];
  if (result.kind != Operand::Kind::Pair)
    return decoder.fail("expected two results d|p");
  return decoder.define(result.elements[0], 4, op.d[0]) &&
         decoder.definePredicate(result.elements[1], op.d[1]) &&
         decoder.use(1, Type::B32, op.s[0]) && decoder.run(elect);
}

bool decodeActiveMask(Decoder &decoder) {
  return decoder.accept("b32") && decoder.expectOperands(1) &&
         decoder.define(0, 4, decoder.op.d[0]) && decoder.run(activeMask);
}

} // namespace pianola::ptx
