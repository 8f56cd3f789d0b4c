// Copies that go on by themselves: the bulk engine, and cp.async. What they touch is checked and
// marked when they are issued, because from then on anything may happen; when the bytes really move
// is drawn by lot.
#include "targets/nvptx/emulator/Playing.h"

#include "targets/nvptx/emulator/Reduction.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

/// What copies in flight may keep of their sources; beyond it they are read when they land.
static constexpr uint64_t mostEarlyBytes = 64 << 20;

void Playing::launchCopy(InFlight copy) {
  bool early = copy.kind != InFlight::Kind::CopyArrive && checking && random.oneIn(2);
  if (early && inFlight.size() * uint64_t(copy.bytes) < mostEarlyBytes)
    copy.early.assign(copy.source->bytes.get() + copy.sourceOffset,
                      copy.source->bytes.get() + copy.sourceOffset + copy.bytes);
  inFlight.push_back(std::move(copy));
  if (!checking)
    land(inFlight.size() - 1);
}

void Playing::landSome() {
  if (!inFlight.empty() && random.oneIn(2))
    land(random.below(uint32_t(inFlight.size())));
}

void Playing::land(size_t index) {
  InFlight copy = std::move(inFlight[index]);
  inFlight[index] = std::move(inFlight.back());
  inFlight.pop_back();
  progress();
  Block &block = *copy.block;
  if (copy.kind == InFlight::Kind::CopyArrive) {
    std::array<uint32_t, 32> times{};
    times[copy.lane] = copy.time;
    finishCopies(*copy.warp, 1u << copy.lane, times);
  } else {
    const uint8_t *from =
        copy.early.empty() ? copy.source->bytes.get() + copy.sourceOffset : copy.early.data();
    uint8_t *to = copy.target->bytes.get() + copy.targetOffset;
    if (copy.reduction)
      reduceBytes(copy.reduction, to, from, copy.bytes);
    else
      std::memcpy(to, from, copy.bytes);
    block.freeBulkSlots.push_back(copy.slot);
  }
  if (copy.kind == InFlight::Kind::BulkStore)
    return;
  auto found = block.mbarriers.find(copy.mbarrier);
  if (found == block.mbarriers.end()) {
    reportAt(copy.pc, FindingKind::MbarrierMisuse, *copy.warp, copy.lane,
             "the mbarrier was gone when the copy was complete",
             describe(block.shared, copy.mbarrier));
    return stop();
  }
  Mbarrier &barrier = found->second;
  if (copy.kind == InFlight::Kind::CopyArrive) {
    if (!found->second.pending) {
      reportAt(copy.pc, FindingKind::MbarrierMisuse, *copy.warp, copy.lane,
               "an arrival, where the phase lacks none", describe(block.shared, copy.mbarrier));
      return stop();
    }
    if (checks.races)
      barrier.gatheringTimes.add(32 + copy.warp->number, 1u << copy.lane, copy.time);
    arrive(block, copy.mbarrier, barrier, 1);
    return;
  }
  if (checks.races)
    barrier.gatheringTimes.add(64 + copy.slot, ~0u, copy.time);
  barrier.transactions -= copy.bytes;
  completePhases(block, copy.mbarrier, barrier);
}

void Playing::finishCopies(Warp &warp, uint32_t mask, const std::array<uint32_t, 32> &times) {
  size_t kept = 0;
  for (Warp::PendingCopy &copy : warp.copies) {
    if (!(mask >> copy.lane & 1) || copy.time > times[copy.lane]) {
      warp.copies[kept++] = copy;
      continue;
    }
    uint8_t *to = warp.block.shared.bytes.get() + copy.target;
    if (copy.read)
      std::memcpy(to, copy.source->bytes.get() + copy.offset, copy.read);
    std::memset(to + copy.read, 0, copy.bytes - copy.read);
    progress();
  }
  warp.copies.erase(warp.copies.begin() + ptrdiff_t(kept), warp.copies.end());
  forLanes(mask, [&](uint32_t lane) {
    warp.copiesDone[lane] = std::max(warp.copiesDone[lane], times[lane]);
  });
}

void Playing::finishStores(Warp &warp, uint32_t lane, uint32_t keep, bool readsOnly) {
  uint64_t thread = uint64_t(warp.block.index) << 16 | warp.number << 8 | lane;
  auto found = bulkGroups.find(thread);
  if (found == bulkGroups.end())
    return;
  BulkGroups &groups = found->second;
  Clock clock;
  for (BulkGroups::Store &store : groups.stores) {
    if (uint64_t(store.group) + keep >= groups.open)
      continue;
    for (size_t i = 0; i < inFlight.size(); ++i) {
      InFlight &copy = inFlight[i];
      if (copy.kind != InFlight::Kind::BulkStore || copy.block != &warp.block ||
          copy.slot != store.slot)
        continue;
      // Once the source has been read, the bytes may still be on their way.
      copy.sourceIsFree = true;
      if (!readsOnly)
        land(i);
      else if (copy.early.empty())
        copy.early.assign(copy.source->bytes.get() + copy.sourceOffset,
                          copy.source->bytes.get() + copy.sourceOffset + copy.bytes);
      break;
    }
    clock.seen.add(bulkAgent(warp.block.index, store.slot), readsOnly ? 1u : ~0u, store.time);
    store.done = !readsOnly;
  }
  groups.stores.erase(std::remove_if(groups.stores.begin(), groups.stores.end(),
                                     [](const BulkGroups::Store &store) { return store.done; }),
                      groups.stores.end());
  if (checks.races)
    warp.learn(1u << lane, clock);
}

} // namespace pianola::ptx
