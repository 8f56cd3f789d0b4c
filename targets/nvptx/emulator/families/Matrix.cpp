// ldmatrix, stmatrix: 8 x 8 matrices of 16-bit elements between shared memory and the registers of
// a warp.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/WholeWarp.h"

#include <cstring>

namespace pianola::ptx {

namespace {

/// The lane that holds part of a row: a pair of elements, or, transposed, one.
uint32_t laneOf(uint32_t row, uint32_t part, bool transposed) {
  return transposed ? 4 * part + row / 2 : 4 * row + part;
}

template <bool IsStore>
void moveElements(const Location &place, uint32_t row, uint32_t part, bool transposed,
                  uint32_t *values) {
  uint32_t bytes = transposed ? 2 : 4;
  uint8_t *memory = place.bytes + bytes * part;
  auto *value = reinterpret_cast<uint8_t *>(values + laneOf(row, part, transposed));
  if (transposed)
    value += 2 * (row % 2);
  if (IsStore)
    std::memcpy(memory, value, bytes);
  else
    std::memcpy(value, memory, bytes);
}

/// A row is asked for as a whole, for all lanes that share it. Where that is refused, each lane is
/// asked for what it touches itself, because it may have written just that.
template <bool IsStore>
void checkRow(AccessCheck &check, const Location &place, uint32_t row, bool transposed) {
  uint32_t lanes = transposed ? 0x11111111u << (row / 2) : 0xfu << (4 * row);
  if (IsStore ? check.writeTogether(lanes, place, 16) : check.readTogether(lanes, place, 16))
    return;
  uint32_t bytes = transposed ? 2 : 4;
  for (uint32_t part = 0; part < 16 / bytes; ++part) {
    Location own = place;
    own.offset += bytes * part, own.bytes += bytes * part;
    uint32_t lane = laneOf(row, part, transposed);
    IsStore ? check.write(lane, own, bytes) : check.read(lane, own, bytes);
  }
}

/// Lane 8 m + r gives the address of row r of matrix m: 16 bytes. Lane l holds elements 2 (l % 4)
/// and the next one of row l / 4; transposed, of column l / 4 (PTX ISA, ldmatrix).
template <bool IsStore> Step moveMatrix(Warp &warp, const Op &op, uint32_t) {
  Playing &playing = warp.playing;
  if (!gatherWarp(warp))
    return Step::Switch;
  auto what = uint32_t(&op - playing.code.ops.data());
  const Slot *slots = playing.code.slots.data() + op.more;
  uint32_t values[4][warpSize];
  AccessCheck check(warp, what);
  for (uint32_t matrix = 0; matrix < op.count; ++matrix) {
    uint32_t *value = values[matrix];
    if (IsStore)
      std::memcpy(value, warp.in<uint32_t>(slots[matrix]), sizeof values[matrix]);
    for (uint32_t row = 0; row < 8; ++row) {
      uint32_t giver = 8 * matrix + row;
      Location place;
      if (!locate(warp, giver, op.space, addressOf(warp, op, giver), 16, 16, IsStore, place))
        return Step::Switch;
      if (place.buffer != &warp.block.shared) {
        playing.report(FindingKind::OutOfBounds, warp, giver, "the rows must be in shared memory");
        playing.stop();
        return Step::Switch;
      }
      for (uint32_t part = 0; part < (op.mode ? 8u : 4u); ++part)
        moveElements<IsStore>(place, row, part, op.mode, value);
      if (playing.checking)
        checkRow<IsStore>(check, place, row, op.mode);
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
