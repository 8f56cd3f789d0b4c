// Small floats, conversions, functions of one number. What IEEE rounds is compared bit for bit; the
// approximations within what NVIDIA's programming guide grants them.
#include "test/targets/nvptx/emulator/Rehearsal.h"
#include "test/targets/nvptx/emulator/SmallFloat.h"

#include <algorithm>

using namespace pianola::ptx;

namespace {

using Doubles = std::vector<double>;
using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;
constexpr uint32_t Blocks = 2, Threads = 64, N = Blocks * Threads;

/// Small multiples of a power of two, never zero: products and sums of two are exact in double.
Doubles plain(size_t n, const SmallFloat &format, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) {
    const double v = format.round(draw.real(-20, 20));
    return v == 0 ? 1.0 : v;
  });
}
std::vector<uint16_t> encoded(const Doubles &values, const SmallFloat &format) {
  return listOf(values.size(), [&](size_t i) { return format.of(values[i]); });
}
/// One more rounding towards zero.
uint16_t truncated(float v, const SmallFloat &format) {
  return format.encode(format.round(v, true));
}

void halfArithmetic(Rehearsal &p) {
  const Doubles a = plain(N, Half, 1), b = plain(N, Half, 2);
  const uint64_t atA = p.put(encoded(a, Half), "a"), atB = p.put(encoded(b, Half), "b"),
                 out = p.room<uint16_t>(N * 8, "y");
  p.play("half_arithmetic", {Blocks}, {Threads}, Arguments().add(atA).add(atB).add(out));
  std::vector<uint16_t> expected;
  for (size_t i = 0; i < N; ++i) {
    const double u = a[i], v = b[i];
    const uint16_t picked = u > v ? Half.of(std::fabs(u)) : truncated(float(v) * 1.001f, Half);
    expected.insert(expected.end(),
                    {Half.of(u + v), Half.of(u - v), Half.of(u * v), Half.of(u * v + u),
                     Half.of(std::max(u, v)), Half.of(std::min(-u, v)), picked,
                     Half.of(double(int(u) * 3))});
  }
  p.expectSame(out, expected, "y");
}

void half2Arithmetic(Rehearsal &p) {
  Draw draw(3);
  const Floats x = listOf(N * 2, [&](size_t) { return draw.real(-9, 9) + 0x1p-12f; });
  const uint64_t in = p.put(x, "x"), out = p.room<uint16_t>(N * 4, "y");
  p.play("half2_arithmetic", {Blocks}, {Threads}, Arguments().add(in).add(out));
  std::vector<uint16_t> expected;
  for (size_t i = 0; i < N; ++i) {
    const double low = Half.round(x[2 * i]), high = Half.round(x[2 * i + 1]);
    const double w0 = std::max(0.0, Half.round(low * 2 + 1)),
                 w1 = std::max(0.0, Half.round(high * 2 - 1));
    expected.insert(expected.end(),
                    {Half.of(w0 + high), Half.of(w1 + low), Half.of(std::max(low, w0) * high),
                     Half.of(std::max(high, w1) * w0)});
  }
  p.expectSame(out, expected, "y");
}

void bf16Arithmetic(Rehearsal &p) {
  const Doubles a = plain(N, Brain, 4), b = plain(N, Brain, 5);
  const uint64_t atA = p.put(encoded(a, Brain), "a"), atB = p.put(encoded(b, Brain), "b"),
                 out = p.room<uint16_t>(N * 6, "y");
  p.play("bf16_arithmetic", {Blocks}, {Threads}, Arguments().add(atA).add(atB).add(out));
  std::vector<uint16_t> expected;
  for (size_t i = 0; i < N; ++i) {
    const double u = a[i], v = b[i];
    expected.insert(expected.end(), {Brain.of(u + v), Brain.of(u * v), Brain.of(u * v + v),
                                     Brain.of(std::max(u, v)), truncated(float(u) * 1.01f, Brain),
                                     Brain.of(std::nearbyint(v) * 257)});
  }
  p.expectSame(out, expected, "y");
}

