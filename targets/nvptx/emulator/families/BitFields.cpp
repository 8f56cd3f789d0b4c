// Logic, shifts, bit fields, permutations of bytes.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/BitFields.h"

namespace pianola::ptx {

namespace {

struct And {
  template <typename T> T operator()(T a, T b) const { return T(a & b); }
};
struct Or {
  template <typename T> T operator()(T a, T b) const { return T(a | b); }
};
struct Xor {
  template <typename T> T operator()(T a, T b) const { return T(a ^ b); }
};
struct Not {
  template <typename T> T operator()(T a) const { return T(~a); }
};
struct LogicalNot {
  template <typename T> T operator()(T a) const { return cnot(a); }
};

/// Predicates: one word holds those of all lanes. Bit i of op.mode: operand i is negated.
template <typename F> Step predicateLogic(Warp &warp, const Op &op, uint32_t mask) {
  uint32_t a = warp.predicate(op.s[0]) ^ (op.mode & 1 ? ~0u : 0);
  uint32_t b = warp.predicate(op.s[1]) ^ (op.mode & 2 ? ~0u : 0);
  warp.setPredicate(op.d[0], mask, F()(a, b));
  return Step::Next;
}
Step predicateNot(Warp &warp, const Op &op, uint32_t mask) {
  warp.setPredicate(op.d[0], mask, ~(warp.predicate(op.s[0]) ^ (op.mode & 1 ? ~0u : 0)));
  return Step::Next;
}

template <typename F> Handler binaryBits(Type type) {
  return forBits(type, [](auto t) -> Handler { return binaryLanes<F, decltype(t), decltype(t)>; });
}
template <typename F> Handler unaryBits(Type type) {
  return forBits(type, [](auto t) -> Handler { return unaryLanes<F, decltype(t), decltype(t)>; });
}

struct ShiftLeft {
  template <typename T> T operator()(T a, uint32_t amount) const { return shl(a, amount); }
};
struct ShiftRight {
  template <typename T> T operator()(T a, uint32_t amount) const { return shr(a, amount); }
};
template <bool Left, bool Wrap> struct FunnelShift {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    return Left ? shfLeft(a, b, c, Wrap) : shfRight(a, b, c, Wrap);
  }
};

enum : uint16_t { CombinesAnd, CombinesOr, CombinesXor, CombinesMask = 3, CombinesNegated = 4 };

/// lop3.BoolOp d|p, a, b, c, table, q: s[3] is q, d[1] is p.
template <bool Combines> Step logic3(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<uint32_t>(op.s[0]), *b = warp.in<uint32_t>(op.s[1]);
  const auto *c = warp.in<uint32_t>(op.s[2]);
  auto *d = warp.out<uint32_t>(op.d[0]);
  auto table = uint32_t(op.value);
  computeLanes(d, mask, [&](uint32_t lane) { return lop3(a[lane], b[lane], c[lane], table); });
  if (!Combines)
    return Step::Next;
  uint32_t q = warp.predicate(op.s[3]) ^ (op.mode & CombinesNegated ? ~0u : 0), p = 0;
  forLanes(mask, [&](uint32_t lane) { p |= uint32_t(d[lane] != 0) << lane; });
  uint32_t how = op.mode & CombinesMask;
  warp.setPredicate(op.d[1], mask, how == CombinesAnd ? p & q : how == CombinesOr ? p | q : p ^ q);
  return Step::Next;
}

template <Permute Mode> struct PermuteBytes {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const { return prmt(a, b, c, Mode); }
};
/// The choice is the same for all lanes: op.value.
Step permuteAlike(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<uint32_t>(op.s[0]), *b = warp.in<uint32_t>(op.s[1]);
  auto *d = warp.out<uint32_t>(op.d[0]);
  auto chosen = uint32_t(op.value);
  computeLanes(d, mask, [&](uint32_t lane) { return prmt(a[lane], b[lane], chosen); });
  return Step::Next;
}
/// No sign is replicated: each byte of the result lies at a fixed place of both operands together.
Step gatherBytes(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<uint32_t>(op.s[0]), *b = warp.in<uint32_t>(op.s[1]);
  auto *d = warp.out<uint32_t>(op.d[0]);
  uint32_t shifts[4], fromB[4];
  for (int i = 0; i < 4; ++i) {
    uint32_t byte = uint32_t(op.value >> (4 * i)) & 7;
    shifts[i] = 8 * (byte & 3);
    fromB[i] = byte > 3 ? ~0u : 0;
  }
  computeLanes(d, mask, [&](uint32_t lane) {
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
      uint32_t source = (a[lane] & ~fromB[i]) | (b[lane] & fromB[i]);
      result |= ((source >> shifts[i]) & 0xff) << (8 * i);
    }
    return result;
  });
  return Step::Next;
}

