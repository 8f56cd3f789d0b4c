// CodeCache.h - machine code that the driver made of PTX, kept for the next time: compiling a
// model's kernels takes seconds.
#ifndef PIANOLA_RUNTIME_CUDA_CODECACHE_H
#define PIANOLA_RUNTIME_CUDA_CODECACHE_H

#include "runtime/cuda/Gpu.h"

#include <optional>
#include <string_view>

namespace pianola::cuda {

/// The place of one text's code, for one chip and one driver: cubin/ in the directory that
/// PIANOLA_CACHE names, or in pianola/ below XDG_CACHE_HOME or ~/.cache.
class CodeCache {
public:
  CodeCache(const Gpu &gpu, std::string_view ptx);

  /// Empty: there is no place for a cache.
  const std::string &path() const { return file; }
  /// What was kept; nothing if that is not there or not whole.
  std::optional<std::string> find() const;
  /// Keeps it if that is possible: a cache that cannot be written is only slow.
  void keep(std::string_view cubin) const;

private:
  std::string file;
};

} // namespace pianola::cuda

#endif