void fp8Convert(Rehearsal &p) {
  Draw draw(6);
  // From below the smallest subnormal to beyond the largest number of both formats, ties among
  // them.
  const Floats x = listOf(N, [&](size_t i) {
    const float v = std::ldexp(float(draw.whole(8, 31)), int(i % 37) - 22);
    return i % 2 ? v : -v * draw.real(0.9f, 1.1f);
  });
  const uint64_t in = p.put(x, "x"), out4 = p.room<uint8_t>(N, "e4m3"),
                 out5 = p.room<uint8_t>(N, "e5m2"), back = p.room<uint16_t>(N * 2, "back");
  Arguments arguments;
  arguments.add(in).add(out4).add(out5).add(back);
  p.play("fp8_convert", {Blocks}, {Threads}, arguments);
  const auto bytes = [&](const SmallFloat &format) {
    return listOf(N, [&](size_t i) { return uint8_t(format.of(x[i])); });
  };
  const auto e4 = bytes(E4M3), e5 = bytes(E5M2);
  p.expectSame(out4, e4, "e4m3");
  p.expectSame(out5, e5, "e5m2");
  p.expectSame(back,
               listOf(N * 2,
                      [&](size_t i) {
                        return Half.of(i % 2 ? E5M2.decode(e5[i / 2]) : E4M3.decode(e4[i / 2]));
                      }),
               "back");
}

void int4Unpack(Rehearsal &p) {
  Draw draw(7);
  const Words x = listOf(N, [&](size_t) { return draw.next(); });
  const uint64_t in = p.put(x, "x"), out = p.room<uint16_t>(N * 8, "y");
  p.play("int4_unpack", {Blocks}, {Threads}, Arguments().add(in).add(out));
  p.expectSame(out,
               listOf(N * 8,
                      [&](size_t i) {
                        // Pairs are four nibbles apart.
                        const uint32_t nibble = x[i / 8] >> (i / 2 % 4 * 4 + i % 2 * 16) & 15;
                        return Half.of(double(nibble) - 8);
                      }),
               "y");
}

void integerConvert(Rehearsal &p) {
  Draw draw(8);
  const Doubles x = listOf(N, [&](size_t i) {
    return i % 5 == 0 ? double(draw.whole(-600, 600)) / 2 : double(draw.real(-30000, 30000));
  });
  const uint64_t in = p.put(x, "x"), out32 = p.room<int32_t>(N * 4, "s32"),
                 out8 = p.room<uint8_t>(N, "u8"), out64 = p.room<int64_t>(N, "s64"),
                 outFloat = p.room<float>(N * 2, "f32");
  Arguments arguments;
  arguments.add(in).add(out32).add(out8).add(out64).add(outFloat);
  p.play("integer_convert", {Blocks}, {Threads}, arguments);
  std::vector<int32_t> s32;
  std::vector<uint8_t> u8;
  std::vector<int64_t> s64;
  Floats f32;
  for (double d : x) {
    const float f = float(d);
    s32.insert(s32.end(), {int32_t(std::nearbyint(f)), int32_t(std::trunc(f)),
                           int32_t(std::ceil(f)), int32_t(std::floor(f))});
    u8.push_back(uint8_t(std::min(255.0f, std::max(0.0f, std::nearbyint(f)))));
    s64.push_back(std::llrint(d * 65536) + int8_t(int32_t(f)));
    f32.push_back(float(s64.back() * 12345));
    const uint32_t u = uint32_t(int32_t(std::nearbyint(f))) * 2654435761u;
    const float near = float(u);
    f32.push_back(double(near) > u ? std::nextafter(near, 0.0f) : near);
  }
  p.expectSame(out32, s32, "s32");
  p.expectSame(out8, u8, "u8");
  p.expectSame(out64, s64, "s64");
  p.expectSame(outFloat, f32, "f32");
}

Floats inputs(float most, uint64_t seed) {
  Draw draw(seed);
  return listOf(N, [&](size_t) { return draw.real(-most, most); });
}

