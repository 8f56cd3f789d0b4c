// BytePairs.h - byte pair encoding of one piece of text.
//
// Sennrich, Haddow and Birch (2016), in the byte-level form of GPT-2: a piece starts as its bytes,
// and the adjacent pair of lowest rank is merged until no pair has a rank. A heap over a linked
// list keeps that to n log n for a piece of n bytes.
#ifndef PIANOLA_RUNTIME_TEXT_BYTEPAIRS_H
#define PIANOLA_RUNTIME_TEXT_BYTEPAIRS_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pianola {

class BytePairs {
public:
  /// The id of each byte; -1 if the vocabulary has none, and such bytes are left out.
  std::array<int32_t, 256> bytes;
  /// Whole tokens by their bytes.
  std::unordered_map<std::string, int32_t> whole;
  /// A piece that is a token is taken whole, whatever the merges give.
  bool ignoreMerges = false;

  /// Ranks count up from 0 in the order of calls; of a pair that comes twice the first counts.
  void addMerge(int32_t left, int32_t right, int32_t merged);
  void encode(std::string_view piece, std::vector<int32_t> &ids) const;

private:
  struct Merge {
    uint32_t rank;
    int32_t merged;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  std::unordered_map<uint64_t, Merge> merges;
};

} // namespace pianola

#endif
