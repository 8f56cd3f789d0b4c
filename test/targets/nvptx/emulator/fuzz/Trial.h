// Trial.h - whatever text, loaded and played for a moment: it must end, and soon.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_FUZZ_TRIAL_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_FUZZ_TRIAL_H

#include <cstdint>
#include <string_view>

namespace pianola::ptx {

struct Trial {
  bool loaded = false;
  uint32_t launches = 0; ///< that were not refused
  uint64_t findings = 0;
};

/// Loads the text and launches its kernels, each for at most a few thousand instructions, with
/// pointers to small buffers and small numbers as arguments.
Trial tryText(std::string_view text);

} // namespace pianola::ptx

#endif
