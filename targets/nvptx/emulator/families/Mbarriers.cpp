// mbarrier.*: barriers in shared memory that count arrivals and bytes, phase after phase.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"

namespace pianola::ptx {

namespace {

constexpr uint32_t mostArrivals = (1u << 20) - 1;
constexpr int64_t mostTransactions = (1 << 20) - 1;

enum class Wait : uint16_t { Test = 0, Try = 1 };
enum : uint16_t { ParityMode = 2, ExpectMode = 4, DropMode = 8, RelaxedMode = 16 };

bool misuse(Warp &warp, uint32_t lane, const std::string &message, uint64_t offset) {
  warp.playing.report(FindingKind::MbarrierMisuse, warp, lane, message,
                      describe(warp.block.shared, offset));
  warp.playing.stop();
  return false;
}

/// The mbarrier that the lane's address names, with what the memory model asks of its use.
Mbarrier *find(Warp &warp, const Op &op, uint32_t lane, uint64_t &offset) {
  Location location;
  Space space = op.space;
  if (!locate(warp, lane, space, addressOf(warp, op, lane), 8, 8, true, location))
    return nullptr;
  if (location.buffer != &warp.block.shared) {
    misuse(warp, lane, "an mbarrier must be in shared memory", 0);
    return nullptr;
  }
  offset = location.offset;
  auto found = warp.block.mbarriers.find(uint32_t(offset));
  if (found == warp.block.mbarriers.end()) {
    misuse(warp, lane,
           "there is no mbarrier: mbarrier.init was not executed, or it was invalidated", offset);
    return nullptr;
  }
  // The initialisation must have happened before.
  if (warp.playing.checks.races) {
    auto what = uint32_t(&op - warp.playing.code.ops.data()) | Access::Mbarrier;
    Witness witness = warp.witness(what);
    warp.turnTo(witness, lane);
    if (Conflict conflict = location.buffer->shadow.peek(offset, 8, witness))
      warp.playing.report(FindingKind::Race, warp, lane, conflict, *location.buffer);
  }
  return &found->second;
}

Step initialise(Warp &warp, const Op &op, uint32_t mask) {
  bool failed = false;
  forLanes(mask, [&](uint32_t lane) {
    Location location;
    uint32_t count = warp.in<uint32_t>(op.s[1])[lane];
    if (failed || !locate(warp, lane, op.space, addressOf(warp, op, lane), 8, 8, true, location)) {
      failed = true;
      return;
    }
    if (location.buffer != &warp.block.shared || !count || count > mostArrivals) {
      failed =
          !misuse(warp, lane, "the count must be 1 to 1048575, and is " + std::to_string(count),
                  location.offset);
      return;
    }
    if (warp.playing.checking)
      AccessCheck(warp, uint32_t(&op - warp.playing.code.ops.data()) | Access::Mbarrier)
          .write(lane, location, 8);
    auto [place, fresh] = warp.block.mbarriers.try_emplace(uint32_t(location.offset));
    if (!fresh) {
      failed = !misuse(warp, lane,
                       "an mbarrier that is in use is initialised again, without mbarrier.inval",
                       location.offset);
      return;
    }
    place->second.expected = place->second.pending = count;
  });
  return failed ? Step::Switch : Step::Next;
}

Step invalidate(Warp &warp, const Op &op, uint32_t mask) {
  bool failed = false;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t offset;
    if (failed || !find(warp, op, lane, offset)) {
      failed = true;
      return;
    }
    // An ordinary write again, once all uses of the mbarrier have happened.
    Location location{warp.block.shared.bytes.get() + offset, &warp.block.shared, offset, false};
    if (warp.playing.checking)
      AccessCheck(warp, uint32_t(&op - warp.playing.code.ops.data()) | Access::Mbarrier)
          .write(lane, location, 8);
    warp.block.shared.shadow.endMbarrier(offset, 8);
    warp.block.mbarriers.erase(uint32_t(offset));
  });
  return failed ? Step::Switch : Step::Next;
}

