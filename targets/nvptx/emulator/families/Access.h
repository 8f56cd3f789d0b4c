// Access.h - one lane's access to memory: where it goes, whether it may, and what it conflicts
// with.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_ACCESS_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_ACCESS_H

#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Lanes.h"

namespace pianola::ptx {

struct Location {
  uint8_t *bytes = nullptr;
  Buffer *buffer = nullptr; ///< null: the thread's local memory, or the parameters
  uint64_t offset = 0;      ///< in the buffer, or in the local memory
  bool isLocal = false;
};

/// The address in s[index] of a lane.
inline uint64_t addressOf(const Warp &warp, const Op &op, uint32_t lane, int index = 0) {
  uint64_t constant = index == 0 ? op.value : op.value2;
  if (op.wideAddress >> index & 1)
    return warp.in<uint64_t>(op.s[index])[lane] + constant;
  return uint32_t(warp.in<uint32_t>(op.s[index])[lane] + uint32_t(constant));
}

/// Memory of the host is read and written atomically, as the host's own threads would: 16 bytes as
/// two halves.
template <typename E> E readShared(const uint8_t *bytes) {
  if constexpr (sizeof(E) == sizeof(Wide))
    return {readShared<uint64_t>(bytes), readShared<uint64_t>(bytes + 8)};
  else
    return __atomic_load_n(reinterpret_cast<const E *>(bytes), __ATOMIC_SEQ_CST);
}
template <typename E> void writeShared(uint8_t *bytes, E value) {
  if constexpr (sizeof(E) == sizeof(Wide)) {
    writeShared<uint64_t>(bytes, value.low);
    writeShared<uint64_t>(bytes + 8, value.high);
  } else {
    __atomic_store_n(reinterpret_cast<E *>(bytes), value, __ATOMIC_SEQ_CST);
  }
}
/// Whether an access by a strong operation is one to memory of the host.
inline bool isShared(const Location &location) {
  return location.buffer && location.buffer->isHosts;
}

/// Finds the bytes of an access. False, with a finding that ends the launch, where there are none,
/// they are not aligned to `alignment`, or they may not be written. `location` may hold the one of
/// another lane: buffers are mostly the same.
bool locate(Warp &warp, uint32_t lane, Space space, uint64_t address, uint32_t bytes,
            uint32_t alignment, bool isWrite, Location &location);

/// What Access::what says of an op, beside the flags that the caller adds.
inline uint32_t whatOf(const Warp &warp, const Op &op) {
  uint32_t what = uint32_t(&op - warp.playing.code.ops.data());
  return op.order == Order::Weak ? what : what | Access::strong(op.scope);
}

/// Checks reads and writes of bytes that were located, lane after lane of one instruction, and
/// reports what it finds. The launch goes on.
class AccessCheck {
public:
  AccessCheck(Warp &warp, uint32_t what) : warp(warp), witness(warp.witness(what)) {}
  void read(uint32_t lane, const Location &location, uint32_t bytes);
  void write(uint32_t lane, const Location &location, uint32_t bytes);
  /// An access that several lanes share. False, and nothing is reported, where not all of them know
  /// of what was there before.
  bool readTogether(uint32_t lanes, const Location &location, uint32_t bytes);
  bool writeTogether(uint32_t lanes, const Location &location, uint32_t bytes);
  /// What the warp knows has changed: an acquire, a release.
  void refresh() {
    uint32_t what = witness.access.what;
    witness = warp.witness(what);
  }

private:
  Witness shared(uint32_t lanes) const;

  Warp &warp;
  Witness witness;
};

/// The order and scope that an instruction without words for them has.
inline void settleOrder(Op &op) {
  if (op.order != Order::Weak && op.scope == Scope::None)
    op.scope = Scope::Gpu;
}

/// The address of a place as the poll detection names it.
inline uint64_t genericAddress(const Warp &warp, const Location &location) {
  return location.buffer == &warp.block.shared ? windowBase(SharedWindow) + location.offset
         : location.buffer                     ? location.buffer->base + location.offset
                                               : 0;
}

/// A slot for what a thread's asynchronous operation reads and writes: see bulkAgent().
uint32_t takeSlot(Block &block, uint32_t warp, uint32_t lane, uint32_t pc);

/// Takes the cache modifiers of loads and stores: nothing that a program could see.
void skipCacheModifiers(Decoder &decoder);
/// [address] or [address], policy: takes `.L2::cache_hint` and its operand.
bool skipCachePolicy(Decoder &decoder, size_t operand);

void countAccess(Warp &warp, const Op &op, uint32_t mask, uint32_t bytes);

} // namespace pianola::ptx

#endif
