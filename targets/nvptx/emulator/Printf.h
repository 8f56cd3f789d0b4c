// Printf.h - vprintf of a kernel, and strings in its memory.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_PRINTF_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_PRINTF_H

#include "targets/nvptx/emulator/Warp.h"

#include <string>

namespace pianola::ptx {

/// The zero-terminated string at a generic address, cut at 4096 characters or the end of its
/// buffer.
std::string stringAt(Warp &warp, uint32_t lane, uint64_t address);

/// Appends to the launch's output. The arguments lie at a generic address, each aligned to its
/// size, as CUDA's ABI packs them. Returns how many there were, or -1 for a format that is wrong.
int32_t printFormatted(Warp &warp, uint32_t lane, uint64_t format, uint64_t arguments);

} // namespace pianola::ptx

#endif
