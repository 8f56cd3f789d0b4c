#include "targets/nvptx/emulator/Shadow.h"

#include <algorithm>

namespace pianola::ptx {

namespace {

/// Whether two strong accesses are atomic with respect to each other.
bool atomicTogether(const Access &a, const Access &b) {
  if (!(a.what & b.what & Access::Strong))
    return false;
  Scope narrower = std::min(a.scope(), b.scope());
  return narrower > Scope::Cluster || blockOf(a.agent) == blockOf(b.agent);
}

} // namespace

bool Witness::asksClock(const Access &earlier, uint32_t lanes) const {
  // Copies of one thread are not ordered with each other, but for those that it has waited for.
  if (thread != nobody && earlier.agent == thread + 32 && earlier.time <= copiesDone &&
      !(lanes &= ~access.lanes))
    return true;
  uint32_t known = clock->seen.timeOf(earlier.agent);
  if (earlier.time <= known) {
    familiar = earlier.agent, familiarTime = known;
    return true;
  }
  return clock->seen.covers(earlier.agent, lanes, earlier.time);
}

Shadow::Shadow(uint64_t bytes, uint64_t seed)
    : pages((bytes + pageBytes - 1) / pageBytes), bytes(bytes), random(seed * 2 + 1) {}

void Shadow::release(const Access &accesses) {
  if (accesses.agent == listed)
    freeLists.push_back(accesses.time);
}

void Shadow::split(Page &page, uint8_t shift) {
  size_t count = pageBytes >> shift;
  if (page.cells.empty()) {
    Cell cell;
    if (page.state == State::Written)
      cell.write.agent = settled, cell.write.lanes = 1;
    page.cells.assign(count, cell);
  } else {
    std::vector<Cell> finer(count);
    uint32_t ratio = page.shift - shift;
    for (size_t i = 0; i < count; ++i) {
      finer[i] = page.cells[i >> ratio];
      if (!(i & ((1u << ratio) - 1)))
        continue;
      for (Access *each : {&finer[i].write, &finer[i].read}) { // each cell has lists of its own
        if (each->agent != listed)
          continue;
        lists.push_back(std::vector<Access>(lists[each->time]));
        each->time = uint32_t(lists.size() - 1);
      }
    }
    page.cells = std::move(finer);
  }
  page.shift = shift;
}

/// The page, with cells fine enough that the access's part of it covers whole ones.
Shadow::Page &Shadow::refined(uint64_t number, uint64_t offset, uint64_t size) {
  Page &page = pages[number];
  auto shift = uint8_t(__builtin_ctzll(offset | size | 16));
  if (page.cells.empty()) {
    touched.push_back(uint32_t(number));
    split(page, shift);
  } else if (shift < page.shift) {
    split(page, shift);
  }
  return page;
}

template <typename F> Conflict Shadow::eachOf(const Access &accesses, F check) const {
  if (accesses.agent != listed)
    return check(accesses);
  for (const Access &each : lists[accesses.time])
    if (Conflict conflict = check(each))
      return conflict;
  return {};
}

/// Whether a strong read that the witness knows of has read this write's value, or one that came
/// after it. `reads` are those of the cell, all later than its last write.
bool Shadow::wasObserved(const Access &write, const Witness &witness, const Access &reads) const {
  auto observes = [&](const Access &read) {
    return read.lanes && (read.what & Access::Strong) && atomicTogether(read, write) &&
           witness.knows(read);
  };
  if (reads.agent != listed)
    return observes(reads);
  const std::vector<Access> &list = lists[reads.time];
  return std::any_of(list.begin(), list.end(), observes);
}

Conflict Shadow::checkWrite(const Access &earlier, const Witness &witness, bool reading,
                            const Access &reads) const {
  if (!earlier.lanes || earlier.agent == settled)
    return {};
  const Access &now = witness.access;
  if (reading && (now.what & Access::NonCoherent))
    return {Conflict::Kind::Stale, earlier};
  if (earlier.what & ~now.what & Access::Mbarrier)
    return {Conflict::Kind::Mbarrier, earlier};
  if (!witness.knows(earlier)) {
    if (atomicTogether(earlier, now) || wasObserved(earlier, witness, reads))
      return {};
    return {Conflict::Kind::Race, earlier};
  }
  if ((now.what & Access::Async) && !(earlier.what & Access::Async) &&
      !witness.seesThroughProxy(earlier))
    return {Conflict::Kind::Proxy, earlier};
  return {};
}

/// A write meets an earlier read.
Conflict Shadow::checkRead(const Access &earlier, const Witness &witness) const {
  if (!earlier.lanes)
    return {};
  if (earlier.what & Access::NonCoherent)
    return {Conflict::Kind::Stale, earlier};
  if (witness.knows(earlier) || atomicTogether(earlier, witness.access))
    return {};
  return {Conflict::Kind::Race, earlier};
}

/// Adds an access beside those that `accesses` stands for already.
void Shadow::append(Access &accesses, const Access &fresh) {
  bool strong = fresh.what & Access::Strong;
  auto stands = [&](Access &old) {
    // Of one agent at one time, by one instruction: lanes are all that differs.
    if (old.agent == fresh.agent && old.what == fresh.what && old.time == fresh.time) {
      old.lanes |= fresh.lanes;
      return true;
    }
    // A thread that polls: its last read stands for all.
    if (strong && old.agent == fresh.agent && old.lanes == fresh.lanes &&
        (old.what & Access::Strong)) {
      old = fresh;
      return true;
    }
    return false;
  };
  if (accesses.agent != listed) {
    if (!accesses.lanes) {
      accesses = fresh;
    } else if (!stands(accesses)) {
      uint32_t index = freeLists.empty() ? uint32_t(lists.size()) : freeLists.back();
      if (freeLists.empty())
        lists.emplace_back();
      else
        freeLists.pop_back();
      lists[index].assign({accesses, fresh});
      accesses.agent = listed;
      accesses.time = index;
    }
    return;
  }
  std::vector<Access> &list = lists[accesses.time];
  if (strong) {
    // All of these are kept: a write that was observed must not look like a race.
    for (Access &old : list)
      if (stands(old))
        return;
    list.push_back(fresh);
    return;
  }
  if (stands(list.back()))
    return;
  if (list.size() < mostListed) {
    list.push_back(fresh);
    return;
  }
  random = random * 6364136223846793005u + 1442695040888963407u;
  Access &victim = list[(random >> 33) % list.size()];
  if (!(victim.what & Access::Strong))
    victim = fresh;
}

Conflict Shadow::readCell(Cell &cell, const Witness &witness, bool races, bool uninitialised) {
  Conflict conflict;
  if (!cell.write.lanes) {
    if (uninitialised)
      conflict.kind = Conflict::Kind::Uninitialised;
  } else if (races && cell.write.agent != settled) {
    conflict = eachOf(
        cell.write, [&](const Access &each) { return checkWrite(each, witness, true, cell.read); });
  }
  if (!races)
    return conflict;
  // A later read by the same lane, or by one that knows of the earlier, stands for both.
  Access &last = cell.read;
  constexpr uint32_t kinds = Access::NonCoherent | Access::Strong;
  bool plain = last.agent != listed && !((last.what | witness.access.what) & kinds);
  if (!last.lanes || (plain && witness.knows(last)))
    last = witness.access;
  else
    append(last, witness.access);
  return conflict;
}

Conflict Shadow::writeCell(Cell &cell, const Witness &witness, bool races) {
  Conflict conflict;
  if (races) {
    if (cell.write.agent != settled)
      conflict = eachOf(cell.write, [&](const Access &each) {
        return checkWrite(each, witness, false, cell.read);
      });
    if (!conflict && cell.read.lanes)
      conflict = eachOf(cell.read, [&](const Access &each) { return checkRead(each, witness); });
  }
  // Strong writes that do not know of each other stand side by side: a later access must know of
  // all. An update has observed what it replaces.
  constexpr uint32_t kinds = Access::Strong | Access::Update;
  if (races && (witness.access.what & kinds) == Access::Strong && cell.write.lanes &&
      cell.write.agent != settled && (cell.write.agent == listed || !witness.knows(cell.write))) {
    append(cell.write, witness.access);
    return conflict;
  }
  release(cell.write), release(cell.read);
  cell.write = witness.access;
  cell.read = {};
  return conflict;
}

Conflict Shadow::readCells(uint64_t offset, uint64_t size, const Witness &witness, bool races,
                           bool uninitialised) {
  Conflict found;
  while (size) {
    uint64_t number = offset / pageBytes, inPage = offset % pageBytes;
    uint64_t part = std::min(size, pageBytes - inPage);
    Page &known = pages[number];
    if (!races && known.cells.empty()) {
      if (uninitialised && known.state == State::Unwritten)
        return {Conflict::Kind::Uninitialised, {}, offset};
    } else {
      Page &page = refined(number, inPage, part);
      uint64_t end = (inPage + part) >> page.shift;
      for (uint64_t i = inPage >> page.shift; i < end; ++i) {
        Conflict conflict = readCell(page.cells[i], witness, races, uninitialised);
        if (conflict && !found) {
          found = conflict;
          found.offset = number * pageBytes + (i << page.shift);
        }
      }
    }
    offset += part, size -= part;
  }
  return found;
}

Conflict Shadow::writeCells(uint64_t offset, uint64_t size, const Witness &witness, bool races) {
  Conflict found;
  while (size) {
    uint64_t number = offset / pageBytes, inPage = offset % pageBytes;
    uint64_t part = std::min(size, pageBytes - inPage);
    Page &known = pages[number];
    if (races || !known.cells.empty() || known.state == State::Unwritten) {
      Page &page = refined(number, inPage, part);
      uint64_t end = (inPage + part) >> page.shift;
      for (uint64_t i = inPage >> page.shift; i < end; ++i) {
        Conflict conflict = writeCell(page.cells[i], witness, races);
        if (conflict && !found) {
          found = conflict;
          found.offset = number * pageBytes + (i << page.shift);
        }
      }
    }
    offset += part, size -= part;
  }
  return found;
}

Conflict Shadow::peek(uint64_t offset, uint64_t size, const Witness &witness) const {
  for (uint64_t at = offset; at < offset + size; ++at) {
    const Page &page = pages[at / pageBytes];
    if (page.cells.empty())
      continue;
    const Cell &cell = page.cells[at % pageBytes >> page.shift];
    Conflict conflict = eachOf(
        cell.write, [&](const Access &each) { return checkWrite(each, witness, true, cell.read); });
    if (!conflict)
      continue;
    conflict.offset = at;
    return conflict;
  }
  return {};
}

void Shadow::endMbarrier(uint64_t offset, uint64_t size) {
  Page &page = pages[offset / pageBytes];
  uint64_t first = offset % pageBytes;
  for (uint64_t i = first >> page.shift; !page.cells.empty() && i < (first + size) >> page.shift;
       ++i)
    page.cells[i].write.what &= ~uint32_t(Access::Mbarrier);
}

void Shadow::markWritten(uint64_t offset, uint64_t size) {
  while (size) {
    uint64_t number = offset / pageBytes, inPage = offset % pageBytes;
    uint64_t part = std::min(size, pageBytes - inPage);
    Page &page = pages[number];
    bool whole = part == pageBytes || (inPage == 0 && offset + part == bytes);
    if (whole || (page.cells.empty() && page.state == State::Written)) {
      page.state = State::Written;
      page.cells.clear();
    } else {
      Page &fine = refined(number, inPage, part);
      for (uint64_t i = inPage >> fine.shift; i < (inPage + part) >> fine.shift; ++i) {
        fine.cells[i] = {};
        fine.cells[i].write.agent = settled, fine.cells[i].write.lanes = 1;
      }
    }
    offset += part, size -= part;
  }
}

void Shadow::settle() {
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  std::vector<uint32_t> partial;
  for (uint32_t number : touched) {
    Page &page = pages[number];
    if (page.cells.empty())
      continue;
    bool all = true;
    for (Cell &cell : page.cells) {
      bool written = cell.write.lanes;
      all &= written;
      cell = {};
      if (written)
        cell.write.agent = settled, cell.write.lanes = 1;
    }
    if (all) {
      page.state = State::Written;
      std::vector<Cell>().swap(page.cells);
    } else {
      partial.push_back(number);
    }
  }
  touched = std::move(partial);
  lists.clear(), freeLists.clear();
}

} // namespace pianola::ptx
