// The scheduler: blocks come and go, warps run in a random order, and where none can run, why not.
#include "targets/nvptx/emulator/Playing.h"

#include "targets/nvptx/emulator/Profile.h"

#include <algorithm>
#include <thread>

namespace pianola::ptx {

namespace {

constexpr uint32_t mostIdleRounds = 64;
/// Reads of the same value, at the same instruction, before a group counts as one that only waits.
constexpr uint32_t pollsToSleep = 12;
/// Warp instructions without progress before threads that ask the host sleep between their reads.
constexpr uint64_t stillToSleep = 200'000;
constexpr uint32_t hostNap = 50; ///< microseconds
/// Registers, local and shared memory of the blocks that run at the same time.
constexpr uint64_t mostResidentBytes = uint64_t(2) << 30;

} // namespace

Playing::Playing(DeviceState &device, const Kernel &kernel, const Launch &launch,
                 std::vector<uint8_t> parameters)
    : device(device), kernel(kernel), code(kernel.code), launch(launch), checks(launch.checks),
      checking(checks.races || checks.uninitialised), parameters(std::move(parameters)),
      random(launch.seed * 0x2545f4914f6cdd1d + 17) {
  style = random.below(4);
  sharedExtents = kernel.shared;
  if (launch.dynamicShared)
    sharedExtents.push_back(
        {kernel.sharedSpan, uint64_t(kernel.sharedSpan) + launch.dynamicShared, "dynamic"});
}

Playing::~Playing() = default;

Played Playing::run() {
  uint64_t count = launch.grid.count();
  waitingBlocks.resize(count);
  for (uint64_t i = 0; i < count; ++i)
    waitingBlocks[count - 1 - i] = uint32_t(i);
  // Hardware starts blocks roughly in order; nothing may depend on it.
  for (size_t i = count; i > 1; --i)
    if (!random.oneIn(4))
      std::swap(waitingBlocks[i - 1],
                waitingBlocks[i - 1 - random.below(uint32_t(std::min<size_t>(i, 64)))]);
  uint64_t threads = launch.block.count();
  uint64_t sharedEach = uint64_t(kernel.sharedBytes) + launch.dynamicShared + reservedShared;
  auto perSm = uint32_t(
      std::min<uint64_t>({device.row.blocksPerSm, device.row.threadsPerSm / ((threads + 31) & ~31u),
                          device.row.sharedPerSm / sharedEach}));
  perSm = std::max(perSm, 1u);
  // Blocks that need much memory of this machine wait for each other, as if there were fewer SMs.
  uint64_t warpBytes =
      kernel.registerBytes + uint64_t(kernel.localBytes) * (warpSize + warpSize / 8);
  uint64_t blockBytes =
      (threads + 31) / 32 * (warpBytes + sizeof(Warp)) + kernel.sharedSpan + launch.dynamicShared;
  uint64_t resident = std::max<uint64_t>(1, mostResidentBytes / blockBytes);
  if (launch.cooperative)
    resident = ~uint64_t(0);
  for (uint32_t slot = perSm; slot-- > 0;)
    for (uint32_t sm = device.row.sms; sm-- > 0 && freeSms.size() < resident;)
      freeSms.push_back(sm);
  startBlocks();
  while (!stopped && !(blocks.empty() && waitingBlocks.empty())) {
    if (launch.pause)
      launch.pause(0);
    if (!runnable.empty()) {
      Warp &warp = *runnable[random.below(uint32_t(runnable.size()))];
      uint32_t quantum = drawQuantum();
      if (launch.budget)
        quantum = uint32_t(std::min<uint64_t>(quantum, launch.budget - instructions));
      runWarp(warp, quantum);
      landSome();
      if (!dozing.empty() && random.oneIn(4))
        wakeDozing(random.below(uint32_t(dozing.size())));
      // Many warps that compute for long before the first of them stores need more patience.
      uint64_t patience = launch.patience * (1 + runnable.size() / 64);
      if (instructions - lastProgress > (hostPolled ? stillToSleep : patience) && !waitForHost())
        reportDeadlock(FindingKind::Livelock);
      if (launch.budget && instructions >= launch.budget && !stopped && !blocks.empty()) {
        Warp &any = runnable.empty() ? *blocks.begin()->second->warps.front() : *runnable.front();
        report(FindingKind::Budget, any, 0,
               "stopped after " + std::to_string(instructions) + " warp instructions");
        stop();
      }
    } else if (!inFlight.empty()) {
      land(random.below(uint32_t(inFlight.size())));
    } else if (!passIdleTime()) {
      reportDeadlock(FindingKind::Deadlock);
    }
  }
  played.warpInstructions = instructions;
  played.stopped = stopped;
  return std::move(played);
}

void Playing::startBlocks() {
  while (!waitingBlocks.empty() && !freeSms.empty()) {
    startBlock(waitingBlocks.back(), freeSms.back());
    waitingBlocks.pop_back();
    freeSms.pop_back();
  }
}

void Playing::startBlock(uint32_t index, uint32_t sm) {
  const Dim3 &grid = launch.grid;
  Dim3 id{index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y};
  auto block = std::make_unique<Block>(*this, index, id, sm);
  for (auto &warp : block->warps)
    makeRunnable(*warp);
  blocks[index] = std::move(block);
}

void Playing::removeBlock(Block &block) {
  for (size_t i = inFlight.size(); i-- > 0;) {
    const InFlight &copy = inFlight[i];
    if (copy.block != &block)
      continue;
    if (copy.sourceIsFree) { // it goes on without the block
      land(i);
      continue;
    }
    reportAt(copy.pc, FindingKind::AsyncMisuse, *copy.warp, copy.lane,
             "the block ended while this copy, which uses its shared memory, was in flight");
    stop();
    return;
  }
  // The next block's shared memory may lie at the same place.
  publications.erase(publications.lower_bound({&block.shared, 0}),
                     publications.upper_bound({&block.shared, UINT64_MAX}));
  freeSms.push_back(block.sm);
  std::swap(freeSms.back(), freeSms[random.below(uint32_t(freeSms.size()))]);
  blocks.erase(block.index);
  progress();
  startBlocks();
}

void Playing::makeRunnable(Warp &warp) {
  if (warp.inRunnable >= 0)
    return;
  warp.inRunnable = int64_t(runnable.size());
  runnable.push_back(&warp);
}

void Playing::wake(Warp &warp, Group &group) {
  group.state = Group::State::Ready;
  group.polls = 0;
  makeRunnable(warp);
}

/// Short quanta find races of timing, long ones starve others; a seed draws its own mixture.
uint32_t Playing::drawQuantum() {
  switch (style) {
  case 0:
    return 1 + random.below(8);
  case 1:
    return 1 + random.below(64);
  case 2:
    return random.oneIn(8) ? 1 + random.below(2000) : 1 + random.below(100);
  default:
    return 1 + random.below(1000);
  }
}

/// Lower code first: so lanes that are behind catch up, and groups meet where branches join. Now
/// and then another one, because nothing may depend on it, and a lane may wait for one that is
/// behind it.
bool Playing::chooseGroup(Warp &warp) {
  if (warp.groups.size() > 1)
    warp.mergeGroups();
  uint32_t best = ~0u, ready = 0;
  for (uint32_t i = 0; i < warp.groups.size(); ++i) {
    if (warp.groups[i].state != Group::State::Ready)
      continue;
    ++ready;
    if (best == ~0u || warp.groups[i].pc < warp.groups[best].pc || random.oneIn(16))
      best = i;
  }
  warp.running = best == ~0u ? 0 : best;
  return ready;
}

void Playing::runWarp(Warp &warp, uint32_t quantum) {
  uint64_t end = instructions + quantum;
  while (instructions < end && !stopped) {
    if (!chooseGroup(warp)) {
      // Not runnable any more: it ended, or every group waits.
      Warp *last = runnable.back();
      runnable[size_t(warp.inRunnable)] = last;
      last->inRunnable = warp.inRunnable;
      runnable.pop_back();
      warp.inRunnable = -1;
      const auto &warps = warp.block.warps;
      if (!warp.block.aliveThreads &&
          std::none_of(warps.begin(), warps.end(),
                       [](const auto &each) { return each->inRunnable >= 0; }))
        removeBlock(warp.block);
      return;
    }
    // With several groups, look for meetings often.
    auto part = uint32_t(end - instructions);
    if (warp.groups.size() > 1)
      part = std::min(part, 16u);
    if (launch.profile)
      runGroup<true>(warp, part);
    else
      runGroup<false>(warp, part);
  }
}

template <bool Profiling> void Playing::runGroup(Warp &warp, uint32_t quantum) {
  Group *group = &warp.current();
  const Op *ops = code.ops.data();
  uint64_t threads = 0;
  // Groups that stand further on wait there for this one.
  uint32_t meeting = ~0u;
  if (warp.groups.size() > 1)
    for (const Group &each : warp.groups)
      if (&each != group && each.state == Group::State::Ready && each.pc > group->pc)
        meeting = std::min(meeting, each.pc);
  uint32_t pc = group->pc, all = group->mask;
  auto lanes = uint32_t(__builtin_popcount(all));
  uint32_t left = quantum;
  for (;;) {
    const Op &op = ops[pc];
    --left;
    threads += lanes;
    uint32_t mask = all;
    if (op.guard != noSlot) {
      uint32_t taken = warp.predicate(op.guard);
      mask &= op.guardNegated ? ~taken : taken;
      if (!mask) {
        group->pc = ++pc;
        if (!left || pc == meeting)
          break;
        continue;
      }
      if (op.splits && mask != all) {
        group->pc = pc;
        warp.branchOff(all & ~mask, pc + 1);
        group = &warp.current();
        all = mask, lanes = uint32_t(__builtin_popcount(all));
      }
    }
    if constexpr (Profiling)
      launch.profile->count(pc, mask);
    Step step = op.run(warp, op, mask);
    if (step == Step::Next) {
      if (op.splits) { // other lanes may have come
        group = &warp.current();
        all = group->mask, lanes = uint32_t(__builtin_popcount(all));
      }
      group->pc = ++pc;
    } else if (step == Step::Jumped) {
      pc = group->pc;
    } else {
      break;
    }
    if (!left || pc == meeting || stopped)
      break;
  }
  instructions += quantum - left;
  played.threadInstructions += threads;
}

/// Where all stand who poll, sleep or wait for an mbarrier, and their registers: a loop that counts
/// how often a wait has given up is not stuck yet.
uint64_t Playing::hashWaiting() const {
  uint64_t hash = 0;
  auto add = [&](const Warp &warp) {
    // Warps in any order; the words of one in theirs.
    uint64_t own = reinterpret_cast<uintptr_t>(&warp);
    for (const Group &group : warp.groups)
      own = (own ^ group.pc) * 0x9e3779b97f4a7c15u;
    const auto *words = reinterpret_cast<const uint32_t *>(warp.registers.get());
    for (uint32_t i = 0; i < kernel.registerBytes / 4; ++i)
      own = (own ^ words[i]) * 0x9e3779b97f4a7c15u, own ^= own >> 29;
    hash += own;
  };
  for (const Warp *warp : dozing)
    add(*warp);
  for (const auto &[index, block] : blocks)
    for (const auto &warp : block->warps)
      if (std::any_of(warp->groups.begin(), warp->groups.end(),
                      [](const Group &group) { return group.state == Group::State::Mbarrier; }))
        add(*warp);
  return hash;
}

/// No warp can run, no copy is in flight: let time pass, so that sleepers, timeouts and watchdogs
/// end. Each round is twice as long as the one before. False once that has been tried long enough
/// and nothing changed.
bool Playing::passIdleTime() {
  if (hostPolled) {
    if (!waitForHost())
      return false;
    wakeAll();
    return !runnable.empty();
  }
  if (++idleRounds > mostIdleRounds) {
    // A loop may read or sleep a thousand times and count: then its registers change.
    uint64_t hash = hashWaiting();
    if (hash == idleHash || instructions - lastProgress > launch.patience)
      return false;
    idleHash = hash;
    idleRounds = mostIdleRounds / 2;
  }
  clockBase += uint64_t(1000) << std::min(idleRounds, 30u);
  wakeAll();
  return !runnable.empty();
}

/// Sleeps, because the host may be about to write what is polled. False once the host had enough
/// time, or where nobody asks the host.
bool Playing::waitForHost() {
  using namespace std::chrono;
  auto begin = steady_clock::now();
  if (!hostPolled || duration<double>(begin - hostPolledSince).count() > launch.hostPatience)
    return false;
  if (launch.pause)
    launch.pause(hostNap);
  else
    std::this_thread::sleep_for(microseconds(hostNap));
  clockBase += uint64_t(duration_cast<nanoseconds>(steady_clock::now() - begin).count());
  return true;
}

void Playing::wakeAll() {
  while (!dozing.empty())
    wakeDozing(dozing.size() - 1);
  for (auto &[index, block] : blocks) {
    for (auto &warp : block->warps) {
      for (Group &group : warp->groups) {
        if (group.state != Group::State::Mbarrier)
          continue;
        group.timedOut = true;
        wake(*warp, group);
      }
    }
  }
}

void Playing::doze(Warp &warp, Group::State state) {
  warp.current().state = state;
  if (std::find(dozing.begin(), dozing.end(), &warp) == dozing.end())
    dozing.push_back(&warp);
}

void Playing::wakeDozing(size_t index) {
  Warp &warp = *dozing[index];
  dozing[index] = dozing.back();
  dozing.pop_back();
  for (Group &group : warp.groups) {
    if (group.state != Group::State::Polling && group.state != Group::State::Asleep)
      continue;
    wake(warp, group);
    group.polls = pollsToSleep - 2; // falls asleep again soon if nothing has changed
  }
}

bool Playing::polls(Warp &warp, uint64_t address, uint64_t value) {
  Group &group = warp.current();
  if (group.pollPc != group.pc || group.polled != value) {
    group.pollPc = group.pc, group.polled = value, group.polls = 0;
    return false;
  }
  group.waitsFor = address;
  return ++group.polls >= pollsToSleep;
}

} // namespace pianola::ptx
