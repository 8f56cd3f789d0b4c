// Instrument.h - a roll on the device that plays it.
#ifndef PIANOLA_RUNTIME_SESSION_INSTRUMENT_H
#define PIANOLA_RUNTIME_SESSION_INSTRUMENT_H

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

/// What conversations have in common: the device, what may be fed to it, and what broke it.
class Instrument {
public:
  /// A device with memory for so many sequences. The roll must outlive it.
  static Result<Instrument> open(const Roll &roll, const SessionOptions &options,
                                 uint64_t sequences);

  const Roll &roll() const { return *played; }
  Device &device() const { return *opened; }
  uint64_t maxLen() const { return limit; } // positions of a sequence

  /// The smallest program that has so many slots, or else the largest.
  size_t programFor(size_t slots) const;
  uint64_t slotsOf(size_t program) const { return roll().manifest().programs[program].slots; }

  /// Whether these tokens can be fed at `position`.
  Status check(const int32_t *ids, size_t count, uint64_t position) const;
  /// An error once something broke the device.
  Status check() const { return broken.empty() ? Status() : Status::error(broken); }

  /// Whether a sequence, of which once `written` positions were written, has what attention after
  /// the first `length` of these looks at: rings keep the newest alone, and states what the last
  /// position has left.
  bool keeps(uint64_t length, uint64_t written) const;

  /// The last hidden state of a slot of the last play, f32 [hidden]; good until the next call. An
  /// error if the roll has none.
  Result<const float *> hiddenState(uint64_t slot) const;

  /// What the device says, which is remembered if it broke it.
  Status note(Status status);
  Status play(const Play &play) { return note(opened->play(play)); }

private:
  const Roll *played = nullptr;
  uint64_t limit = 0;
  std::vector<size_t> bySlots; // programs, fewest slots first
  std::string broken;
  std::unique_ptr<Device> opened;
};

} // namespace pianola

#endif
