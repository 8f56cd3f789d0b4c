// barrier.cluster, mapa, getctarank: what kernels for clusters execute, in clusters of one block.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"

namespace pianola::ptx {

namespace {

enum : uint16_t { AlignedMode = 1, RelaxedMode = 2 };

Step refuse(Warp &warp, uint32_t lanes, const char *message) {
  warp.playing.report(FindingKind::BarrierDivergence, warp, firstLane(lanes), message);
  warp.playing.stop();
  return Step::Switch;
}

Step arrive(Warp &warp, const Op &op, uint32_t mask) {
  if (op.mode & AlignedMode) {
    if (!warp.gatherAll())
      return Step::Switch;
    mask = warp.current().mask;
  }
  ClusterBarrier &barrier = warp.block.cluster;
  uint32_t twice = 0;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t &phase = barrier.arrivedFor[warp.number * warpSize + lane];
    twice |= phase ? 1u << lane : 0;
    phase = barrier.phase + 1;
  });
  if (twice)
    return refuse(warp, twice, "a thread arrives at the cluster's barrier twice without a wait");
  if (warp.playing.checks.races && !(op.mode & RelaxedMode)) {
    barrier.gathering.join(warp.publish(mask));
    warp.passTime();
  } else if (warp.initialised) {
    forLanes(mask, [&](uint32_t lane) { barrier.gathering.join((*warp.initialised)[lane]); });
  }
  barrier.arrived += uint32_t(__builtin_popcount(mask));
  ++warp.current().pc;
  warp.block.checkCluster();
  return Step::Switch;
}

Step wait(Warp &warp, const Op &op, uint32_t mask) {
  if (op.mode & AlignedMode) {
    if (!warp.gatherAll())
      return Step::Switch;
    mask = warp.current().mask;
  }
  ClusterBarrier &barrier = warp.block.cluster;
  uint32_t early = 0, never = 0;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t phase = barrier.arrivedFor[warp.number * warpSize + lane];
    never |= phase ? 0 : 1u << lane;
    early |= phase > barrier.phase ? 1u << lane : 0;
  });
  if (never)
    return refuse(warp, never, "a thread waits at the cluster's barrier without having arrived");
  if (early) {
    warp.current().state = Group::State::Barrier;
    warp.current().waitsFor = clusterBarrier;
    return Step::Switch;
  }
  forLanes(mask, [&](uint32_t lane) { barrier.arrivedFor[warp.number * warpSize + lane] = 0; });
  if (warp.playing.checks.races)
    warp.learn(mask, barrier.released);
  return Step::Next;
}

/// An address of the own block, as the block of that rank has it: the same where it is rank 0.
template <typename T> Step mapAddress(Warp &warp, const Op &op, uint32_t mask) {
  const uint32_t *rank = warp.in<uint32_t>(op.s[1]);
  uint32_t wrong = 0;
  forLanes(mask, [&](uint32_t lane) {
    wrong |= rank[lane] ? 1u << lane : 0;
    warp.out<T>(op.d[0])[lane] = warp.in<T>(op.s[0])[lane];
  });
  if (!wrong)
    return Step::Next;
  warp.playing.report(FindingKind::OutOfBounds, warp, firstLane(wrong),
                      "the cluster has one block, of rank 0");
  warp.playing.stop();
  return Step::Switch;
}

Step ownRank(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) { warp.out<uint32_t>(op.d[0])[lane] = 0; });
  return Step::Next;
}

} // namespace

/// After `barrier.cluster`.
bool decodeClusterBarrier(Decoder &decoder) {
  Op &op = decoder.op;
  bool arrives = decoder.accept("arrive");
  if (!arrives && !decoder.accept("wait"))
    return false;
  if (decoder.accept("relaxed"))
    op.mode |= RelaxedMode;
  decoder.accept(arrives ? "release" : "acquire");
  if (decoder.accept("aligned"))
    op.mode |= AlignedMode;
  return decoder.expectOperands(0) && decoder.run(arrives ? arrive : wait);
}

bool decodeMapAddress(Decoder &decoder) {
  Op &op = decoder.op;
  Space space;
  decoder.takeSpace(space);
  if (!decoder.takeType(op.type) || (op.type != Type::U32 && op.type != Type::U64))
    return decoder.unknown();
  bool wide = op.type == Type::U64;
  if (decoder.opcode() == "getctarank") {
    Slot ignored;
    return decoder.expectOperands(2) && decoder.define(0, 4, op.d[0]) &&
           decoder.use(1, op.type, ignored) && decoder.run(ownRank);
  }
  return decoder.expectOperands(3) && decoder.define(0, sizeOf(op.type), op.d[0]) &&
         decoder.use(1, op.type, op.s[0]) && decoder.use(2, Type::U32, op.s[1]) &&
         decoder.run(wide ? mapAddress<uint64_t> : mapAddress<uint32_t>);
}

} // namespace pianola::ptx
