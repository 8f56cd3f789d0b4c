// Arithmetic of f16 and bf16, alone and in pairs.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Approximate.h"

namespace pianola::ptx {

namespace {

template <typename Format, typename Mode> struct Sum {
  uint16_t operator()(uint16_t a, uint16_t b) const { return addHalf<Format>(a, b, Mode()); }
};
template <typename Format, typename Mode> struct Difference {
  uint16_t operator()(uint16_t a, uint16_t b) const { return subHalf<Format>(a, b, Mode()); }
};
template <typename Format, typename Mode> struct Product {
  uint16_t operator()(uint16_t a, uint16_t b) const { return mulHalf<Format>(a, b, Mode()); }
};
template <typename Format, typename Mode> struct FusedMultiplyAdd {
  uint16_t operator()(uint16_t a, uint16_t b, uint16_t c) const {
    return fmaHalf<Format>(a, b, c, Mode());
  }
};
template <typename Format, bool Ftz> struct Absolute {
  uint16_t operator()(uint16_t a) const { return absHalf<Format>(a, Ftz); }
};
template <typename Format, bool Ftz> struct Negated {
  uint16_t operator()(uint16_t a) const { return negHalf<Format>(a, Ftz); }
};
template <typename Format, bool Ftz> struct Exponential {
  uint16_t operator()(uint16_t a) const { return ex2Half<Format>(a, Ftz); }
};
template <typename Format, bool> struct HyperbolicTangent {
  uint16_t operator()(uint16_t a) const { return tanhHalf<Format>(a); }
};

/// F on both halves.
template <typename F> struct InPairs {
  template <typename... Operands> uint32_t operator()(Operands... operands) const {
    return byHalves(operands..., F());
  }
};

template <typename F> Handler unaryOf(bool pairs) {
  return pairs ? unaryLanes<InPairs<F>, uint32_t, uint32_t> : unaryLanes<F, uint16_t, uint16_t>;
}
template <typename F> Handler unarySlow(bool pairs) {
  return pairs ? unaryEach<InPairs<F>, uint32_t, uint32_t> : unaryEach<F, uint16_t, uint16_t>;
}
template <typename F> Handler binaryOf(bool pairs) {
  return pairs ? binaryLanes<InPairs<F>, uint32_t, uint32_t> : binaryLanes<F, uint16_t, uint16_t>;
}
template <typename F> Handler ternaryOf(bool pairs) {
  return pairs ? ternaryLanes<InPairs<F>, uint32_t, uint32_t> : ternaryLanes<F, uint16_t, uint16_t>;
}

template <typename Format, typename Mode> Handler inMode(FloatOperation operation, bool pairs) {
  switch (operation) {
  case FloatOperation::Add:
    return binaryOf<Sum<Format, Mode>>(pairs);
  case FloatOperation::Subtract:
    return binaryOf<Difference<Format, Mode>>(pairs);
  case FloatOperation::Multiply:
    return binaryOf<Product<Format, Mode>>(pairs);
  case FloatOperation::MultiplyAdd:
    return ternaryOf<FusedMultiplyAdd<Format, Mode>>(pairs);
  }
  return nullptr;
}
template <bool Ftz> Handler inMode(FloatOperation operation, bool pairs, const HalfMode &mode) {
  if (mode.relu)
    return ternaryOf<FusedMultiplyAdd<F16, FixedHalfMode<Ftz, false, true>>>(pairs);
  return mode.sat ? inMode<F16, FixedHalfMode<Ftz, true>>(operation, pairs)
                  : inMode<F16, FixedHalfMode<Ftz, false>>(operation, pairs);
}

/// The smallest or greatest of two: op.mode holds the modifiers, which are the same for all lanes.
constexpr uint16_t nanBit = 1, xorsignBit = 2, ftzBit = 4;
template <typename Format, bool Max, bool Pairs>
Step choose(Warp &warp, const Op &op, uint32_t mask) {
  using T = std::conditional_t<Pairs, uint32_t, uint16_t>;
  const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]);
  const MinMaxMode mode{(op.mode & nanBit) != 0, (op.mode & xorsignBit) != 0,
                        (op.mode & ftzBit) != 0};
  auto one = [&](uint16_t x, uint16_t y) { return minMaxHalf<Format>(x, y, Max, mode); };
  computeLanes(warp.out<T>(op.d[0]), mask, [&](uint32_t lane) -> T {
    if constexpr (Pairs)
      return byHalves(a[lane], b[lane], one);
    else
      return one(a[lane], b[lane]);
  });
  return Step::Next;
}
template <typename Format, bool Max> Handler chooseOf(bool pairs) {
  return pairs ? choose<Format, Max, true> : choose<Format, Max, false>;
}

