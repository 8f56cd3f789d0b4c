// Knowledge.h - what a thread knows to have happened: vector clocks, compressed along the shape of
// a grid.
//
// Who makes an access is an *agent* and a lane of it. A block has agents for its warps (lanes are
// threads), one more for each warp's cp.async copies (lanes are threads again), and one for each
// bulk copy in flight (lane 0 reads its source, lane 1 writes its target). An agent's time grows
// with each release that one of its lanes makes. An access (agent, lanes, time) happened before a
// thread's next step exactly if the thread's knowledge covers it.
//
// A vector clock over all lanes of a grid would be gigabytes. But threads of a warp mostly know the
// same, blocks learn of each other through few threads, and a barrier makes whole blocks equal. So
// knowledge is a sorted list of blocks; for each block a time per agent, which holds for all its
// lanes, and a few exceptions for lanes that are ahead. All of it is immutable and shared; joining
// two equal parts costs a comparison of pointers.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_KNOWLEDGE_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_KNOWLEDGE_H

#include <cstdint>
#include <utility>
#include <vector>

namespace pianola::ptx {

/// A counted reference. A launch runs on one thread, so counts need no atomics.
template <typename T> class Ref {
public:
  Ref() = default;
  explicit Ref(T *fresh) : target(fresh) { retain(); }
  Ref(const Ref &other) : target(other.target) { retain(); }
  Ref(Ref &&other) noexcept : target(std::exchange(other.target, nullptr)) {}
  Ref &operator=(Ref other) noexcept {
    std::swap(target, other.target);
    return *this;
  }
  ~Ref() {
    if (target && --target->references == 0)
      delete target;
  }

  explicit operator bool() const { return target; }
  const T *operator->() const { return target; }
  const T &operator*() const { return *target; }
  const T *get() const { return target; }
  bool operator==(const Ref &other) const { return target == other.target; }
  bool operator!=(const Ref &other) const { return target != other.target; }

private:
  void retain() {
    if (target)
      ++target->references;
  }
  T *target = nullptr;
};

using Agent = uint32_t;
constexpr uint32_t agentBits = 12; ///< of an agent's number inside of its block
constexpr uint32_t mostBlocks = 1u << (32 - agentBits);
constexpr uint32_t mostBulkCopies = (1u << agentBits) - 64;
constexpr Agent warpAgent(uint32_t block, uint32_t warp) { return block << agentBits | warp; }
constexpr Agent copyAgent(uint32_t block, uint32_t warp) { return warpAgent(block, 32 + warp); }
constexpr Agent bulkAgent(uint32_t block, uint32_t slot) { return warpAgent(block, 64 + slot); }
constexpr uint32_t blockOf(Agent agent) { return agent >> agentBits; }
constexpr uint32_t numberOf(Agent agent) { return agent & ((1u << agentBits) - 1); }

/// What is known of one block.
struct BlockTimes {
  /// Lanes of an agent that are known further than the others.
  struct Ahead {
    uint32_t number, lanes, time;
  };
  mutable uint32_t references = 0;
  uint32_t block = 0;
  std::vector<uint32_t> times; ///< by agent number; those beyond are 0
  std::vector<Ahead> ahead;
  uint64_t sum = 0; ///< of the times: what covers another has no smaller one

  bool covers(uint32_t number, uint32_t lanes, uint32_t time) const;
  /// Everything that `other` covers is covered afterwards.
  void add(const BlockTimes &other);
  void add(uint32_t number, uint32_t lanes, uint32_t time);
  bool covers(const BlockTimes &other) const;
};

struct Known {
  mutable uint32_t references = 0;
  std::vector<Ref<BlockTimes>> blocks; ///< sorted by block

  const BlockTimes *find(uint32_t block) const;
};

/// What one thread knows, or what is handed from one to another.
class Knowledge {
public:
  bool covers(Agent agent, uint32_t lanes, uint32_t time) const {
    const BlockTimes *block = known ? known->find(blockOf(agent)) : nullptr;
    return block && block->covers(numberOf(agent), lanes, time);
  }
  /// Until when all lanes of the agent are known.
  uint32_t timeOf(Agent agent) const {
    const BlockTimes *block = known ? known->find(blockOf(agent)) : nullptr;
    return block && numberOf(agent) < block->times.size() ? block->times[numberOf(agent)] : 0;
  }
  void join(const Knowledge &other);
  /// Accesses of these lanes of an agent, up to and including `time`.
  void add(Agent agent, uint32_t lanes, uint32_t time);
  void add(const BlockTimes &times);

  bool empty() const { return !known; }
  bool operator==(const Knowledge &other) const { return known == other.known; }
  bool operator!=(const Knowledge &other) const { return known != other.known; }

private:
  Ref<Known> known;
  /// What was joined last: many threads hand over the same, one after the other.
  Ref<Known> absorbed;
};

/// `seen`: what happened before. `proxied`: what is visible to the asynchronous proxy too, because
/// a fence.proxy.async stood on the way. `fenced`: what happened before a fence.sc of which the
/// thread knows, if only through relaxed accesses; it happened before the thread's own next
/// fence.sc.
struct Clock {
  Knowledge seen, proxied, fenced;

  void join(const Clock &other) {
    seen.join(other.seen);
    proxied.join(other.proxied);
    fenced.join(other.fenced);
  }
  bool empty() const { return seen.empty() && proxied.empty() && fenced.empty(); }
  bool operator==(const Clock &other) const {
    return seen == other.seen && proxied == other.proxied && fenced == other.fenced;
  }
};

} // namespace pianola::ptx

#endif
