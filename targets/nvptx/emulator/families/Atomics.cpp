// atom and red: read, change and write back, in one step.
#include "targets/nvptx/emulator/Reduction.h"
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

constexpr uint16_t compareAndSwap = 100;

template <typename T> Step atomic(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  uint32_t count = op.count, bytes = uint32_t(sizeof(T)) * count;
  uint32_t what = whatOf(warp, op) | Access::Update;
  const Slot *slots = playing.code.slots.data() + op.more; // results, then operands
  const Slot *operands = slots + op.moreDefs;
  const T *compare = op.mode == compareAndSwap ? warp.in<T>(operands[0]) : nullptr;
  const T *swap = compare ? warp.in<T>(operands[1]) : nullptr;
  T results[8][warpSize];
  Location location;
  AccessCheck check(warp, what);
  bool failed = false, changed = false;
  uint64_t first = 0, seen = 0; // of 16 bytes the first eight
  // Lanes take turns, in an order that nothing may depend on.
  uint32_t start = playing.checking ? playing.random.below(warpSize) : 0;
  auto visit = [&](uint32_t lane) {
    if (failed)
      return;
    if (!locate(warp, lane, op.space, addressOf(warp, op, lane), bytes, bytes, true, location)) {
      failed = true;
      return;
    }
    if (!location.buffer) {
      playing.report(FindingKind::OutOfBounds, warp, lane,
                     "atomics work on global and shared memory alone");
      playing.stop();
      failed = true;
      return;
    }
    if (playing.checks.uninitialised) {
      if (Conflict conflict =
              location.buffer->shadow.read(location.offset, bytes, warp.witness(what), false, true))
        playing.report(FindingKind::Uninitialised, warp, lane, conflict, *location.buffer);
    }
    bool writes = true;
    for (uint32_t i = 0; i < count; ++i) {
      T old, fresh;
      auto *place = reinterpret_cast<T *>(location.bytes + i * sizeof(T));
      auto replace = [&] {
        if (compare) {
          writes = old == compare[lane];
          fresh = writes ? swap[lane] : old;
        } else if constexpr (sizeof(T) == sizeof(Wide)) {
          fresh = warp.in<T>(operands[i])[lane]; // exchange is all there is
        } else {
          fresh =
              T(reduced(Reduction(op.mode), op.type, op.ftz, old, warp.in<T>(operands[i])[lane]));
        }
      };
      if constexpr (sizeof(T) <= 8) {
        if (isShared(location)) {
          playing.readHost();
          old = readShared<T>(location.bytes + i * sizeof(T));
          do
            replace();
          while (!__atomic_compare_exchange_n(place, &old, fresh, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST));
        } else {
          old = *place;
          replace();
          *place = fresh;
        }
      } else { // 16 bytes: the host has no such update
        std::memcpy(&old, place, sizeof(T));
        replace();
        std::memcpy(place, &fresh, sizeof(T));
      }
      changed |= fresh != old;
      results[i][lane] = old;
      if (!first && i == 0)
        first = genericAddress(warp, location),
        std::memcpy(&seen, &old, std::min(sizeof old, sizeof seen));
    }
    // What it acquires is known before it is checked: the value that it reads decides.
    playing.acquire(warp, lane, op, *location.buffer, location.offset);
    check.refresh();
    if (playing.checking)
      writes ? check.write(lane, location, bytes) : check.read(lane, location, bytes);
    if (writes)
      playing.release(warp, lane, op, *location.buffer, location.offset, true);
  };
  forLanes(mask & lanesFrom(start), visit);
  forLanes(mask & ~lanesFrom(start), visit);
  if (failed)
    return Step::Switch;
  if (playing.launch.profile)
    countAccess(warp, op, mask, bytes);
  if (changed)
    playing.progress();
  for (uint32_t i = 0; i < op.moreDefs; ++i) {
    T *d = warp.out<T>(slots[i]);
    forLanes(mask, [&](uint32_t lane) { d[lane] = results[i][lane]; });
  }
  // A failed attempt that will be made again: the same instruction, the same value.
  if (!changed && first && mask == warp.current().mask && playing.polls(warp, first, seen)) {
    ++warp.current().pc;
    playing.doze(warp, Group::State::Polling);
    return Step::Switch;
  }
  return Step::Next;
}

