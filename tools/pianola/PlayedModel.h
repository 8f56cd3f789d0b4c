// PlayedModel.h - what the verbs that talk have in common: a roll, how to sample, what it says.
#ifndef PIANOLA_TOOLS_PIANOLA_PLAYEDMODEL_H
#define PIANOLA_TOOLS_PIANOLA_PLAYEDMODEL_H

#include "runtime/roll/Roll.h"
#include "runtime/sampling/Sampler.h"
#include "runtime/template/Chat.h"
#include "tools/pianola/Verbs.h"

namespace pianola {

/// Opens a roll. A model directory or a GGUF file is compiled first, by `rollOf`.
Result<std::unique_ptr<Roll>> openRoll(const std::string &model, RollRequest request,
                                       const RollFinder &rollOf);

/// The chat template of a roll.
Result<Chat> chatOf(const Roll &roll, const Tokenizer &tokenizer);

/// --temp and its like.
void addSamplingOptions(CLI::App &verb, SamplingOptions &options);

/// What the command line leaves open comes from the model, and is said on standard error.
void takeDefaults(const CLI::App &verb, const RollGeneration &generation, SamplingOptions &options);

/// -c and --target, for a model that is not a roll.
void addRequestOptions(CLI::App &verb, RollRequest &request);

} // namespace pianola

#endif
