// TextTokens.h - the tokens of a text file.
#ifndef PIANOLA_LIB_QUALITY_TEXTTOKENS_H
#define PIANOLA_LIB_QUALITY_TEXTTOKENS_H

#include "runtime/text/Tokenizer.h"

#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace pianola {

/// The tokenizer that a model came with; `json` may be empty, which is an error.
llvm::Expected<std::unique_ptr<Tokenizer>> parseTokenizer(const std::string &model,
                                                          std::string_view json);
/// That of a model directory.
llvm::Expected<std::unique_ptr<Tokenizer>> readTokenizer(const std::string &directory);

/// The ids of a text file, without what the tokenizer puts before and after. Errors: no such file,
/// an empty one, no UTF-8, fewer than two tokens.
llvm::Expected<std::vector<int32_t>> readTokens(const std::string &path,
                                                const Tokenizer &tokenizer);

} // namespace pianola

#endif