struct Extract {
  template <typename T> T operator()(T a, uint32_t position, uint32_t length) const {
    return bfe(a, position, length);
  }
};
template <typename T> Step insert(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]);
  const auto *position = warp.in<uint32_t>(op.s[2]), *length = warp.in<uint32_t>(op.s[3]);
  computeLanes(warp.out<T>(op.d[0]), mask,
               [&](uint32_t lane) { return bfi(a[lane], b[lane], position[lane], length[lane]); });
  return Step::Next;
}

bool takePredicateLogic(Decoder &decoder, bool unary, Handler handler) {
  Op &op = decoder.op;
  bool negated;
  if (!decoder.expectOperands(unary ? 2 : 3) ||
      !decoder.definePredicate(decoder.operands()[0], op.d[0]))
    return false;
  for (size_t i = 0; i < (unary ? 1u : 2u); ++i) {
    if (!decoder.usePredicate(decoder.operands()[i + 1], op.s[i], negated))
      return false;
    op.mode |= uint16_t(negated) << i;
  }
  return runOf(decoder, handler);
}

bool isWord(Type type) { return type == Type::B32; }

} // namespace

bool decodeLogic(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  std::string_view opcode = decoder.opcode();
  if (opcode == "not" || opcode == "cnot") {
    if (type == Type::Pred)
      return takePredicateLogic(decoder, true, opcode == "not" ? predicateNot : nullptr);
    return takeOperands(decoder, type, {type}) &&
           runOf(decoder, opcode == "not" ? unaryBits<Not>(type) : unaryBits<LogicalNot>(type));
  }
  if (type == Type::Pred)
    return takePredicateLogic(decoder, false,
                              opcode == "and"  ? predicateLogic<And>
                              : opcode == "or" ? predicateLogic<Or>
                                               : predicateLogic<Xor>);
  return takeOperands(decoder, type, {type, type}) &&
         runOf(decoder, opcode == "and"  ? binaryBits<And>(type)
                        : opcode == "or" ? binaryBits<Or>(type)
                                         : binaryBits<Xor>(type));
}

bool decodeShift(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (!takeOperands(decoder, type, {type, Type::U32}))
    return false;
  auto left = [](auto t) -> Handler {
    return binaryLanes<ShiftLeft, decltype(t), decltype(t), uint32_t>;
  };
  auto right = [](auto t) -> Handler {
    return binaryLanes<ShiftRight, decltype(t), decltype(t), uint32_t>;
  };
  if (decoder.opcode() == "shl")
    return runOf(decoder, forBits(type, left));
  Handler handler = forBits(type, right);
  return runOf(decoder, handler ? handler : forInteger(type, right));
}

bool decodeFunnelShift(Decoder &decoder) {
  bool left = decoder.accept("l"), wrap;
  if (!left && !decoder.accept("r"))
    return decoder.fail("expected .l or .r");
  wrap = decoder.accept("wrap");
  if (!wrap && !decoder.accept("clamp"))
    return decoder.fail("expected .wrap or .clamp");
  if (!takeOwnType(decoder) || !isWord(decoder.op.type))
    return decoder.fail("'shf' needs .b32");
  if (!takeOperands(decoder, Type::B32, {Type::B32, Type::B32, Type::U32}))
    return false;
  if (left)
    return decoder.run(wrap ? ternaryLanes<FunnelShift<true, true>, uint32_t, uint32_t>
                            : ternaryLanes<FunnelShift<true, false>, uint32_t, uint32_t>);
  return decoder.run(wrap ? ternaryLanes<FunnelShift<false, true>, uint32_t, uint32_t>
                          : ternaryLanes<FunnelShift<false, false>, uint32_t, uint32_t>);
}

