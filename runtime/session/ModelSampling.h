// ModelSampling.h - how a model itself wants its tokens to be chosen.
#ifndef PIANOLA_RUNTIME_SESSION_MODELSAMPLING_H
#define PIANOLA_RUNTIME_SESSION_MODELSAMPLING_H

#include "runtime/roll/Manifest.h"
#include "runtime/sampling/Sampler.h"

namespace pianola {

/// What its generation_config.json says; greedy if that does not ask for sampling.
SamplingOptions modelSampling(const RollGeneration &generation);

} // namespace pianola

#endif
