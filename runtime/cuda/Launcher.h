// Launcher.h - makes a GPU play programs: as persistent kernels, or stage by stage.
#ifndef PIANOLA_RUNTIME_CUDA_LAUNCHER_H
#define PIANOLA_RUNTIME_CUDA_LAUNCHER_H

#include "runtime/cuda/Cards.h"
#include "runtime/cuda/LoadedRoll.h"

namespace pianola::cuda {

/// What kernels are given besides cards; addresses.
struct LaunchPlaces {
  uint64_t events = 0, state = 0, host = 0;
  uint64_t eventBytes = 0;
  uint64_t watchdog = 0; // ns
};

class Launcher {
public:
  static std::unique_ptr<Launcher> create(const LoadedRoll &loaded, bool graphs);
  virtual ~Launcher();

  /// First plan, then, with memory, prepare.
  void plan(MemoryPlan &plan);
  virtual Status prepare(const Addresses &addresses, const LaunchPlaces &places);

  /// Whether one begin() can make several plays.
  virtual bool playsOn(size_t program) const = 0;
  /// Has `plays` plays made, by the state that stands on the device.
  virtual Status begin(size_t program, uint64_t plays) = 0;
  /// `chosen` of their tokens are known by now.
  virtual Status goOn(uint64_t chosen) = 0;
  /// The last step alone, which chooses a token.
  Status choose(size_t program);

  CUstream stream() const { return queue; }

protected:
  Launcher(const LoadedRoll &loaded, bool keepsStages)
      : loaded(loaded), roll(loaded.roll), gpu(*loaded.gpu), keepsStages(keepsStages) {}
  Status launch(CUfunction function, const RollKernel &kernel, uint64_t cards, uint64_t ranges,
                uint64_t tapes, CUlaunchAttribute attribute);
  /// `early`: it may begin before the stage before it has ended.
  Status launchStage(size_t program, uint32_t step, bool early);

  struct Program {
    DeviceMemory cards;  // of workers, one after the other
    DeviceMemory ranges; // {first, count} of each
    DeviceMemory stages; // cards of steps `firstStage` and later, for each worker
    DeviceMemory tapes;  // {offset, bytes} of each worker
    uint32_t firstStage = 0;
  };

  const LoadedRoll &loaded;
  const Roll &roll;
  const Gpu &gpu;
  LaunchPlaces places;
  CUstream queue = nullptr;
  std::vector<Program> programs;

private:
  Status write(const Program &to, const RollProgram &program, const Addresses &addresses);

  bool keepsStages; // cards of all stages, not of the last alone
};

} // namespace pianola::cuda

#endif
