// setp and set: a comparison of all lanes is a word of 32 bits, from which the results are made.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Compare.h"

namespace pianola::ptx {

namespace {

template <typename F> inline uint32_t lanesWhere(F holds) {
  uint32_t lanes = 0;
  for (uint32_t lane = 0; lane < warpSize; ++lane)
    lanes |= holds(lane) ? laneBits.of[lane] : 0;
  return lanes;
}

/// What a comparison gives: of pairs, for the lower halves and for the upper ones.
struct Outcome {
  uint32_t lower, upper;
};
template <typename T, Comparison C, bool Ftz> struct ComparedNumbers {
  static constexpr bool pairs = false;
  static Outcome of(const Warp &warp, const Op &op) {
    const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]);
    if constexpr (Ftz)
      return {lanesWhere([&](uint32_t lane) { return compareFlushed(C, a[lane], b[lane]); }), 0};
    else
      return {lanesWhere([&](uint32_t lane) { return compare<T>(C, a[lane], b[lane]); }), 0};
  }
};
template <typename Format, Comparison C, bool Ftz> struct ComparedHalves {
  static constexpr bool pairs = false;
  static Outcome of(const Warp &warp, const Op &op) {
    const auto *a = warp.in<uint16_t>(op.s[0]), *b = warp.in<uint16_t>(op.s[1]);
    return {
        lanesWhere([&](uint32_t lane) { return compareHalf<Format>(C, a[lane], b[lane], Ftz); }),
        0};
  }
};
template <typename Format, Comparison C, bool Ftz> struct ComparedPairs {
  static constexpr bool pairs = true;
  static Outcome of(const Warp &warp, const Op &op) {
    const auto *a = warp.in<uint32_t>(op.s[0]), *b = warp.in<uint32_t>(op.s[1]);
    auto half = [&](auto pick) {
      return lanesWhere(
          [&](uint32_t lane) { return compareHalf<Format>(C, pick(a[lane]), pick(b[lane]), Ftz); });
    };
    return {half(lower16), half(upper16)};
  }
};

/// op.mode: how the predicate in s[2] is combined with the comparison.
enum : uint16_t { Alone, CombinesAnd, CombinesOr, CombinesXor, CombinesMask = 3, Negated = 4 };

uint32_t combined(const Warp &warp, const Op &op, uint32_t lanes) {
  uint32_t how = op.mode & CombinesMask;
  if (how == Alone)
    return lanes;
  uint32_t with = warp.predicate(op.s[2]) ^ (op.mode & Negated ? ~0u : 0);
  return how == CombinesAnd ? lanes & with : how == CombinesOr ? lanes | with : lanes ^ with;
}

/// Of numbers the second result is that of the opposite comparison, of pairs that of the upper
/// halves.
template <typename Compared> Step setPredicate(Warp &warp, const Op &op, uint32_t mask) {
  Outcome outcome = Compared::of(warp, op);
  uint32_t p = combined(warp, op, outcome.lower);
  uint32_t q = 0;
  if (op.d[1] != noSlot)
    q = combined(warp, op, Compared::pairs ? outcome.upper : ~outcome.lower);
  warp.setPredicate(op.d[0], mask, p);
  if (op.d[1] != noSlot)
    warp.setPredicate(op.d[1], mask, q);
  return Step::Next;
}

/// op.value is what a lane gets for true; of pairs, each half.
template <typename Compared> Step setRegister(Warp &warp, const Op &op, uint32_t mask) {
  Outcome outcome = Compared::of(warp, op);
  uint32_t lower = combined(warp, op, outcome.lower), value = uint32_t(op.value);
  if (Compared::pairs) {
    uint32_t upper = combined(warp, op, outcome.upper);
    computeLanes(warp.out<uint32_t>(op.d[0]), mask, [&](uint32_t lane) {
      return (lower >> lane & 1 ? value : 0) | (upper >> lane & 1 ? value << 16 : 0);
    });
  } else if (sizeOf(op.type) == 2) {
    computeLanes(warp.out<uint16_t>(op.d[0]), mask,
                 [&](uint32_t lane) { return uint16_t(lower >> lane & 1 ? value : 0); });
  } else {
    computeLanes(warp.out<uint32_t>(op.d[0]), mask,
                 [&](uint32_t lane) { return lower >> lane & 1 ? value : 0; });
  }
  return Step::Next;
}

