// cp.async: copies that go on by themselves. The small ones belong to a thread, the bulk ones to an
// engine that is a proxy of its own.
#include "targets/nvptx/emulator/Reduction.h"
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

bool misuse(Warp &warp, uint32_t lane, const std::string &message) {
  warp.playing.report(FindingKind::AsyncMisuse, warp, lane, message);
  warp.playing.stop();
  return false;
}

/// Time 0 is that of nothing: a lane's first group has time 1.
uint32_t openGroup(Warp &warp, uint32_t lane) { return warp.copyTime[lane] + 1; }

/// op.count: bytes; s[2]: bytes that are read, the rest becomes zero; s[3]: a predicate that says
/// to read none.
Step copy(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  auto what = uint32_t(&op - playing.code.ops.data()) | Access::Copy;
  uint32_t ignored = op.s[3] == noSlot ? 0 : warp.predicate(op.s[3]);
  if (op.mode && op.s[3] != noSlot)
    ignored = ~ignored;
  Location target, source;
  bool failed = false;
  warp.copiesUsed = true;
  forLanes(mask, [&](uint32_t lane) {
    if (failed)
      return;
    uint32_t bytes = op.count, read = op.s[2] == noSlot ? bytes : warp.in<uint32_t>(op.s[2])[lane];
    if (ignored >> lane & 1)
      read = 0;
    if (read > bytes) {
      failed =
          !misuse(warp, lane,
                  std::to_string(read) + " bytes are read for a copy of " + std::to_string(bytes));
      return;
    }
    if (!locate(warp, lane, Space::Shared, addressOf(warp, op, lane, 0), bytes, bytes, true,
                target)) {
      failed = true;
      return;
    }
    source.buffer = nullptr;
    if (read && !locate(warp, lane, Space::Global, addressOf(warp, op, lane, 1), read, bytes, false,
                        source)) {
      failed = true;
      return;
    }
    uint32_t time = openGroup(warp, lane);
    if (playing.checking) {
      // The copy is a thread of its own, that begins here and knows what the lane knows and did.
      Witness witness = warp.witness(what);
      warp.turnTo(witness, lane);
      witness.access.agent = copyAgent(warp.block.index, warp.number), witness.access.time = time;
      if (read)
        if (Conflict conflict = source.buffer->shadow.read(
                source.offset, read, witness, playing.checks.races, playing.checks.uninitialised))
          playing.report(FindingKind::Race, warp, lane, conflict, *source.buffer);
      if (Conflict conflict =
              target.buffer->shadow.write(target.offset, bytes, witness, playing.checks.races))
        playing.report(FindingKind::SlotReuse, warp, lane, conflict, *target.buffer);
    }
    Warp::PendingCopy pending{lane,          time,           target.offset, source.buffer,
                              source.offset, uint8_t(bytes), uint8_t(read)};
    if (playing.checking && playing.random.oneIn(2)) {
      warp.copies.push_back(pending);
      return;
    }
    if (read)
      std::memcpy(target.bytes, source.bytes, read);
    std::memset(target.bytes + read, 0, bytes - read);
    playing.progress();
  });
  // A release of the lane from here on does not cover the copy: only waiting for it does.
  return failed ? Step::Switch : Step::Next;
}

/// Groups so long ago are not waited for one by one any more.
constexpr size_t mostCommitted = 1024;

void commitGroup(Warp &warp, uint32_t lane) {
  std::vector<uint32_t> &committed = warp.committed[lane];
  if (committed.size() == mostCommitted)
    committed.erase(committed.begin(), committed.begin() + mostCommitted / 2);
  committed.push_back(++warp.copyTime[lane]);
}

Step commit(Warp &warp, const Op &, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) { commitGroup(warp, lane); });
  return Step::Next;
}

/// value: how many of the last groups may still be under way; ~0: the open one is waited for too.
Step waitGroup(Warp &warp, const Op &op, uint32_t mask) {
  std::array<uint32_t, 32> times{};
  bool all = op.value == ~uint64_t(0);
  forLanes(mask, [&](uint32_t lane) {
    if (all)
      commitGroup(warp, lane);
    const std::vector<uint32_t> &committed = warp.committed[lane];
    uint64_t pending = all ? 0 : op.value;
    times[lane] =
        committed.size() > pending ? committed[committed.size() - 1 - size_t(pending)] : 0;
  });
  warp.playing.finishCopies(warp, mask, times);
  return Step::Next;
}

