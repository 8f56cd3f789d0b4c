// Arithmetic.h - what the families of arithmetic share: operands of one type, handlers by type.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_ARITHMETIC_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_ARITHMETIC_H

#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"

namespace pianola::ptx {

/// Bit i for lane i: to compare with it is faster than to shift.
struct LaneBits {
  uint32_t of[warpSize] = {};
  constexpr LaneBits() {
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      of[lane] = 1u << lane;
  }
};
inline constexpr LaneBits laneBits;

/// d, a, b, ...: a result and as many operands as there are types.
inline bool takeOperands(Decoder &decoder, Type result, std::initializer_list<Type> sources) {
  if (!decoder.expectOperands(1 + sources.size()) ||
      !decoder.define(0, sizeOf(result), decoder.op.d[0]))
    return false;
  size_t i = 0;
  for (Type source : sources) {
    if (!decoder.use(i + 1, source, decoder.op.s[i]))
      return false;
    ++i;
  }
  return true;
}

/// Takes the word that names the type of an instruction.
inline bool takeOwnType(Decoder &decoder) {
  return decoder.takeType(decoder.op.type) || decoder.fail("expected a type");
}

/// Sets a handler that was chosen by type, null where there is none for it.
inline bool runOf(Decoder &decoder, Handler handler) {
  return handler ? decoder.run(handler)
                 : decoder.fail("'" + std::string(decoder.opcode()) + "' is not of this type");
}

/// The handler that `body` gives for a value of the C++ type that stands for an integer type.
template <typename Body> inline Handler forInteger(Type type, Body body) {
  switch (type) {
  case Type::U16:
    return body(uint16_t());
  case Type::U32:
    return body(uint32_t());
  case Type::U64:
    return body(uint64_t());
  case Type::S16:
    return body(int16_t());
  case Type::S32:
    return body(int32_t());
  case Type::S64:
    return body(int64_t());
  default:
    return nullptr;
  }
}
/// The same for .b16, .b32 and .b64.
template <typename Body> inline Handler forBits(Type type, Body body) {
  switch (type) {
  case Type::B16:
    return body(uint16_t());
  case Type::B32:
    return body(uint32_t());
  case Type::B64:
    return body(uint64_t());
  default:
    return nullptr;
  }
}
/// The same for .u32, .u64, .s32 and .s64.
template <typename Body> inline Handler forWords(Type type, Body body) {
  switch (type) {
  case Type::U32:
    return body(uint32_t());
  case Type::U64:
    return body(uint64_t());
  case Type::S32:
    return body(int32_t());
  case Type::S64:
    return body(int64_t());
  default:
    return nullptr;
  }
}

/// F's call operator takes operands of any integer type T and gives one.
template <typename F> inline Handler unaryInteger(Type type) {
  return forInteger(type,
                    [](auto t) -> Handler { return unaryLanes<F, decltype(t), decltype(t)>; });
}
template <typename F> inline Handler binaryInteger(Type type) {
  return forInteger(type,
                    [](auto t) -> Handler { return binaryLanes<F, decltype(t), decltype(t)>; });
}
template <typename F> inline Handler ternaryInteger(Type type) {
  return forInteger(type,
                    [](auto t) -> Handler { return ternaryLanes<F, decltype(t), decltype(t)>; });
}

/// For functions that take long: one lane after the other, and only those of the mask.
template <typename F, typename D, typename A>
Step unaryEach(Warp &warp, const Op &op, uint32_t mask) {
  const A *a = warp.in<A>(op.s[0]);
  computeEach(warp.out<D>(op.d[0]), mask, [&](uint32_t lane) { return D(F()(a[lane])); });
  return Step::Next;
}
template <typename F, typename D, typename A, typename B = A>
Step binaryEach(Warp &warp, const Op &op, uint32_t mask) {
  const A *a = warp.in<A>(op.s[0]);
  const B *b = warp.in<B>(op.s[1]);
  computeEach(warp.out<D>(op.d[0]), mask, [&](uint32_t lane) { return D(F()(a[lane], b[lane])); });
  return Step::Next;
}

/// What integers and floating-point numbers share the names of. The type is taken already.
enum class FloatOperation : uint8_t { Add, Subtract, Multiply, MultiplyAdd };
/// Float.cpp, FloatSigns.cpp: .f32, .f64, and on to Half.cpp for the others.
bool decodeFloat(Decoder &decoder, FloatOperation operation);
bool decodeFloatDivide(Decoder &decoder);
bool decodeFloatSign(Decoder &decoder, bool absolute);
bool decodeFloatMinMax(Decoder &decoder, bool max);
/// .ftz .NaN .xorsign.abs.
bool takeMinMaxMode(Decoder &decoder, struct MinMaxMode &mode);
/// Half.cpp: .f16, .bf16, .f16x2, .bf16x2.
bool decodeHalf(Decoder &decoder, FloatOperation operation);
bool decodeHalfSign(Decoder &decoder, bool absolute);
bool decodeHalfMinMax(Decoder &decoder, bool max);
/// ex2 and tanh.
bool decodeHalfApproximate(Decoder &decoder);

} // namespace pianola::ptx

#endif
