// CudaDevice.h - plays a roll for NVIDIA GPUs: the memory of a conversation on a GPU, and launches.
#ifndef PIANOLA_RUNTIME_CUDA_CUDADEVICE_H
#define PIANOLA_RUNTIME_CUDA_CUDADEVICE_H

#include "runtime/cuda/HostList.h"
#include "runtime/cuda/Launcher.h"
#include "runtime/session/Device.h"

#include <atomic>

namespace pianola::cuda {

struct CudaOptions {
  std::string driver;    // see openDriver
  uint64_t capacity = 0; // positions, a multiple of 64
  double watchdogSeconds = 20;
  bool graphs = false;     // stage by stage
  uint64_t tracePlays = 0; // of a launch, recorded
};

class CudaDevice : public Device {
public:
  static Result<std::unique_ptr<Device>> create(const Roll &roll, const CudaOptions &options);

  Status play(const Play &play) override;
  Status copy(uint32_t from, uint32_t to, uint64_t length, uint64_t written) override;
  Result<const float *> logits(uint64_t slot) override;
  Result<const float *> hiddenState(uint64_t slot) override;
  Result<int32_t> choose(Sampler &sampler, const std::vector<int32_t> &history) override;
  Status loop(Loop &loop, Sampler &sampler, std::vector<int32_t> &history) override;
  Result<Recording> recording() override;
  void cancel() override;
  bool wasCancelled() const override { return lastWasCancelled; }
  unsigned threads() const override;
  std::string name() const override { return loaded->gpu->name; }

private:
  CudaDevice(std::shared_ptr<LoadedRoll> loaded, const CudaOptions &options)
      : loaded(std::move(loaded)), roll(this->loaded->roll), gpu(*this->loaded->gpu),
        options(options) {}
  Status allocate();
  Status fillRotations();
  Status prepare();
  PianolaCudaState stateOf(uint64_t position, uint64_t slots, uint64_t firstOutput,
                           uint64_t plays) const;
  Status prepareChoice(const Sampler &sampler, const std::vector<int32_t> &history,
                       const int32_t *next, PianolaCudaState &state);
  Status hand(const PianolaCudaState &state, uint64_t tokens);
  Status record(size_t program, PianolaCudaState &state);
  Result<const float *> readRow(const RollRows &rows, uint64_t slot);
  Status take(const Loop &loop, std::vector<int32_t> &history, uint64_t &heard);
  Status finish(size_t program);
  bool takeCancellation();

  const std::shared_ptr<LoadedRoll> loaded;
  const Roll &roll;
  const Gpu &gpu;
  const CudaOptions options;
  DeviceMemory arena, events, state, tokens, counts, bias, stops, spans;
  std::vector<DeviceMemory> contexts, states, rotations;
  HostList list;
  std::unique_ptr<Launcher> launcher;
  size_t lastProgram = 0; // whose logits stand in the arena
  PianolaCudaState lastState = {};
  Recording recorded;     // of which the spans stand on the device
  std::vector<float> row; // of logits or a hidden state
  std::atomic<bool> cancelled{false};
  bool lastWasCancelled = false;
};

} // namespace pianola::cuda

#endif
