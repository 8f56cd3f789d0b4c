// GraphLauncher.cpp - a kernel for each stage, captured once for each program and replayed.
#include "runtime/cuda/GraphLauncher.h"

#include <algorithm>

namespace pianola::cuda {

// So many plays are given to the GPU before the token of the first is known, so that it never waits
// for the host. What was launched behind the last token does nothing.
static constexpr uint64_t kAhead = 4;

GraphLauncher::~GraphLauncher() {
  if (!gpu.enter().ok())
    return;
  for (CUgraphExec graph : graphs)
    gpu.driver.cuGraphExecDestroy(graph);
}

Status GraphLauncher::prepare(const Addresses &addresses, const LaunchPlaces &at) {
  if (Status status = Launcher::prepare(addresses, at); !status.ok())
    return status;
  for (size_t program = 0; program < programs.size(); ++program)
    if (Status status = capture(program); !status.ok())
      return status;
  return Status();
}

Status GraphLauncher::capture(size_t program) {
  const Driver &driver = gpu.driver;
  if (Status status =
          gpu.check("cuStreamBeginCapture",
                    driver.cuStreamBeginCapture_v2(queue, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
      !status.ok())
    return status;
  // From capability 9.0 on a kernel may begin while the one before it ends, and says itself when it
  // needs what that one made.
  bool overlaps = gpu.capability >= 90;
  Status launched;
  size_t steps = roll.manifest().programs[program].steps.size();
  for (uint32_t step = 0; step < steps && launched.ok(); ++step)
    launched = launchStage(program, step, overlaps && step > 0);
  CUgraph graph = nullptr;
  CUresult result = driver.cuStreamEndCapture(queue, &graph);
  if (!launched.ok())
    return launched;
  if (result != CUDA_SUCCESS)
    return driver.failure("cuStreamEndCapture", result);
  CUgraphExec made = nullptr;
  result = driver.cuGraphInstantiateWithFlags(&made, graph, 0);
  driver.cuGraphDestroy(graph);
  if (result != CUDA_SUCCESS)
    return driver.failure("cuGraphInstantiate", result);
  graphs.push_back(made);
  return Status();
}

Status GraphLauncher::begin(size_t program, uint64_t plays) {
  current = program;
  wanted = plays;
  launched = 0;
  return goOn(0);
}

Status GraphLauncher::goOn(uint64_t chosen) {
  for (; launched < std::min(wanted, chosen + kAhead); ++launched)
    if (Status status =
            gpu.check("cuGraphLaunch", gpu.driver.cuGraphLaunch(graphs[current], queue));
        !status.ok())
      return status;
  return Status();
}

} // namespace pianola::cuda
