// Roots, reciprocals and the approximate functions of f32 and f64.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Approximate.h"

namespace pianola::ptx {

namespace {

template <bool Ftz> using Flush = FixedMode<Rounding::Nearest, Ftz, false>;

struct Reciprocal {
  template <typename T, typename Mode> T operator()(T a, const Mode &mode) const {
    return rcp(a, mode);
  }
};
struct SquareRoot {
  template <typename T, typename Mode> T operator()(T a, const Mode &mode) const {
    return sqrt(a, mode);
  }
};
template <typename F, typename Mode> struct InMode {
  template <typename T> T operator()(T a) const { return F()(a, Mode()); }
};

template <bool Ftz> struct ReciprocalApprox {
  float operator()(float a) const { return rcpApprox(a, Flush<Ftz>()); }
};
template <bool Ftz> struct RootApprox {
  float operator()(float a) const { return sqrtApprox(a, Flush<Ftz>()); }
};
template <bool Ftz> struct ReciprocalRootApprox {
  float operator()(float a) const { return rsqrtApprox(a, Flush<Ftz>()); }
};
template <bool Ftz> struct Exponential {
  float operator()(float a) const { return ex2Approx(a, Flush<Ftz>()); }
};
template <bool Ftz> struct Logarithm {
  float operator()(float a) const { return lg2Approx(a, Flush<Ftz>()); }
};
template <bool Ftz> struct Sine {
  float operator()(float a) const { return sinApprox(a, Flush<Ftz>()); }
};
template <bool Ftz> struct Cosine {
  float operator()(float a) const { return cosApprox(a, Flush<Ftz>()); }
};
struct HyperbolicTangent {
  float operator()(float a) const { return tanhApprox(a); }
};
struct ReciprocalUpper {
  double operator()(double a) const { return rcpApproxFtz(a); }
};
struct ReciprocalRootUpper {
  double operator()(double a) const { return rsqrtApproxFtz(a); }
};
struct ReciprocalRoot {
  double operator()(double a) const { return rsqrtApprox(a); }
};

template <template <bool> class F> Handler approximateOf(bool ftz) {
  return ftz ? unaryLanes<F<true>, float, float> : unaryLanes<F<false>, float, float>;
}
/// Those that call the library.
template <template <bool> class F> Handler transcendentOf(bool ftz) {
  return ftz ? unaryEach<F<true>, float, float> : unaryEach<F<false>, float, float>;
}

template <typename F> Handler roundedOf(Type type, const FloatMode &mode) {
  Handler handler = nullptr;
  withFixed(mode, [&](auto fixed) {
    using Mode = decltype(fixed);
    if constexpr (!Mode::sat) {
      if (type == Type::F32)
        handler = unaryLanes<InMode<F, Mode>, float, float>;
      else if constexpr (!Mode::ftz)
        handler = unaryEach<InMode<F, Mode>, double, double>;
    }
  });
  return handler;
}

} // namespace

/// rcp sqrt rsqrt.
bool decodeRoot(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (type != Type::F32 && type != Type::F64)
    return decoder.fail("'" + std::string(decoder.opcode()) + "' needs .f32 or .f64");
  std::string_view opcode = decoder.opcode();
  bool approximate = decoder.accept("approx"), ftz = decoder.accept("ftz");
  if (!takeOperands(decoder, type, {type}))
    return false;
  if (!approximate) {
    FloatMode mode;
    if (opcode == "rsqrt" || !decoder.takeRounding(mode.rounding))
      return decoder.fail(opcode == "rsqrt" ? "expected .approx"
                                            : "expected a rounding or .approx");
    if (mode.rounding == Rounding::Away)
      return decoder.fail(".rna is no rounding of arithmetic");
    mode.ftz = ftz;
    Handler handler =
        opcode == "rcp" ? roundedOf<Reciprocal>(type, mode) : roundedOf<SquareRoot>(type, mode);
    return handler ? decoder.run(handler) : decoder.fail(".ftz needs .f32");
  }
  if (type == Type::F32)
    return decoder.run(opcode == "rcp"    ? approximateOf<ReciprocalApprox>(ftz)
                       : opcode == "sqrt" ? approximateOf<RootApprox>(ftz)
                                          : approximateOf<ReciprocalRootApprox>(ftz));
  if (opcode == "rcp" && ftz)
    return decoder.run(unaryLanes<ReciprocalUpper, double, double>);
  if (opcode == "rsqrt")
    return decoder.run(ftz ? unaryLanes<ReciprocalRootUpper, double, double>
                           : unaryLanes<ReciprocalRoot, double, double>);
  return decoder.unknown();
}

/// sin cos lg2 ex2 tanh.
bool decodeApproximate(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  if (!decoder.accept("approx"))
    return decoder.fail("expected .approx");
  std::string_view opcode = decoder.opcode();
  Type type = decoder.op.type;
  if (type != Type::F32 && (opcode == "ex2" || opcode == "tanh"))
    return decodeHalfApproximate(decoder);
  if (type != Type::F32)
    return decoder.fail("'" + std::string(opcode) + "' needs .f32");
  bool ftz = decoder.accept("ftz");
  if (!takeOperands(decoder, type, {type}))
    return false;
  if (opcode == "tanh")
    return ftz ? decoder.fail("'tanh' has no .ftz")
               : decoder.run(unaryEach<HyperbolicTangent, float, float>);
  return decoder.run(opcode == "ex2"   ? approximateOf<Exponential>(ftz)
                     : opcode == "lg2" ? approximateOf<Logarithm>(ftz)
                     : opcode == "sin" ? transcendentOf<Sine>(ftz)
                                       : transcendentOf<Cosine>(ftz));
}

} // namespace pianola::ptx