/// cp.async.mbarrier.arrive: an arrival once all copies of the lane so far are complete.
Step arriveWhenComplete(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  bool failed = false;
  warp.copiesUsed = true;
  forLanes(mask, [&](uint32_t lane) {
    Location location;
    if (failed || !locate(warp, lane, op.space, addressOf(warp, op, lane), 8, 8, true, location)) {
      failed = true;
      return;
    }
    auto found = warp.block.mbarriers.find(uint32_t(location.offset));
    if (location.buffer != &warp.block.shared || found == warp.block.mbarriers.end()) {
      playing.report(FindingKind::MbarrierMisuse, warp, lane, "there is no mbarrier",
                     describe(warp.block.shared, location.offset));
      playing.stop();
      failed = true;
      return;
    }
    if (!op.mode)
      ++found->second.pending;
    InFlight copy{};
    copy.kind = InFlight::Kind::CopyArrive;
    copy.block = &warp.block, copy.warp = &warp, copy.lane = lane;
    copy.time = openGroup(warp, lane);
    copy.mbarrier = uint32_t(location.offset);
    copy.pc = warp.current().pc;
    // Later copies have another time, so that the arrival does not stand for them.
    ++warp.copyTime[lane];
    playing.launchCopy(std::move(copy));
  });
  return failed ? Step::Switch : Step::Next;
}

enum : uint16_t { StoreMode = 1 << 15 }; ///< beside the packed reduction

} // namespace

uint32_t takeSlot(Block &block, uint32_t warp, uint32_t lane, uint32_t pc) {
  uint32_t slot;
  if (block.freeBulkSlots.empty()) {
    slot = uint32_t(block.bulkTimes.size());
    block.bulkTimes.push_back(0);
    block.bulkOwners.push_back({});
  } else {
    // A random one: the oldest would mostly be known to everybody.
    size_t index = block.playing.random.below(uint32_t(block.freeBulkSlots.size()));
    std::swap(block.freeBulkSlots[index], block.freeBulkSlots.back());
    slot = block.freeBulkSlots.back();
    block.freeBulkSlots.pop_back();
  }
  ++block.bulkTimes[slot];
  block.bulkOwners[slot] = {warp, lane, pc};
  return slot;
}