// At most 4 ulp each by the guide, and one rounding more where two are combined; 1e-6 is 8 ulp at
// worst.
void mathAccurate(Rehearsal &p) {
  const Floats x = inputs(8, 9);
  const uint64_t in = p.put(x, "x"), out = p.room<float>(N * 10, "y");
  p.play("math_accurate", {Blocks}, {Threads}, Arguments().add(in).add(out));
  Doubles expected;
  for (float f : x) {
    const double v = f;
    // Arguments are rounded as the kernel rounds them, so that only the functions' errors are
    // measured.
    expected.insert(expected.end(),
                    {std::exp(v), std::sin(v), std::cos(double(f * 3.0f)), std::tanh(v),
                     1 / std::sqrt(double(std::fma(f, f, 0.5f))),
                     std::log(double(std::fma(f, f, 0.25f))), std::erf(v),
                     std::pow(double(std::fabs(f) + 0.1f), double(1.7f)),
                     std::sqrt(std::fabs(v)) + std::cbrt(v), v / (1 + std::exp(-v))});
  }
  // Opposite signs cancel in the ninth: its error is that of its terms, which are below 3.
  p.expectNear<float>(out, expected, 1e-6, 1e-6, "y");
}

// __expf: 2 + 1.173 |x| ulp; __sinf, __cosf: 2^-21.4; __logf: 2^-21.4 near one, 3 ulp elsewhere;
// tanh.approx: 2^-10.9 of its value; __fdividef 2 ulp on top of __expf; ex2.approx: 2^-22.
void mathFast(Rehearsal &p) {
  const Floats x = inputs(3, 10);
  const uint64_t in = p.put(x, "x"), out = p.room<float>(N * 7, "y");
  p.play("math_fast", {Blocks}, {Threads}, Arguments().add(in).add(out));
  Doubles expected;
  for (float f : x) {
    const double v = f;
    expected.insert(expected.end(),
                    {std::exp(v), std::sin(v), std::cos(v), std::log(double(std::fma(f, f, 0.25f))),
                     std::tanh(v), v / (1 + std::exp(-v)), std::exp2(v)});
  }
  const double relative[7] = {1e-6, 0, 0, 5e-7, 0x1p-10, 2e-6, 0x1p-21};
  const double absolute[7] = {0, 0x1p-21, 0x1p-21, 0x1p-21, 0, 0, 0};
  for (size_t k = 0; k < 7; ++k)
    p.expectNear<float>(out, expected, relative[k], absolute[k], "y", k, 7);
}

enum class Way { Up, Down, Zero };
/// A double to float, rounded in a direction.
float directed(double exact, Way way) {
  const float near = float(exact);
  if (double(near) < exact && (way == Way::Up || (way == Way::Zero && exact < 0)))
    return std::nextafter(near, INFINITY);
  if (double(near) > exact && (way == Way::Down || (way == Way::Zero && exact > 0)))
    return std::nextafter(near, -INFINITY);
  return near;
}

void mathIeee(Rehearsal &p) {
  const Floats x = inputs(100, 11), z = inputs(50, 12);
  const uint64_t in = p.put(x, "x"), atZ = p.put(z, "z"), out = p.room<float>(N * 10, "y");
  p.play("math_ieee", {Blocks}, {Threads}, Arguments().add(in).add(atZ).add(out));
  Floats expected;
  for (size_t i = 0; i < N; ++i) {
    const float v = x[i], w = z[i];
    const float whole = ((std::nearbyint(v) + std::floor(w)) + std::ceil(v)) + std::trunc(w);
    expected.insert(expected.end(),
                    {v / w, std::sqrt(std::fabs(v)), std::fma(v, w, -v),
                     directed(double(v) + double(w), Way::Up),
                     directed(double(v) * double(w), Way::Down),
                     directed(double(v) - double(w), Way::Zero), std::max(v, w) - std::min(v, w),
                     whole, std::copysign(v, w), (1.0f / w) * v});
  }
  p.expectSame(out, expected, "y");
}

