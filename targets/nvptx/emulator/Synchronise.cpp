// What orders threads with each other: releases and acquires through memory, fences, and mbarriers.
//
// The model is that of the PTX ISA's chapter on memory consistency. A release pattern is a
// releasing write, or a fence followed by a relaxed one; an acquire pattern is an acquiring read,
// or a relaxed one followed by a fence. What a write released is learnt by who reads its value with
// both in each other's scope; atomic updates hand on what was released before them.
#include "targets/nvptx/emulator/Playing.h"

#include <algorithm>

namespace pianola::ptx {

namespace {

bool releases(Order order) { return order == Order::Release || order >= Order::AcquireRelease; }
bool acquires(Order order) { return order == Order::Acquire || order >= Order::AcquireRelease; }
bool reaches(Scope scope, uint32_t from, uint32_t to) { return scope >= Scope::Gpu || from == to; }

} // namespace

void Playing::acquire(Warp &warp, uint32_t lane, const Op &op, const Buffer &buffer,
                      uint64_t offset) {
  if (!checks.races)
    return;
  auto found = publications.find({&buffer, offset});
  if (found == publications.end())
    return;
  const Publication &published = found->second;
  uint32_t block = warp.block.index;
  if (!reaches(published.scope, published.block, block) ||
      !reaches(op.scope, published.block, block))
    return;
  if (acquires(op.order)) {
    warp.learn(1u << lane, published.clock);
    return;
  }
  if (!warp.pending)
    warp.pending = std::make_unique<std::array<Clock, 32>>();
  (*warp.pending)[lane].join(published.clock);
}

void Playing::release(Warp &warp, uint32_t lane, const Op &op, const Buffer &buffer,
                      uint64_t offset, bool isUpdate) {
  if (!checks.races)
    return;
  Publication fresh;
  fresh.block = warp.block.index;
  if (releases(op.order)) {
    fresh.clock = warp.publish(1u << lane);
    warp.passTime();
    fresh.scope = op.scope;
  } else if (warp.fences && (*warp.fences)[lane].scope != Scope::None) {
    fresh.clock = (*warp.fences)[lane].clock;
    fresh.scope = std::min(op.scope, (*warp.fences)[lane].scope);
  }
  std::pair<const Buffer *, uint64_t> place{&buffer, offset};
  auto found = publications.find(place);
  if (isUpdate && found != publications.end()) {
    // An update hands on what its predecessors released.
    if (fresh.scope != Scope::None) {
      found->second.clock.join(fresh.clock);
      found->second.scope = std::min(found->second.scope, fresh.scope);
    }
  } else if (fresh.scope != Scope::None) {
    publications[place] = std::move(fresh);
  } else if (found != publications.end()) {
    publications.erase(found);
  }
}

void Playing::fence(Warp &warp, uint32_t mask, Order order, Scope scope) {
  if (!checks.races || order == Order::Weak)
    return;
  if (!warp.fences)
    warp.fences = std::make_unique<std::array<Warp::Fence, 32>>();
  forLanes(mask, [&](uint32_t lane) {
    uint32_t bit = 1u << lane;
    if (warp.pending) {
      warp.learn(bit, (*warp.pending)[lane]);
      (*warp.pending)[lane] = {};
    }
    (*warp.fences)[lane] = {warp.publish(bit), scope};
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
