// Finding.h - one wrong note: what happened, where, and what it conflicts with.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FINDING_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FINDING_H

#include <cstdint>
#include <optional>
#include <string>

namespace pianola::ptx {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t(x) * y * z; }
};

enum class FindingKind : uint8_t {
  OutOfBounds,   ///< an access outside of every buffer, or across the end of one
  Misaligned,    ///< an address that is no multiple of the access's size
  UseAfterFree,  ///< an access to a buffer that was released
  ReadOnly,      ///< a write to .const or .param memory
  Uninitialised, ///< a read of memory that nothing wrote
  Race,          ///< two accesses, one of them a write, that nothing orders
  ProxyRace, ///< ordered, but a generic write meets the asynchronous proxy without a proxy fence
  SlotReuse, ///< a bulk or asynchronous copy overwrites what a reader may still be reading
  StaleRead, ///< a read through the non-coherent path (.nc) of data that this launch writes
  BarrierDivergence, ///< an aligned instruction that only some threads of a warp reach, or a wrong
                     ///< count
  MbarrierMisuse,    ///< an mbarrier that is not one, too many arrivals, a transaction count that
                     ///< overflows
  PhaseOverrun, ///< a phase of an mbarrier completed while a thread still waited for the one before
  AsyncMisuse,  ///< a bulk copy with a bad size or alignment, or never waited for at the exit
  Deadlock,     ///< no thread can go on
  Livelock,     ///< threads run, but nothing changes any more
  Trap,         ///< trap, a failed assertion, or a call of something that does not exist
  Budget,       ///< the launch was stopped by its budget
};

/// "race", "out-of-bounds": how a kind is spelled in reports and on command lines.
const char *nameOf(FindingKind kind);

/// Where an instruction was executed.
struct Place {
  uint32_t line = 0; ///< of the PTX text, from 1
  Dim3 block{0, 0, 0}, thread{0, 0, 0};
  bool asynchronous = false; ///< by a copy engine, on behalf of that thread
};

struct Finding {
  FindingKind kind;
  Place place;
  std::string file;
  std::string instruction; ///< its text
  std::string address;     ///< buffer+offset, or empty where no memory is involved
  std::string
      message; ///< one sentence; a deadlock's goes on with the wait graph, a line for each waiter
  std::optional<Place> other; ///< the access that this one conflicts with
  std::string otherInstruction;

  /// The report in full: `kernel.ptx:41: race: st.shared.f32 [%r8], %f13: ...`.
  std::string text() const;
};

} // namespace pianola::ptx

#endif
