// InertFields.h - fields of config.json that say nothing about what a model computes.
#ifndef PIANOLA_LIB_IMPORT_INERTFIELDS_H
#define PIANOLA_LIB_IMPORT_INERTFIELDS_H

#include "llvm/ADT/StringRef.h"

namespace pianola {

/// Whether `field` is known to carry no mathematics, in whatever model: names and versions, how it
/// was trained, what runs it, and ids of tokens, which are read with generation_config.json.
bool isInert(llvm::StringRef field);

} // namespace pianola

#endif
