// Warp.h - 32 lanes: their registers, where each of them stands, and what each of them knows.
//
// Lanes that stand at the same instruction are a group and execute together. A branch splits a
// group; groups that meet at an instruction become one again. Groups of a warp are scheduled
// independently of each other, so a lane may wait for another one of its own warp.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_WARP_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_WARP_H

#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Memory.h"

#include <array>
#include <memory>
#include <vector>

namespace pianola::ptx {

struct Block;
class Playing;

constexpr uint32_t lanesFrom(uint32_t lane) { return ~0u << lane; }
inline uint32_t firstLane(uint32_t mask) { return uint32_t(__builtin_ctz(mask)); }

/// Calls f(lane) for each lane of the mask, lowest first.
template <typename F> inline void forLanes(uint32_t mask, F f) {
  for (; mask; mask &= mask - 1)
    f(firstLane(mask));
}

struct Group {
  enum class State : uint8_t {
    Ready,
    Converging, ///< waits for other lanes of the warp at this instruction
    Barrier,    ///< waits at barrier `waitsFor` of the block
    Mbarrier,   ///< waits for phase `phase` of the mbarrier at `waitsFor`
    Polling,    ///< reads the same value again and again
    Asleep,     ///< nanosleep, until the time `phase`
  };
  uint32_t mask = 0, pc = 0;
  State state = State::Ready;
  uint32_t needs = 0;    ///< Converging: lanes that must come
  uint64_t waitsFor = 0; ///< a barrier's number, or an address
  uint64_t phase = 0;
  bool timedOut = false; ///< a wait ended without what was waited for
  // Detection of loops that only wait.
  uint32_t pollPc = ~0u, polls = 0;
  uint64_t polled = 0;
};

struct Warp {
  Warp(Playing &playing, Block &block, uint32_t number, uint32_t lanes);

  // What handlers read and write.
  template <typename T> const T *in(Slot slot) const {
    return reinterpret_cast<const T *>(slot >= 0 ? registers.get() + slot : constants + ~slot);
  }
  template <typename T> T *out(Slot slot) { return reinterpret_cast<T *>(registers.get() + slot); }
  uint32_t predicate(Slot slot) const { return *in<uint32_t>(slot); }
  void setPredicate(Slot slot, uint32_t mask, uint32_t lanes) {
    uint32_t &word = *out<uint32_t>(slot);
    word = (word & ~mask) | (lanes & mask);
  }
  uint8_t *localOf(uint32_t lane) { return local.get() + size_t(lane) * localBytes; }
  void copyLocal(uint32_t lane, uint32_t to, uint32_t from, uint32_t bytes);

  // Groups.
  Group &current() { return groups[running]; }
  /// The lanes of `mask` leave the running group for `pc`; they are a group of their own, or join
  /// one that waits for nothing there. The running group keeps at least one lane.
  void branchOff(uint32_t mask, uint32_t pc);
  /// For an instruction that needs the lanes `needs` at once: true once the running group has them
  /// all. Otherwise the group waits for them, and the handler must return Step::Switch.
  bool gather(uint32_t needs);
  /// The same for an `.aligned` instruction: needs all lanes of the warp.
  bool gatherAll();
  /// Ends lanes of the running group.
  void exitLanes(uint32_t mask);
  void mergeGroups();
  /// Lanes that have not ended.
  uint32_t alive() const { return aliveMask; }

  // Knowledge.
  Agent agent() const;
  const Clock &clockOf(uint32_t lane) const { return diverged ? (*diverged)[lane] : common; }
  /// What these lanes hand over when they release: all that they know, and all that they did. The
  /// caller lets time pass afterwards.
  Clock publish(uint32_t mask) const;
  /// The two halves of that: what the lanes did, and what they know.
  void addTimes(uint32_t mask, BlockTimes &times) const;
  void joinClocks(uint32_t mask, Clock &clock) const;
  void passTime() { ++time; }
  void learn(uint32_t mask, const Clock &clock);
  /// fence.proxy.async: what the lanes know and did becomes visible to the asynchronous proxy.
  void fenceProxy(uint32_t mask);
  /// Lanes synchronise with each other: a bar.warp.sync, or part of a wider barrier.
  void synchroniseLanes(uint32_t mask);
  void setClock(const Clock &clock);

  Playing &playing;
  Block &block;
  uint32_t number;
  uint32_t existing; ///< lanes that the block's size gives the warp
  uint32_t aliveMask;
  std::unique_ptr<uint8_t[]> registers;
  const uint8_t *constants;
  std::unique_ptr<uint8_t[]> local;
  std::vector<bool> localWritten; ///< of each local byte of each lane
  uint32_t localBytes;
  std::vector<Group> groups;
  uint32_t running = 0;
  int64_t inRunnable = -1; ///< index in the scheduler's list

  /// The witness of an access by this warp, for whose lane it is asked next.
  Witness witness(uint32_t what) const {
    Witness out;
    out.access = {agent(), 0, time, what};
    out.thread = agent();
    out.convergedTime = convergedTime;
    out.clock = &common;
    return out;
  }
  void turnTo(Witness &witness, uint32_t lane) const {
    witness.access.lanes = 1u << lane;
    witness.copiesDone = copiesDone[lane];
    if (diverged)
      witness.clock = &(*diverged)[lane], witness.familiar = Witness::nobody;
  }

  uint32_t time = 1;
  /// All lanes know each other's accesses up to this time, though their clocks do not say so.
  uint32_t convergedTime = 0;
  Clock common; ///< what all lanes know, where diverged is null
  /// What these lanes learnt last: who polls learns the same again and again.
  Clock lastLearnt;
  uint32_t lastLearners = 0;
  std::unique_ptr<std::array<Clock, 32>> diverged;
  /// What reaches the own block, and what reaches all.
  struct Reach {
    Clock inside, everywhere;
  };
  /// For release patterns of a fence and a relaxed store: what was known at each lane's last fence,
  /// and at its last one of a scope that reaches all.
  std::unique_ptr<std::array<Reach, 32>> fences;
  /// fence.mbarrier_init: what a relaxed arrival at the cluster's barrier hands over nevertheless.
  std::unique_ptr<std::array<Clock, 32>> initialised;
  /// For acquire patterns of a relaxed load and a fence: what was read since.
  std::unique_ptr<std::array<Reach, 32>> pending;

  // cp.async: groups of copies of each lane, by the time of the copy agent.
  struct PendingCopy {
    uint32_t lane, time;
    uint64_t target; ///< in the block's shared memory
    Buffer *source;
    uint64_t offset;
    uint8_t bytes, read;
  };
  std::vector<PendingCopy> copies;
  std::array<uint32_t, 32> copyTime{}; ///< of what was committed, or arrives on an mbarrier
  std::array<std::vector<uint32_t>, 32> committed; ///< of each lane: the times of its groups
  std::array<uint32_t, 32> copiesDone{};           ///< all up to this time are complete
  bool copiesUsed = false;
  /// wgmma: products whose operands in shared memory may still be read.
  struct Product {
    uint32_t group, slot, time;
  };
  std::vector<Product> products;
  uint32_t productGroup = 0;            ///< the one that is being filled
  std::array<uint32_t, 32> stackUsed{}; ///< bytes that alloca gave to each lane
};

} // namespace pianola::ptx

#endif
