// Session.h - one conversation with a model: a context that grows.
#ifndef PIANOLA_RUNTIME_SESSION_SESSION_H
#define PIANOLA_RUNTIME_SESSION_SESSION_H

#include "runtime/host/Player.h"
#include "runtime/session/Memory.h"

namespace pianola {

struct SessionOptions {
  uint64_t maxLen = 0;         // positions; 0: all that the roll allows
  unsigned threads = 0;        // 0: one for each worker of the roll
  double watchdogSeconds = 20; // for one wait
};

struct FeedOptions {
  bool oneByOne = false;      // play every token through the program of one slot
  float *allLogits = nullptr; // [count][vocabulary]: logits of every token, not of the last alone
};

/// Not for two threads at once, except cancel(). The roll must outlive the session.
class Session {
public:
  static Result<std::unique_ptr<Session>> create(const Roll &roll, const SessionOptions &options);

  /// Feeds tokens at the next positions. Errors leave the context as it was, or, if the play of a
  /// later chunk of a long prompt was cancelled, with the chunks before it; position() tells. After
  /// a watchdog's report every further feed fails.
  Status feed(const int32_t *ids, size_t count, const FeedOptions &options = {});

  /// f32 [vocabulary] of the last token fed; good until the next feed. Null before the first.
  const float *logits() const { return lastLogits; }

  uint64_t position() const { return next; }
  uint64_t maxLen() const { return limit; }
  unsigned threads() const { return player->threads(); }

  /// Forgets all positions from `length` on. Logits are gone.
  Status truncate(uint64_t length);

  void cancel() { player->cancel(); }

private:
  explicit Session(const Roll &roll) : roll(roll) {}
  Status allocate(const SessionOptions &options);
  void bind();
  void fillRotations(uint64_t end);
  Status playChunk(const int32_t *ids, size_t count, uint64_t firstOutput, size_t program);
  Status check(const int32_t *ids, size_t count) const;

  const Roll &roll;
  uint64_t limit = 0;    // positions
  uint64_t capacity = 0; // positions that contexts have room for
  uint64_t next = 0;     // position of the next token
  Memory arena, contexts, rotations;
  std::vector<uint64_t> contextOffsets, rotationOffsets;
  std::vector<std::vector<void *>> tableTiles; // addresses of tiles, of each table
  std::vector<void *> tables;
  std::vector<std::vector<std::vector<void *>>> bindings; // [program][step][binding]
  uint64_t rotationsFilled = 0;
  size_t single = 0, chunk = 0; // programs
  const float *lastLogits = nullptr;
  std::string broken;
  std::unique_ptr<Player> player;
};

} // namespace pianola

#endif
