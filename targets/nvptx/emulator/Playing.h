// Playing.h - one launch under way: which warp runs when, what copies are in flight, what went
// wrong.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_PLAYING_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_PLAYING_H

#include "targets/nvptx/emulator/Block.h"
#include "targets/nvptx/emulator/DeviceState.h"
#include "targets/nvptx/emulator/Emulator.h"

#include <chrono>
#include <set>

namespace pianola::ptx {

/// splitmix64: small, and any seed is a good one.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  /// In [0, bound).
  uint32_t below(uint32_t bound) { return uint32_t((next() >> 32) * bound >> 32); }
  bool oneIn(uint32_t chances) { return below(chances) == 0; }

private:
  uint64_t state;
};

/// What strong writes leave at their place for those that acquire it: apart for those that their
/// scopes reach.
struct Publication {
  Clock everywhere;                 ///< released to the whole device
  std::map<uint32_t, Clock> inside; ///< by block: what it released to itself at least
  uint64_t writer = 0;              ///< the thread that released last
};

/// A copy of the bulk engine, or another event that comes by itself at some time.
struct InFlight {
  enum class Kind : uint8_t { BulkLoad, BulkStore, CopyArrive } kind;
  Block *block;
  Warp *warp;
  uint32_t lane = 0, slot = 0, time = 0;
  Buffer *source = nullptr, *target = nullptr;
  uint64_t sourceOffset = 0, targetOffset = 0;
  uint32_t bytes = 0;
  uint32_t mbarrier = 0;
  uint32_t pc = 0;
  uint16_t reduction = 0;
  bool expectsArrival = false; ///< CopyArrive without .noinc
  bool sourceIsFree = false;   ///< a thread waited until the source was read
  std::vector<uint8_t> early;  ///< the source's bytes, where they were read at once
};

/// The bulk groups of one thread.
struct BulkGroups {
  struct Store {
    uint32_t group, slot, time;
    bool done = false; ///< waited for
  };
  uint32_t open = 0; ///< number of the group that is being filled
  std::vector<Store> stores;
};

class Playing {
public:
  Playing(DeviceState &device, const Kernel &kernel, const Launch &launch,
          std::vector<uint8_t> parameters);
  ~Playing();

  Played run();

  // What handlers use.
  void report(FindingKind kind, Warp &warp, uint32_t lane, const std::string &message,
              const std::string &address = "", const Access *other = nullptr);
  /// The same for an instruction that the warp executed earlier.
  void reportAt(uint32_t pc, FindingKind kind, Warp &warp, uint32_t lane,
                const std::string &message, const std::string &address = "",
                const Access *other = nullptr);
  void report(FindingKind kind, Warp &warp, uint32_t lane, const Conflict &conflict,
              const Buffer &buffer);
  /// The launch ends after the running instruction.
  void stop() { stopped = true; }
  bool isStopped() const { return stopped; }
  /// Something changed that a waiting thread may be waiting for.
  void progress() { lastProgress = instructions, idleRounds = 0, hostPolled = false; }
  /// Memory of the host was read: it may be the host that one waits for.
  void readHost() {
    if (!hostPolled)
      hostPolled = true, hostPolledSince = std::chrono::steady_clock::now();
  }
  void wake(Warp &warp, Group &group);
  void makeRunnable(Warp &warp);
  /// The running group waits for nothing that wakes it: it is tried again now and then.
  void doze(Warp &warp, Group::State state);
  /// Notes what the running group read at an address; true if it has read just that many times, and
  /// may doze.
  bool polls(Warp &warp, uint64_t address, uint64_t value);
  uint64_t now() const { return clockBase + instructions; }

  Place placeOf(const Access &access) const;
  Place placeOf(const Warp &warp, uint32_t lane, uint32_t pc) const;

  /// A strong read at (buffer, offset) learns what was released there, at once or at the lane's
  /// next fence.
  void acquire(Warp &warp, uint32_t lane, const Op &op, const Buffer &buffer, uint64_t offset);
  /// A strong write at (buffer, offset) releases what the lane knows and did, up to now or to its
  /// last fence. An update, which reads too, hands on what was released there before.
  void release(Warp &warp, uint32_t lane, const Op &op, const Buffer &buffer, uint64_t offset,
               bool isUpdate);
  void fence(Warp &warp, uint32_t mask, Order order, Scope scope);

  void launchCopy(InFlight copy);
  /// All cp.async copies of these lanes, each up to its time, are done.
  void finishCopies(Warp &warp, uint32_t mask, const std::array<uint32_t, 32> &times);
  /// cp.async.bulk.wait_group: all but the last `keep` groups of the lane are complete, or have
  /// read their source.
  void finishStores(Warp &warp, uint32_t lane, uint32_t keep, bool readsOnly);
  /// What arrives has been added to what the mbarrier gathers.
  void arrive(Block &block, uint32_t offset, Mbarrier &barrier, uint32_t count);
  void completePhases(Block &block, uint32_t offset, Mbarrier &barrier);

  DeviceState &device;
  const Kernel &kernel;
  const Code &code;
  const Launch &launch;
  Checks checks;
  bool checking; ///< races or uninitialised reads
  std::vector<uint8_t> parameters;
  Random random;
  Played played;
  uint64_t instructions = 0;                 ///< of warps
  std::map<uint64_t, BulkGroups> bulkGroups; ///< by thread
  std::vector<Extent> sharedExtents;         ///< of a block's shared memory
  uint64_t gridWorkspace = 0; ///< of a cooperative launch: see Cooperative in DeviceState.h

private:
  void startBlocks();
  void startBlock(uint32_t index, uint32_t sm);
  void removeBlock(Block &block);
  void runWarp(Warp &warp, uint32_t quantum);
  template <bool Profiling> void runGroup(Warp &warp, uint32_t quantum);
  bool chooseGroup(Warp &warp);
  uint32_t drawQuantum();
  void land(size_t index);
  void landSome();
  bool passIdleTime();
  void wakeAll();
  bool waitForHost();
  uint64_t hashWaiting() const;
  void wakeDozing(size_t index);
  void reportDeadlock(FindingKind kind);
  std::string waitGraph() const;

  std::map<uint32_t, std::unique_ptr<Block>> blocks; ///< resident ones
  std::vector<uint32_t> waitingBlocks;               ///< indices, in the order in which they start
  std::vector<uint32_t> freeSms;
  std::vector<Warp *> runnable;
  std::vector<Warp *> dozing; ///< have groups that poll or sleep
  std::vector<InFlight> inFlight;
  std::map<std::pair<const Buffer *, uint64_t>, Publication> publications;
  std::set<std::tuple<FindingKind, uint32_t, uint32_t>> reported;
  bool stopped = false;
  uint64_t lastProgress = 0, clockBase = 0;
  bool hostPolled = false; ///< since the last progress
  std::chrono::steady_clock::time_point hostPolledSince;
  uint32_t idleRounds = 0;
  uint64_t idleHash = 0;
  uint32_t style = 0; ///< how quanta are drawn
};

} // namespace pianola::ptx

#endif
