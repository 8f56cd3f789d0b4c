// cvt of pairs, of formats of 8 bits and of tf32; cvt.pack.
#include "targets/nvptx/emulator/families/Conversion.h"

#include "targets/nvptx/emulator/numeric/Convert.h"

namespace pianola::ptx {

namespace {

constexpr uint16_t reluBit = 1, satfiniteBit = 2;

EncodeMode encodeModeOf(const Op &op) {
  return {op.rounding, (op.mode & reluBit) != 0, (op.mode & satfiniteBit) != 0};
}

/// The pair that is converted most.
template <typename Format> struct PairToNearest {
  uint32_t operator()(float a, float b) const {
    return encodeHalves<Format>(a, b, FixedEncodeMode<>());
  }
};
template <typename Format> Step pairInMode(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<float>(op.s[0]), *b = warp.in<float>(op.s[1]);
  EncodeMode mode = encodeModeOf(op);
  computeEach(warp.out<uint32_t>(op.d[0]), mask,
              [&](uint32_t lane) { return encodeHalves<Format>(a[lane], b[lane], mode); });
  return Step::Next;
}

template <bool E4M3, bool Relu> struct SinglesToBytes {
  uint16_t operator()(float a, float b) const {
    return E4M3 ? encodeE4M3x2(a, b, Relu) : encodeE5M2x2(a, b, Relu);
  }
};
template <bool E4M3, bool Relu> struct HalvesToBytes {
  uint16_t operator()(uint32_t pair) const {
    return E4M3 ? encodeE4M3x2(pair, Relu) : encodeE5M2x2(pair, Relu);
  }
};
template <bool E4M3, bool Relu> struct BytesToHalves {
  uint32_t operator()(uint16_t pair) const {
    return E4M3 ? f16x2OfE4M3x2(pair, Relu) : f16x2OfE5M2x2(pair, Relu);
  }
};

template <bool E4M3, bool Relu> Handler toBytes(bool fromSingles) {
  return fromSingles ? binaryEach<SinglesToBytes<E4M3, Relu>, uint16_t, float>
                     : unaryEach<HalvesToBytes<E4M3, Relu>, uint16_t, uint32_t>;
}
template <bool E4M3> Handler toBytes(bool fromSingles, bool relu) {
  return relu ? toBytes<E4M3, true>(fromSingles) : toBytes<E4M3, false>(fromSingles);
}
template <bool E4M3> Handler fromBytes(bool relu) {
  return relu ? unaryEach<BytesToHalves<E4M3, true>, uint32_t, uint16_t>
              : unaryEach<BytesToHalves<E4M3, false>, uint32_t, uint16_t>;
}

Step toTensorFloat(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<float>(op.s[0]);
  EncodeMode mode = encodeModeOf(op);
  computeEach(warp.out<uint32_t>(op.d[0]), mask,
              [&](uint32_t lane) { return encodeTF32(a[lane], mode); });
  return Step::Next;
}

bool decodePair(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  if (op.rounding != Rounding::Nearest && op.rounding != Rounding::Zero)
    return decoder.fail("pairs are rounded by .rn or .rz");
  if (!takeOperands(decoder, op.type, {Type::F32, Type::F32}))
    return false;
  bool half = conversion.to == Type::F16x2;
  if (op.rounding == Rounding::Nearest && op.mode == 0)
    return decoder.run(half ? binaryLanes<PairToNearest<F16>, uint32_t, float>
                            : binaryLanes<PairToNearest<BF16>, uint32_t, float>);
  return decoder.run(half ? pairInMode<F16> : pairInMode<BF16>);
}

bool decodeToBytes(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  bool singles = conversion.from == Type::F32;
  if (op.rounding != Rounding::Nearest || !conversion.satfinite)
    return decoder.fail("formats of 8 bits need .rn and .satfinite");
  if (!singles && conversion.from != Type::F16x2)
    return decoder.unknown();
  if (singles ? !takeOperands(decoder, op.type, {Type::F32, Type::F32})
              : !takeOperands(decoder, op.type, {Type::F16x2}))
    return false;
  return decoder.run(conversion.to == Type::E4M3x2 ? toBytes<true>(singles, conversion.relu)
                                                   : toBytes<false>(singles, conversion.relu));
}

bool decodeTensorFloat(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  bool rounds = op.rounding == Rounding::Nearest || op.rounding == Rounding::Zero ||
                (op.rounding == Rounding::Away && !conversion.relu);
  if (conversion.from != Type::F32 || !rounds)
    return decoder.fail(".tf32 is made of .f32 by .rn, .rz, or .rna without .relu");
  return takeOperands(decoder, Type::TF32, {Type::F32}) && decoder.run(toTensorFloat);
}

/// op.value: bits of each part.
template <bool Signed> Step packIntegers(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<int32_t>(op.s[0]), *b = warp.in<int32_t>(op.s[1]);
  const auto *c = warp.in<uint32_t>(op.s[2]);
  int bits = int(op.value);
  computeLanes(warp.out<uint32_t>(op.d[0]), mask,
               [&](uint32_t lane) { return cvtPack(a[lane], b[lane], c[lane], bits, Signed); });
  return Step::Next;
}

} // namespace

bool decodePackedFloats(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  Type to = conversion.to, from = conversion.from;
  if (conversion.mode.ftz || conversion.mode.sat || conversion.integral)
    return decoder.fail("these types have no such modifiers");
  if (!conversion.rounds)
    return decoder.fail("expected a rounding");
  op.rounding = conversion.mode.rounding;
  op.mode = uint16_t((conversion.relu ? reluBit : 0) | (conversion.satfinite ? satfiniteBit : 0));
  if ((to == Type::F16x2 || to == Type::BF16x2) && from == Type::F32)
    return decodePair(decoder, conversion);
  if (to == Type::E4M3x2 || to == Type::E5M2x2)
    return decodeToBytes(decoder, conversion);
  if (to == Type::TF32)
    return decodeTensorFloat(decoder, conversion);
  if (to != Type::F16x2 || (from != Type::E4M3x2 && from != Type::E5M2x2))
    return decoder.fail("there is no conversion between these types");
  if (op.rounding != Rounding::Nearest || conversion.satfinite)
    return decoder.fail("formats of 8 bits become .f16x2 by .rn, without .satfinite");
  return takeOperands(decoder, to, {from}) &&
         decoder.run(from == Type::E4M3x2 ? fromBytes<true>(conversion.relu)
                                          : fromBytes<false>(conversion.relu));
}

/// cvt.pack.sat.u8.s32.b32 d, a, b, c, where parts of 16 bits leave no room for c.
bool decodePackedIntegers(Decoder &decoder) {
  struct Part {
    const char *word;
    int bits;
    bool isSigned;
  };
  static const Part parts[] = {{"u16", 16, false}, {"s16", 16, true}, {"u8", 8, false},
                               {"s8", 8, true},    {"u4", 4, false},  {"s4", 4, true},
                               {"u2", 2, false},   {"s2", 2, true}};
  Op &op = decoder.op;
  if (!decoder.accept("sat"))
    return decoder.fail("expected .sat");
  const Part *chosen = nullptr;
  for (const Part &part : parts)
    if (!chosen && decoder.accept(part.word))
      chosen = &part;
  if (!chosen || !decoder.accept("s32"))
    return decoder.fail("expected the type of the parts and .s32");
  op.value = uint64_t(chosen->bits);
  bool more = decoder.accept("b32");
  if (!more && chosen->bits < 16)
    return decoder.fail("parts of less than 16 bits need .b32 and a third operand");
  if (more && chosen->bits == 16)
    return decoder.fail("parts of 16 bits leave no room for a third operand");
  if (more) {
    if (!takeOperands(decoder, Type::B32, {Type::S32, Type::S32, Type::B32}))
      return false;
  } else {
    if (!takeOperands(decoder, Type::B32, {Type::S32, Type::S32}))
      return false;
    op.s[2] = decoder.constant(0, 4);
  }
  return decoder.run(chosen->isSigned ? packIntegers<true> : packIntegers<false>);
}

} // namespace pianola::ptx
