// Integers of other widths than the registers': mul24, mad24, dp4a, dp2a, and chains of additions
// with the condition code.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Integer.h"

namespace pianola::ptx {

namespace {

template <bool High> struct Product24 {
  template <typename T> T operator()(T a, T b) const {
    return High ? mul24Hi(a, b) : mul24Lo(a, b);
  }
  template <typename T> T operator()(T a, T b, T c) const {
    return High ? mad24Hi(a, b, c) : mad24Lo(a, b, c);
  }
};
struct Product24Saturated {
  int32_t operator()(int32_t a, int32_t b, int32_t c) const { return mad24HiSat(a, b, c); }
};

template <typename T> Handler product24Of(bool adds, bool high) {
  if (adds)
    return high ? ternaryLanes<Product24<true>, T, T> : ternaryLanes<Product24<false>, T, T>;
  return high ? binaryLanes<Product24<true>, T, T> : binaryLanes<Product24<false>, T, T>;
}

template <bool SignedA, bool SignedB> struct FourProducts {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    return dp4a(a, b, c, SignedA, SignedB);
  }
};
template <bool SignedA, bool SignedB, bool High> struct TwoProducts {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    return dp2a(a, b, c, SignedA, SignedB, High);
  }
};

template <bool SignedA, bool SignedB> Handler productsOf(bool four, bool high) {
  if (four)
    return ternaryLanes<FourProducts<SignedA, SignedB>, uint32_t, uint32_t>;
  return high ? ternaryLanes<TwoProducts<SignedA, SignedB, true>, uint32_t, uint32_t>
              : ternaryLanes<TwoProducts<SignedA, SignedB, false>, uint32_t, uint32_t>;
}

struct AddCarry {
  template <typename T> auto operator()(T a, T b, T, bool carry) const {
    return addCarry(UnsignedOf<T>(a), UnsignedOf<T>(b), carry);
  }
};
struct SubtractBorrow {
  template <typename T> auto operator()(T a, T b, T, bool carry) const {
    return subBorrow(UnsignedOf<T>(a), UnsignedOf<T>(b), carry);
  }
};
template <bool High> struct MultiplyAddCarry {
  template <typename T> auto operator()(T a, T b, T c, bool carry) const {
    return madCarry(a, b, c, High, carry);
  }
};

/// s[3] is the condition code that is read, d[1] the one that is written, where there is one.
template <typename F, typename T> Step withCarry(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]);
  const T *c = op.s[2] == noSlot ? a : warp.in<T>(op.s[2]);
  T *d = warp.out<T>(op.d[0]);
  uint32_t before = op.s[3] == noSlot ? 0 : warp.predicate(op.s[3]), after = 0;
  forLanes(mask, [&](uint32_t lane) {
    auto result = F()(a[lane], b[lane], c[lane], bool(before >> lane & 1));
    d[lane] = T(result.value);
    after |= uint32_t(result.carry) << lane;
  });
  if (op.d[1] != noSlot)
    warp.setPredicate(op.d[1], mask, after);
  return Step::Next;
}

template <typename F> Handler withCarryOf(Type type) {
  return forWords(type, [](auto t) -> Handler { return withCarry<F, decltype(t)>; });
}

} // namespace

bool decodeMultiply24(Decoder &decoder) {
  bool adds = decoder.opcode() == "mad24", high = decoder.accept("hi");
  if (!high && !decoder.accept("lo"))
    return decoder.fail("expected .lo or .hi");
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (type != Type::U32 && type != Type::S32)
    return decoder.fail("'" + std::string(decoder.opcode()) + "' needs .u32 or .s32");
  bool saturates = decoder.accept("sat");
  if (saturates && !(adds && high && type == Type::S32))
    return decoder.fail(".sat needs 'mad24', .hi and .s32");
  if (adds ? !takeOperands(decoder, type, {type, type, type})
           : !takeOperands(decoder, type, {type, type}))
    return false;
  if (saturates)
    return decoder.run(ternaryLanes<Product24Saturated, int32_t, int32_t>);
  return decoder.run(type == Type::U32 ? product24Of<uint32_t>(adds, high)
                                       : product24Of<int32_t>(adds, high));
}

bool decodeDotProduct(Decoder &decoder) {
  bool four = decoder.opcode() == "dp4a";
  bool high = !four && decoder.accept("hi");
  if (!four && !high && !decoder.accept("lo"))
    return decoder.fail("expected .lo or .hi");
  Op &op = decoder.op;
  if (!decoder.takeType(op.type) || !decoder.takeType(op.other))
    return decoder.fail("expected the types of both operands");
  for (Type type : {op.type, op.other})
    if (type != Type::U32 && type != Type::S32)
      return decoder.fail("'" + std::string(decoder.opcode()) + "' needs .u32 or .s32");
  if (!takeOperands(decoder, Type::U32, {Type::U32, Type::U32, Type::U32}))
    return false;
  bool signedA = op.type == Type::S32, signedB = op.other == Type::S32;
  if (signedA)
    return decoder.run(signedB ? productsOf<true, true>(four, high)
                               : productsOf<true, false>(four, high));
  return decoder.run(signedB ? productsOf<false, true>(four, high)
                             : productsOf<false, false>(four, high));
}

/// add.cc sub.cc mad.cc write the condition code, addc subc madc read it; with .cc they do both.
bool decodeExtended(Decoder &decoder) {
  Op &op = decoder.op;
  std::string_view opcode = decoder.opcode();
  bool reads = opcode.back() == 'c', writes = decoder.accept("cc");
  bool multiplies = opcode[0] == 'm', high = multiplies && decoder.accept("hi");
  if (multiplies && !high && !decoder.accept("lo"))
    return decoder.fail("expected .lo or .hi");
  if (!takeOwnType(decoder))
    return false;
  Type type = op.type;
  if (multiplies ? !takeOperands(decoder, type, {type, type, type})
                 : !takeOperands(decoder, type, {type, type}))
    return false;
  if (reads)
    op.s[3] = decoder.carry();
  if (writes)
    op.d[1] = decoder.carry();
  if (multiplies)
    return runOf(decoder, high ? withCarryOf<MultiplyAddCarry<true>>(type)
                               : withCarryOf<MultiplyAddCarry<false>>(type));
  return runOf(decoder,
               opcode[0] == 'a' ? withCarryOf<AddCarry>(type) : withCarryOf<SubtractBorrow>(type));
}

} // namespace pianola::ptx
