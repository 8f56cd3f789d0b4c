#include "targets/nvptx/emulator/Warp.h"

#include "targets/nvptx/emulator/Playing.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

Warp::Warp(Playing &playing, Block &block, uint32_t number, uint32_t lanes)
    : playing(playing), block(block), number(number),
      existing(lanes == warpSize ? ~0u : (1u << lanes) - 1), aliveMask(existing),
      registers(new uint8_t[playing.kernel.registerBytes + 64]),
      constants(playing.code.constants.data()), localBytes(playing.kernel.localBytes) {
  // What a program reads before it writes it should not look like a value by chance.
  std::memset(registers.get(), 0xb5, playing.kernel.registerBytes + 64);
  if (localBytes) {
    local.reset(new uint8_t[size_t(localBytes) * warpSize]);
    std::memset(local.get(), 0xb5, size_t(localBytes) * warpSize);
    if (playing.checks.uninitialised)
      localWritten.assign(size_t(localBytes) * warpSize, false);
  }
  groups.push_back({});
  groups[0].mask = existing;
}

void Warp::copyLocal(uint32_t lane, uint32_t to, uint32_t from, uint32_t bytes) {
  std::memmove(localOf(lane) + to, localOf(lane) + from, bytes);
  for (uint32_t i = 0; i < bytes && !localWritten.empty(); ++i)
    localWritten[size_t(lane) * localBytes + to + i] =
        localWritten[size_t(lane) * localBytes + from + i];
}

void Warp::branchOff(uint32_t mask, uint32_t pc) {
  current().mask &= ~mask;
  for (Group &group : groups) {
    if (group.pc == pc && group.state == Group::State::Ready && &group != &current()) {
      group.mask |= mask;
      return;
    }
  }
  Group fresh;
  fresh.mask = mask, fresh.pc = pc;
  groups.push_back(fresh);
}

void Warp::mergeGroups() {
  for (size_t i = 0; i < groups.size(); ++i) {
    for (size_t j = groups.size() - 1; j > i; --j) {
      if (groups[j].pc != groups[i].pc || groups[i].state != Group::State::Ready ||
          groups[j].state != Group::State::Ready)
        continue;
      groups[i].mask |= groups[j].mask;
      if (running == j)
        running = uint32_t(i);
      else if (running == groups.size() - 1)
        running = uint32_t(j);
      groups[j] = groups.back();
      groups.pop_back();
    }
  }
}

bool Warp::gather(uint32_t needs) {
  uint32_t pc = current().pc;
  needs &= aliveMask;
  // Lanes that wait here already come along, with what they need.
  for (size_t j = groups.size(); j-- > 0;) {
    if (j == running || groups[j].pc != pc ||
        (groups[j].state != Group::State::Converging && groups[j].state != Group::State::Ready))
      continue;
    if (groups[j].state == Group::State::Ready && playing.code.ops[pc].guard != noSlot)
      continue; // whether its lanes take part is not known yet
    current().mask |= groups[j].mask;
    if (groups[j].state == Group::State::Converging)
      needs |= groups[j].needs & aliveMask;
    if (running == groups.size() - 1)
      running = uint32_t(j);
    groups[j] = groups.back();
    groups.pop_back();
  }
  Group &group = current();
  if (!(needs & ~group.mask))
    return true;
  group.state = Group::State::Converging;
  group.needs = needs;
  return false;
}

bool Warp::gatherAll() {
  if (aliveMask != existing) {
    playing.report(FindingKind::BarrierDivergence, *this, firstLane(current().mask),
                   "an aligned instruction in a warp some of whose threads have ended");
    playing.stop();
    return false;
  }
  return gather(existing);
}

void Warp::exitLanes(uint32_t mask) {
  aliveMask &= ~mask;
  current().mask &= ~mask;
  block.threadsEnded(uint32_t(__builtin_popcount(mask)));
  playing.progress();
  // Those that wait for lanes of this warp look again whom they wait for.
  for (Group &group : groups)
    if (group.state == Group::State::Converging)
      group.state = Group::State::Ready;
  if (current().mask)
    return;
  groups[running] = groups.back();
  groups.pop_back();
  running = 0;
}

Agent Warp::agent() const { return warpAgent(block.index, number); }

void Warp::addTimes(uint32_t mask, BlockTimes &times) const {
  if (convergedTime)
    times.add(number, ~0u, convergedTime);
  times.add(number, (mask | ~existing) == ~0u ? ~0u : mask, time);
  if (copiesUsed)
    forLanes(mask, [&](uint32_t lane) {
      if (copiesDone[lane])
        times.add(32 + number, 1u << lane, copiesDone[lane]);
    });
}

void Warp::joinClocks(uint32_t mask, Clock &clock) const {
  clock.join(clockOf(firstLane(mask)));
  if (diverged)
    forLanes(mask & (mask - 1), [&](uint32_t lane) { clock.join((*diverged)[lane]); });
}

Clock Warp::publish(uint32_t mask) const {
  Clock clock;
  joinClocks(mask, clock);
  BlockTimes times;
  times.block = block.index;
  addTimes(mask, times);
  clock.seen.add(times);
  return clock;
}

void Warp::learn(uint32_t mask, const Clock &clock) {
  if ((!(mask & ~lastLearners) && clock == lastLearnt) || clock.empty())
    return;
  lastLearnt = clock, lastLearners = mask;
  if (!diverged && mask == aliveMask) {
    common.join(clock);
    return;
  }
  if (!diverged) {
    Clock joined = common;
    joined.join(clock);
    if (joined == common)
      return;
    diverged = std::make_unique<std::array<Clock, 32>>();
    diverged->fill(common);
    forLanes(mask, [&](uint32_t lane) { (*diverged)[lane] = joined; });
    return;
  }
  // Lanes that know the same know the same afterwards.
  uint32_t last = firstLane(mask);
  Clock before = (*diverged)[last];
  (*diverged)[last].join(clock);
  forLanes(mask & (mask - 1), [&](uint32_t lane) {
    if ((*diverged)[lane] == before) {
      (*diverged)[lane] = (*diverged)[last];
      return;
    }
    before = (*diverged)[lane];
    (*diverged)[lane].join(clock);
    last = lane;
  });
}

void Warp::setClock(const Clock &clock) {
  diverged.reset();
  common = clock;
}

void Warp::synchroniseLanes(uint32_t mask) {
  if (mask == existing) {
    // All know all that each of them did: one number says so. Their copies are another matter.
    if (diverged) {
      Clock clock;
      joinClocks(mask, clock);
      setClock(clock);
    }
    if (copiesUsed)
      forLanes(mask, [&](uint32_t lane) {
        if (copiesDone[lane])
          common.seen.add(copyAgent(block.index, number), 1u << lane, copiesDone[lane]);
      });
    convergedTime = time;
    passTime();
    return;
  }
  Clock clock = publish(mask);
  passTime();
  if ((mask & aliveMask) == aliveMask)
    setClock(clock);
  else
    learn(mask, clock);
}

void Warp::fenceProxy(uint32_t mask) {
  if (!playing.checks.races)
    return;
  forLanes(mask, [&](uint32_t lane) {
    Clock clock;
    clock.proxied = publish(1u << lane).seen;
    learn(1u << lane, clock);
  });
  passTime();
}

} // namespace pianola::ptx
