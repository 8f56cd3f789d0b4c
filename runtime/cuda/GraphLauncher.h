// GraphLauncher.h - a kernel for each stage, captured once for each program and replayed.
#ifndef PIANOLA_RUNTIME_CUDA_GRAPHLAUNCHER_H
#define PIANOLA_RUNTIME_CUDA_GRAPHLAUNCHER_H

#include "runtime/cuda/Launcher.h"

namespace pianola::cuda {

class GraphLauncher : public Launcher {
public:
  explicit GraphLauncher(const LoadedRoll &loaded) : Launcher(loaded, true) {}
  ~GraphLauncher() override;

  Status prepare(const Addresses &addresses, const LaunchPlaces &places) override;
  bool playsOn(size_t program) const override {
    return roll.manifest().programs[program].slots == 1;
  }
  Status begin(size_t program, uint64_t plays) override;
  Status goOn(uint64_t chosen) override;

private:
  Status capture(size_t program);

  std::vector<CUgraphExec> graphs; // of each program
  size_t current = 0;
  uint64_t wanted = 0, launched = 0; // plays
};

} // namespace pianola::cuda

#endif
