// BytePairs.cpp - byte pair encoding of one piece of text.
#include "runtime/text/BytePairs.h"

#include <queue>

namespace pianola {

void BytePairs::addMerge(int32_t left, int32_t right, int32_t merged) {
  merges.try_emplace(key(left, right), Merge{static_cast<uint32_t>(merges.size()), merged});
}

void BytePairs::encode(std::string_view piece, std::vector<int32_t> &ids) const {
  if (ignoreMerges)
    if (auto found = whole.find(std::string(piece)); found != whole.end()) {
      ids.push_back(found->second);
      return;
    }
  struct Symbol {
    int32_t id, previous, next; // neighbours, or -1; id -1: merged into another
  };
  struct Candidate {
    uint32_t rank;
    int32_t at, left, right;
    bool operator<(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  std::vector<Symbol> symbols;
  for (unsigned char byte : piece)
    if (bytes[byte] >= 0) {
      auto number = static_cast<int32_t>(symbols.size());
      symbols.push_back({bytes[byte], number - 1, number + 1});
    }
  if (symbols.empty())
    return;
  symbols.back().next = -1;

  std::priority_queue<Candidate> candidates;
  auto consider = [&](int32_t at) {
    if (at < 0 || symbols[at].next < 0)
      return;
    int32_t left = symbols[at].id, right = symbols[symbols[at].next].id;
    if (auto found = merges.find(key(left, right)); found != merges.end())
      candidates.push({found->second.rank, at, left, right});
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    consider(static_cast<int32_t>(i));
  while (!candidates.empty()) {
    Candidate best = candidates.top();
    candidates.pop();
    Symbol &symbol = symbols[best.at];
    // A candidate is stale once either side has been merged with something else.
    if (symbol.id != best.left || symbol.next < 0 || symbols[symbol.next].id != best.right)
      continue;
    symbol.id = merges.find(key(best.left, best.right))->second.merged;
    Symbol &gone = symbols[symbol.next];
    gone.id = -1;
    symbol.next = gone.next;
    if (symbol.next >= 0)
      symbols[symbol.next].previous = best.at;
    consider(symbol.previous);
    consider(best.at);
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next)
    ids.push_back(symbols[i].id);
}

} // namespace pianola
