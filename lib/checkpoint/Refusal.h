// Refusal.h - errors about files from outside.
//
// Such an error is one line that names the file, the field, what was found and what was expected.
// Names out of a file may hold anything and be of any length, so they pass through inQuotes().
#ifndef PIANOLA_LIB_CHECKPOINT_REFUSAL_H
#define PIANOLA_LIB_CHECKPOINT_REFUSAL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <string>

namespace pianola {

llvm::Error refuse(const llvm::Twine &message);

/// `text` in double quotes, escaped to printable ASCII, and cut after 80 characters.
std::string inQuotes(llvm::StringRef text);

/// "[2, 3]".
std::string showShape(llvm::ArrayRef<int64_t> shape);

} // namespace pianola

#endif