namespace {

Step bulkCopy(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  Block &block = warp.block;
  bool isStore = op.mode & StoreMode, failed = false;
  auto reduction = uint16_t(op.mode & ~StoreMode);
  auto pc = uint32_t(&op - playing.code.ops.data());
  const uint32_t *sizes = warp.in<uint32_t>(op.s[2]);
  const uint32_t *barrierAddresses = op.s[3] == noSlot ? nullptr : warp.in<uint32_t>(op.s[3]);
  forLanes(mask, [&](uint32_t lane) {
    if (failed)
      return;
    uint32_t bytes = sizes[lane];
    if (bytes % 16 || !bytes) {
      failed =
          !misuse(warp, lane, "the size must be a multiple of 16, and is " + std::to_string(bytes));
      return;
    }
    Location target, source;
    if (!locate(warp, lane, isStore ? Space::Global : op.space, addressOf(warp, op, lane, 0), bytes,
                16, true, target) ||
        !locate(warp, lane, isStore ? op.space : Space::Global, addressOf(warp, op, lane, 1), bytes,
                16, false, source)) {
      failed = true;
      return;
    }
    if ((isStore ? source : target).buffer != &block.shared) {
      failed = !misuse(warp, lane, "one side of the copy must be in shared memory");
      return;
    }
    if (block.bulkTimes.size() >= mostBulkCopies && block.freeBulkSlots.empty()) {
      failed = !misuse(warp, lane, "more bulk copies are in flight than can be followed");
      return;
    }
    InFlight copy{};
    copy.kind = isStore ? InFlight::Kind::BulkStore : InFlight::Kind::BulkLoad;
    copy.block = &block, copy.warp = &warp, copy.lane = lane, copy.pc = pc, copy.bytes = bytes;
    copy.source = source.buffer, copy.sourceOffset = source.offset;
    copy.target = target.buffer, copy.targetOffset = target.offset;
    copy.reduction = reduction;
    copy.slot = takeSlot(block, warp.number, lane, pc);
    copy.time = block.bulkTimes[copy.slot];
    Clock clock;
    if (playing.checks.races)
      clock = warp.publish(1u << lane);
    Agent agent = bulkAgent(block.index, copy.slot);
    if (!isStore) {
      uint64_t barrier = op.value3 + (op.wideAddress & 8 ? warp.in<uint64_t>(op.s[3])[lane]
                                                         : barrierAddresses[lane]);
      copy.mbarrier = uint32_t(barrier);
      auto found = block.mbarriers.find(copy.mbarrier);
      if (found == block.mbarriers.end()) {
        playing.report(FindingKind::MbarrierMisuse, warp, lane,
                       "there is no mbarrier: mbarrier.init was not executed",
                       describe(block.shared, copy.mbarrier));
        playing.stop();
        failed = true;
        return;
      }
      if (playing.checks.races) {
        // The engine counts on it: its initialisation must be visible to the engine.
        Witness witness{{agent, 2, copy.time, pc | Access::Async | Access::Mbarrier}, &clock};
        if (Conflict conflict = block.shared.shadow.peek(copy.mbarrier, 8, witness))
          playing.report(FindingKind::Race, warp, lane, conflict, block.shared);
      }
    }
    if (playing.checking) {
      Witness reader{{agent, 1, copy.time, pc | Access::Async}, &clock};
      if (Conflict conflict = source.buffer->shadow.read(
              source.offset, bytes, reader, playing.checks.races, playing.checks.uninitialised))
        playing.report(FindingKind::Race, warp, lane, conflict, *source.buffer);
      Witness writer{{agent, 2, copy.time, pc | Access::Async}, &clock};
      if (reduction) {
        writer.access.what |= Access::strong(Scope::Gpu);
        // It reads what it replaces.
        if (Conflict conflict = target.buffer->shadow.read(target.offset, bytes, writer, false,
                                                           playing.checks.uninitialised))
          playing.report(FindingKind::Uninitialised, warp, lane, conflict, *target.buffer);
      }
      if (Conflict conflict =
              target.buffer->shadow.write(target.offset, bytes, writer, playing.checks.races))
        playing.report(isStore ? FindingKind::Race : FindingKind::SlotReuse, warp, lane, conflict,
                       *target.buffer);
    }
    if (isStore) {
      uint64_t thread = uint64_t(block.index) << 16 | warp.number << 8 | lane;
      BulkGroups &groups = playing.bulkGroups[thread];
      groups.stores.push_back({groups.open, copy.slot, copy.time});
    }
    playing.launchCopy(std::move(copy));
  });
  warp.passTime();
  if (playing.launch.profile && !failed)
    countAccess(warp, op, mask, sizes[firstLane(mask)]);
  return failed ? Step::Switch : Step::Next;
}

Step bulkCommit(Warp &warp, const Op &, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) {
    ++warp.playing.bulkGroups[uint64_t(warp.block.index) << 16 | warp.number << 8 | lane].open;
  });
  return Step::Next;
}

Step bulkWait(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) {
    warp.playing.finishStores(warp, lane, uint32_t(op.value), op.mode);
  });
  return Step::Next;
}

Step nothing(Warp &, const Op &, uint32_t) { return Step::Next; }

