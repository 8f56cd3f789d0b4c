// LoadModule.h - the kernels of a roll, ready to be launched.
#ifndef PIANOLA_RUNTIME_CUDA_LOADMODULE_H
#define PIANOLA_RUNTIME_CUDA_LOADMODULE_H

#include "runtime/cuda/Gpu.h"
#include "runtime/roll/Roll.h"

namespace pianola::cuda {

/// The roll's cubin, if it is for this chip; or what the cache has; or the PTX, compiled by the
/// driver, whose log becomes the error.
Result<CUmodule> loadModule(const Gpu &gpu, const Roll &roll);

} // namespace pianola::cuda

#endif
