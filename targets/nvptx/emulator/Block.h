// Block.h - one thread block: its warps, its shared memory, its barriers.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_BLOCK_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_BLOCK_H

#include "targets/nvptx/emulator/Warp.h"

#include <map>

namespace pianola::ptx {

/// One of a block's 16 barriers.
struct NamedBarrier {
  uint32_t arrived = 0;         ///< threads
  uint32_t expected = 0;        ///< 0: all that have not ended
  uint32_t pc = 0;              ///< of the first arrival
  Clock clock;                  ///< what those that came know
  BlockTimes times;             ///< and what they did
  uint32_t votes = 0, ayes = 0; ///< of barrier.red
  struct Waiter {
    Warp *warp;
    uint32_t mask;
    Slot result; ///< of barrier.red, or noSlot
    uint16_t reduction;
  };
  std::vector<Waiter> waiters;
  std::vector<std::pair<Warp *, uint32_t>> arrivals; ///< all that came, waiting or not
};

/// An mbarrier object in shared memory.
struct Mbarrier {
  uint32_t expected = 0; ///< arrivals of a phase
  uint32_t pending = 0;  ///< arrivals that are missing in this phase
  int64_t transactions =
      0;              ///< bytes expected and not yet come; negative: come and not yet expected
  uint64_t phase = 0; ///< the one that is not complete
  uint32_t initialisedBy = 0; ///< op
  Clock gathering;            ///< what this phase's arrivals know
  BlockTimes gatheringTimes;  ///< and what they did
  Clock released;             ///< what the phases before released
  /// Threads that have asked for a phase in vain.
  struct Waiting {
    uint32_t warp, lanes;
    uint64_t phase;
  };
  std::vector<Waiting> waiting;
};

/// In Group::waitsFor: the barrier of the cluster, which is this block alone.
constexpr uint32_t clusterBarrier = 16;

struct ClusterBarrier {
  uint32_t arrived = 0;
  uint64_t phase = 0;               ///< those that are complete
  std::vector<uint64_t> arrivedFor; ///< by thread: the phase; 0: not arrived since it waited
  Clock gathering, released;
};

struct Block {
  Block(Playing &playing, uint32_t index, Dim3 id, uint32_t sm);

  Playing &playing;
  uint32_t index;
  Dim3 id;
  uint32_t sm;
  Buffer shared;
  std::vector<std::unique_ptr<Warp>> warps;
  uint32_t aliveThreads = 0;
  std::array<NamedBarrier, 16> barriers;
  ClusterBarrier cluster;
  std::map<uint32_t, Mbarrier> mbarriers; ///< by offset in shared memory

  /// Who issued the bulk copy that has, or last had, each slot.
  struct BulkOwner {
    uint32_t warp, lane, pc;
  };
  std::vector<BulkOwner> bulkOwners;
  std::vector<uint32_t> bulkTimes;
  std::vector<uint32_t> freeBulkSlots;

  /// A completed barrier lets its waiters go on.
  void checkBarrier(uint32_t number);
  void checkCluster();
  void threadsEnded(uint32_t count);
};

} // namespace pianola::ptx

#endif
