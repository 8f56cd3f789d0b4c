// HostDevice.h - plays a roll for the host: the memory of conversations, and threads.
#ifndef PIANOLA_RUNTIME_HOST_HOSTDEVICE_H
#define PIANOLA_RUNTIME_HOST_HOSTDEVICE_H

#include "runtime/host/Player.h"
#include "runtime/session/Device.h"
#include "runtime/session/Memory.h"

namespace pianola {

class HostDevice : public Device {
public:
  /// `capacity`: positions of each sequence, a multiple of 64. `threads` 0: one for each worker.
  static Result<std::unique_ptr<Device>> create(const Roll &roll, uint64_t capacity,
                                                uint64_t sequences, unsigned threads,
                                                double watchdogSeconds);

  Status play(const Play &play) override;
  Status copy(uint32_t from, uint32_t to, uint64_t length, uint64_t written) override;
  Result<const float *> logits(uint64_t slot) override;
  Result<const float *> hiddenState(uint64_t slot) override;
  Result<int32_t> choose(Sampler &sampler, const std::vector<int32_t> &history) override;
  void cancel() override { player->cancel(); }
  bool wasCancelled() const override { return player->wasCancelled(); }
  unsigned threads() const override { return player->threads(); }
  std::string name() const override { return std::to_string(threads()) + " threads"; }

private:
  HostDevice(const Roll &roll, uint64_t capacity, uint64_t sequences)
      : roll(roll), capacity(capacity), sequences(sequences) {}
  Status allocate();
  void bindTables();
  void bindSteps();
  void fillRotations(uint64_t end);
  const float *rowOf(const RollRows &rows, uint64_t slot) const;

  const Roll &roll;
  uint64_t capacity; // positions that contexts have room for, of each sequence
  uint64_t sequences;
  Memory arena, contexts, states, rotations;
  std::vector<uint64_t> contextOffsets, stateOffsets, rotationOffsets;
  std::vector<std::vector<void *>> tableTiles; // addresses of tiles, of each table
  std::vector<void *> tables;
  std::vector<std::vector<std::vector<void *>>> bindings; // [program][step][binding]
  uint64_t rotationsFilled = 0;
  size_t lastProgram = 0; // whose logits stand in the arena
  uint64_t lastSlots = 0;
  std::unique_ptr<Player> player;
};

} // namespace pianola

#endif
