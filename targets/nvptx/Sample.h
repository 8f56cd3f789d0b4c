//===- Sample.h - Choosing a token on one block -----------------*- C++ -*-===//
//
// The arithmetic is that of runtime/sampling/Sampler.h. What differs is how the first of many are
// found: nothing is sorted.
//
//   greedy   one pass over the peaks, the greatest logits of each tile, then over one tile's logits
//   listed   a small top_k: the k-th of the threads' own greatest peaks is a bound that at least k
//            tokens reach and hardly more; these are listed, and each counts who is before it
//   sought   anything else: the bits of a key that orders logits are found from the highest on, by
//            histograms (radix selection), then the last of several equal tokens that stays, and
//            the drawn token, by running sums in the order of ids
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_SAMPLE_H
#define PIANOLA_TARGETS_NVPTX_SAMPLE_H

#include "targets/nvptx/Stage.h"

namespace pianola::nvptx {

class SampleEmitter {
public:
  SampleEmitter(StageEmitter &owner, tile::SampleOp op);
  void lower();

private:
  // Amounts that are summed at once; a row of as many logits is read at once.
  static constexpr int64_t kBins = 1024, kBinBits = 10;
  static constexpr int64_t kListed = 128; // the greatest top_k that a list is made for
  static constexpr int64_t kTilesListed = kListed * 5;
  // Where something stands in `found` and `words`.
  static constexpr int64_t kFoundBefore = 0, kFoundAmount = 8, kFoundWhich = 16;
  static constexpr int64_t kLength = 0, kBound = 4, kToken = 8, kTiles = 12;

  // Sample.cpp: the frame.
  void readSettings();
  void choose();
  void findGreatest();
  void publish();
  Value greatestOfBlock(Value value);

  // SampleLogits.cpp: what every pass over the logits needs.
  /// Calls `body` with quads of logits, bias and penalties applied, and the id of the first: all
  /// threads together, `depth` quads on their way at a time. What is beyond the vocabulary is NaN.
  /// At the end one logit alone, where the vocabulary is not of whole quads.
  void forLogits(int64_t depth,
                 llvm::function_ref<void(Value first, llvm::ArrayRef<Value> logits)> body);
  Value logitAt(Value id); // bias and penalties applied
  /// The same with quads of peaks and the tile of the first, bias and penalties not looked at; then
  /// `one` with the logits that are not of a whole quad of tiles, NaN for threads that get none.
  void forPeaks(int64_t depth,
                llvm::function_ref<void(Value firstTile, llvm::ArrayRef<Value> peaks)> body,
                llvm::function_ref<void(Value id, Value logit)> one);
  /// Calls `body` for each logit of the tile.
  void forLogitsOf(Value tile, llvm::function_ref<void(Value id, Value logit)> body);
  void adjust(llvm::MutableArrayRef<Value> logits, llvm::ArrayRef<Value> firsts, int64_t width);
  Value penalised(Value logit, Value count);
  Value isFinite(Value logit);
  /// u32, in the order of the logits; both zeros have one key.
  Value keyOf(Value logit);
  Value logitOf(Value key);
  /// u64, in the order of the tokens: greater logits first, then lower ids. Never 0.
  Value placeOf(Value key, Value id);
  Value idOf(Value place);
  Value weightOf(Value logit);
  Value portionOf(Value total, Value fraction);
  Value drawnFraction();

  // SampleList.cpp: all filters and the draw, where top_k is small.
  void listTop(Value byPeaks);
  void drawFromList(Value count);

  // SampleSelect.cpp: the same where it is not.
  void drawToken();
  void seekToken();
  void selectKey(Value isTopK);
  Value seek(Value isDraw);
  /// Of each thread: an even number, so that the last threads may have some beyond kBins, where the
  /// warps do not divide them.
  int64_t binsOfThread() const { return llvm::divideCeil(kBins, 2 * e.shape.consumers()) * 2; }
  /// The first of kBins amounts, binsOfThread() of each thread, with which the running sum, begun
  /// at `before`, reaches `needOf(total)`: found* of which, what was before it, and it.
  struct Found {
    Value which, before, amount, total;
  };
  Found findAmount(llvm::ArrayRef<Value> amounts, Value before,
                   llvm::function_ref<Value(Value total)> needOf);
  void clearBins();
  llvm::SmallVector<Value, 4> loadBins();
  void addToBin(Value bin, Value amount);

  StageEmitter &s;
  Kernel &e;
  tile::SampleOp op;

  // The play's settings.
  Value logits, peaks, vocabulary, temperature, topP, minP, repetition, presence, frequency, topK;
  Value seed, draws, counts, bias, isPenalised, hasCounts, hasBias, isGreedy;
  Value plays, chosen, stopCount, stops, tokens;
  Variable cancel, stop; // of thread 0; of lane i: the i-th stop

  // Shared memory.
  Value bins;  // u64[kBins], and to the end of the last thread's: a histogram, or a list of tokens'
               // places
  Value best;  // u64[kListed] weights, then u32[kListed] ids: the first of all tokens, in order
  Value kept;  // u64[kListed]: their weights, or 0
  Value keys;  // u32[consumers]: each thread's greatest
  Value sums;  // u64[warps]
  Value found; // of findAmount
  Value words; // the list's length, its bound, the token, how many tiles are listed
  Value tiles; // u32[kTilesListed]: which may have tokens for the list

  Value greatest, topKey; // logit and key of the best token
  Variable bound;         // u64: tokens of a place below it are out
  Variable tieKey, tieWeight, tieNeed;
  Variable token, isMissing;
};

} // namespace pianola::nvptx

#endif