/// A state, as arrive returns it: the phase that was open.
uint64_t stateOf(const Mbarrier &barrier) { return barrier.phase << 32 | barrier.pending; }

Step expect(Warp &warp, const Op &op, uint32_t mask) {
  bool failed = false;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t offset;
    Mbarrier *barrier = failed ? nullptr : find(warp, op, lane, offset);
    if (!barrier) {
      failed = true;
      return;
    }
    barrier->transactions += warp.in<uint32_t>(op.s[1])[lane];
    if (barrier->transactions > mostTransactions)
      failed = !misuse(warp, lane, "more than 1048575 bytes are expected at once", offset);
    else
      warp.playing.completePhases(warp.block, uint32_t(offset), *barrier);
  });
  return failed ? Step::Switch : Step::Next;
}

Step arrive(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  bool failed = false;
  const uint32_t *amounts = op.s[1] == noSlot ? nullptr : warp.in<uint32_t>(op.s[1]);
  // What the lanes release, together where they mean the same mbarrier and the phase ends with the
  // last of them at the earliest.
  uint32_t rest = mask;
  while (rest && !failed) {
    uint32_t leader = firstLane(rest), set = 0;
    uint64_t address = addressOf(warp, op, leader), offset = 0;
    forLanes(rest,
             [&](uint32_t lane) { set |= addressOf(warp, op, lane) == address ? 1u << lane : 0; });
    uint64_t arrivals = 0;
    forLanes(set, [&](uint32_t lane) {
      arrivals += amounts && !(op.mode & ExpectMode) ? amounts[lane] : 1;
    });
    Mbarrier *target = find(warp, op, leader, offset);
    if (!target || target->pending < arrivals)
      set = 1u << leader;
    rest &= ~set;
    if (target && playing.checks.races && !(op.mode & RelaxedMode)) {
      warp.joinClocks(set, target->gathering);
      warp.addTimes(set, target->gatheringTimes);
    }
    forLanes(set, [&](uint32_t lane) {
      Mbarrier *barrier = failed ? nullptr : find(warp, op, lane, offset);
      if (!barrier) {
        failed = true;
        return;
      }
      uint32_t count = 1;
      if (op.mode & ExpectMode)
        barrier->transactions += amounts[lane];
      else if (amounts)
        count = amounts[lane];
      if (barrier->transactions > mostTransactions) {
        failed = !misuse(warp, lane, "more than 1048575 bytes are expected at once", offset);
        return;
      }
      if (!count || count > barrier->pending) {
        failed = !misuse(warp, lane,
                         std::to_string(count) + " arrivals, where the phase lacks " +
                             std::to_string(barrier->pending) + " of " +
                             std::to_string(barrier->expected),
                         offset);
        return;
      }
      if (op.d[0] != noSlot)
        warp.out<uint64_t>(op.d[0])[lane] = stateOf(*barrier);
      if (op.mode & DropMode)
        barrier->expected -= std::min(barrier->expected, count);
      playing.arrive(warp.block, uint32_t(offset), *barrier, count);
    });
  }
  warp.passTime();
  return failed ? Step::Switch : Step::Next;
}

/// Whether the phase that a lane waits for is complete. For a parity: that of the phase before the
/// open one says yes.
bool isComplete(const Op &op, const Mbarrier &barrier, uint64_t operand) {
  return op.mode & ParityMode ? (operand & 1) != (barrier.phase & 1)
                              : (operand >> 32) != barrier.phase;
}

