//===- ContextLayout.cpp - Where keys and values are ----------------------===//

#include "targets/nvptx/ContextLayout.h"

using namespace mlir;

namespace pianola::nvptx {

constexpr int64_t kGroup = 16; // positions

ContextLayout::ContextLayout(tile::ContextType type)
    : type(type), hasCodes(type.hasScales()), size(type.getSize()),
      pair(type.getElement().isBF16() ? 2 : 1), words(hasCodes ? 1 : 4),
      lineBytes(kGroup * (hasCodes ? 1 : 4)), rowBytes(size * (hasCodes ? 1 : 4)),
      columnBytes(hasCodes ? 1 : 4), groupBytes(kGroup * type.getPositionBytes()),
      scaleBytes(hasCodes ? kGroup * 4 : 0) {}

Type ContextLayout::wordType(Emitter &e) const {
  return type.getElement().isF32() ? e.f32() : e.i32();
}

Value ContextLayout::half(Kernel &e, Value context, Value head, tile::ContextPart part) const {
  if (part == tile::ContextPart::Value)
    head = e.add(head, type.getHeads());
  Value room = e.capacity;
  if (type.getRing())
    room = e.min(room, e.constant(e.i64(), type.getRing()));
  return e.at(context, e.mul(e.mul(e.widen(head), room), type.getPositionBytes()));
}

Value ContextLayout::place(Emitter &e, Value position) const {
  return type.getRing() ? e.rem(position, type.getRing()) : position;
}

Value ContextLayout::groupAt(Emitter &e, Value half, Value position) const {
  return e.at(half, e.mul(e.div(position, kGroup), groupBytes));
}

Value ContextLayout::keyAt(Emitter &e, Value half, Value position) const {
  Value inLine = e.mul(e.rem(position, kGroup), lineBytes / kGroup);
  return e.at(e.at(groupAt(e, half, position), inLine), scaleBytes);
}

Value ContextLayout::rowAt(Emitter &e, Value half, Value position) const {
  if (!hasCodes)
    return e.at(half, e.mul(e.div(position, pair), rowBytes));
  Value inGroup = e.mul(e.rem(position, kGroup), rowBytes);
  return e.at(e.at(groupAt(e, half, position), inGroup), scaleBytes);
}

Value ContextLayout::scaleAt(Emitter &e, Value half, Value position) const {
  return e.at(groupAt(e, half, position), e.mul(e.rem(position, kGroup), 4));
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value ContextLayout::number(Emitter &e, Value word, int64_t index) const {
  if (type.getElement().isF32())
    return word;
  if (!hasCodes)
    return index ? e.highBf16(word) : e.lowBf16(word);
  if (type.getElement().isInteger(8)) {
    // Behind the bits of 2^23 a byte is its number; with the sign bit turned over, 128 more.
    Value turned = e.exclusive(word, e.constant(int64_t(0x80808080)));
    Value bits = e.call("llvm.nvvm.prmt", e.i32(),
                        {turned, e.constant(0x4b000000), e.constant(0x7540 + index)});
    return e.fsub(e.bits(bits, e.f32()), e.real(0x1p23 + 128));
  }
  // The bits of e4m3 in the middle of an f32 are 2^-120 of their value. Copies of the sign stand
  // above.
  Value top = index < 3 ? e.shiftLeft(word, 24 - 8 * index) : word;
  Value bits = e.both(e.shiftRightSigned(top, 4), e.constant(int64_t(0x87f00000)));
  return e.fmul(e.bits(bits, e.f32()), e.real(0x1p120));
}

SmallVector<Value, 4> ContextLayout::encode(Emitter &e, ArrayRef<Value> numbers) const {
  SmallVector<Value, 4> codes;
  for (Value number : numbers) {
    if (type.getElement().isInteger(8)) {
      // Next to 1.5 2^23 floats are whole numbers.
      codes.push_back(e.bits(e.fadd(number, e.real(0x1.8p23)), e.i32()));
      continue;
    }
    // As above, the other way; what is cut off rounds what stays, ties to even.
    Value bits = e.bits(e.fmul(number, e.real(0x1p-120)), e.i32());
    Value magnitude = e.both(bits, e.constant(0x7fffffff));
    Value isOdd = e.both(e.shiftRight(magnitude, 20), e.constant(1));
    Value code = e.shiftRight(e.add(e.add(magnitude, isOdd), 0x7ffff), 20);
    codes.push_back(e.either(code, e.both(e.shiftRight(bits, 24), e.constant(0x80))));
  }
  return codes;
}

Value loadNarrow(Emitter &e, Type type, Value at) {
  return e.builder.create<arith::ExtUIOp>(e.loc, e.i32(), e.load(type, at));
}

Value packBytes(Emitter &e, ArrayRef<Value> bytes) {
  Value word;
  for (auto [i, byte] : llvm::enumerate(bytes)) {
    Value moved = e.shiftLeft(e.both(byte, e.constant(255)), 8 * i);
    word = word ? e.either(word, moved) : moved;
  }
  return word;
}

} // namespace pianola::nvptx
