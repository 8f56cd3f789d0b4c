// Session.h - one conversation with a model: a context that grows.
#ifndef PIANOLA_RUNTIME_SESSION_SESSION_H
#define PIANOLA_RUNTIME_SESSION_SESSION_H

#include "runtime/roll/Roll.h"
#include "runtime/session/Device.h"

#include <memory>

namespace pianola {

enum class DeviceKind {
  Auto,    // what the roll is for: the host, or CUDA
  Host,    //
  Cuda,    // a GPU of this machine
  Emulator // libpianola-cuda.so
};

/// How a GPU is made to play.
enum class LaunchKind {
  Persistent, // one kernel for many plays
  Graph       // a kernel for each stage, replayed
};

struct SessionOptions {
  uint64_t maxLen = 0;         // positions; 0: all that the roll allows
  unsigned threads = 0;        // of the host; 0: one for each worker of the roll
  double watchdogSeconds = 20; // for one wait
  DeviceKind device = DeviceKind::Auto;
  LaunchKind launch = LaunchKind::Persistent;
  uint64_t tracePlays = 0; // of each launch on a GPU: the first plays that are recorded
};

/// "auto", "cuda", "emulator"; "persistent", "graph".
std::optional<DeviceKind> parseDevice(const std::string &name);
std::optional<LaunchKind> parseLaunch(const std::string &name);

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

  /// Chooses a token by the logits of the last token fed, feeds it, and so on: the same tokens as
  /// sample() and feed() in turn would make, but a GPU need not wait for the host between them. The
  /// last token is not fed, and there are no logits afterwards: to go on, feed it. When cancelled,
  /// what `take` heard stays.
  Result<GenerationEnd> generate(Sampler &sampler, const GenerateOptions &options);

  /// Chooses a token by the logits of the last token fed; the context stays as it is.
  Result<int32_t> sample(Sampler &sampler);

  /// When the workers of a GPU did what, in the first plays (options.tracePlays) of the last chunk
  /// fed or of the last generation. An error if nothing was recorded.
  Result<Recording> recording() { return device->recording(); }

  /// f32 [vocabulary] of the last token fed; good until the next feed. An error before the first.
  Result<const float *> logits();

  uint64_t position() const { return fed.size(); }
  uint64_t maxLen() const { return limit; }
  const std::vector<int32_t> &history() const { return fed; } // the token at each position
  unsigned threads() const { return device->threads(); }
  std::string deviceName() const { return device->name(); }

  /// Forgets all positions from `length` on. Logits are gone.
  Status truncate(uint64_t length);

  void cancel() { device->cancel(); }

private:
  explicit Session(const Roll &roll) : roll(roll) {}
  size_t programFor(size_t left, bool oneByOne) const;
  Status check(const int32_t *ids, size_t count) const;
  /// Remembers what broke the device.
  Status note(Status status);

  const Roll &roll;
  uint64_t limit = 0; // positions
  std::vector<int32_t> fed;
  std::vector<size_t> bySlots;      // programs, fewest slots first
  std::optional<uint64_t> lastSlot; // of the last play, whose logits are wanted
  std::string broken;
  std::unique_ptr<Device> device;
};

} // namespace pianola

#endif
