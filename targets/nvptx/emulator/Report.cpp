// What went wrong, said once for each pair of instructions; and who waits for whom where nothing
// goes on.
#include "targets/nvptx/emulator/Playing.h"

#include <algorithm>
#include <map>

namespace pianola::ptx {

namespace {

constexpr size_t longestWaitGraph = 200; ///< lines

std::string hexadecimal(uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

} // namespace

Place Playing::placeOf(const Warp &warp, uint32_t lane, uint32_t pc) const {
  const Dim3 &size = launch.block;
  uint32_t thread = warp.number * warpSize + lane;
  return {code.source[pc]->line,
          warp.block.id,
          {thread % size.x, thread / size.x % size.y, thread / size.x / size.y},
          false};
}

Place Playing::placeOf(const Access &access) const {
  uint32_t index = blockOf(access.agent), number = numberOf(access.agent),
           lane = firstLane(access.lanes);
  Place place;
  place.line = code.source[access.what & Access::InstructionMask]->line;
  place.block = {index % launch.grid.x, index / launch.grid.x % launch.grid.y,
                 index / launch.grid.x / launch.grid.y};
  if (number >= 64) {
    // The block may have ended, and its copies with it.
    auto found = blocks.find(index);
    place.asynchronous = true;
    if (found == blocks.end() || number - 64 >= found->second->bulkOwners.size())
      return place;
    number -= 64;
    lane = found->second->bulkOwners[number].lane;
    number = found->second->bulkOwners[number].warp;
  } else if (number >= 32) {
    place.asynchronous = true;
    number -= 32;
  }
  uint32_t thread = number * warpSize + lane;
  const Dim3 &size = launch.block;
  place.thread = {thread % size.x, thread / size.x % size.y, thread / size.x / size.y};
  return place;
}

void Playing::report(FindingKind kind, Warp &warp, uint32_t lane, const std::string &message,
                     const std::string &address, const Access *other) {
  reportAt(warp.groups.empty() ? 0 : warp.current().pc, kind, warp, lane, message, address, other);
}

void Playing::reportAt(uint32_t pc, FindingKind kind, Warp &warp, uint32_t lane,
                       const std::string &message, const std::string &address,
                       const Access *other) {
  uint32_t otherPc = other ? other->what & Access::InstructionMask : ~0u;
  if (!reported.insert({kind, pc, otherPc}).second)
    return;
  Finding finding;
  finding.kind = kind;
  finding.place = placeOf(warp, lane, pc);
  finding.file = kernel.module->name();
  finding.instruction = code.source[pc]->text;
  finding.address = address;
  finding.message = message;
  if (other) {
    finding.other = placeOf(*other);
    finding.otherInstruction = code.source[otherPc]->text;
  }
  played.findings.push_back(std::move(finding));
  if (played.findings.size() >= launch.maxFindings)
    stop();
}

void Playing::report(FindingKind kind, Warp &warp, uint32_t lane, const Conflict &conflict,
                     const Buffer &buffer) {
  const char *message = "nothing orders this access and another one to the same bytes";
  const Access *other = &conflict.other;
  switch (conflict.kind) {
  case Conflict::Kind::None:
    return;
  case Conflict::Kind::Race:
    if (kind == FindingKind::SlotReuse)
      message = "the copy overwrites bytes that a reader may still be reading";
    break;
  case Conflict::Kind::Proxy:
    kind = FindingKind::ProxyRace;
    message = "no fence.proxy.async stands between the ordinary write of these bytes and the copy "
              "engine's access";
    break;
  case Conflict::Kind::Stale:
    kind = FindingKind::StaleRead;
    message = "bytes that are read through .nc are written by the same launch";
    break;
  case Conflict::Kind::Uninitialised:
    kind = FindingKind::Uninitialised;
    message = "a read of memory that nothing wrote";
    other = nullptr;
    break;
  case Conflict::Kind::Mbarrier:
    kind = FindingKind::MbarrierMisuse;
    message = "an ordinary access to the bytes of an mbarrier";
    break;
  }
  report(kind, warp, lane, message, describe(buffer, conflict.offset), other);
}

std::string Playing::waitGraph() const {
  // Groups that wait for the same at the same place are one line.
  std::map<std::string, std::pair<uint32_t, std::string>> lines; // what -> threads, of whom
  for (const auto &[index, block] : blocks) {
    for (const auto &warp : block->warps) {
      for (const Group &group : warp->groups) {
        const Instruction &instruction = *code.source[group.pc];
        std::string what = "line " + std::to_string(instruction.line) + " | " +
                           std::string(instruction.text) + ": ";
        switch (group.state) {
        case Group::State::Ready:
          what += "runs";
          break;
        case Group::State::Converging:
          what += "waits for lanes " + hexadecimal(group.needs & ~group.mask) + " of its warp";
          break;
        case Group::State::Barrier: {
          if (group.waitsFor == clusterBarrier) {
            what += "waits for the cluster's barrier, " + std::to_string(block->cluster.arrived) +
                    " of " + std::to_string(block->aliveThreads) + " threads have come";
            break;
          }
          const NamedBarrier &barrier = block->barriers[group.waitsFor];
          what += "waits for barrier " + std::to_string(group.waitsFor) + ", " +
                  std::to_string(barrier.arrived) + " of " +
                  std::to_string(barrier.expected ? barrier.expected : block->aliveThreads) +
                  " threads have come";
          break;
        }
        case Group::State::Mbarrier: {
          what += "waits for phase " + std::to_string(group.phase) + " of the mbarrier at shared+" +
                  std::to_string(group.waitsFor);
          auto found = block->mbarriers.find(uint32_t(group.waitsFor));
          if (found != block->mbarriers.end())
            what += ", whose phase " + std::to_string(found->second.phase) + " lacks " +
                    std::to_string(found->second.pending) + " of " +
                    std::to_string(found->second.expected) + " arrivals and " +
                    std::to_string(found->second.transactions) + " bytes";
          break;
        }
        case Group::State::Polling: {
          const Buffer *buffer = group.waitsFor >> 32 == SharedWindow
                                     ? &block->shared
                                     : device.memory.find(group.waitsFor);
          what += "reads " + hexadecimal(group.polled) + " again and again";
          if (buffer)
            what += " at " + describe(*buffer, group.waitsFor - (buffer == &block->shared
                                                                     ? windowBase(SharedWindow)
                                                                     : buffer->base));
          break;
        }
        case Group::State::Asleep:
          what += "sleeps";
          break;
        }
        Place place = placeOf(*warp, firstLane(group.mask), group.pc);
        auto &[threads, whom] =
            lines["block (" + std::to_string(place.block.x) + "," + std::to_string(place.block.y) +
                  "," + std::to_string(place.block.z) + ") " + what];
        threads += uint32_t(__builtin_popcount(group.mask));
        whom += (whom.empty() ? "" : " ") + std::string("warp ") + std::to_string(warp->number);
      }
    }
  }
  std::string out;
  size_t count = 0;
  for (const auto &[what, who] : lines) {
    if (++count > longestWaitGraph)
      return out + "\n  and " + std::to_string(lines.size() - longestWaitGraph) + " lines more";
    out += "\n  " + what + " (" + std::to_string(who.first) + " threads: " + who.second + ")";
  }
  if (!waitingBlocks.empty())
    out += "\n  " + std::to_string(waitingBlocks.size()) + " blocks wait for one of these to end";
  return out;
}

/// Whether lanes wait at this instruction for others that wait at another one of its kind, or at a
/// barrier.
static bool isDiverged(const Warp &warp, const Group &group) {
  if (group.state != Group::State::Converging)
    return false;
  return std::any_of(warp.groups.begin(), warp.groups.end(), [&](const Group &other) {
    return (other.mask & group.needs & ~group.mask) &&
           (other.state == Group::State::Converging || other.state == Group::State::Barrier);
  });
}

void Playing::reportDeadlock(FindingKind kind) {
  // Named after one that waits: lanes that diverged before any other, because that is never right;
  // then who waits for memory, because others wait for him.
  auto rankOf = [&](const Warp &warp, const Group &group) {
    switch (group.state) {
    case Group::State::Polling:
    case Group::State::Asleep:
      return 5;
    case Group::State::Mbarrier:
      return 4;
    case Group::State::Barrier:
      return 3;
    case Group::State::Converging:
      return isDiverged(warp, group) ? 6 : 2;
    case Group::State::Ready:
      break;
    }
    return 1;
  };
  Warp *culprit = nullptr;
  int best = 0;
  for (auto &[index, block] : blocks)
    for (auto &warp : block->warps)
      for (uint32_t i = 0; i < warp->groups.size(); ++i)
        if (int rank = rankOf(*warp, warp->groups[i]); rank > best)
          best = rank, culprit = warp.get(), warp->running = i;
  if (!culprit)
    return stop();
  bool diverged = best == 6;
  const char *message =
      diverged ? "lanes wait at an instruction that others of their warp do not reach"
      : kind == FindingKind::Deadlock ? "no thread can go on"
                                      : "nothing has changed for a long time, though threads run";
  report(diverged ? FindingKind::BarrierDivergence : kind, *culprit,
         firstLane(culprit->current().mask), message + waitGraph());
  stop();
}

} // namespace pianola::ptx
