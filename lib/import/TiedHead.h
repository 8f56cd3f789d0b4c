// TiedHead.h - a head that is stored although the embedding serves as head.
#ifndef PIANOLA_LIB_IMPORT_TIEDHEAD_H
#define PIANOLA_LIB_IMPORT_TIEDHEAD_H

#include "lib/checkpoint/WeightSource.h"

namespace pianola {

/// Some releases say tie_word_embeddings and store a head nevertheless. If the two are equal,
/// nothing is lost by tying them. If they differ, one of the two statements is wrong, and which
/// one cannot be known (transformers 5 trusts the tensor, with a warning): an error that names
/// both.
llvm::Error checkTiedHead(const WeightSource &weights, llvm::StringRef head,
                          llvm::StringRef embedding);

} // namespace pianola

#endif
