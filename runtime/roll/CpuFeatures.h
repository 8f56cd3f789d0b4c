// CpuFeatures.h - whether this CPU can play a roll.
#ifndef PIANOLA_RUNTIME_ROLL_CPUFEATURES_H
#define PIANOLA_RUNTIME_ROLL_CPUFEATURES_H

#include "runtime/roll/Manifest.h"

namespace pianola {

/// An error names the first feature that is missing, or that this runtime does not know.
Status checkCpu(const RollTarget &target);

} // namespace pianola

#endif
