// Register allocation: PTX has as many registers as it likes, each written in one place. Those that
// live at the same time get places of their own; the others share, so a warp's register file stays
// in the cache.
//
// A register lives from its first to its last mention, and through every block of instructions into
// which it is live. Lanes that stand at different instructions do not disturb each other, because
// each lane has its own part of every place.
#include "targets/nvptx/emulator/Decoder.h"

#include <algorithm>

namespace pianola::ptx {

namespace {

/// An instruction reads at 2 i and writes at 2 i + 1, or writes at 2 i too where it may do so
/// before it has read.
struct Interval {
  uint32_t begin = ~0u, end = 0;
  void extend(uint32_t at) {
    begin = std::min(begin, at);
    end = std::max(end, at);
  }
};

/// In each of a block's sets, for all blocks.
constexpr size_t mostWords = 1 << 23;

struct BasicBlock {
  uint32_t first, end;
  std::vector<uint32_t> next;
  std::vector<uint64_t> reads, kills, in; ///< bits of registers that matter across blocks
};

class Allocation {
public:
  Allocation(Code &code, uint32_t first, uint32_t end, uint32_t firstRegister, uint32_t endRegister)
      : code(code), first(first), end(end), firstRegister(firstRegister),
        count(endRegister - firstRegister), intervals(count), blockOf(end - first) {}

  void run() {
    findBlocks();
    findCrossing();
    solve();
    measure();
  }
  const std::vector<Interval> &result() const { return intervals; }

  /// Calls f(slot, isWrite) for each register of an op.
  template <typename F> void eachSlot(Op &op, F f) {
    auto visit = [&](Slot &slot, bool write) {
      if (slot != noSlot && slot >= 0)
        f(slot, write);
    };
    visit(op.guard, false);
    for (Slot &slot : op.s)
      visit(slot, false);
    for (uint32_t i = 0; i < op.moreUses; ++i)
      visit(code.slots[op.more + op.moreDefs + i], false);
    for (Slot &slot : op.d)
      visit(slot, true);
    for (uint32_t i = 0; i < op.moreDefs; ++i)
      visit(code.slots[op.more + i], true);
  }

private:
  Code &code;
  uint32_t first, end, firstRegister, count;
  std::vector<Interval> intervals;
  std::vector<uint32_t> blockOf;
  std::vector<BasicBlock> blocks;
  std::vector<int32_t> crossing; ///< of each register: its bit, or -1 where one block has all of it
  uint32_t crossingCount = 0;
  bool livesEverywhere = false; ///< those that cross blocks do: there are too many to look closer

  void findBlocks() {
    std::vector<bool> leader(end - first + 1);
    leader[0] = true;
    auto targets = [&](uint32_t i, auto f) {
      const Op &op = code.ops[i];
      if (op.flow == Flow::Branch)
        f(op.target);
      if (op.flow == Flow::Table)
        for (uint64_t j = 0; j < op.value; ++j)
          f(uint32_t(code.slots[op.more + j]));
    };
    for (uint32_t i = first; i < end; ++i) {
      if (code.ops[i].flow == Flow::Next)
        continue;
      leader[i + 1 - first] = true;
      targets(i, [&](uint32_t target) { leader[target - first] = true; });
    }
    for (uint32_t i = first; i < end; ++i) {
      if (leader[i - first])
        blocks.push_back({i, i, {}, {}, {}, {}});
      blocks.back().end = i + 1;
      blockOf[i - first] = uint32_t(blocks.size() - 1);
    }
    for (BasicBlock &block : blocks) {
      const Op &last = code.ops[block.end - 1];
      bool falls = last.flow == Flow::Next || last.guard != noSlot;
      if (falls && block.end < end)
        block.next.push_back(blockOf[block.end - first]);
      targets(block.end - 1,
              [&](uint32_t target) { block.next.push_back(blockOf[target - first]); });
    }
  }

  void findCrossing() {
    constexpr uint32_t none = ~0u;
    std::vector<uint32_t> home(count, none);
    std::vector<bool> many(count);
    for (uint32_t i = first; i < end; ++i)
      eachSlot(code.ops[i], [&](Slot &slot, bool) {
        uint32_t reg = uint32_t(slot) - firstRegister, block = blockOf[i - first];
        if (home[reg] == none)
          home[reg] = block;
        many[reg] = many[reg] || home[reg] != block;
      });
    // One that is read in its block before it is written there may come around a loop.
    std::vector<bool> written(count);
    for (uint32_t i = first; i < end; ++i) {
      Op &op = code.ops[i];
      eachSlot(op, [&](Slot &slot, bool write) {
        uint32_t reg = uint32_t(slot) - firstRegister;
        if (!write && !written[reg])
          many[reg] = true;
      });
      if (op.guard == noSlot)
        eachSlot(op, [&](Slot &slot, bool write) {
          if (write)
            written[uint32_t(slot) - firstRegister] = true;
        });
    }
    crossing.assign(count, -1);
    for (uint32_t reg = 0; reg < count; ++reg)
      if (many[reg])
        crossing[reg] = int32_t(crossingCount++);
  }

