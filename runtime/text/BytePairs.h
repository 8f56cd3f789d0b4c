// BytePairs.h - byte pair encoding of one piece of text.
//
// Sennrich, Haddow and Birch (2016): a piece starts as its symbols, and the adjacent pair of lowest
// rank is merged until no pair has a rank. Symbols are the bytes of the piece (GPT-2) or its
// characters (SentencePiece), of which those that the vocabulary lacks are spelled in bytes, or
// become the unknown token. A heap over a linked list keeps that to n log n for a piece of n
// symbols; pieces of a few symbols, which most are, are scanned.
#ifndef PIANOLA_RUNTIME_TEXT_BYTEPAIRS_H
#define PIANOLA_RUNTIME_TEXT_BYTEPAIRS_H

#include "runtime/text/Vocabulary.h"

#include <array>

namespace pianola {

class BytePairs {
public:
  BytePairs() { bytes.fill(Vocabulary::kNone); }

  /// The model's tokens: as bytes if `byteLevel`, else as they are written.
  Vocabulary vocabulary;
  /// Symbols are bytes, with these ids; those without one are left out.
  bool byteLevel = true;
  /// The id of each byte; if characters are the symbols, of the tokens <0x00> to <0xFF>, and none
  /// if unknown characters are not spelled.
  std::array<int32_t, 256> bytes;
  /// What characters are that cannot be spelled; kNone: left out.
  int32_t unknown = Vocabulary::kNone;
  /// A run of unknown characters is one token.
  bool fuseUnknown = false;
  /// A piece that is a token is taken whole, whatever the merges give.
  bool ignoreMerges = false;

  /// Ranks count up from 0 in the order of calls; of a pair that comes twice the first counts.
  void addMerge(int32_t left, int32_t right, int32_t merged);
  /// To be called after the last merge, before the first encode().
  void finish();

  /// Room to work in, kept from piece to piece.
  struct Scratch {
    std::vector<int32_t> symbols, merged;
    std::vector<uint32_t> ranks;
  };
  void encode(std::string_view piece, Scratch &scratch, std::vector<int32_t> &ids) const;

private:
  static constexpr uint32_t kNoRank = ~0u;
  struct Merge {
    uint64_t pair;
    uint32_t rank = kNoRank;
    int32_t merged;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static uint64_t spread(uint64_t pair) {
    pair *= 0x9e3779b97f4a7c15; // 2^64 over the golden ratio
    return pair ^ pair >> 32;
  }
  const Merge &find(int32_t left, int32_t right) const;
  void spell(std::string_view piece, std::vector<int32_t> &symbols) const;
  void mergeFew(Scratch &scratch) const;
  void mergeMany(std::vector<int32_t> &symbols) const;

  std::vector<Merge> inOrder;
  std::vector<Merge> table;        // open addressing; a power of two, at most half full
  std::vector<int32_t> characters; // ids of those below U+10000, if they are the symbols
};

} // namespace pianola

#endif
