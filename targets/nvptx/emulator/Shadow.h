// Shadow.h - who touched each byte last: the memory of the race detector.
//
// A cell stands for a granule of 16, 8, 4, 2 or 1 bytes and remembers the last write and the reads
// since. Pages of 1 KiB begin without cells, as long as one state describes all of their bytes,
// then have cells of 16 bytes, and are refined when a smaller access comes: so each access covers
// whole cells, the answer is exact for each byte, and the common case (vectors of 16 bytes) costs
// one cell.
//
// The rules are those of FastTrack (Flanagan and Freund, PLDI 2009): a read conflicts with a write
// that it does not know of, a write with any access that it does not know of. Strong accesses
// (atomics, volatile, and those with an order) do not conflict with each other where each is in the
// other's scope. Many threads may read one cell, and many may update it atomically: up to
// `mostListed` of them are remembered, then a random one gives way. So a report is always true;
// what can be missed is one conflict of very many.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_SHADOW_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_SHADOW_H

#include "targets/nvptx/emulator/Knowledge.h"
#include "targets/nvptx/emulator/Types.h"

#include <memory>
#include <vector>

namespace pianola::ptx {

/// One access, as a cell remembers it.
struct Access {
  Agent agent = 0;
  uint32_t lanes = 0; ///< 0: none
  uint32_t time = 0;
  uint32_t what = 0; ///< the instruction's index, and the flags below

  enum : uint32_t {
    InstructionMask = (1u << 24) - 1,
    Strong = 1u << 24,
    ScopeShift = 25,        ///< two bits: Scope - 1
    Async = 1u << 27,       ///< by the asynchronous proxy
    NonCoherent = 1u << 28, ///< a read through .nc
    Mbarrier = 1u << 29,    ///< by mbarrier.init: the bytes are an mbarrier now
    Copy = 1u << 30,        ///< by cp.async: not the thread itself
    Update = 1u << 31,      ///< an atomic update, which reads what it replaces
  };
  Scope scope() const { return Scope(((what >> ScopeShift) & 3) + 1); }
  static uint32_t strong(Scope scope) { return Strong | (uint32_t(scope) - 1) << ScopeShift; }
};

/// The accessing thread: what it is, and what it knows. One witness serves the lanes of an
/// instruction, one after the other.
struct Witness {
  static constexpr Agent nobody = ~0u - 2;

  Access access;
  const Clock *clock = nullptr;
  /// The warp whose lanes `access.lanes` are, in program order with this access; nobody for a bulk
  /// copy.
  Agent thread = nobody;
  /// All lanes of that warp know each other's accesses up to this time.
  uint32_t convergedTime = 0;
  /// The lane's own cp.async groups up to this time are complete.
  uint32_t copiesDone = 0;
  /// What the clock said last: all lanes of this agent are known up to this time.
  mutable Agent familiar = nobody;
  mutable uint32_t familiarTime = 0;

  /// Whether `earlier` is ordered before this access.
  bool knows(const Access &earlier) const {
    if (earlier.agent == familiar && earlier.time <= familiarTime)
      return true;
    // The thread itself may be one of several lanes; of the others it must have heard.
    uint32_t others = earlier.lanes;
    if (earlier.agent == thread) {
      if (earlier.time <= convergedTime)
        return true;
      others &= ~access.lanes;
    }
    return !others || asksClock(earlier, others);
  }
  /// For an access by the asynchronous proxy: whether a generic write is visible to it.
  bool seesThroughProxy(const Access &earlier) const {
    return clock->proxied.covers(earlier.agent, earlier.lanes, earlier.time);
  }

private:
  bool asksClock(const Access &earlier, uint32_t lanes) const;
};

struct Conflict {
  enum class Kind : uint8_t { None, Race, Proxy, Stale, Uninitialised, Mbarrier } kind = Kind::None;
  Access other;
  uint64_t offset = 0; ///< of the first byte that conflicts
  explicit operator bool() const { return kind != Kind::None; }
};

class Shadow {
public:
  /// What a page without cells says of all its bytes.
  enum class State : uint8_t { Unwritten, Written };

