// Profile.h - what a launch did, counted for each instruction.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_PROFILE_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_PROFILE_H

#include "targets/nvptx/emulator/Code.h"

#include <map>

namespace pianola::ptx {

struct Profile {
  struct Line {
    uint64_t warps = 0, threads = 0; ///< executions
    uint64_t bytes = 0;              ///< read or written, of all lanes
    uint64_t wavefronts = 0;         ///< passes that shared memory needs
    uint64_t leastWavefronts = 0;    ///< without bank conflicts: 128 bytes in each
    uint64_t sectors = 0;            ///< of 32 bytes, touched in global memory
    uint64_t leastSectors = 0;       ///< that the same bytes would fill
    Space space = Space::Generic;    ///< where the bytes are
  };
  std::vector<Line> lines; ///< by op of the kernel's code

  void begin(const Code &code) { lines.resize(code.ops.size()); }
  void count(uint32_t op, uint32_t mask) {
    ++lines[op].warps;
    lines[op].threads += uint32_t(__builtin_popcount(mask));
  }
  /// One memory instruction of a warp: addresses of the lanes in `mask`, `bytes` each.
  void countAccess(uint32_t op, Space space, const uint64_t *addresses, uint32_t mask,
                   uint32_t bytes);

  struct Sum {
    std::string name;
    Line line;
  };
  /// By opcode with its modifiers, most executed first.
  std::vector<Sum> byInstruction(const Code &code) const;
  /// By stage, in the order of the text; empty where the text marks none.
  std::vector<Sum> byStage(const Code &code) const;
  /// By state space of memory instructions.
  std::vector<Sum> bySpace() const;
};

} // namespace pianola::ptx

#endif
