// CpuFeatures.h - whether this CPU can play a roll.
#ifndef PIANOLA_RUNTIME_ROLL_CPUFEATURES_H
#define PIANOLA_RUNTIME_ROLL_CPUFEATURES_H

#include "runtime/roll/Manifest.h"

#include <string>
#include <vector>

namespace pianola {

/// An error names the first feature that is missing, or that this runtime does not know. For AMX
/// this asks Linux for tile data, once in a process.
Status checkCpu(const RollTarget &target);

/// From now on these features count as there, and Linux is asked for tile data only if not
/// `permitted`. For tests that emulate them.
void takeAsThere(std::vector<std::string> features, bool permitted = true);

} // namespace pianola

#endif
