#include "targets/nvptx/emulator/Knowledge.h"

#include <algorithm>

namespace pianola::ptx {

bool BlockTimes::covers(uint32_t number, uint32_t lanes, uint32_t time) const {
  if (number < times.size() && times[number] >= time)
    return true;
  for (const Ahead &each : ahead)
    if (each.number == number && each.time >= time && !(lanes &= ~each.lanes))
      return true;
  return false;
}

bool BlockTimes::covers(const BlockTimes &other) const {
  // No early end: so the compiler compares many at once.
  size_t common = std::min(times.size(), other.times.size());
  const uint32_t *mine = times.data(), *its = other.times.data();
  uint32_t later = 0;
  for (size_t i = 0; i < common; ++i)
    later |= uint32_t(its[i] > mine[i]);
  for (size_t i = common; i < other.times.size(); ++i)
    later |= its[i];
  if (later)
    return false;
  for (const Ahead &each : other.ahead)
    if (!covers(each.number, each.lanes, each.time))
      return false;
  return true;
}

void BlockTimes::add(uint32_t number, uint32_t lanes, uint32_t time) {
  if (covers(number, lanes, time))
    return;
  if (lanes == ~0u) {
    if (number >= times.size())
      times.resize(number + 1);
    sum += time - times[number];
    times[number] = time;
  }
  // What the new entry covers is dropped, in part or whole.
  for (Ahead &each : ahead)
    if (each.number == number && each.time <= time)
      each.lanes &= ~lanes;
  ahead.erase(
      std::remove_if(ahead.begin(), ahead.end(), [](const Ahead &each) { return !each.lanes; }),
      ahead.end());
  if (lanes == ~0u)
    return;
  for (Ahead &each : ahead) {
    if (each.number == number && each.time == time) {
      each.lanes |= lanes;
      return;
    }
  }
  ahead.push_back({number, lanes, time});
}

void BlockTimes::add(const BlockTimes &other) {
  if (other.times.size() > times.size())
    times.resize(other.times.size());
  for (size_t i = 0; i < other.times.size(); ++i)
    times[i] = std::max(times[i], other.times[i]);
  sum = 0;
  for (uint32_t each : times)
    sum += each;
  std::vector<Ahead> old = std::move(ahead);
  ahead.clear();
  for (const std::vector<Ahead> *list :
       {static_cast<const std::vector<Ahead> *>(&old), &other.ahead})
    for (const Ahead &each : *list)
      add(each.number, each.lanes, each.time);
}

const BlockTimes *Known::find(uint32_t block) const {
  // Most threads know their own block alone, or all blocks.
  if (block < blocks.size() && blocks[block]->block == block)
    return blocks[block].get();
  auto found = std::lower_bound(
      blocks.begin(), blocks.end(), block,
      [](const Ref<BlockTimes> &each, uint32_t wanted) { return each->block < wanted; });
  return found != blocks.end() && (*found)->block == block ? found->get() : nullptr;
}

void Knowledge::add(const BlockTimes &times) {
  auto *fresh = new Known;
  Ref<Known> next(fresh);
  if (known)
    fresh->blocks = known->blocks;
  auto place = std::lower_bound(
      fresh->blocks.begin(), fresh->blocks.end(), times.block,
      [](const Ref<BlockTimes> &each, uint32_t wanted) { return each->block < wanted; });
  auto *merged = new BlockTimes(times);
  merged->references = 0;
  Ref<BlockTimes> held(merged);
  if (place != fresh->blocks.end() && (*place)->block == times.block) {
    merged->add(**place);
    *place = held;
  } else {
    fresh->blocks.insert(place, held);
  }
  known = next;
}

void Knowledge::add(Agent agent, uint32_t lanes, uint32_t time) {
  if (!lanes || covers(agent, lanes, time))
    return;
  BlockTimes times;
  times.block = blockOf(agent);
  times.add(numberOf(agent), lanes, time);
  add(times);
}

void Knowledge::join(const Knowledge &other) {
  if (known == other.known || absorbed == other.known || !other.known)
    return;
  absorbed = other.known;
  if (!known) {
    known = other.known;
    return;
  }
  const auto &ours = known->blocks, &theirs = other.known->blocks;
  auto *fresh = new Known;
  Ref<Known> next(fresh);
  fresh->blocks.reserve(std::max(ours.size(), theirs.size()));
  bool asOurs = true, asTheirs = true;
  size_t i = 0, j = 0;
  while (i < ours.size() || j < theirs.size()) {
    if (j == theirs.size() || (i < ours.size() && ours[i]->block < theirs[j]->block)) {
      fresh->blocks.push_back(ours[i++]);
      asTheirs = false;
    } else if (i == ours.size() || theirs[j]->block < ours[i]->block) {
      fresh->blocks.push_back(theirs[j++]);
      asOurs = false;
    } else {
      const Ref<BlockTimes> &mine = ours[i++], &its = theirs[j++];
      if (mine == its || (mine->sum >= its->sum && mine->covers(*its))) {
        fresh->blocks.push_back(mine);
        asTheirs &= mine == its;
      } else if (its->covers(*mine)) {
        fresh->blocks.push_back(its);
        asOurs = false;
      } else {
        auto *merged = new BlockTimes(*mine);
        merged->references = 0;
        merged->add(*its);
        fresh->blocks.push_back(Ref<BlockTimes>(merged));
        asOurs = asTheirs = false;
      }
    }
  }
  known = asOurs ? known : asTheirs ? other.known : next;
}

} // namespace pianola::ptx
