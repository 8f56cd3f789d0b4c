// What orders threads with each other: releases and acquires through memory, fences, and mbarriers.
//
// The model is that of the PTX ISA's chapter on memory consistency. A release pattern is a
// releasing write, or a fence followed by a relaxed one; an acquire pattern is an acquiring read,
// or a relaxed one followed by a fence. What a write released is learnt by who reads its value with
// both in each other's scope; atomic updates hand on what was released before them. Two fence.sc
// are ordered wherever the first one's thread could be heard by the second one's, by relaxed
// accesses too: the order of fences must not contradict what was read. So `fence; barrier; relaxed
// write` by different threads of a block is a release to who reads and fences.
#include "targets/nvptx/emulator/Playing.h"

#include <utility>

namespace pianola::ptx {

namespace {

bool releases(Order order) { return order == Order::Release || order >= Order::AcquireRelease; }
bool acquires(Order order) { return order == Order::Acquire || order >= Order::AcquireRelease; }
bool reachesAll(Scope scope) { return scope >= Scope::Gpu; }

} // namespace

void Playing::acquire(Warp &warp, uint32_t lane, const Op &op, const Buffer &buffer,
                      uint64_t offset) {
  if (!checks.races)
    return;
  auto found = publications.find({&buffer, offset});
  if (found == publications.end())
    return;
  const Publication &published = found->second;
  Warp::Reach read;
  if (auto own = published.inside.find(warp.block.index); own != published.inside.end())
    read.inside = own->second;
  if (reachesAll(op.scope))
    read.everywhere = published.everywhere;
  if (acquires(op.order)) {
    warp.learn(1u << lane, read.everywhere);
    warp.learn(1u << lane, read.inside);
    return;
  }
  Clock fenced;
  fenced.fenced = read.inside.fenced;
  fenced.fenced.join(read.everywhere.fenced);
  warp.learn(1u << lane, fenced);
  if (!warp.pending)
    warp.pending = std::make_unique<std::array<Warp::Reach, 32>>();
  (*warp.pending)[lane].inside.join(read.inside);
  (*warp.pending)[lane].everywhere.join(read.everywhere);
}

void Playing::release(Warp &warp, uint32_t lane, const Op &op, const Buffer &buffer,
                      uint64_t offset, bool isUpdate) {
  if (!checks.races)
    return;
  Warp::Reach fresh;
  if (warp.fences)
    fresh = (*warp.fences)[lane];
  if (releases(op.order)) {
    fresh.inside = fresh.everywhere = warp.publish(1u << lane);
    warp.passTime();
  }
  const Knowledge &fenced = warp.clockOf(lane).fenced;
  fresh.inside.fenced.join(fenced);
  fresh.everywhere.fenced.join(fenced);
  if (!reachesAll(op.scope))
    fresh.everywhere = {};
  bool isRelease = !fresh.inside.seen.empty() || !fenced.empty();
  uint64_t writer = uint64_t(warp.agent()) << 5 | lane;
  std::pair<const Buffer *, uint64_t> place{&buffer, offset};
  auto found = publications.find(place);
  if (found != publications.end() && !isUpdate && found->second.writer != writer) {
    // A new value ends what others released here. But a thread's relaxed write after its own
    // release is a release pattern too.
    publications.erase(found);
    found = publications.end();
  }
  if (!isRelease)
    return;
  // An update hands on what its predecessors released.
  Publication &published = found != publications.end() ? found->second : publications[place];
  if (!(fresh.inside == fresh.everywhere)) // what reaches all reaches the own block too
    published.inside[warp.block.index].join(fresh.inside);
  published.everywhere.join(fresh.everywhere);
  published.writer = writer;
}

void Playing::fence(Warp &warp, uint32_t mask, Order order, Scope scope) {
  if (!checks.races || order == Order::Weak)
    return;
  if (!warp.fences)
    warp.fences = std::make_unique<std::array<Warp::Reach, 32>>();
  forLanes(mask, [&](uint32_t lane) {
    uint32_t bit = 1u << lane;
    if (warp.pending) {
      Warp::Reach &read = (*warp.pending)[lane];
      warp.learn(bit, std::exchange(read.inside, {}));
      if (reachesAll(scope))
        warp.learn(bit, std::exchange(read.everywhere, {}));
    }
    bool isOrdered = order == Order::SequentiallyConsistent && reachesAll(scope);
    if (isOrdered) {
      Clock before;
      before.seen = warp.clockOf(lane).fenced;
      warp.learn(bit, before);
    }
    Warp::Reach &known = (*warp.fences)[lane];
    known.inside = warp.publish(bit);
    if (reachesAll(scope))
      known.everywhere = known.inside;
    if (isOrdered) {
      Clock now;
      now.fenced = known.inside.seen;
      warp.learn(bit, now);
    }
  });
  warp.passTime();
}

void Playing::arrive(Block &block, uint32_t offset, Mbarrier &barrier, uint32_t count) {
  barrier.pending -= count;
  completePhases(block, offset, barrier);
}

void Playing::completePhases(Block &block, uint32_t offset, Mbarrier &barrier) {
  if (barrier.pending || barrier.transactions)
    return;
  ++barrier.phase;
  barrier.pending = barrier.expected;
  if (checks.races) {
    barrier.released.join(barrier.gathering);
    barrier.gatheringTimes.block = block.index;
    barrier.released.seen.add(barrier.gatheringTimes);
    barrier.gathering = {}, barrier.gatheringTimes = {};
  }
  progress();
  for (auto &warp : block.warps)
    for (Group &group : warp->groups)
      if (group.state == Group::State::Mbarrier && group.waitsFor == offset)
        wake(*warp, group);
}

} // namespace pianola::ptx
