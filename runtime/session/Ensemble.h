// Ensemble.h - several conversations with a model, which share plays.
//
// A token of decoding reads every weight, so that eight sequences, each a token further in one
// play, take hardly longer than one of them. What a sequence gets does not depend on which others
// there are: its logits have the same bits in company and alone.
#ifndef PIANOLA_RUNTIME_SESSION_ENSEMBLE_H
#define PIANOLA_RUNTIME_SESSION_ENSEMBLE_H

#include "runtime/session/Instrument.h"

namespace pianola {

struct EnsembleOptions {
  SessionOptions session; // maxLen: of each sequence
  uint64_t sequences = 1;
  uint64_t stepSlots = 8; // steps are played by the smallest program that has so many
};

/// A sequence's next token.
struct Turn {
  uint64_t sequence;
  int32_t token;
};

/// Sequences are numbered from 0, and empty at first; their memory costs nothing until it is used.
/// Not for two threads at once, except cancel(). The roll must outlive the ensemble.
class Ensemble {
public:
  static Result<std::unique_ptr<Ensemble>> create(const Roll &roll, const EnsembleOptions &options);

  /// Feeds tokens at a sequence's next positions, in chunks that end at multiples of chunkSlots().
  /// So a prompt gets the same bits whether it is fed at once or in parts that end there. Errors
  /// leave the sequence as it was, or with the chunks before the one that was cancelled; after a
  /// watchdog's report nothing can be fed any more.
  Status feed(uint64_t sequence, const int32_t *ids, size_t count);

  /// Feeds one token to each of some sequences, in one play, always of the same program. Errors
  /// leave all of them as they were.
  Status step(const std::vector<Turn> &turns);

  /// f32 [vocabulary] of a sequence's last token; good until the next feed or step of any. An error
  /// if that token was not in the last one.
  Result<const float *> logits(uint64_t sequence);

  /// f32 [hidden] of a sequence's last token, on the same terms. An error, too, if the roll keeps
  /// none.
  Result<const float *> hiddenState(uint64_t sequence);

  /// Makes a sequence's first positions those of another one, and forgets the rest. Where rings or
  /// states of that one no longer have what is needed, they are fed anew; after errors of that the
  /// next feed or step does so.
  Status copy(uint64_t from, uint64_t to, uint64_t length);

  /// Forgets all positions from `length` on, on the same terms.
  Status truncate(uint64_t sequence, uint64_t length);

  /// Whether a sequence still has what attention after its first `length` positions looks at.
  bool keeps(uint64_t sequence, uint64_t length) const {
    const Sequence &known = sequences[sequence];
    return length <= known.present && instrument.keeps(length, known.written);
  }

  /// The token at each position. The sequence must be there.
  const std::vector<int32_t> &history(uint64_t sequence) const { return sequences[sequence].fed; }
  uint64_t position(uint64_t sequence) const { return history(sequence).size(); }

  uint64_t size() const { return sequences.size(); } // sequences
  uint64_t maxLen() const { return instrument.maxLen(); }
  /// Which plays steps; it has as many slots as a step has turns at most.
  const RollProgram &stepProgram() const { return instrument.roll().manifest().programs[stepping]; }
  uint64_t chunkSlots() const;
  unsigned threads() const { return instrument.device().threads(); }
  std::string deviceName() const { return instrument.device().name(); }

  /// Makes the play under way, or else the next one, end soon. From any thread.
  void cancel() { instrument.device().cancel(); }

private:
  struct Sequence {
    std::vector<int32_t> fed;
    std::optional<uint64_t> lastSlot; // of the last play, if its logits are there
    uint64_t present = 0;             // positions, the first ones, that the device has
    uint64_t written = 0;             // at most, since it had none
  };
  explicit Ensemble(Instrument instrument) : instrument(std::move(instrument)) {}
  Status find(uint64_t sequence) const;
  Status check(const std::vector<Turn> &turns) const;
  Result<uint64_t> slotOf(uint64_t sequence, const char *what) const;
  Status play(const Play &play);
  Status playChunk(uint64_t number, const int32_t *ids, size_t slots, bool isLast);
  size_t slotsAt(uint64_t position, size_t left) const;
  Status mend(uint64_t number);

  Instrument instrument;
  std::vector<Sequence> sequences;
  size_t stepping = 0; // program of steps
};

} // namespace pianola

#endif
