// Counting, finding and masking bits.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/BitFields.h"

namespace pianola::ptx {

namespace {

struct CountOnes {
  template <typename T> uint32_t operator()(T a) const { return popc(a); }
};
struct CountLeadingZeros {
  template <typename T> uint32_t operator()(T a) const { return clz(a); }
};
struct Reverse {
  template <typename T> T operator()(T a) const { return brev(a); }
};
template <bool ShiftAmount> struct FindHighest {
  template <typename T> uint32_t operator()(T a) const { return bfind(a, ShiftAmount); }
};
template <bool Wrap> struct Ones {
  uint32_t operator()(uint32_t a, uint32_t b) const { return bmsk(a, b, Wrap); }
};
template <bool Wrap, bool Signed> struct Extend {
  uint32_t operator()(uint32_t a, uint32_t b) const { return szext(a, b, Wrap, Signed); }
};

Step findNth(Warp &warp, const Op &op, uint32_t mask) {
  const auto *bits = warp.in<uint32_t>(op.s[0]), *from = warp.in<uint32_t>(op.s[1]);
  const auto *offset = warp.in<int32_t>(op.s[2]);
  computeEach(warp.out<uint32_t>(op.d[0]), mask,
              [&](uint32_t lane) { return fns(bits[lane], from[lane], offset[lane]); });
  return Step::Next;
}

template <typename F> Handler countOf(Type type) {
  return type == Type::B32   ? Handler(unaryLanes<F, uint32_t, uint32_t>)
         : type == Type::B64 ? Handler(unaryLanes<F, uint32_t, uint64_t>)
                             : nullptr;
}
template <bool ShiftAmount> Handler findOf(Type type) {
  return forWords(type, [](auto t) -> Handler {
    return unaryLanes<FindHighest<ShiftAmount>, uint32_t, decltype(t)>;
  });
}

} // namespace

bool decodeBitCount(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  std::string_view opcode = decoder.opcode();
  if (opcode == "brev") {
    Handler handler = type == Type::B32   ? Handler(unaryLanes<Reverse, uint32_t, uint32_t>)
                      : type == Type::B64 ? Handler(unaryLanes<Reverse, uint64_t, uint64_t>)
                                          : nullptr;
    return takeOperands(decoder, type, {type}) && runOf(decoder, handler);
  }
  return takeOperands(decoder, Type::U32, {type}) &&
         runOf(decoder,
               opcode == "popc" ? countOf<CountOnes>(type) : countOf<CountLeadingZeros>(type));
}

bool decodeBitFind(Decoder &decoder) {
  bool shiftAmount = decoder.accept("shiftamt");
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (decoder.opcode() == "fns") {
    if (type != Type::B32 || shiftAmount)
      return decoder.fail("'fns' needs .b32");
    return takeOperands(decoder, Type::B32, {Type::B32, Type::U32, Type::S32}) &&
           decoder.run(findNth);
  }
  return takeOperands(decoder, Type::U32, {type}) &&
         runOf(decoder, shiftAmount ? findOf<true>(type) : findOf<false>(type));
}

bool decodeBitMask(Decoder &decoder) {
  bool wrap = decoder.accept("wrap");
  if (!wrap && !decoder.accept("clamp"))
    return decoder.fail("expected .wrap or .clamp");
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  bool isSigned = type == Type::S32;
  if (decoder.opcode() == "bmsk") {
    if (type != Type::B32)
      return decoder.fail("'bmsk' needs .b32");
    return takeOperands(decoder, type, {Type::B32, Type::B32}) &&
           decoder.run(wrap ? binaryLanes<Ones<true>, uint32_t, uint32_t>
                            : binaryLanes<Ones<false>, uint32_t, uint32_t>);
  }
  if (type != Type::U32 && !isSigned)
    return decoder.fail("'szext' needs .u32 or .s32");
  if (!takeOperands(decoder, type, {type, Type::U32}))
    return false;
  if (wrap)
    return decoder.run(isSigned ? binaryLanes<Extend<true, true>, uint32_t, uint32_t>
                                : binaryLanes<Extend<true, false>, uint32_t, uint32_t>);
  return decoder.run(isSigned ? binaryLanes<Extend<false, true>, uint32_t, uint32_t>
                              : binaryLanes<Extend<false, false>, uint32_t, uint32_t>);
}

} // namespace pianola::ptx
