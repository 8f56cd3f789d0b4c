// Session.h - one conversation with a model: a context that grows.
#ifndef PIANOLA_RUNTIME_SESSION_SESSION_H
#define PIANOLA_RUNTIME_SESSION_SESSION_H

#include "runtime/session/Instrument.h"

namespace pianola {

struct FeedOptions {
  bool oneByOne = false;      // play every token through the program of one slot
  float *allLogits = nullptr; // [count][vocabulary]: logits of every token, not of the last alone
};

struct GenerateOptions {
  uint64_t most = 1;          // tokens
  std::vector<int32_t> stops; // any of these is the last
  /// Hears each token as soon as it is chosen, stops too, and says whether to go on. May be empty.
  std::function<bool(int32_t)> take;
};

/// Why a generation ended.
enum class GenerationEnd { Length, Stop, Full, Taker };

/// Not for two threads at once, except cancel(). The roll must outlive the session.
class Session {
public:
  static Result<std::unique_ptr<Session>> create(const Roll &roll, const SessionOptions &options);

  /// Feeds tokens at the next positions. Errors leave the context as it was, or, if the play of a
  /// later chunk of a long prompt was cancelled, with the chunks before it; position() tells. After
  /// a watchdog's report every further feed fails.
  Status feed(const int32_t *ids, size_t count, const FeedOptions &options = {});

  /// Makes the context these tokens, of which there must be one at least: what it begins with
  /// already stays, unless attention needs what rings no longer have, and the rest is fed, the last
  /// token always. How many stay.
  Result<uint64_t> feedPrompt(const int32_t *ids, size_t count);

  /// Chooses a token by the logits of the last token fed, feeds it, and so on: the same tokens as
  /// sample() and feed() in turn would make, but a GPU need not wait for the host between them. The
  /// last token is not fed, and there are no logits afterwards: to go on, feed it. When cancelled,
  /// what `take` heard stays.
  Result<GenerationEnd> generate(Sampler &sampler, const GenerateOptions &options);

  /// Chooses a token by the logits of the last token fed; the context stays as it is.
  Result<int32_t> sample(Sampler &sampler);

  /// When the workers of a GPU did what, in the first plays (options.tracePlays) of the last chunk
  /// fed or of the last generation. An error if nothing was recorded.
  Result<Recording> recording() { return instrument.device().recording(); }

  /// f32 [vocabulary] of the last token fed; good until the next feed. An error before the first.
  Result<const float *> logits();
  /// f32 [hidden] of the last token fed: what the model's head makes the logits of. An error if the
  /// roll keeps none.
  Result<const float *> hiddenState();

  uint64_t position() const { return fed.size(); }
  uint64_t maxLen() const { return instrument.maxLen(); }
  const std::vector<int32_t> &history() const { return fed; } // the token at each position
  unsigned threads() const { return instrument.device().threads(); }
  std::string deviceName() const { return instrument.device().name(); }

  /// Forgets all positions from `length` on. Logits are gone. Where what follows those that stay
  /// needs what rings or states no longer have, they are fed anew; after errors of that the next
  /// feed does so.
  Status truncate(uint64_t length);

  void cancel() { instrument.device().cancel(); }

private:
  explicit Session(Instrument instrument) : instrument(std::move(instrument)) {}

  Instrument instrument;
  Status play(size_t program, const int32_t *ids, uint64_t slots, uint64_t firstOutput);
  Status mend();

  std::vector<int32_t> fed;
  uint64_t present = 0;             // of these, the first ones, that the device has
  uint64_t written = 0;             // positions, at most, since it had none
  std::optional<uint64_t> lastSlot; // of the last play, whose logits are wanted
};

} // namespace pianola

#endif
