// Device.h - what a session plays on: threads of the host, or a GPU.
//
// A device has the memory of one conversation, or of several: sequences, numbered from 0. Who calls
// it knows what has been fed: `history`, one token for each position.
#ifndef PIANOLA_RUNTIME_SESSION_DEVICE_H
#define PIANOLA_RUNTIME_SESSION_DEVICE_H

#include "runtime/Status.h"
#include "runtime/sampling/Sampler.h"

#include <functional>
#include <string>
#include <vector>

namespace pianola {

/// What the slots of a play are: see PianolaHostCall. Vectors of one size.
struct Slots {
  std::vector<int32_t> tokens;
  std::vector<uint64_t> positions;
  std::vector<uint32_t> sequences;

  size_t size() const { return tokens.size(); }
  void add(uint32_t sequence, uint64_t position, int32_t token);
  /// `count` tokens at consecutive positions of a sequence.
  static Slots chunk(uint32_t sequence, uint64_t position, const int32_t *tokens, size_t count);
};

/// One play of a program.
struct Play {
  size_t program = 0;
  Slots slots;
  uint64_t firstOutput = 0; // first slot whose logits are wanted
};

/// Token after token of sequence 0: each one that is chosen is played next.
struct Loop {
  size_t program = 0; // of one slot
  int32_t first = 0;  // played first; chosen, but not in the history yet
  uint64_t plays = 1; // at most
  const std::vector<int32_t> *stops = nullptr;
  /// Hears each token as it is chosen, and says whether to go on. A stop is always the last.
  std::function<bool(int32_t)> take;
  /// Becomes how many plays were begun: those of tokens that `take` did not hear, too.
  uint64_t played = 0;
};

/// When a worker did a step; ns of the device's timer. All zero: it has no tiles of the step.
struct RecordedSpan {
  uint64_t begin; // it came to the step
  uint64_t ready; // its events had happened
  uint64_t end;   // its tiles were done
};

/// The first plays of a launch.
struct Recording {
  size_t program = 0;
  uint64_t position = 0; // of the first play
  uint64_t slots = 1;
  uint64_t plays = 0, steps = 0, workers = 0;
  std::vector<RecordedSpan> spans; // [plays][steps][workers]

  const RecordedSpan &at(uint64_t play, uint64_t step, uint64_t worker) const {
    return spans[(play * steps + step) * workers + worker];
  }
};

class Device {
public:
  virtual ~Device() = default;

  /// Plays to the end. Errors: "cancelled" (see wasCancelled), or what broke the device.
  virtual Status play(const Play &play) = 0;

  /// Gives `to` the keys and values of the first `length` positions of another sequence, as far as
  /// rings have them, of which `written` positions have been written.
  virtual Status copy(uint32_t from, uint32_t to, uint64_t length, uint64_t written) = 0;

  /// Logits of one slot of the last play; good until the next play or call.
  virtual Result<const float *> logits(uint64_t slot) = 0;

  /// The last hidden state of one slot of the last play; good until the next play or call. The roll
  /// must have them.
  virtual Result<const float *> hiddenState(uint64_t slot) = 0;

  /// Chooses a token by the logits of the last slot of the last play.
  virtual Result<int32_t> choose(Sampler &sampler, const std::vector<int32_t> &history) = 0;

  /// Plays `loop.first` and what is chosen after it, and adds to the history what was played, up to
  /// the last token that `take` heard, which is not played.
  virtual Status loop(Loop &loop, Sampler &sampler, std::vector<int32_t> &history);

  /// Of the last play or loop.
  virtual Result<Recording> recording() {
    return Status::error("the host's player records nothing: recordings are made on GPUs");
  }

  /// Makes the play under way, or else the next one, end soon. From any thread.
  virtual void cancel() = 0;
  virtual bool wasCancelled() const = 0;

  virtual unsigned threads() const = 0; // that compute: of the host, or blocks of a GPU
  virtual std::string name() const = 0; // "2 threads", "NVIDIA H200"
};

} // namespace pianola

#endif
