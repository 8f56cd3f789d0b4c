// bar, barrier and the fences.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"

namespace pianola::ptx {

namespace {

enum : uint16_t {
  AlignedMode = 1,
  ArriveMode = 2,
  ReducePopc = 4,
  ReduceAnd = 8,
  ReduceOr = 16,
  NegatedMode = 32
};

bool refuse(Warp &warp, uint32_t mask, const std::string &message) {
  warp.playing.report(FindingKind::BarrierDivergence, warp, firstLane(mask), message);
  warp.playing.stop();
  return false;
}

/// All lanes must mean the same barrier and count.
bool agree(Warp &warp, const Op &op, uint32_t mask, uint32_t &number, uint32_t &count) {
  const uint32_t *numbers = warp.in<uint32_t>(op.s[0]);
  const uint32_t *counts = op.s[1] == noSlot ? nullptr : warp.in<uint32_t>(op.s[1]);
  number = numbers[firstLane(mask)];
  count = counts ? counts[firstLane(mask)] : 0;
  bool same = true;
  forLanes(mask, [&](uint32_t lane) {
    same &= numbers[lane] == number && (!counts || counts[lane] == count);
  });
  if (!same)
    return refuse(warp, mask, "lanes of one warp name different barriers or counts");
  if (number > 15)
    return refuse(warp, mask, "there is no barrier " + std::to_string(number) + ", only 0 to 15");
  if (counts && (!count || count % warpSize))
    return refuse(warp, mask,
                  "a barrier's count must be a multiple of 32, and is " + std::to_string(count));
  if (counts && count > (uint32_t(warp.playing.launch.block.count()) + 31) / 32 * 32)
    return refuse(warp, mask,
                  "the barrier waits for " + std::to_string(count) +
                      " threads, and the block has " +
                      std::to_string(warp.playing.launch.block.count()));
  return true;
}

Step barrier(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  if (op.mode & AlignedMode) {
    if (!warp.gatherAll())
      return Step::Switch;
    mask = warp.current().mask;
  }
  uint32_t number, count;
  if (!agree(warp, op, mask, number, count)) {
    return Step::Switch;
  }
  NamedBarrier &barrier = warp.block.barriers[number];
  if (barrier.arrived && barrier.expected != count) {
    refuse(warp, mask,
           "barrier " + std::to_string(number) + " is waited for with a count of " +
               std::to_string(count) + " here and " + std::to_string(barrier.expected) +
               " on line " + std::to_string(playing.code.source[barrier.pc]->line));
    return Step::Switch;
  }
  // A warp counts whole where the instruction is aligned, also one that the block's size does not
  // fill.
  uint32_t threads = op.mode & AlignedMode && count ? warpSize : uint32_t(__builtin_popcount(mask));
  barrier.expected = count;
  barrier.pc = warp.current().pc;
  barrier.arrived += threads;
  barrier.arrivals.emplace_back(&warp, mask);
  if (playing.checks.races) {
    warp.joinClocks(mask, barrier.clock);
    warp.addTimes(mask, barrier.times);
    warp.passTime();
  }
  if (op.s[2] != noSlot) {
    uint32_t value = warp.predicate(op.s[2]) ^ (op.mode & NegatedMode ? ~0u : 0);
    barrier.votes += uint32_t(__builtin_popcount(mask));
    barrier.ayes += uint32_t(__builtin_popcount(value & mask));
  }
  if (op.mode & ArriveMode) {
    ++warp.current().pc;
    warp.block.checkBarrier(number);
    return Step::Switch;
  }
  uint16_t reduction = op.mode & ReduceAnd ? 1 : op.mode & ReduceOr ? 2 : 0;
  barrier.waiters.push_back({&warp, mask, op.d[0], reduction});
  warp.current().state = Group::State::Barrier;
  warp.current().waitsFor = number;
  warp.block.checkBarrier(number);
  return Step::Switch;
}

Step fence(Warp &warp, const Op &op, uint32_t mask) {
  warp.playing.fence(warp, mask, op.order, op.scope);
  return Step::Next;
}

Step proxyFence(Warp &warp, const Op &, uint32_t mask) {
  warp.fenceProxy(mask);
  return Step::Next;
}

/// fence.mbarrier_init.release.cluster
Step initFence(Warp &warp, const Op &, uint32_t mask) {
  if (!warp.playing.checks.races)
    return Step::Next;
  warp.fenceProxy(mask);
  if (!warp.initialised)
    warp.initialised = std::make_unique<std::array<Clock, 32>>();
  forLanes(mask, [&](uint32_t lane) { (*warp.initialised)[lane] = warp.publish(1u << lane); });
  warp.passTime();
  return Step::Next;
}

Step nothing(Warp &, const Op &, uint32_t) { return Step::Next; }

Step warpBarrier(Warp &warp, const Op &op, uint32_t mask);

/// Lanes may meet at different bar.warp.sync, in the two arms of a branch. Lets the groups go on
/// that wait at any of them, if all that they wait for have come.
void meetElsewhere(Warp &warp) {
  const std::vector<Op> &ops = warp.playing.code.ops;
  auto waits = [&](const Group &group) {
    return group.state == Group::State::Converging && ops[group.pc].run == warpBarrier;
  };
  uint32_t come = 0, needs = 0;
  for (const Group &group : warp.groups)
    if (waits(group))
      come |= group.mask, needs |= group.needs & warp.aliveMask;
  if (needs & ~come)
    return;
  if (warp.playing.checks.races)
    warp.synchroniseLanes(come);
  for (Group &group : warp.groups)
    if (waits(group))
      ++group.pc, group.state = Group::State::Ready;
}

/// bar.warp.sync
Step warpBarrier(Warp &warp, const Op &op, uint32_t mask) {
  const uint32_t *members = warp.in<uint32_t>(op.s[0]);
  uint32_t needs = 0, wrong = 0;
  forLanes(mask, [&](uint32_t lane) {
    needs |= members[lane];
    wrong |= members[lane] >> lane & 1 ? 0 : 1u << lane;
  });
  if (wrong) {
    refuse(warp, wrong, "a lane waits for others with a mask that does not name itself");
    return Step::Switch;
  }
  if (!warp.gather(needs)) {
    meetElsewhere(warp);
    return Step::Switch;
  }
  mask = warp.current().mask;
  if (warp.playing.checks.races) {
    for (uint32_t rest = mask; rest;) {
      uint32_t together = members[firstLane(rest)] & mask;
      warp.synchroniseLanes(together);
      rest &= ~together;
    }
  }
  return Step::Next;
}

} // namespace

/// bar{.cta}, and barrier{.cta}, whose threads need not come as warps.
bool decodeBarrier(Decoder &decoder) {
  Op &op = decoder.op;
  op.splits = true;
  if (decoder.accept("warp")) {
    if (!decoder.accept("sync"))
      return false;
    return decoder.expectOperands(1) && decoder.use(0, Type::B32, op.s[0]) &&
           decoder.run(warpBarrier);
  }
  if (decoder.accept("cluster"))
    return decodeClusterBarrier(decoder);
  decoder.accept("cta");
  bool aligned = decoder.accept("aligned") || decoder.opcode() == "bar";
  op.mode = aligned ? AlignedMode : 0;
  size_t first = 0;
  if (decoder.accept("red")) {
    op.mode |= decoder.accept("popc")  ? ReducePopc
               : decoder.accept("and") ? ReduceAnd
               : decoder.accept("or")  ? ReduceOr
                                       : 0;
    Type type;
    if (!(op.mode & (ReducePopc | ReduceAnd | ReduceOr)) || !decoder.takeType(type))
      return decoder.unknown();
    if (!decoder.expectOperands(3, 4))
      return false;
    const Operand &result = decoder.operands()[0];
    if (op.mode & ReducePopc ? !decoder.define(result, 4, op.d[0])
                             : !decoder.definePredicate(result, op.d[0]))
      return false;
    bool negated = false;
    if (!decoder.usePredicate(decoder.operands().back(), op.s[2], negated))
      return false;
    op.mode |= negated ? NegatedMode : 0;
    // What the lanes of one group get, they may get while others of the same register still wait.
    op.earlyClobber = true;
    first = 1;
  } else if (decoder.accept("arrive")) {
    op.mode |= ArriveMode;
    if (!decoder.expectOperands(2))
      return false;
  } else if (!decoder.accept("sync") || !decoder.expectOperands(1, 2)) {
    return false;
  }
  size_t last = decoder.operandCount() - first;
  if (!decoder.use(first, Type::U32, op.s[0]))
    return false;
  bool counted = last - (first ? 1 : 0) == 2;
  if (counted && !decoder.use(first + 1, Type::U32, op.s[1]))
    return false;
  return decoder.run(barrier);
}

bool decodeFence(Decoder &decoder) {
  Op &op = decoder.op;
  if (!decoder.expectOperands(0, 2))
    return false;
  if (decoder.accept("proxy")) {
    if (decoder.accept("async")) {
      // Of one state space or of all: they are one here.
      Space space;
      decoder.takeSpace(space);
      return decoder.expectOperands(0) && decoder.run(proxyFence);
    }
    if (decoder.accept("alias"))
      return decoder.expectOperands(0) && decoder.run(nothing);
    return decoder.fail("fences of this proxy are not supported");
  }
  if (decoder.accept("mbarrier_init")) {
    if (!decoder.accept("release") || !decoder.accept("cluster"))
      return decoder.unknown();
    return decoder.run(initFence);
  }
  op.order = Order::AcquireRelease;
  for (const char *word : {"sync_restrict::shared::cta", "sync_restrict::shared::cluster"})
    decoder.accept(word);
  decoder.takeOrder(op.order, op.scope);
  if (op.scope == Scope::None)
    return decoder.fail("a fence needs a scope");
  return decoder.run(fence);
}

bool decodeMembar(Decoder &decoder) {
  Op &op = decoder.op;
  op.order = Order::SequentiallyConsistent;
  op.scope = decoder.accept("cta")   ? Scope::Cta
             : decoder.accept("gl")  ? Scope::Gpu
             : decoder.accept("sys") ? Scope::Sys
                                     : Scope::None;
  if (op.scope == Scope::None)
    return decoder.fail("membar needs .cta, .gl or .sys");
  return decoder.expectOperands(0) && decoder.run(fence);
}

} // namespace pianola::ptx
