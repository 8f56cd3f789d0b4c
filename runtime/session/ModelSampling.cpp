// ModelSampling.cpp - how a model itself wants its tokens to be chosen.
#include "runtime/session/ModelSampling.h"

namespace pianola {

SamplingOptions modelSampling(const RollGeneration &generation) {
  SamplingOptions sampling;
  if (!generation.doSample || !generation.doSample->value)
    return sampling;
  auto take = [](const auto &setting, auto &to) {
    if (setting)
      to = static_cast<std::decay_t<decltype(to)>>(setting->value);
  };
  sampling.temperature = 1; // transformers' default
  take(generation.temperature, sampling.temperature);
  take(generation.topK, sampling.topK);
  take(generation.topP, sampling.topP);
  take(generation.minP, sampling.minP);
  take(generation.repetitionPenalty, sampling.repetitionPenalty);
  return sampling;
}

} // namespace pianola