bool isPair(Type type) { return type == Type::F16x2 || type == Type::BF16x2; }
bool isF16(Type type) { return type == Type::F16 || type == Type::F16x2; }
bool checkHalf(Decoder &decoder) {
  Type type = decoder.op.type;
  return isF16(type) || type == Type::BF16 || type == Type::BF16x2 ||
         decoder.fail("'" + std::string(decoder.opcode()) + "' is not of this type");
}

template <template <typename, bool> class F> Handler signOf(Type type, bool ftz) {
  if (!isF16(type))
    return unaryOf<F<BF16, false>>(isPair(type));
  return ftz ? unaryOf<F<F16, true>>(isPair(type)) : unaryOf<F<F16, false>>(isPair(type));
}

} // namespace

bool decodeHalf(Decoder &decoder, FloatOperation operation) {
  if (!checkHalf(decoder))
    return false;
  Type type = decoder.op.type;
  bool three = operation == FloatOperation::MultiplyAdd, half = isF16(type);
  bool rounds = decoder.accept("rn");
  if (three && !rounds)
    return decoder.fail("expected .rn");
  HalfMode mode;
  mode.ftz = decoder.accept("ftz");
  mode.sat = decoder.accept("sat");
  mode.relu = three && decoder.accept("relu");
  if (!half && (mode.ftz || mode.sat))
    return decoder.fail(".bf16 has neither .ftz nor .sat");
  if (mode.sat && mode.relu)
    return decoder.fail(".sat and .relu exclude each other");
  if (three ? !takeOperands(decoder, type, {type, type, type})
            : !takeOperands(decoder, type, {type, type}))
    return false;
  bool pairs = isPair(type);
  if (half)
    return decoder.run(mode.ftz ? inMode<true>(operation, pairs, mode)
                                : inMode<false>(operation, pairs, mode));
  if (mode.relu)
    return decoder.run(ternaryOf<FusedMultiplyAdd<BF16, FixedHalfMode<false, false, true>>>(pairs));
  return decoder.run(inMode<BF16, FixedHalfMode<>>(operation, pairs));
}

bool decodeHalfSign(Decoder &decoder, bool absolute) {
  if (!checkHalf(decoder))
    return false;
  Type type = decoder.op.type;
  bool ftz = decoder.accept("ftz");
  if (ftz && !isF16(type))
    return decoder.fail(".bf16 has no .ftz");
  return takeOperands(decoder, type, {type}) &&
         decoder.run(absolute ? signOf<Absolute>(type, ftz) : signOf<Negated>(type, ftz));
}

bool decodeHalfMinMax(Decoder &decoder, bool max) {
  if (!checkHalf(decoder))
    return false;
  Op &op = decoder.op;
  MinMaxMode mode;
  if (!takeMinMaxMode(decoder, mode))
    return false;
  if (mode.ftz && !isF16(op.type))
    return decoder.fail(".bf16 has no .ftz");
  op.mode =
      uint16_t((mode.nan ? nanBit : 0) | (mode.xorsign ? xorsignBit : 0) | (mode.ftz ? ftzBit : 0));
  if (!takeOperands(decoder, op.type, {op.type, op.type}))
    return false;
  bool pairs = isPair(op.type);
  if (isF16(op.type))
    return decoder.run(max ? chooseOf<F16, true>(pairs) : chooseOf<F16, false>(pairs));
  return decoder.run(max ? chooseOf<BF16, true>(pairs) : chooseOf<BF16, false>(pairs));
}

bool decodeHalfApproximate(Decoder &decoder) {
  if (!checkHalf(decoder))
    return false;
  Type type = decoder.op.type;
  bool pairs = isPair(type), half = isF16(type), tangent = decoder.opcode() == "tanh";
  bool ftz = decoder.accept("ftz");
  if (ftz != (!tangent && !half))
    return decoder.fail(".ftz belongs to 'ex2' of .bf16, and to nothing else here");
  if (!takeOperands(decoder, type, {type}))
    return false;
  if (tangent)
    return decoder.run(half ? unarySlow<HyperbolicTangent<F16, false>>(pairs)
                            : unarySlow<HyperbolicTangent<BF16, false>>(pairs));
  return decoder.run(half ? unarySlow<Exponential<F16, false>>(pairs)
                          : unarySlow<Exponential<BF16, true>>(pairs));
}

} // namespace pianola::ptx