  void solve() {
    size_t words = (crossingCount + 63) / 64;
    if (blocks.size() * words > mostWords) {
      livesEverywhere = true;
      return;
    }
    std::vector<std::vector<uint32_t>> previous(blocks.size());
    for (uint32_t b = 0; b < blocks.size(); ++b) {
      BasicBlock &block = blocks[b];
      block.reads.assign(words, 0), block.kills.assign(words, 0), block.in.assign(words, 0);
      for (uint32_t next : block.next)
        previous[next].push_back(b);
      for (uint32_t i = block.first; i < block.end; ++i)
        eachSlot(code.ops[i], [&](Slot &slot, bool write) {
          int32_t bit = crossing[uint32_t(slot) - firstRegister];
          if (bit < 0)
            return;
          uint64_t mask = uint64_t(1) << (bit & 63);
          if (!write && !(block.kills[size_t(bit) / 64] & mask))
            block.reads[size_t(bit) / 64] |= mask;
          else if (write && code.ops[i].guard == noSlot)
            block.kills[size_t(bit) / 64] |= mask;
        });
    }
    const std::vector<uint32_t> order = successorsFirst();
    std::vector<bool> queued(blocks.size(), true);
    size_t waiting = blocks.size();
    for (size_t i = 0; waiting; i = (i + 1) % order.size()) {
      uint32_t b = order[i];
      if (!queued[b])
        continue;
      queued[b] = false, --waiting;
      BasicBlock &block = blocks[b];
      bool changed = false;
      for (size_t w = 0; w < words; ++w) {
        uint64_t out = 0;
        for (uint32_t next : block.next)
          out |= blocks[next].in[w];
        uint64_t in = block.reads[w] | (out & ~block.kills[w]) | block.in[w];
        changed |= in != block.in[w];
        block.in[w] = in;
      }
      if (changed)
        for (uint32_t each : previous[b])
          if (!queued[each])
            queued[each] = true, ++waiting;
    }
  }

  /// What a block needs is known once its successors are: in this order most need one visit.
  std::vector<uint32_t> successorsFirst() const {
    std::vector<uint32_t> order;
    std::vector<bool> seen(blocks.size());
    std::vector<std::pair<uint32_t, size_t>> path; // block, its next successor
    for (uint32_t root = 0; root < blocks.size(); ++root) {
      if (!seen[root])
        path.emplace_back(root, 0);
      seen[root] = true;
      while (!path.empty()) {
        auto &[block, next] = path.back();
        if (next == blocks[block].next.size()) {
          order.push_back(block);
          path.pop_back();
        } else if (uint32_t to = blocks[block].next[next++]; !seen[to]) {
          seen[to] = true;
          path.emplace_back(to, 0);
        }
      }
    }
    return order;
  }

  void measure() {
    for (uint32_t i = first; i < end; ++i)
      eachSlot(code.ops[i], [&](Slot &slot, bool write) {
        bool late = write && !code.ops[i].earlyClobber;
        intervals[uint32_t(slot) - firstRegister].extend(2 * i + late);
        if (write) // what nothing reads afterwards still needs a place while it is written
          intervals[uint32_t(slot) - firstRegister].extend(2 * i + 1);
      });
    std::vector<uint32_t> registerOf(crossingCount);
    for (uint32_t reg = 0; reg < count; ++reg)
      if (crossing[reg] >= 0) {
        registerOf[size_t(crossing[reg])] = reg;
        if (livesEverywhere)
          intervals[reg].extend(2 * first), intervals[reg].extend(2 * end);
      }
    for (const BasicBlock &block : blocks)
      for (size_t w = 0; w < block.in.size(); ++w) {
        for (uint64_t bits = block.in[w]; bits; bits &= bits - 1) {
          Interval &interval = intervals[registerOf[w * 64 + size_t(__builtin_ctzll(bits))]];
          interval.extend(2 * block.first);
        }
        for (uint32_t next : block.next)
          for (uint64_t bits = blocks[next].in[w]; bits; bits &= bits - 1)
            intervals[registerOf[w * 64 + size_t(__builtin_ctzll(bits))]].extend(2 * block.end - 1);
      }
  }
};

} // namespace

uint32_t allocateRegisters(Code &code, uint32_t first, uint32_t end, uint32_t firstRegister,
                           uint32_t endRegister, const std::vector<uint32_t> &bytes, Slot pinned,
                           uint32_t base) {
  Allocation allocation(code, first, end, firstRegister, endRegister);
  allocation.run();
  const std::vector<Interval> &intervals = allocation.result();
  std::vector<uint32_t> order;
  for (uint32_t reg = 0; reg < intervals.size(); ++reg)
    if (intervals[reg].begin != ~0u)
      order.push_back(reg);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return intervals[a].begin != intervals[b].begin ? intervals[a].begin < intervals[b].begin
                                                    : a < b;
  });
  // Places of different sizes are never exchanged: a result would overwrite operands of other
  // lanes.
  std::vector<Slot> place(intervals.size(), noSlot);
  std::map<uint32_t, std::vector<Slot>> freePlaces;
  std::map<uint32_t, std::vector<std::pair<uint32_t, Slot>>>
      active; ///< end and place, a heap: earliest end first
  auto later = [](const auto &a, const auto &b) { return a.first > b.first; };
  uint32_t top = base;
  for (uint32_t reg : order) {
    uint32_t size = bytes[firstRegister + reg];
    uint32_t width =
        size == 0 ? 64 : std::max(size, 2u) * warpSize; // a predicate has a line of its own
    const Interval &interval = intervals[reg];
    auto &live = active[size];
    auto &available = freePlaces[size];
    while (!live.empty() && live.front().first < interval.begin) {
      available.push_back(live.front().second);
      std::pop_heap(live.begin(), live.end(), later);
      live.pop_back();
    }
    bool isPinned = Slot(firstRegister + reg) == pinned;
    if (available.empty() || isPinned) {
      place[reg] = Slot(top);
      top += width;
    } else {
      place[reg] = available.back();
      available.pop_back();
    }
    live.emplace_back(isPinned ? ~0u : interval.end, place[reg]);
    std::push_heap(live.begin(), live.end(), later);
  }
  for (uint32_t i = first; i < end; ++i)
    allocation.eachSlot(code.ops[i],
                        [&](Slot &slot, bool) { slot = place[uint32_t(slot) - firstRegister]; });
  return top;
}

} // namespace pianola::ptx