bool elementsOf(Decoder &decoder, const Operand &operand, uint32_t count,
                std::vector<const Operand *> &out) {
  if (count == 1) {
    out.push_back(&operand);
    return true;
  }
  if (operand.kind != Operand::Kind::Vector || operand.elements.size() != count)
    return decoder.fail("expected a vector of " + std::to_string(count) + " registers");
  for (const Operand &each : operand.elements)
    out.push_back(&each);
  return true;
}

} // namespace

bool decodeAtomic(Decoder &decoder) {
  Op &op = decoder.op;
  bool hasResult = decoder.opcode() == "atom";
  if (decoder.accept("async"))
    return decoder.fail("red.async is not supported");
  Space space = Space::Generic;
  op.order = Order::Relaxed;
  decoder.takeSpace(space);
  decoder.takeOrder(op.order, op.scope);
  settleOrder(op);
  skipCacheModifiers(decoder);
  decoder.accept("noftz");
  op.count = decoder.accept("v2") ? 2 : decoder.accept("v4") ? 4 : decoder.accept("v8") ? 8 : 1;
  if (!decoder.takeType(op.type))
    return decoder.fail("expected a type");
  bool swaps = hasResult && decoder.accept("cas");
  if (swaps) {
    op.mode = compareAndSwap;
    if (op.count != 1 || (op.type != Type::B16 && op.type != Type::B32 && op.type != Type::B64 &&
                          op.type != Type::B128))
      return decoder.fail("compare and swap of this type is not supported");
  } else {
    for (std::string_view word : decoder.instruction().words)
      if (Reduction named = reductionNamed(word); named != Reduction::None)
        if (decoder.accept(word))
          op.mode = uint16_t(named);
    bool isWideExchange = op.type == Type::B128 && Reduction(op.mode) == Reduction::Exchange;
    if (!(isWideExchange ? op.count == 1 : reductionExists(Reduction(op.mode), op.type)) ||
        (Reduction(op.mode) == Reduction::Exchange && !hasResult))
      return decoder.fail("this operation does not exist for the type");
    // f32 updates of global memory flush subnormal numbers, those of shared memory do not (PTX ISA,
    // atom).
    op.ftz = op.type == Type::F32 && space == Space::Global && op.count == 1;
  }
  size_t firstOperand = hasResult ? 1 : 0, values = swaps ? 2 : 1;
  if (!skipCachePolicy(decoder, firstOperand + 1 + values) || !decoder.address(firstOperand, space))
    return false;
  std::vector<const Operand *> results, operands;
  if (hasResult && !elementsOf(decoder, decoder.operands()[0], op.count, results))
    return false;
  for (size_t i = 0; i < values; ++i)
    if (!elementsOf(decoder, decoder.operands()[firstOperand + 1 + i], op.count, operands))
      return false;
  std::vector<Slot> defs(results.size()), uses(operands.size());
  for (size_t i = 0; i < results.size(); ++i)
    if (!decoder.define(*results[i], sizeOf(op.type), defs[i]))
      return false;
  for (size_t i = 0; i < operands.size(); ++i)
    if (!decoder.use(*operands[i], op.type, uses[i]))
      return false;
  decoder.more(defs, uses);
  op.earlyClobber = true;
  uint32_t bytes = sizeOf(op.type);
  return decoder.run(bytes == 2    ? atomic<uint16_t>
                     : bytes == 4  ? atomic<uint32_t>
                     : bytes == 16 ? atomic<Wide>
                                   : atomic<uint64_t>);
}

} // namespace pianola::ptx
