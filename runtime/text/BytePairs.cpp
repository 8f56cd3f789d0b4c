// BytePairs.cpp - byte pair encoding of one piece of text.
#include "runtime/text/BytePairs.h"

#include "runtime/text/Utf8.h"

#include <algorithm>
#include <optional>
#include <queue>

namespace pianola {

void BytePairs::addMerge(int32_t left, int32_t right, int32_t merged) {
  inOrder.push_back({key(left, right), static_cast<uint32_t>(inOrder.size()), merged});
}

void BytePairs::finish() {
  size_t size = 2;
  while (size < 2 * inOrder.size())
    size *= 2;
  table.assign(size, Merge());
  for (const Merge &merge : inOrder) {
    size_t at = spread(merge.pair) & (size - 1);
    while (table[at].rank != kNoRank && table[at].pair != merge.pair)
      at = (at + 1) & (size - 1);
    if (table[at].rank == kNoRank)
      table[at] = merge;
  }
  inOrder = {};
  if (byteLevel)
    return;
  characters.assign(0x10000, Vocabulary::kNone);
  for (uint32_t code = 0; code < characters.size(); ++code)
    if (code < 0xd800 || code > 0xdfff)
      characters[code] = vocabulary.find(encodeCharacter(code));
}

const BytePairs::Merge &BytePairs::find(int32_t left, int32_t right) const {
  uint64_t pair = key(left, right);
  size_t at = spread(pair) & (table.size() - 1);
  while (table[at].rank != kNoRank && table[at].pair != pair)
    at = (at + 1) & (table.size() - 1);
  return table[at];
}

void BytePairs::spell(std::string_view piece, std::vector<int32_t> &symbols) const {
  if (byteLevel) {
    for (unsigned char byte : piece)
      if (bytes[byte] != Vocabulary::kNone)
        symbols.push_back(bytes[byte]);
    return;
  }
  // As in Hugging Face's tokenizers an unknown token waits for the next known character, and
  // spelled ones do not end the wait.
  bool waiting = false;
  for (size_t i = 0; i < piece.size();) {
    Character c = characterAt(piece, i);
    std::string_view text = piece.substr(i, c.size);
    i += c.size;
    int32_t id = c.code < characters.size() ? characters[c.code] : vocabulary.find(text);
    if (id != Vocabulary::kNone) {
      if (waiting)
        symbols.push_back(unknown);
      waiting = false;
      symbols.push_back(id);
      continue;
    }
    if (std::all_of(text.begin(), text.end(),
                    [&](unsigned char byte) { return bytes[byte] != Vocabulary::kNone; })) {
      for (unsigned char byte : text)
        symbols.push_back(bytes[byte]);
      continue;
    }
    if (unknown == Vocabulary::kNone)
      continue;
    if (waiting && !fuseUnknown)
      symbols.push_back(unknown);
    waiting = true;
  }
  if (waiting)
    symbols.push_back(unknown);
}

void BytePairs::mergeFew(Scratch &scratch) const {
  std::vector<int32_t> &symbols = scratch.symbols, &merged = scratch.merged;
  std::vector<uint32_t> &ranks = scratch.ranks; // of each symbol with the next
  size_t count = symbols.size();
  ranks.resize(count);
  merged.resize(count);
  auto rate = [&](size_t at) {
    const Merge &merge = find(symbols[at], symbols[at + 1]);
    ranks[at] = merge.rank;
    merged[at] = merge.merged;
  };
  for (size_t i = 0; i + 1 < count; ++i)
    rate(i);
  while (count > 1) {
    size_t best = std::min_element(ranks.begin(), ranks.begin() + count - 1) - ranks.begin();
    if (ranks[best] == kNoRank)
      break;
    symbols[best] = merged[best];
    std::move(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    if (best + 2 < count) {
      std::move(ranks.begin() + best + 2, ranks.begin() + count - 1, ranks.begin() + best + 1);
      std::move(merged.begin() + best + 2, merged.begin() + count - 1, merged.begin() + best + 1);
    }
    --count;
    if (best > 0)
      rate(best - 1);
    if (best + 1 < count)
      rate(best);
  }
  symbols.resize(count);
}

void BytePairs::mergeMany(std::vector<int32_t> &ids) const {
  struct Symbol {
    int32_t id, previous, next; // neighbours, or -1
    bool gone;                  // merged into the one before
  };
  struct Candidate {
    uint32_t rank;
    int32_t at, left, right, merged;
    bool operator<(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  for (int32_t id : ids) {
    auto number = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, number - 1, number + 1, false});
  }
  symbols.back().next = -1;

  std::vector<Candidate> first;
  auto candidate = [&](int32_t at) -> std::optional<Candidate> {
    if (at < 0 || symbols[at].next < 0)
      return std::nullopt;
    int32_t left = symbols[at].id, right = symbols[symbols[at].next].id;
    const Merge &merge = find(left, right);
    if (merge.rank == kNoRank)
      return std::nullopt;
    return Candidate{merge.rank, at, left, right, merge.merged};
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    if (std::optional<Candidate> found = candidate(static_cast<int32_t>(i)))
      first.push_back(*found);
  std::priority_queue<Candidate> candidates(std::less<Candidate>(), std::move(first));
  while (!candidates.empty()) {
    Candidate best = candidates.top();
    candidates.pop();
    Symbol &symbol = symbols[best.at];
    // A candidate is stale once either side has been merged with something else.
    if (symbol.gone || symbol.id != best.left || symbol.next < 0 ||
        symbols[symbol.next].id != best.right)
      continue;
    symbol.id = best.merged;
    Symbol &next = symbols[symbol.next];
    next.gone = true;
    symbol.next = next.next;
    if (symbol.next >= 0)
      symbols[symbol.next].previous = best.at;
    for (int32_t at : {symbol.previous, best.at})
      if (std::optional<Candidate> found = candidate(at))
        candidates.push(*found);
  }
  ids.clear();
  for (int32_t i = 0; i >= 0; i = symbols[i].next)
    ids.push_back(symbols[i].id);
}

void BytePairs::encode(std::string_view piece, Scratch &scratch, std::vector<int32_t> &ids) const {
  if (ignoreMerges)
    if (int32_t id = vocabulary.find(piece); id != Vocabulary::kNone) {
      ids.push_back(id);
      return;
    }
  constexpr size_t kFew = 64;
  scratch.symbols.clear();
  spell(piece, scratch.symbols);
  if (scratch.symbols.size() <= kFew)
    mergeFew(scratch);
  else
    mergeMany(scratch.symbols);
  ids.insert(ids.end(), scratch.symbols.begin(), scratch.symbols.end());
}

} // namespace pianola