/// Lanes that asked for a phase in vain remember it; those whose phase is complete forget. True,
/// with a finding, if one of them waited for a phase that is long over: it cannot tell it from the
/// one that is open.
bool remember(Warp &warp, Mbarrier &barrier, uint32_t lanes, bool complete, uint64_t offset) {
  auto &waiting = barrier.waiting;
  uint32_t known = 0, late = 0;
  uint64_t latePhase = 0;
  for (size_t i = waiting.size(); i-- > 0;) {
    Mbarrier::Waiting &each = waiting[i];
    if (each.warp != warp.number || !(each.lanes & lanes))
      continue;
    if (each.phase + 1 < barrier.phase)
      late |= each.lanes & lanes, latePhase = each.phase;
    if (!complete && each.phase == barrier.phase) {
      known |= each.lanes & lanes;
      continue;
    }
    if (!(each.lanes &= ~lanes)) {
      each = waiting.back();
      waiting.pop_back();
    }
  }
  if (!complete && lanes & ~known)
    waiting.push_back({warp.number, lanes & ~known, barrier.phase});
  if (!late)
    return false;
  warp.playing.report(FindingKind::PhaseOverrun, warp, firstLane(late),
                      "the thread waited for phase " + std::to_string(latePhase) + ", and phase " +
                          std::to_string(barrier.phase - 1) + " is complete too",
                      describe(warp.block.shared, offset));
  warp.playing.stop();
  return true;
}

Step wait(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  Group &group = warp.current();
  bool timedOut = std::exchange(group.timedOut, false);
  uint32_t done = 0;
  uint64_t firstOffset = 0, firstPhase = 0;
  auto operandOf = [&](uint32_t lane) {
    return op.mode & ParityMode ? warp.in<uint32_t>(op.s[1])[lane]
                                : warp.in<uint64_t>(op.s[1])[lane];
  };
  // Lanes mostly ask for the same phase of the same mbarrier: they are one question.
  for (uint32_t rest = mask; rest;) {
    uint32_t leader = firstLane(rest), lanes = 0;
    uint64_t address = addressOf(warp, op, leader), operand = operandOf(leader), offset = 0;
    forLanes(rest, [&](uint32_t lane) {
      lanes |= addressOf(warp, op, lane) == address && operandOf(lane) == operand ? 1u << lane : 0;
    });
    rest &= ~lanes;
    Mbarrier *barrier = find(warp, op, leader, offset);
    // Each lane must know of the mbarrier. Where lanes know the same, they differ in what they did
    // themselves: the leader may have initialised it, so another one is asked too.
    uint32_t others = lanes & (lanes - 1);
    if (!warp.diverged)
      others &= -others;
    if (playing.checks.races)
      forLanes(others,
               [&](uint32_t lane) { barrier = barrier ? find(warp, op, lane, offset) : nullptr; });
    if (!barrier)
      return Step::Switch;
    bool complete = isComplete(op, *barrier, operand);
    if ((op.mode & ParityMode) && remember(warp, *barrier, lanes, complete, offset))
      return Step::Switch;
    if (complete) {
      done |= lanes;
      if (playing.checks.races && !(op.mode & RelaxedMode))
        warp.learn(lanes, barrier->released);
    } else if (!firstPhase) {
      firstOffset = offset, firstPhase = barrier->phase + 1;
    }
  }
  // try_wait may suspend the thread, and may give up: both happen.
  bool mayWait = Wait(op.mode & 1) == Wait::Try && !done && mask == group.mask;
  if (mayWait && !timedOut && !playing.random.oneIn(8)) {
    group.state = Group::State::Mbarrier;
    group.waitsFor = firstOffset;
    group.phase = firstPhase - 1;
    return Step::Switch;
  }
  warp.setPredicate(op.d[0], mask, done);
  if (!done && mask == group.mask &&
      playing.polls(warp, windowBase(SharedWindow) + firstOffset, firstPhase)) {
    ++group.pc;
    playing.doze(warp, Group::State::Polling);
    return Step::Switch;
  }
  return Step::Next;
}

/// mbarrier.pending_count: of a state.
Step pendingCount(Warp &warp, const Op &op, uint32_t mask) {
  const uint64_t *state = warp.in<uint64_t>(op.s[0]);
  computeLanes(warp.out<uint32_t>(op.d[0]), mask,
               [&](uint32_t lane) { return uint32_t(state[lane]); });
  return Step::Next;
}

