// ModelTexts.h - the texts beside a model's weights: those of a directory, or made of a GGUF file.
//
// Who reads config.json, tokenizer.json and the like asks here and need not know which of the two a
// model is.
#ifndef PIANOLA_LIB_CHECKPOINT_MODELTEXTS_H
#define PIANOLA_LIB_CHECKPOINT_MODELTEXTS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace pianola {

/// The text called `name`, of at most `most` bytes in a directory; nothing if there is none.
llvm::Expected<std::optional<std::string>> findModelText(llvm::StringRef model,
                                                         llvm::StringRef name, uint64_t most);

/// The same of one that must be there.
llvm::Expected<std::string> readModelText(llvm::StringRef model, llvm::StringRef name,
                                          uint64_t most);

} // namespace pianola

#endif