bool decodeBulk(Decoder &decoder, Reduction reduction) {
  Op &op = decoder.op;
  if (decoder.has("tensor"))
    return decoder.fail("tensor maps are not supported");
  if (decoder.has("multicast::cluster"))
    return decoder.fail("clusters of more than one block are not supported");
  if (decoder.accept("commit_group"))
    return decoder.expectOperands(0) && decoder.run(bulkCommit);
  if (decoder.accept("wait_group")) {
    op.mode = decoder.accept("read");
    return decoder.expectOperands(1) && decoder.immediate(0, op.value) && decoder.run(bulkWait);
  }
  if (decoder.accept("prefetch"))
    return decoder.accept("L2") && decoder.accept("global") && skipCachePolicy(decoder, 2) &&
           decoder.address(0, Space::Global) && decoder.use(1, Type::U32, op.s[2]) &&
           decoder.run(nothing);
  // The first state space is the target's.
  bool isStore = false, known = false;
  for (std::string_view word : decoder.instruction().words) {
    if (known || (word != "global" && word.substr(0, 6) != "shared"))
      continue;
    isStore = word == "global";
    known = true;
  }
  Space space;
  if (!known || !decoder.takeSpace(space) || !decoder.takeSpace(space))
    return decoder.fail("expected two state spaces");
  if (reduction != Reduction::None) {
    decoder.accept("noftz");
    if (!decoder.takeType(op.type) || !isStore)
      return decoder.unknown();
    Type element = op.type == Type::S64 ? Type::U64 : op.type;
    if (!reductionExists(reduction, element) &&
        !(reduction == Reduction::And || reduction == Reduction::Or || reduction == Reduction::Xor))
      return decoder.fail("this operation does not exist for the type");
    op.mode = packReduction(reduction, op.type);
  }
  if (decoder.has("shared::cta") && decoder.has("shared::cluster"))
    return decoder.unknown();
  if (isStore) {
    op.mode |= StoreMode;
    if (!decoder.accept("bulk_group"))
      return decoder.fail("expected .bulk_group");
    if (!skipCachePolicy(decoder, 3))
      return false;
  } else if (!decoder.accept("mbarrier::complete_tx::bytes") || !skipCachePolicy(decoder, 4)) {
    return decoder.unknown();
  }
  if (!decoder.address(0, isStore ? Space::Global : Space::Shared, 0) ||
      !decoder.address(1, isStore ? Space::Shared : Space::Global, 1) ||
      !decoder.use(2, Type::U32, op.s[2]))
    return false;
  op.space = Space::Shared;
  return (isStore || decoder.address(3, Space::Shared, 3)) && decoder.run(bulkCopy);
}

bool decodeSmall(Decoder &decoder) {
  Op &op = decoder.op;
  if (decoder.accept("commit_group"))
    return decoder.expectOperands(0) && decoder.run(commit);
  if (decoder.accept("wait_all")) {
    op.value = ~uint64_t(0);
    return decoder.expectOperands(0) && decoder.run(waitGroup);
  }
  if (decoder.accept("wait_group"))
    return decoder.expectOperands(1) && decoder.immediate(0, op.value) && decoder.run(waitGroup);
  if (decoder.accept("mbarrier")) {
    if (!decoder.accept("arrive"))
      return false;
    op.mode = decoder.accept("noinc");
    Space space = Space::Generic;
    decoder.takeSpace(space);
    return decoder.accept("b64") && decoder.expectOperands(1) && decoder.address(0, space) &&
           decoder.run(arriveWhenComplete);
  }
  bool cacheAll = decoder.accept("ca");
  if (!cacheAll && !decoder.accept("cg"))
    return decoder.unknown();
  Space space;
  if (!decoder.takeSpace(space) || !decoder.takeSpace(space))
    return decoder.fail("expected two state spaces");
  skipCacheModifiers(decoder);
  bool hint = decoder.accept("L2::cache_hint");
  uint64_t bytes;
  if (!decoder.expectOperands(3, hint ? 5 : 4) || !decoder.immediate(2, bytes))
    return false;
  if (bytes != 16 && (!cacheAll || (bytes != 4 && bytes != 8)))
    return decoder.fail("the size must be 4, 8 or 16, and 16 for .cg");
  op.count = uint8_t(bytes);
  if (!decoder.address(0, Space::Shared, 0) || !decoder.address(1, Space::Global, 1))
    return false;
  size_t extra = decoder.operandCount() - 3 - (hint ? 1 : 0);
  if (extra == 1) {
    const Operand &fourth = decoder.operands()[3];
    bool isPredicate = decoder.isRegister(fourth) && decoder.registerBytes(fourth) == 0;
    bool negated = false;
    if (isPredicate ? !decoder.usePredicate(fourth, op.s[3], negated)
                    : !decoder.use(3, Type::U32, op.s[2]))
      return false;
    op.mode = negated;
  }
  return decoder.run(copy);
}

} // namespace

bool decodeAsyncCopy(Decoder &decoder) {
  Reduction reduction = Reduction::None;
  if (decoder.accept("reduce"))
    for (std::string_view word : decoder.instruction().words)
      if (reduction == Reduction::None && reductionNamed(word) != Reduction::None &&
          decoder.accept(word))
        reduction = reductionNamed(word);
  if (!decoder.accept("async"))
    return decoder.unknown();
  if (decoder.accept("bulk"))
    return decodeBulk(decoder, reduction);
  return reduction == Reduction::None ? decodeSmall(decoder) : decoder.unknown();
}

} // namespace pianola::ptx