  explicit Shadow(uint64_t bytes, uint64_t seed = 0);

  /// Records a read or a write of [offset, offset + size) and tells the first conflict. With
  /// `races` off only whether something wrote the bytes is checked.
  Conflict read(uint64_t offset, uint64_t size, const Witness &witness, bool races,
                bool uninitialised);
  Conflict write(uint64_t offset, uint64_t size, const Witness &witness, bool races);
  /// Whether the witness knows of the last write, without a mark that it looked.
  Conflict peek(uint64_t offset, uint64_t size, const Witness &witness) const;

  /// The bytes of an mbarrier are ordinary ones again.
  void endMbarrier(uint64_t offset, uint64_t size);

  /// The host wrote these bytes, between launches.
  void markWritten(uint64_t offset, uint64_t size);
  /// Everything so far happened before whatever comes.
  void settle();

private:
  struct Cell {
    Access write, read;
  };
  struct Page {
    State state = State::Unwritten;
    uint8_t shift = 4; ///< a cell is 1 << shift bytes
    std::vector<Cell> cells;
  };
  static constexpr uint64_t pageBytes = 1024;
  static constexpr uint32_t mostListed = 32;
  /// In Access::agent: `time` is the index of a list instead. No agent has this number.
  static constexpr Agent listed = ~0u;
  /// In Access::agent of a write: the host's, or one of an earlier launch.
  static constexpr Agent settled = ~0u - 1;

  /// Parts of one cell, in the common case: nothing special about the accesses.
  Conflict readCell(Cell &cell, const Witness &witness, bool races, bool uninitialised);
  Conflict writeCell(Cell &cell, const Witness &witness, bool races);
  Conflict readCells(uint64_t offset, uint64_t size, const Witness &witness, bool races,
                     bool uninitialised);
  Conflict writeCells(uint64_t offset, uint64_t size, const Witness &witness, bool races);
  /// The cell that is exactly these bytes, or null.
  Cell *exactCell(uint64_t offset, uint64_t size) {
    Page &page = pages[offset / pageBytes];
    bool exact = !page.cells.empty() && size == uint64_t(1) << page.shift && !(offset & (size - 1));
    return exact ? &page.cells[offset % pageBytes >> page.shift] : nullptr;
  }
  Page &refined(uint64_t page, uint64_t offset, uint64_t size);
  void split(Page &page, uint8_t shift);
  void release(const Access &accesses);
  Conflict checkWrite(const Access &earlier, const Witness &witness, bool reading,
                      const Access &reads) const;
  bool wasObserved(const Access &write, const Witness &witness, const Access &reads) const;
  Conflict checkRead(const Access &earlier, const Witness &witness) const;
  template <typename F> Conflict eachOf(const Access &accesses, F check) const;
  void append(Access &accesses, const Access &fresh);

  std::vector<Page> pages;
  uint64_t bytes;
  std::vector<std::vector<Access>> lists;
  std::vector<uint32_t> freeLists;
  std::vector<uint32_t> touched; ///< pages that have cells
  uint64_t random;
};

inline Conflict Shadow::read(uint64_t offset, uint64_t size, const Witness &witness, bool races,
                             bool uninitialised) {
  Cell *cell = exactCell(offset, size);
  if (!cell)
    return readCells(offset, size, witness, races, uninitialised);
  Conflict conflict = readCell(*cell, witness, races, uninitialised);
  conflict.offset = offset;
  return conflict;
}

inline Conflict Shadow::write(uint64_t offset, uint64_t size, const Witness &witness, bool races) {
  Cell *cell = exactCell(offset, size);
  if (!cell)
    return writeCells(offset, size, witness, races);
  Conflict conflict = writeCell(*cell, witness, races);
  conflict.offset = offset;
  return conflict;
}

} // namespace pianola::ptx

#endif
