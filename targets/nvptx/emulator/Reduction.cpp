#include "targets/nvptx/emulator/Reduction.h"

#include "targets/nvptx/emulator/numeric/HalfArithmetic.h"
#include "targets/nvptx/emulator/numeric/Rounding.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

template <typename T> uint64_t reducedInteger(Reduction reduction, T old, T value) {
  using U = std::make_unsigned_t<T>;
  switch (reduction) {
  case Reduction::Add:
    return U(U(old) + U(value));
  case Reduction::Min:
    return U(std::min(old, value));
  case Reduction::Max:
    return U(std::max(old, value));
  case Reduction::And:
    return U(old & value);
  case Reduction::Or:
    return U(old | value);
  case Reduction::Xor:
    return U(old ^ value);
  case Reduction::Inc: // wraps to 0 beyond `value`
    return old >= value ? 0 : U(old + 1);
  case Reduction::Dec:
    return old == 0 || old > value ? U(value) : U(old - 1);
  default:
    return U(value);
  }
}

template <typename Format> uint16_t reducedHalf(Reduction reduction, uint16_t old, uint16_t value) {
  switch (reduction) {
  case Reduction::Add:
    return addHalf<Format>(old, value);
  case Reduction::Min:
    return minHalf<Format>(old, value);
  default:
    return maxHalf<Format>(old, value);
  }
}

template <typename Format>
uint64_t reducedHalves(Reduction reduction, uint64_t old, uint64_t value) {
  return pack16(reducedHalf<Format>(reduction, upper16(uint32_t(old)), upper16(uint32_t(value))),
                reducedHalf<Format>(reduction, lower16(uint32_t(old)), lower16(uint32_t(value))));
}

} // namespace

Reduction reductionNamed(std::string_view word) {
  static const std::pair<const char *, Reduction> names[] = {
      {"and", Reduction::And}, {"or", Reduction::Or},   {"xor", Reduction::Xor},
      {"add", Reduction::Add}, {"inc", Reduction::Inc}, {"dec", Reduction::Dec},
      {"min", Reduction::Min}, {"max", Reduction::Max}, {"exch", Reduction::Exchange}};
  for (auto [name, reduction] : names)
    if (word == name)
      return reduction;
  return Reduction::None;
}

bool reductionExists(Reduction reduction, Type type) {
  switch (reduction) {
  case Reduction::None:
    return false;
  case Reduction::And:
  case Reduction::Or:
  case Reduction::Xor:
  case Reduction::Exchange:
    return type == Type::B32 || type == Type::B64;
  case Reduction::Inc:
  case Reduction::Dec:
    return type == Type::U32;
  case Reduction::Add:
    return type == Type::U32 || type == Type::S32 || type == Type::U64 || type == Type::F32 ||
           type == Type::F64 || type == Type::F16 || type == Type::F16x2 || type == Type::BF16 ||
           type == Type::BF16x2 || type == Type::S64;
  case Reduction::Min:
  case Reduction::Max:
    return type == Type::U32 || type == Type::S32 || type == Type::U64 || type == Type::S64 ||
           type == Type::F16 || type == Type::F16x2 || type == Type::BF16 || type == Type::BF16x2;
  }
  return false;
}

uint64_t reduced(Reduction reduction, Type type, bool ftz, uint64_t old, uint64_t value) {
  if (reduction == Reduction::Exchange)
    return value;
  switch (type) {
  case Type::S32:
    return reducedInteger<int32_t>(reduction, int32_t(old), int32_t(value));
  case Type::U32:
  case Type::B32:
    return reducedInteger<uint32_t>(reduction, uint32_t(old), uint32_t(value));
  case Type::S64:
    return reducedInteger<int64_t>(reduction, int64_t(old), int64_t(value));
  case Type::U64:
  case Type::B64:
    return reducedInteger<uint64_t>(reduction, old, value);
  case Type::F32:
    return bitsOf(add(f32Of(uint32_t(old)), f32Of(uint32_t(value)),
                      FloatMode{Rounding::Nearest, ftz, false}));
  case Type::F64:
    return bitsOf(add(f64Of(old), f64Of(value), FloatMode{}));
  case Type::F16:
    return reducedHalf<F16>(reduction, uint16_t(old), uint16_t(value));
  case Type::BF16:
    return reducedHalf<BF16>(reduction, uint16_t(old), uint16_t(value));
  case Type::F16x2:
    return reducedHalves<F16>(reduction, old, value);
  case Type::BF16x2:
    return reducedHalves<BF16>(reduction, old, value);
  default:
    return value;
  }
}

void reduceBytes(uint16_t packed, uint8_t *target, const uint8_t *source, uint32_t bytes) {
  auto reduction = Reduction(packed >> 8);
  auto type = Type(packed & 0xff);
  uint32_t size = sizeOf(type);
  for (uint32_t at = 0; at + size <= bytes; at += size) {
    uint64_t old = 0, value = 0;
    std::memcpy(&old, target + at, size);
    std::memcpy(&value, source + at, size);
    uint64_t fresh = reduced(reduction, type, false, old, value);
    std::memcpy(target + at, &fresh, size);
  }
}

} // namespace pianola::ptx
