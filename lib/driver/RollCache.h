//===- RollCache.h - A model directory is compiled once ---------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_ROLLCACHE_H
#define PIANOLA_LIB_DRIVER_ROLLCACHE_H

#include "lib/driver/Compile.h"

namespace pianola {

/// The roll for `options.directory`: from the cache, or compiled into it now. Its name is a digest
/// of the contents of the directory's files, or of the GGUF file, the options, this machine's
/// features, and the compiler's version, so it never has to be thrown away for being stale. The
/// cache is the directory PIANOLA_CACHE names, or pianola below XDG_CACHE_HOME or ~/.cache.
llvm::Expected<std::string> cachedRoll(CompileOptions options, Progress &progress,
                                       llvm::raw_ostream &notes);

} // namespace pianola

#endif
