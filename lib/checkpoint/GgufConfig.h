// GgufConfig.h - the metadata of a GGUF file as the config.json of a model directory.
//
// Two fields are none of the architecture's in transformers, and say what these files have
// otherwise. Importers know them, so that nothing has to be turned back:
//
//     rope_interleave                Llama's rows of q and k stand so that lanes 2i and 2i+1 of a
//                                    head are turned together
//     layernorm_zero_centered_gamma  false: Gemma's norms have weights as they are multiplied with,
//                                    and not less one
//
// Llama 3's rule for rope comes as its result: what divides the frequency of each pair, in a
// tensor. That is what longrope has, with the same factors for short and for long texts.
#ifndef PIANOLA_LIB_CHECKPOINT_GGUFCONFIG_H
#define PIANOLA_LIB_CHECKPOINT_GGUFCONFIG_H

#include "lib/checkpoint/GgufFile.h"

namespace pianola {

/// The tensor that divides frequencies. Nothing else has it.
constexpr llvm::StringLiteral kGgufRopeFactors = "rope_freqs.weight";

/// general.architecture; empty if there is none.
std::string ggufArchitecture(const GgufFile &file);

/// The text of config.json.
llvm::Expected<std::string> ggufConfig(const GgufFile &file);

/// The text of generation_config.json: tokens that end an answer, those by which templates end a
/// turn among them, for which the metadata has no key.
llvm::Expected<std::string> ggufGeneration(const GgufFile &file);

} // namespace pianola

#endif