struct ToPredicate {
  template <typename Compared> static Handler handler() { return setPredicate<Compared>; }
};
struct ToRegister {
  template <typename Compared> static Handler handler() { return setRegister<Compared>; }
};

template <typename To, typename T> Handler ofInteger(Comparison comparison) {
  Handler handler = nullptr;
  if (comparison <= Comparison::Hs)
    withFixed(comparison, [&](auto fixed) {
      constexpr Comparison c = decltype(fixed)::value;
      if constexpr (c <= Comparison::Hs)
        handler = To::template handler<ComparedNumbers<T, c, false>>();
    });
  return handler;
}

bool isOfUnsigned(Comparison comparison) {
  return comparison >= Comparison::Lo && comparison <= Comparison::Hs;
}

template <typename To, template <typename, Comparison, bool> class Compared, typename T, bool Ftz>
Handler ofFloat(Comparison comparison) {
  Handler handler = nullptr;
  withFixed(comparison, [&](auto fixed) {
    constexpr Comparison c = decltype(fixed)::value;
    if constexpr (c < Comparison::Lo || c > Comparison::Hs)
      handler = To::template handler<Compared<T, c, Ftz>>();
  });
  return handler;
}

/// Null where the type has no such comparison.
template <typename To> Handler comparing(Type type, Comparison comparison, bool ftz) {
  bool equality = comparison == Comparison::Eq || comparison == Comparison::Ne;
  if (isSigned(type) && isOfUnsigned(comparison))
    return nullptr;
  switch (type) {
  case Type::B16:
    return equality ? ofInteger<To, uint16_t>(comparison) : nullptr;
  case Type::B32:
    return equality ? ofInteger<To, uint32_t>(comparison) : nullptr;
  case Type::B64:
    return equality ? ofInteger<To, uint64_t>(comparison) : nullptr;
  case Type::U16:
    return ofInteger<To, uint16_t>(comparison);
  case Type::U32:
    return ofInteger<To, uint32_t>(comparison);
  case Type::U64:
    return ofInteger<To, uint64_t>(comparison);
  case Type::S16:
    return ofInteger<To, int16_t>(comparison);
  case Type::S32:
    return ofInteger<To, int32_t>(comparison);
  case Type::S64:
    return ofInteger<To, int64_t>(comparison);
  case Type::F32:
    return ftz ? ofFloat<To, ComparedNumbers, float, true>(comparison)
               : ofFloat<To, ComparedNumbers, float, false>(comparison);
  case Type::F64:
    return ofFloat<To, ComparedNumbers, double, false>(comparison);
  case Type::F16:
    return ftz ? ofFloat<To, ComparedHalves, F16, true>(comparison)
               : ofFloat<To, ComparedHalves, F16, false>(comparison);
  case Type::F16x2:
    return ftz ? ofFloat<To, ComparedPairs, F16, true>(comparison)
               : ofFloat<To, ComparedPairs, F16, false>(comparison);
  case Type::BF16:
    return ofFloat<To, ComparedHalves, BF16, false>(comparison);
  case Type::BF16x2:
    return ofFloat<To, ComparedPairs, BF16, false>(comparison);
  default:
    return nullptr;
  }
}

bool takeComparison(Decoder &decoder, Comparison &out) {
  static const std::pair<const char *, Comparison> comparisons[] = {
      {"eq", Comparison::Eq},   {"ne", Comparison::Ne},   {"lt", Comparison::Lt},
      {"le", Comparison::Le},   {"gt", Comparison::Gt},   {"ge", Comparison::Ge},
      {"lo", Comparison::Lo},   {"ls", Comparison::Ls},   {"hi", Comparison::Hi},
      {"hs", Comparison::Hs},   {"equ", Comparison::Equ}, {"neu", Comparison::Neu},
      {"ltu", Comparison::Ltu}, {"leu", Comparison::Leu}, {"gtu", Comparison::Gtu},
      {"geu", Comparison::Geu}, {"num", Comparison::Num}, {"nan", Comparison::Nan}};
  for (auto [word, comparison] : comparisons) {
    if (!decoder.accept(word))
      continue;
    out = comparison;
    return true;
  }
  return decoder.fail("expected a comparison");
}