void mathDouble(Rehearsal &p) {
  Draw draw(13);
  const auto reals = [&] {
    return listOf(N, [&](size_t) { return draw.real(-40, 40) * (1 + draw.real(-1, 1) * 0x1p-26); });
  };
  const Doubles x = reals(), z = reals();
  const uint64_t in = p.put(x, "x"), atZ = p.put(z, "z"), out = p.room<double>(N * 6, "y");
  p.play("math_double", {Blocks}, {Threads}, Arguments().add(in).add(atZ).add(out));
  Doubles expected;
  for (size_t i = 0; i < N; ++i) {
    const double v = x[i], w = z[i];
    expected.insert(expected.end(), {v / w, std::sqrt(std::fabs(v)), std::fma(v, w, -w),
                                     std::fma(v, w, std::fmin(v, w)), std::floor(v) - std::ceil(w),
                                     std::exp(v * 0.1) + std::log(std::fabs(w) + 1)});
  }
  for (size_t k = 0; k < 5; ++k)
    p.expectNear<double>(out, expected, 0, 0, "y", k, 6);
  p.expectNear<double>(out, expected, 1e-15, 0, "y", 5, 6); // exp and log are within 1 ulp each
}

void mathBits(Rehearsal &p) {
  Draw draw(14);
  const auto words = [&] {
    return listOf(N, [&](size_t) { return draw.next() >> draw.next() % 24; });
  };
  const Words x = words(), z = words();
  const uint64_t in = p.put(x, "x"), atZ = p.put(z, "z"), out = p.room<uint32_t>(N * 12, "y");
  p.play("math_bits", {Blocks}, {Threads}, Arguments().add(in).add(atZ).add(out));
  Words expected;
  for (size_t i = 0; i < N; ++i) {
    const uint32_t v = x[i], w = z[i];
    uint32_t reversed = 0, zeros = 32, ones = 0, first = 0, sums = 0;
    for (uint32_t b = 0; b < 32; ++b) {
      reversed |= (v >> b & 1) << (31 - b);
      ones += w >> b & 1;
      if (v >> b & 1)
        zeros = 31 - b, first = first ? first : b + 1;
    }
    for (uint32_t b = 0; b < 32; b += 8)
      sums |= (((v >> b) + (w >> b)) & 0xff) << b;
    const uint64_t both = uint64_t(w) << 32 | v, wide = uint64_t(v) * w + both;
    const auto byteOf = [&](uint32_t k) { return uint32_t(both >> 8 * k & 0xff); };
    expected.insert(
        expected.end(),
        {uint32_t(uint64_t(v) * w >> 32), uint32_t(int64_t(int32_t(v)) * int32_t(w) >> 32),
         reversed, zeros * 100 + ones + first, uint32_t(both << 11 >> 32),
         uint32_t(both >> (w & 31)), byteOf(5) | byteOf(1) << 8 | byteOf(7) << 16 | byteOf(3) << 24,
         (v > w ? v - w : w - v) + 9, v / (w | 1) + v % (w | 1),
         uint32_t(int32_t(v) >> (w & 31)) + (w << (v & 31)), uint32_t(wide / 1000003u),
         uint32_t(wide >> 29) ^ sums ^ (v >> 5 & 0x3ff)});
  }
  p.expectSame(out, expected, "y");
}

} // namespace

void pianola::ptx::addNumbers(Repertoire &r) {
  r.file("convert");
  r.add("half_arithmetic", halfArithmetic);
  r.add("half2_arithmetic", half2Arithmetic);
  r.add("bf16_arithmetic", bf16Arithmetic);
  r.add("fp8_convert", fp8Convert);
  r.add("int4_unpack", int4Unpack);
  r.add("integer_convert", integerConvert);
  r.file("math");
  r.add("math_accurate", mathAccurate);
  r.add("math_fast", mathFast);
  r.add("math_ieee", mathIeee);
  r.add("math_double", mathDouble);
  r.add("math_bits", mathBits);
}
