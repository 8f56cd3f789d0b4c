#include "targets/nvptx/emulator/families/Access.h"

#include "targets/nvptx/emulator/Profile.h"

#include <algorithm>

namespace pianola::ptx {

namespace {

bool refuse(Warp &warp, uint32_t lane, FindingKind kind, const std::string &message,
            const std::string &address) {
  warp.playing.report(kind, warp, lane, message, address);
  warp.playing.stop();
  return false;
}

std::string hexadecimal(uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

bool outside(Warp &warp, uint32_t lane, const std::string &what, uint64_t offset, uint32_t bytes,
             uint64_t size) {
  return refuse(warp, lane, FindingKind::OutOfBounds,
                std::to_string(bytes) + " bytes are accessed, and " + what + " has " +
                    std::to_string(size),
                what + "+" + std::to_string(int64_t(offset)));
}

bool outsideShared(Warp &warp, uint32_t lane, uint64_t address, uint32_t bytes) {
  return refuse(warp, lane, FindingKind::OutOfBounds,
                std::to_string(bytes) +
                    " bytes are accessed that are not in a variable of the block",
                describe(warp.block.shared, address));
}

/// Generic addresses say themselves where they lead.
Space spaceOf(uint64_t &address) {
  uint64_t window = address >> 32;
  Space space = window == SharedWindow  ? Space::Shared
                : window == LocalWindow ? Space::Local
                : window == ParamWindow ? Space::Param
                                        : Space::Global;
  if (space != Space::Global)
    address &= UINT32_MAX;
  return space;
}

} // namespace

bool locate(Warp &warp, uint32_t lane, Space space, uint64_t address, uint32_t bytes,
            uint32_t alignment, bool isWrite, Location &location) {
  if (space == Space::Generic)
    space = spaceOf(address);
  location.isLocal = false;
  if (address & (alignment - 1))
    return refuse(warp, lane, FindingKind::Misaligned,
                  "the address is no multiple of " + std::to_string(alignment),
                  hexadecimal(address));
  switch (space) {
  case Space::Shared: {
    Buffer &shared = warp.block.shared;
    location.offset = address;
    location.buffer = &shared;
    if (!shared.isInside(address, bytes))
      return outsideShared(warp, lane, address, bytes);
    location.bytes = shared.bytes.get() + address;
    return true;
  }
  case Space::Local:
    location.buffer = nullptr, location.isLocal = true;
    location.offset = address;
    if (address > warp.localBytes || bytes > warp.localBytes - address)
      return outside(warp, lane, "local", address, bytes, warp.localBytes);
    location.bytes = warp.localOf(lane) + address;
    return true;
  case Space::Param: {
    std::vector<uint8_t> &bank = warp.playing.parameters;
    location.buffer = nullptr;
    location.offset = address;
    if (isWrite)
      return refuse(warp, lane, FindingKind::ReadOnly, "a kernel's parameters are not written",
                    "param+" + std::to_string(address));
    if (address > bank.size() || bytes > bank.size() - address)
      return outside(warp, lane, "param", address, bytes, bank.size());
    location.bytes = bank.data() + address;
    return true;
  }
  default:
    break;
  }
  Buffer *buffer = location.buffer;
  if (!buffer || address - buffer->base >= buffer->size || buffer == &warp.block.shared)
    buffer = warp.playing.device.memory.find(address);
  if (!buffer)
    return refuse(warp, lane, FindingKind::OutOfBounds, "no buffer is there", hexadecimal(address));
  uint64_t offset = address - buffer->base;
  if (buffer->released)
    return refuse(warp, lane, FindingKind::UseAfterFree, "the buffer was released",
                  describe(*buffer, offset));
  if (offset > buffer->size || bytes > buffer->size - offset)
    return outside(warp, lane, buffer->name, offset, bytes, buffer->size);
  if (isWrite && buffer->readOnly)
    return refuse(warp, lane, FindingKind::ReadOnly, "a .const variable is not written",
                  describe(*buffer, offset));
  location.buffer = buffer;
  location.offset = offset;
  location.bytes = buffer->bytes.get() + offset;
  return true;
}

void AccessCheck::read(uint32_t lane, const Location &location, uint32_t bytes) {
  Playing &playing = warp.playing;
  if (location.buffer) {
    warp.turnTo(witness, lane);
    if (Conflict conflict = location.buffer->shadow.read(
            location.offset, bytes, witness, playing.checks.races, playing.checks.uninitialised))
      playing.report(FindingKind::Race, warp, lane, conflict, *location.buffer);
  } else if (location.isLocal && !warp.localWritten.empty()) {
    // Compilers copy structures by words, and the padding with them: what is written in part counts
    // as written.
    size_t first = size_t(lane) * warp.localBytes + location.offset;
    for (uint32_t i = 0; i < bytes; i += 8) {
      auto word = warp.localWritten.begin() + ptrdiff_t(first + i);
      auto end = word + std::min(bytes - i, 8u);
      if (std::find(word, end, true) != end)
        continue;
      playing.report(FindingKind::Uninitialised, warp, lane, "a read of memory that nothing wrote",
                     "local+" + std::to_string(location.offset + i));
      return;
    }
  }
}

void AccessCheck::write(uint32_t lane, const Location &location, uint32_t bytes) {
  Playing &playing = warp.playing;
  if (location.buffer) {
    warp.turnTo(witness, lane);
    if (Conflict conflict =
            location.buffer->shadow.write(location.offset, bytes, witness, playing.checks.races))
      playing.report(FindingKind::Race, warp, lane, conflict, *location.buffer);
  } else if (location.isLocal && !warp.localWritten.empty()) {
    size_t first = size_t(lane) * warp.localBytes + location.offset;
    std::fill(warp.localWritten.begin() + ptrdiff_t(first),
              warp.localWritten.begin() + ptrdiff_t(first + bytes), true);
  }
}

/// No lane's own program order counts for the others, but what all lanes of the warp know does.
Witness AccessCheck::shared(uint32_t lanes) const {
  Witness together = witness;
  together.access.lanes = lanes;
  together.thread = Witness::nobody;
  together.clock = &warp.common;
  together.familiar = witness.access.agent, together.familiarTime = warp.convergedTime;
  return together;
}

bool AccessCheck::readTogether(uint32_t lanes, const Location &location, uint32_t bytes) {
  const Checks &checks = warp.playing.checks;
  return !warp.diverged && !location.buffer->shadow.read(location.offset, bytes, shared(lanes),
                                                         checks.races, checks.uninitialised);
}

bool AccessCheck::writeTogether(uint32_t lanes, const Location &location, uint32_t bytes) {
  return !warp.diverged && !location.buffer->shadow.write(location.offset, bytes, shared(lanes),
                                                          warp.playing.checks.races);
}

void skipCacheModifiers(Decoder &decoder) {
  for (const char *word :
       {"ca", "cg", "cs", "lu", "cv", "wb", "wt", "L1::evict_normal", "L1::evict_unchanged",
        "L1::evict_first", "L1::evict_last", "L1::no_allocate", "L2::evict_first", "L2::evict_last",
        "L2::evict_normal", "L2::64B", "L2::128B", "L2::256B"})
    decoder.accept(word);
}

bool skipCachePolicy(Decoder &decoder, size_t operand) {
  if (!decoder.accept("L2::cache_hint"))
    return decoder.expectOperands(operand);
  Slot ignored;
  return decoder.expectOperands(operand + 1) && decoder.use(operand, Type::B64, ignored);
}

void countAccess(Warp &warp, const Op &op, uint32_t mask, uint32_t bytes) {
  Profile *profile = warp.playing.launch.profile;
  if (!profile)
    return;
  uint64_t addresses[32];
  Space space = op.space;
  forLanes(mask, [&](uint32_t lane) {
    addresses[lane] = addressOf(warp, op, lane);
    if (op.space == Space::Generic)
      space = spaceOf(addresses[lane]);
  });
  profile->countAccess(uint32_t(&op - warp.playing.code.ops.data()), space, addresses, mask, bytes);
}

} // namespace pianola::ptx
