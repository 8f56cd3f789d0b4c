// GgufTokenizer.h - the tokenizer of a GGUF file as the tokenizer.json of a model directory.
#ifndef PIANOLA_LIB_CHECKPOINT_GGUFTOKENIZER_H
#define PIANOLA_LIB_CHECKPOINT_GGUFTOKENIZER_H

#include "lib/checkpoint/GgufFile.h"

namespace pianola {

/// The text of tokenizer.json; empty if the file has no tokenizer.
llvm::Expected<std::string> ggufTokenizer(const GgufFile &file);

/// The text of tokenizer_config.json: the chat template and the tokens that it names.
llvm::Expected<std::string> ggufTokenizerConfig(const GgufFile &file);

} // namespace pianola

#endif
