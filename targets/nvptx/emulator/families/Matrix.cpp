// ldmatrix, stmatrix: 8 x 8 matrices of 16-bit elements between shared memory and the registers of
// a warp.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"

#include <cstring>

namespace pianola::ptx {

namespace {

/// Lane 8 m + r gives the address of row r of matrix m: 16 bytes. Lane l holds elements 2 (l % 4)
/// and the next one of row l / 4; transposed, of column l / 4 (PTX ISA, ldmatrix).
template <bool IsStore> Step moveMatrix(Warp &warp, const Op &op, uint32_t) {
  Playing &playing = warp.playing;
  if (!warp.gatherAll())
    return Step::Switch;
  uint32_t mask = warp.current().mask;
  auto what = uint32_t(&op - playing.code.ops.data());
  const Slot *slots = playing.code.slots.data() + op.more;
  uint32_t values[4][warpSize];
  AccessCheck check(warp, what);
  if (mask != ~0u) {
    playing.report(FindingKind::BarrierDivergence, warp, firstLane(mask),
                   "the instruction needs a warp of 32 threads");
    playing.stop();
    return Step::Switch;
  }
  for (uint32_t matrix = 0; matrix < op.count; ++matrix) {
    Location rows[8];
    for (uint32_t row = 0; row < 8; ++row) {
      uint32_t lane = 8 * matrix + row;
      if (!locate(warp, lane, op.space, addressOf(warp, op, lane), 16, 16, IsStore, rows[row]))
        return Step::Switch;
      if (rows[row].buffer != &warp.block.shared) {
        playing.report(FindingKind::OutOfBounds, warp, lane, "the rows must be in shared memory");
        playing.stop();
        return Step::Switch;
      }
    }
    auto touch = [&](uint32_t lane, uint32_t row, uint32_t column, uint32_t elements, void *value) {
      Location part = rows[row];
      part.offset += 2 * column, part.bytes += 2 * column;
      if (IsStore)
        std::memcpy(part.bytes, value, 2 * elements);
      else
        std::memcpy(value, part.bytes, 2 * elements);
      if (playing.checking)
        IsStore ? check.write(lane, part, 2 * elements) : check.read(lane, part, 2 * elements);
    };
    for (uint32_t lane = 0; lane < warpSize; ++lane) {
      uint32_t major = lane / 4, minor = 2 * (lane % 4);
      uint32_t &value = values[matrix][lane];
      if (IsStore)
        value = warp.in<uint32_t>(slots[matrix])[lane];
      if (!op.mode) {
        touch(lane, major, minor, 2, &value);
      } else {
        auto *halves = reinterpret_cast<uint16_t *>(&value);
        touch(lane, minor, major, 1, halves);
        touch(lane, minor + 1, major, 1, halves + 1);
      }
    }
  }
  for (uint32_t matrix = 0; matrix < op.count && !IsStore; ++matrix)
    std::memcpy(warp.out<uint32_t>(slots[matrix]), values[matrix], sizeof values[matrix]);
  if (IsStore)
    playing.progress();
  if (playing.launch.profile)
    countAccess(warp, op, op.count == 4 ? ~0u : (1u << (8 * op.count)) - 1, 16);
  return Step::Next;
}

bool decodeMoveMatrix(Decoder &decoder, bool isStore) {
  Op &op = decoder.op;
  op.splits = op.earlyClobber = true;
  if (!decoder.accept("sync") || !decoder.accept("aligned") || !decoder.accept("m8n8"))
    return decoder.unknown();
  op.count = decoder.accept("x4") ? 4 : decoder.accept("x2") ? 2 : 1;
  decoder.accept("x1");
  op.mode = decoder.accept("trans");
  Space space = Space::Generic;
  decoder.takeSpace(space);
  if (!decoder.accept("b16") || !decoder.expectOperands(2))
    return decoder.unknown();
  const Operand &registers = decoder.operands()[isStore ? 1 : 0];
  std::vector<Slot> slots(op.count);
  bool single = decoder.isRegister(registers) && op.count == 1;
  if (!single && (registers.kind != Operand::Kind::Vector || registers.elements.size() != op.count))
    return decoder.fail("expected a vector of " + std::to_string(op.count) + " registers");
  for (size_t i = 0; i < op.count; ++i) {
    const Operand &each = single ? registers : registers.elements[i];
    if (!(isStore ? decoder.use(each, Type::B32, slots[i]) : decoder.define(each, 4, slots[i])))
      return false;
  }
  isStore ? decoder.more({}, slots) : decoder.more(slots, {});
  return decoder.address(isStore ? 0 : 1, space) &&
         decoder.run(isStore ? moveMatrix<true> : moveMatrix<false>);
}

} // namespace

bool decodeLoadMatrix(Decoder &decoder) { return decodeMoveMatrix(decoder, false); }
bool decodeStoreMatrix(Decoder &decoder) { return decodeMoveMatrix(decoder, true); }

} // namespace pianola::ptx
