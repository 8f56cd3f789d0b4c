// HostList.cpp - what a running kernel and the host tell each other.
#include "runtime/cuda/HostList.h"

#include <chrono>
#include <thread>

namespace pianola::cuda {

// So often the list alone is looked at: some tens of microseconds. Asking the driver takes longer
// than a look, and tokens take longer than that.
static constexpr int kSpins = 4000;
static constexpr auto kPause = std::chrono::microseconds(20);

Status HostList::allocate(const Gpu &on, uint64_t tokens) {
  gpu = &on;
  return memory.allocate(on, sizeof(PianolaCudaHost) + tokens * sizeof(uint64_t));
}

void HostList::clear(uint64_t tokens) {
  host()->report = {};
  for (uint64_t i = 0; i < tokens; ++i)
    host()->tokens[i] = 0;
  __atomic_store_n(&host()->cancel, 0, __ATOMIC_SEQ_CST);
}

void HostList::cancel() const { __atomic_store_n(&host()->cancel, 1, __ATOMIC_SEQ_CST); }

std::optional<ChosenToken> HostList::token(uint64_t index) const {
  uint64_t entry = __atomic_load_n(&host()->tokens[index], __ATOMIC_ACQUIRE);
  if (entry >> 63 == 0)
    return std::nullopt;
  return ChosenToken{static_cast<int32_t>(entry & UINT32_MAX),
                     static_cast<PianolaCudaEnd>(entry >> 32 & 0x7fffffff)};
}

std::optional<ChosenToken> HostList::wait(uint64_t index, CUstream stream) const {
  for (int spins = 0;; ++spins) {
    if (std::optional<ChosenToken> there = token(index))
      return there;
    if (spins < kSpins)
      continue;
    // The stream may have ended between the two looks, having written the token.
    if (gpu->driver.cuStreamQuery(stream) != CUDA_ERROR_NOT_READY)
      return token(index);
    std::this_thread::sleep_for(kPause);
  }
}

std::string HostList::report(const RollProgram &program, double watchdogSeconds) const {
  const PianolaCudaReport &report = host()->report;
  uint32_t kind = __atomic_load_n(&report.kind, __ATOMIC_ACQUIRE);
  if (kind == 0)
    return "";
  std::string step = report.step < program.steps.size()
                         ? "\"" + program.steps[report.step].label + "\""
                         : std::to_string(report.step);
  std::string text = "watchdog: worker " + std::to_string(report.worker) + " has waited " +
                     std::to_string(watchdogSeconds) + " s in step " + step + " of program " +
                     program.name + ", play " + std::to_string(report.play);
  std::string expected = std::to_string(report.expected), seen = std::to_string(report.seen);
  if (kind == PIANOLA_CUDA_WAIT_EVENT)
    return text + ", for event " + std::to_string(report.event) + ": expected " + expected +
           ", seen " + seen;
  return text +
         (kind == PIANOLA_CUDA_WAIT_TAPE ? ", for the tape to fill slot "
                                         : ", for the consumers to empty slot ") +
         expected + " of the ring, phase " + seen;
}

} // namespace pianola::cuda
