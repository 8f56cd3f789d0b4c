// ModelText.h - tokenizer and chat template of what the command line names.
#ifndef PIANOLA_TOOLS_PIANOLA_MODELTEXT_H
#define PIANOLA_TOOLS_PIANOLA_MODELTEXT_H

#include "runtime/template/ChatConfig.h"
#include "runtime/text/Tokenizer.h"

namespace pianola {

/// A regular file of at most 256 MiB. Errors name it.
Result<std::string> readTextFile(const std::string &path);

/// Whether it is what compile takes: a directory, or a GGUF file.
bool isModel(const std::string &path);

/// Of a model directory, a tokenizer.json, or a roll. Errors name it.
Result<std::unique_ptr<Tokenizer>> openTokenizer(const std::string &model);

/// Of a model directory, a roll, or a file that is the template. Errors name it.
Result<ChatConfig> openChatConfig(const std::string &model);

} // namespace pianola

#endif