bool decodeLogic3(Decoder &decoder) {
  Op &op = decoder.op;
  bool combines = true, negated = false;
  if (decoder.accept("and"))
    op.mode = CombinesAnd;
  else if (decoder.accept("or"))
    op.mode = CombinesOr;
  else
    combines = false;
  if (!takeOwnType(decoder) || !isWord(op.type))
    return decoder.fail("'lop3' needs .b32");
  if (!decoder.expectOperands(combines ? 6 : 5))
    return false;
  const Operand *result = &decoder.operands()[0];
  if (combines) {
    if (result->kind != Operand::Kind::Pair || result->elements.size() != 2)
      return decoder.fail("expected d|p");
    if (!decoder.definePredicate(result->elements[1], op.d[1]) ||
        !decoder.usePredicate(decoder.operands()[5], op.s[3], negated))
      return false;
    result = &result->elements[0];
    op.mode |= negated ? CombinesNegated : 0;
  }
  if (!decoder.define(*result, 4, op.d[0]) || !decoder.immediate(4, op.value))
    return false;
  for (size_t i = 0; i < 3; ++i)
    if (!decoder.use(i + 1, Type::B32, op.s[i]))
      return false;
  if (op.value > 255)
    return decoder.fail("the table has 8 bits");
  return decoder.run(combines ? logic3<true> : logic3<false>);
}

bool decodePermute(Decoder &decoder) {
  Op &op = decoder.op;
  if (!takeOwnType(decoder) || !isWord(op.type))
    return decoder.fail("'prmt' needs .b32");
  if (!takeOperands(decoder, Type::B32, {Type::B32, Type::B32, Type::B32}))
    return false;
  static const std::pair<const char *, Handler> modes[] = {
      {"f4e", ternaryLanes<PermuteBytes<Permute::Forward4>, uint32_t, uint32_t>},
      {"b4e", ternaryLanes<PermuteBytes<Permute::Backward4>, uint32_t, uint32_t>},
      {"rc8", ternaryLanes<PermuteBytes<Permute::Replicate8>, uint32_t, uint32_t>},
      {"ecl", ternaryLanes<PermuteBytes<Permute::ClampLeft>, uint32_t, uint32_t>},
      {"ecr", ternaryLanes<PermuteBytes<Permute::ClampRight>, uint32_t, uint32_t>},
      {"rc16", ternaryLanes<PermuteBytes<Permute::Replicate16>, uint32_t, uint32_t>}};
  for (auto [word, handler] : modes)
    if (decoder.accept(word))
      return decoder.run(handler);
  if (decoder.operands()[3].kind != Operand::Kind::Immediate)
    return decoder.run(ternaryLanes<PermuteBytes<Permute::Index>, uint32_t, uint32_t>);
  op.value = decoder.operands()[3].bits;
  return decoder.run(op.value & 0x8888 ? permuteAlike : gatherBytes);
}

bool decodeBitField(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (decoder.opcode() == "bfi") {
    if (type != Type::B32 && type != Type::B64)
      return decoder.fail("'bfi' needs .b32 or .b64");
    return takeOperands(decoder, type, {type, type, Type::U32, Type::U32}) &&
           decoder.run(type == Type::B32 ? insert<uint32_t> : insert<uint64_t>);
  }
  auto choose = [](auto t) -> Handler {
    using T = decltype(t);
    return ternaryLanes<Extract, T, T, uint32_t, uint32_t>;
  };
  return takeOperands(decoder, type, {type, Type::U32, Type::U32}) &&
         runOf(decoder, forWords(type, choose));
}

} // namespace pianola::ptx