/// .and .or .xor, with the predicate as the fourth operand.
bool takeCombination(Decoder &decoder) {
  Op &op = decoder.op;
  op.mode = decoder.accept("and")   ? CombinesAnd
            : decoder.accept("or")  ? CombinesOr
            : decoder.accept("xor") ? CombinesXor
                                    : Alone;
  if (!decoder.expectOperands(op.mode == Alone ? 3 : 4))
    return false;
  if (op.mode == Alone)
    return true;
  bool negated = false;
  if (!decoder.usePredicate(decoder.operands()[3], op.s[2], negated))
    return false;
  op.mode |= negated ? Negated : 0;
  return true;
}

/// .ftz, where a type has it.
bool takeFlush(Decoder &decoder, Type type, bool &ftz) {
  ftz = decoder.accept("ftz");
  return !ftz || type == Type::F32 || type == Type::F16 || type == Type::F16x2 ||
         decoder.fail(".ftz needs .f32, .f16 or .f16x2");
}

/// What set writes for true into a register of that type, 0 where it cannot.
uint32_t valueOfTrue(Type type, Type source) {
  bool fromPairs = source == Type::F16x2 || source == Type::BF16x2;
  bool fromHalf = source == Type::F16 || source == Type::BF16;
  switch (type) {
  case Type::U32:
  case Type::S32:
    return fromPairs ? 0xffff : setMask(true);
  case Type::U16:
  case Type::S16:
    return fromHalf ? 0xffff : 0;
  case Type::F32:
    return fromPairs || fromHalf ? 0 : setF32(true);
  case Type::F16:
    return fromPairs || source == Type::BF16 ? 0 : setF16(true);
  case Type::BF16:
    return fromPairs ? 0 : setBF16(true);
  case Type::F16x2:
    return source == Type::F16x2 ? setF16(true) : 0;
  case Type::BF16x2:
    return source == Type::BF16x2 ? setBF16(true) : 0;
  default:
    return 0;
  }
}

} // namespace

bool decodeSetPredicate(Decoder &decoder) {
  Op &op = decoder.op;
  Comparison comparison;
  bool ftz;
  if (!takeComparison(decoder, comparison) || !takeCombination(decoder) || !takeOwnType(decoder) ||
      !takeFlush(decoder, op.type, ftz))
    return false;
  const Operand &result = decoder.operands()[0];
  if (result.kind == Operand::Kind::Pair && result.elements.size() == 2) {
    if (sizeOf(op.type) == 2 && isFloat(op.type))
      return decoder.fail("a comparison of this type has one result");
    if (!decoder.definePredicate(result.elements[0], op.d[0]) ||
        !decoder.definePredicate(result.elements[1], op.d[1]))
      return false;
  } else if (!decoder.definePredicate(result, op.d[0])) {
    return false;
  }
  if (!decoder.use(1, op.type, op.s[0]) || !decoder.use(2, op.type, op.s[1]))
    return false;
  Handler handler = comparing<ToPredicate>(op.type, comparison, ftz);
  return handler ? decoder.run(handler) : decoder.fail("this type has no such comparison");
}

bool decodeSet(Decoder &decoder) {
  Op &op = decoder.op;
  Comparison comparison;
  bool ftz;
  if (!takeComparison(decoder, comparison) || !takeCombination(decoder) || !takeOwnType(decoder) ||
      !decoder.takeType(op.other))
    return decoder.fail("expected the types of the result and of the operands");
  if (!takeFlush(decoder, op.other, ftz))
    return false;
  if (ftz && op.type == Type::BF16)
    return decoder.fail(".bf16 has no .ftz");
  op.value = valueOfTrue(op.type, op.other);
  if (!op.value)
    return decoder.fail("'set' has no such types");
  if (!decoder.define(0, sizeOf(op.type), op.d[0]) || !decoder.use(1, op.other, op.s[0]) ||
      !decoder.use(2, op.other, op.s[1]))
    return false;
  Handler handler = comparing<ToRegister>(op.other, comparison, ftz);
  return handler ? decoder.run(handler) : decoder.fail("this type has no such comparison");
}

} // namespace pianola::ptx
