// Snippet.h - a few lines of PTX, played by one block, and the word that each thread leaves.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_SNIPPET_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_SNIPPET_H

#include "targets/nvptx/emulator/Emulator.h"

#include <string>
#include <vector>

namespace pianola::ptx {

struct Left {
  std::string error; ///< of loading or launching
  std::vector<Finding> findings;
  std::vector<uint32_t> words;  ///< %r0 of each thread
  std::vector<uint32_t> memory; ///< the 256 words at %d9 after the launch

  bool found(FindingKind kind) const {
    for (const Finding &finding : findings)
      if (finding.kind == kind)
        return true;
    return false;
  }
};

/// Plays `lines` with registers %p0-9 (predicates), %h0-19 (16 bits), %r0-39 (32), %d0-39 (64), 1
/// KiB of shared memory `s`, aligned to 128, the thread's number in %r39, its lane in %r38, and in
/// %d9 the address of 256 words of device memory that hold 0, 1, 2 ... The thread leaves %r0.
Left playSnippet(const std::string &lines, uint32_t threads = 32, uint64_t seed = 1,
                 const char *device = "h200");

} // namespace pianola::ptx

#endif