bool decodeArrive(Decoder &decoder, bool drops) {
  Op &op = decoder.op;
  op.mode = drops ? DropMode : 0;
  if (decoder.accept("expect_tx"))
    op.mode |= ExpectMode;
  decoder.accept("noComplete");
  if (decoder.accept("relaxed"))
    op.mode |= RelaxedMode;
  decoder.accept("release");
  Scope scope;
  decoder.takeScope(scope);
  Space space = Space::Generic;
  decoder.takeSpace(space);
  if (!decoder.accept("b64"))
    return false;
  // Without a result: `mbarrier.arrive [a]`, or with the sink `_`.
  size_t first =
      decoder.operandCount() && decoder.operands()[0].kind == Operand::Kind::Address ? 0 : 1;
  if (first && decoder.operandCount() && !decoder.define(0, 8, op.d[0]))
    return false;
  if (!decoder.address(first, space))
    return false;
  if (decoder.operandCount() == first + 2)
    return decoder.use(first + 1, Type::U32, op.s[1]) && decoder.run(arrive);
  if (op.mode & ExpectMode)
    return decoder.fail("expect_tx needs a number of bytes");
  return decoder.expectOperands(first + 1) && decoder.run(arrive);
}

bool decodeWait(Decoder &decoder, Wait kind) {
  Op &op = decoder.op;
  op.mode = uint16_t(kind);
  op.splits = kind == Wait::Try;
  if (decoder.accept("parity"))
    op.mode |= ParityMode;
  if (decoder.accept("relaxed"))
    op.mode |= RelaxedMode;
  decoder.accept("acquire");
  Scope scope;
  decoder.takeScope(scope);
  Space space = Space::Generic;
  decoder.takeSpace(space);
  if (!decoder.accept("b64") || !decoder.expectOperands(3, kind == Wait::Try ? 4 : 3))
    return false;
  Slot ignored; // how long to wait
  if (decoder.operandCount() == 4 && !decoder.use(3, Type::U32, ignored))
    return false;
  return decoder.definePredicate(decoder.operands()[0], op.d[0]) && decoder.address(1, space) &&
         decoder.use(2, op.mode & ParityMode ? Type::U32 : Type::B64, op.s[1]) && decoder.run(wait);
}

} // namespace

bool decodeMbarrier(Decoder &decoder) {
  Op &op = decoder.op;
  // s[1] is a count, a number of bytes or a phase, not an address.
  if (decoder.accept("test_wait"))
    return decodeWait(decoder, Wait::Test);
  if (decoder.accept("try_wait"))
    return decodeWait(decoder, Wait::Try);
  if (decoder.accept("arrive"))
    return decodeArrive(decoder, false);
  if (decoder.accept("arrive_drop"))
    return decodeArrive(decoder, true);
  if (decoder.accept("pending_count"))
    return decoder.accept("b64") && decoder.expectOperands(2) && decoder.define(0, 4, op.d[0]) &&
           decoder.use(1, Type::B64, op.s[0]) && decoder.run(pendingCount);
  bool init = decoder.accept("init"), inval = !init && decoder.accept("inval");
  bool expects = !init && !inval && decoder.accept("expect_tx");
  if (!init && !inval && !expects)
    return decoder.unknown();
  decoder.accept("relaxed");
  Scope scope;
  decoder.takeScope(scope);
  Space space = Space::Generic;
  decoder.takeSpace(space);
  if (!decoder.accept("b64") || !decoder.expectOperands(inval ? 1 : 2) ||
      !decoder.address(0, space))
    return false;
  if (inval)
    return decoder.run(invalidate);
  return decoder.use(1, Type::U32, op.s[1]) && decoder.run(init ? initialise : expect);
}

} // namespace pianola::ptx
