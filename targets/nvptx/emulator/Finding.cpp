#include "targets/nvptx/emulator/Finding.h"

namespace pianola::ptx {

namespace {

std::string textOf(const Dim3 &index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," +
         std::to_string(index.z) + ")";
}

std::string textOf(const Place &place) {
  return (place.asynchronous ? "a copy of block " : "block ") + textOf(place.block) + " thread " +
         textOf(place.thread);
}

} // namespace

const char *nameOf(FindingKind kind) {
  switch (kind) {
  case FindingKind::OutOfBounds:
    return "out-of-bounds";
  case FindingKind::Misaligned:
    return "misaligned";
  case FindingKind::UseAfterFree:
    return "use-after-free";
  case FindingKind::ReadOnly:
    return "read-only";
  case FindingKind::Uninitialised:
    return "uninitialised";
  case FindingKind::Race:
    return "race";
  case FindingKind::ProxyRace:
    return "proxy-race";
  case FindingKind::SlotReuse:
    return "slot-reuse";
  case FindingKind::StaleRead:
    return "stale-read";
  case FindingKind::BarrierDivergence:
    return "barrier-divergence";
  case FindingKind::MbarrierMisuse:
    return "mbarrier-misuse";
  case FindingKind::PhaseOverrun:
    return "phase-overrun";
  case FindingKind::AsyncMisuse:
    return "async-misuse";
  case FindingKind::Deadlock:
    return "deadlock";
  case FindingKind::Livelock:
    return "livelock";
  case FindingKind::Trap:
    return "trap";
  case FindingKind::Budget:
    return "budget";
  }
  return "unknown";
}

std::string Finding::text() const {
  std::string out =
      file + ":" + std::to_string(place.line) + ": " + nameOf(kind) + ": " + textOf(place) + ": ";
  if (!address.empty())
    out += address + ": ";
  out += message;
  if (!instruction.empty())
    out += "\n  " + std::to_string(place.line) + " | " + instruction;
  if (other) {
    out += "\nthe other access: " + textOf(*other);
    out += "\n  " + std::to_string(other->line) + " | " + otherInstruction;
  }
  return out;
}

} // namespace pianola::ptx
