// GpuMutations.h - what is taken away from what orders a kernel.
#ifndef PIANOLA_TEST_NUMERIC_GPUMUTATIONS_H
#define PIANOLA_TEST_NUMERIC_GPUMUTATIONS_H

#include "test/numeric/Bent.h"
#include "test/numeric/KernelText.h"

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace pianola {

constexpr int kWorkers = 4; // of the kernels that are changed

using Kinds = std::vector<std::string>;  // names of Finding.h, or:
constexpr char kWatchdog[] = "watchdog"; // the kernel's own report
constexpr char kRefused[] = "refused";   // the player does not open the roll

struct Mutation {
  const char *name;
  const char *device;
  Kinds accepted; // any of them, as what is found first
  std::function<void(Bent &)> bend = nullptr;
  std::function<int(KernelText &)> edit = nullptr;
  bool changesCode = false; // of the stages, by `bend`
  bool lags = false;        // a step that no other waits for in the same play
};

inline void PrintTo(const Mutation &mutation, std::ostream *out) {
  *out << mutation.name << " (" << mutation.device << ")";
}

const std::vector<Mutation> &scheduleMutations();
const std::vector<Mutation> &codeMutations();

} // namespace pianola

#endif
