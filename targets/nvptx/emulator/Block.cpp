#include "targets/nvptx/emulator/Block.h"

#include "targets/nvptx/emulator/Playing.h"

#include <utility>

namespace pianola::ptx {

Block::Block(Playing &playing, uint32_t index, Dim3 id, uint32_t sm)
    : playing(playing), index(index), id(id), sm(sm),
      shared("shared", uint64_t(playing.kernel.sharedSpan) + playing.launch.dynamicShared,
             playing.launch.seed + index) {
  shared.extents = &playing.sharedExtents;
  auto threads = uint32_t(playing.launch.block.count());
  aliveThreads = threads;
  cluster.arrivedFor.resize((threads + warpSize - 1) / warpSize * warpSize);
  for (uint32_t first = 0; first < threads; first += warpSize)
    warps.push_back(std::make_unique<Warp>(playing, *this, first / warpSize,
                                           std::min(warpSize, threads - first)));
}

void Block::threadsEnded(uint32_t count) {
  aliveThreads -= count;
  for (uint32_t number = 0; number < barriers.size(); ++number)
    if (barriers[number].arrived && !barriers[number].expected)
      checkBarrier(number);
  if (cluster.arrived)
    checkCluster();
}

void Block::checkCluster() {
  if (cluster.arrived < aliveThreads)
    return;
  cluster.arrived = 0;
  ++cluster.phase;
  cluster.released.join(std::exchange(cluster.gathering, {}));
  playing.progress();
  for (auto &warp : warps)
    for (Group &group : warp->groups)
      if (group.state == Group::State::Barrier && group.waitsFor == clusterBarrier)
        playing.wake(*warp, group);
}

void Block::checkBarrier(uint32_t number) {
  NamedBarrier &barrier = barriers[number];
  uint32_t expected = barrier.expected ? barrier.expected : aliveThreads;
  if (barrier.arrived < expected)
    return;
  if (barrier.arrived > expected) {
    auto &[warp, mask] = barrier.arrivals.back();
    playing.report(FindingKind::BarrierDivergence, *warp, firstLane(mask),
                   std::to_string(barrier.arrived) + " threads came to barrier " +
                       std::to_string(number) + ", which " + std::to_string(expected) +
                       " complete");
    playing.stop();
    return;
  }
  playing.progress();
  NamedBarrier done = std::move(barrier);
  barrier = {};
  if (playing.checks.races) {
    done.times.block = index;
    done.clock.seen.add(done.times);
  }
  for (NamedBarrier::Waiter &waiter : done.waiters) {
    Warp &warp = *waiter.warp;
    if (playing.checks.races) {
      if ((waiter.mask & warp.aliveMask) == warp.aliveMask)
        warp.setClock(done.clock);
      else
        warp.learn(waiter.mask, done.clock);
    }
    if (waiter.result != noSlot) {
      bool all = done.ayes == done.votes, any = done.ayes != 0;
      if (waiter.reduction == 0)
        forLanes(waiter.mask,
                 [&](uint32_t lane) { warp.out<uint32_t>(waiter.result)[lane] = done.ayes; });
      else
        warp.setPredicate(waiter.result, waiter.mask,
                          (waiter.reduction == 1 ? all : any) ? ~0u : 0);
    }
    for (Group &group : warp.groups) {
      if (group.state != Group::State::Barrier || group.waitsFor != number ||
          !(group.mask & waiter.mask))
        continue;
      ++group.pc;
      playing.wake(warp, group);
    }
  }
}

} // namespace pianola::ptx
