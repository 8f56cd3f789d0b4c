// mma.sync: the product of two small matrices that lie across the registers of a warp.
//
// Products are exact, and their sum over k with the accumulator is taken in f64 and rounded once to
// the accumulator's type. Hardware rounds more often and in an order that the ISA leaves open ("at
// least single precision"), so results agree within that freedom and not bit for bit; integers are
// exact.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"
#include "targets/nvptx/emulator/families/WholeWarp.h"
#include "targets/nvptx/emulator/numeric/Integer.h"
#include "targets/nvptx/emulator/numeric/SmallFloats.h"

#include <algorithm>
#include <cmath>

namespace pianola::ptx {

namespace {

constexpr uint32_t rowsOfA = 16, columnsOfB = 8, deepest = 64;
enum : uint16_t { SaturateMode = 1, EightRowsMode = 2 };

uint32_t elementsIn(Type type) {
  return type == Type::S4 || type == Type::U4 ? 8
                                              : 4 / sizeOf(type == Type::TF32 ? Type::B32 : type);
}

/// Element i of a register of 32 bits, as a number.
template <Type K, typename T> T element(uint32_t word, uint32_t i) {
  switch (K) {
  case Type::F16:
    return T(decodeF16(uint16_t(word >> (16 * i))));
  case Type::BF16:
    return T(decodeBF16(uint16_t(word >> (16 * i))));
  case Type::TF32:
    return T(decodeTF32(word));
  case Type::E4M3:
    return T(decodeE4M3(uint8_t(word >> (8 * i))));
  case Type::E5M2:
    return T(decodeE5M2(uint8_t(word >> (8 * i))));
  case Type::S8:
    return T(int8_t(word >> (8 * i)));
  case Type::S4:
    return T(int32_t(word << (28 - 4 * i)) >> 28);
  case Type::U4:
    return T(word >> (4 * i) & 15);
  default:
    return T(uint8_t(word >> (8 * i)));
  }
}

template <Type K, typename T>
void unpackAs(const uint32_t *words, uint32_t perRegister, T (*out)[warpSize]) {
  for (uint32_t e = 0; e < perRegister; ++e)
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      out[e][lane] = element<K, T>(words[lane], e);
}

/// The elements of a register: out[e][lane].
template <typename T>
void unpack(Type type, const uint32_t *words, uint32_t perRegister, T (*out)[warpSize]) {
  switch (type) {
  case Type::F16:
    return unpackAs<Type::F16>(words, perRegister, out);
  case Type::BF16:
    return unpackAs<Type::BF16>(words, perRegister, out);
  case Type::TF32:
    return unpackAs<Type::TF32>(words, perRegister, out);
  case Type::E4M3:
    return unpackAs<Type::E4M3>(words, perRegister, out);
  case Type::E5M2:
    return unpackAs<Type::E5M2>(words, perRegister, out);
  case Type::S8:
    return unpackAs<Type::S8>(words, perRegister, out);
  case Type::S4:
    return unpackAs<Type::S4>(words, perRegister, out);
  case Type::U4:
    return unpackAs<Type::U4>(words, perRegister, out);
  default:
    return unpackAs<Type::U8>(words, perRegister, out);
  }
}

/// The fragments of the ISA's figures: with e elements in a register, lane l and register r of A
/// hold row l / 4 + 8 (r % 2) from k = e (l % 4) + 4 e (r / 2) on, and of B column l / 4 from k = e
/// (l % 4) + 4 e r on. Where A has eight rows, its registers lie like those of B.
template <typename T>
void gatherFragments(Warp &warp, const Op &op, const Slot *slots, T (&a)[rowsOfA][deepest],
                     T (&b)[deepest][columnsOfB]) {
  uint32_t perRegister = elementsIn(op.type);
  bool isLow = op.mode & EightRowsMode;
  if (isLow) // the rows below are computed with the others
    std::fill(&a[8][0], &a[0][0] + sizeof a / sizeof(T), T(0));
  uint32_t registersOfA = op.value & 0xff, registersOfB = op.value >> 8 & 0xff;
  T elements[8][warpSize];
  for (uint32_t r = 0; r < registersOfA; ++r) {
    unpack(op.type, warp.in<uint32_t>(slots[r]), perRegister, elements);
    for (uint32_t e = 0; e < perRegister; ++e)
      for (uint32_t lane = 0; lane < warpSize; ++lane)
        a[lane / 4 + (isLow ? 0 : 8 * (r % 2))]
         [perRegister * (lane % 4) + 4 * perRegister * (isLow ? r : r / 2) + e] = elements[e][lane];
  }
  for (uint32_t r = 0; r < registersOfB; ++r) {
    unpack(op.other, warp.in<uint32_t>(slots[registersOfA + r]), perRegister, elements);
    for (uint32_t e = 0; e < perRegister; ++e)
      for (uint32_t lane = 0; lane < warpSize; ++lane)
        b[perRegister * (lane % 4) + 4 * perRegister * r + e][lane / 4] = elements[e][lane];
  }
}

template <typename T>
inline __attribute__((always_inline)) void
multiplyRows(uint32_t depth, const T (&a)[rowsOfA][deepest], const T (&b)[deepest][columnsOfB],
             T (&sum)[rowsOfA][columnsOfB]) {
  for (uint32_t row = 0; row < rowsOfA; ++row) {
    T line[columnsOfB] = {};
    for (uint32_t k = 0; k < depth; ++k)
      for (uint32_t column = 0; column < columnsOfB; ++column)
        line[column] += a[row][k] * b[k][column];
    for (uint32_t column = 0; column < columnsOfB; ++column)
      sum[row][column] = line[column];
  }
}

#if defined(__x86_64__)
// The same numbers, because every product is exact: four columns at a time where the CPU can.
__attribute__((target("avx2,fma"))) void multiplyWide(uint32_t depth,
                                                      const double (&a)[rowsOfA][deepest],
                                                      const double (&b)[deepest][columnsOfB],
                                                      double (&sum)[rowsOfA][columnsOfB]) {
  multiplyRows(depth, a, b, sum);
}
#endif

template <typename T>
void multiply(uint32_t depth, const T (&a)[rowsOfA][deepest], const T (&b)[deepest][columnsOfB],
              T (&sum)[rowsOfA][columnsOfB]) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if constexpr (std::is_same_v<T, double>)
    if (wide)
      return multiplyWide(depth, a, b, sum);
#endif
  multiplyRows(depth, a, b, sum);
}

Step multiplyFloat(Warp &warp, const Op &op, uint32_t) {
  if (!gatherWarp(warp))
    return Step::Switch;
  const Slot *results = warp.playing.code.slots.data() + op.more, *operands = results + op.moreDefs;
  double a[rowsOfA][deepest], b[deepest][columnsOfB], sum[rowsOfA][columnsOfB];
  gatherFragments(warp, op, operands, a, b);
  multiply(op.target, a, b, sum);
  const Slot *addends = operands + (op.value & 0xff) + (op.value >> 8 & 0xff);
  bool isHalf = op.moreDefs == 2; // two f16 in each accumulator register
  for (uint32_t r = 0; r < op.moreDefs; ++r) {
    const uint32_t *c = warp.in<uint32_t>(addends[r]);
    uint32_t fresh[warpSize];
    for (uint32_t lane = 0; lane < warpSize; ++lane) {
      uint32_t row = lane / 4, column = 2 * (lane % 4);
      if (isHalf) {
        row += 8 * r;
        double low = sum[row][column] + double(decodeF16(lower16(c[lane])));
        double high = sum[row][column + 1] + double(decodeF16(upper16(c[lane])));
        fresh[lane] =
            pack16(encodeHalf<F16>(high, EncodeMode{}), encodeHalf<F16>(low, EncodeMode{}));
      } else {
        row += 8 * (r / 2), column += r % 2;
        fresh[lane] = bitsOf(canonicalised(float(sum[row][column] + double(f32Of(c[lane])))));
      }
    }
    std::copy(fresh, fresh + warpSize, warp.out<uint32_t>(results[r]));
  }
  return Step::Next;
}

Step multiplyInteger(Warp &warp, const Op &op, uint32_t) {
  if (!gatherWarp(warp))
    return Step::Switch;
  const Slot *results = warp.playing.code.slots.data() + op.more, *operands = results + op.moreDefs;
  int64_t a[rowsOfA][deepest], b[deepest][columnsOfB], sum[rowsOfA][columnsOfB];
  gatherFragments(warp, op, operands, a, b);
  multiply(op.target, a, b, sum);
  const Slot *addends = operands + (op.value & 0xff) + (op.value >> 8 & 0xff);
  for (uint32_t r = 0; r < op.moreDefs; ++r) {
    const int32_t *c = warp.in<int32_t>(addends[r]);
    int32_t *d = warp.out<int32_t>(results[r]);
    for (uint32_t lane = 0; lane < warpSize; ++lane) {
      int64_t total = sum[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2] + c[lane];
      d[lane] = op.mode & SaturateMode ? saturate32(total) : int32_t(total);
    }
  }
  return Step::Next;
}

/// Fragments as those of tf32, with a number of f64 in each register.
Step multiplyDouble(Warp &warp, const Op &op, uint32_t) {
  if (!gatherWarp(warp))
    return Step::Switch;
  const Slot *results = warp.playing.code.slots.data() + op.more, *operands = results + op.moreDefs;
  uint32_t registersOfA = op.value & 0xff;
  bool isLow = op.mode & EightRowsMode;
  double fresh[4][warpSize];
  for (uint32_t r = 0; r < op.moreDefs; ++r) {
    const double *c = warp.in<double>(operands[registersOfA + (op.value >> 8 & 0xff) + r]);
    for (uint32_t lane = 0; lane < warpSize; ++lane) {
      uint32_t row = lane / 4, column = 2 * (lane % 4) + r % 2;
      double sum = c[lane];
      for (uint32_t k = 0; k < op.target; ++k) {
        Slot a = operands[isLow ? k / 4 : k / 4 * 2 + r / 2], b = operands[registersOfA + k / 4];
        sum = std::fma(warp.in<double>(a)[4 * row + k % 4], warp.in<double>(b)[4 * column + k % 4],
                       sum);
      }
      fresh[r][lane] = sum;
    }
  }
  for (uint32_t r = 0; r < op.moreDefs; ++r)
    std::copy(fresh[r], fresh[r] + warpSize, warp.out<double>(results[r]));
  return Step::Next;
}

/// movmatrix: transposes 8 x 8 elements of 16 bits, which lie as ldmatrix leaves them.
Step transpose(Warp &warp, const Op &op, uint32_t) {
  if (!gatherWarp(warp))
    return Step::Switch;
  const auto *a = warp.in<uint16_t>(op.s[0]);
  uint16_t fresh[2 * warpSize];
  for (uint32_t row = 0; row < 8; ++row)
    for (uint32_t column = 0; column < 8; ++column)
      fresh[8 * row + column] = a[8 * column + row];
  std::copy(fresh, fresh + 2 * warpSize, warp.out<uint16_t>(op.d[0]));
  return Step::Next;
}

bool isNibble(Type type) { return type == Type::S4 || type == Type::U4; }
bool isInteger(Type type) { return type == Type::S8 || type == Type::U8 || isNibble(type); }

/// Whether the ISA multiplies these with that depth.
bool exists(Type a, Type b, uint32_t depth, bool isLow) {
  if (isNibble(a) && isNibble(b))
    return isLow ? depth == 32 : depth == 32 || depth == 64;
  if (isLow)
    return isInteger(a) && isInteger(b) && !isNibble(a) && !isNibble(b) && depth == 16;
  bool eights = (a == Type::E4M3 || a == Type::E5M2) && (b == Type::E4M3 || b == Type::E5M2);
  if (isInteger(a) && isInteger(b) && !isNibble(a) && !isNibble(b))
    return depth == 16 || depth == 32;
  if (eights)
    return depth == 32 || depth == 16;
  if (a != b)
    return false;
  return a == Type::TF32 ? depth == 4 || depth == 8
                         : (a == Type::F16 || a == Type::BF16) && (depth == 8 || depth == 16);
}

bool useAll(Decoder &decoder, size_t operand, size_t count, std::vector<Slot> &out) {
  const Operand &vector = decoder.operands()[operand];
  bool single = count == 1 && decoder.isRegister(vector);
  if (!single && (vector.kind != Operand::Kind::Vector || vector.elements.size() != count))
    return decoder.fail("operand " + std::to_string(operand + 1) + " must be a vector of " +
                        std::to_string(count) + " registers");
  for (size_t i = 0; i < count; ++i) {
    out.emplace_back();
    if (!decoder.use(single ? vector : vector.elements[i], Type::B32, out.back()))
      return false;
  }
  return true;
}

/// m8n8k4, and m16n8 with k 4, 8 or 16.
bool decodeDouble(Decoder &decoder) {
  Op &op = decoder.op;
  bool isLow = op.mode & EightRowsMode;
  if (isLow ? op.target != 4 : op.target != 4 && op.target != 8 && op.target != 16)
    return decoder.unknown();
  decoder.accept("rn");
  const uint32_t registersOfB = op.target / 4, registersOfA = (isLow ? 1 : 2) * registersOfB,
                 accumulators = isLow ? 2 : 4;
  op.value = registersOfA | registersOfB << 8;
  const uint32_t counts[] = {accumulators, registersOfA, registersOfB, accumulators};
  std::vector<Slot> defs, uses;
  for (size_t operand = 0; operand < 4; ++operand) {
    const Operand &vector = decoder.operands()[operand];
    bool single = counts[operand] == 1 && decoder.isRegister(vector);
    if (!single &&
        (vector.kind != Operand::Kind::Vector || vector.elements.size() != counts[operand]))
      return decoder.fail("operand " + std::to_string(operand + 1) + " must be a vector of " +
                          std::to_string(counts[operand]) + " registers");
    for (uint32_t i = 0; i < counts[operand]; ++i) {
      const Operand &each = single ? vector : vector.elements[i];
      std::vector<Slot> &into = operand ? uses : defs;
      into.emplace_back();
      if (!(operand ? decoder.use(each, Type::B64, into.back())
                    : decoder.define(each, 8, into.back())))
        return false;
    }
  }
  decoder.more(defs, uses);
  return decoder.run(multiplyDouble);
}

} // namespace

bool decodeTransposeMatrix(Decoder &decoder) {
  Op &op = decoder.op;
  op.splits = op.earlyClobber = true;
  if (!decoder.accept("sync") || !decoder.accept("aligned") || !decoder.accept("m8n8") ||
      !decoder.accept("trans") || !decoder.accept("b16"))
    return decoder.unknown();
  return decoder.expectOperands(2) && decoder.define(0, 4, op.d[0]) &&
         decoder.use(1, Type::B32, op.s[0]) && decoder.run(transpose);
}

bool decodeMultiplyMatrix(Decoder &decoder) {
  Op &op = decoder.op;
  op.splits = op.earlyClobber = true;
  if (!decoder.accept("sync") || !decoder.accept("aligned"))
    return decoder.fail("only dense mma.sync.aligned is supported");
  static const std::pair<const char *, uint32_t> shapes[] = {
      {"m16n8k4", 4},   {"m16n8k8", 8}, {"m16n8k16", 16}, {"m16n8k32", 32},
      {"m16n8k64", 64}, {"m8n8k4", 4},  {"m8n8k16", 16},  {"m8n8k32", 32}};
  for (auto [word, depth] : shapes)
    if (decoder.accept(word))
      op.target = depth, op.mode = word[1] == '8' ? EightRowsMode : 0;
  if (!decoder.accept("row") || !decoder.accept("col"))
    return decoder.unknown();
  decoder.accept("kind::f8f6f4");
  if (decoder.accept("satfinite"))
    op.mode |= SaturateMode;
  Type result, addend;
  // d, a, b, c in this order.
  if (!decoder.takeType(result) || !decoder.takeType(op.type) || !decoder.takeType(op.other) ||
      !decoder.takeType(addend))
    return decoder.fail("expected four types");
  bool isLow = op.mode & EightRowsMode;
  if (op.type == Type::F64 && op.other == Type::F64 && result == Type::F64 && addend == Type::F64 &&
      decoder.expectOperands(4))
    return decodeDouble(decoder);
  if (!op.target || !exists(op.type, op.other, op.target, isLow) || result != addend ||
      !decoder.expectOperands(4))
    return decoder.unknown();
  bool integer = isInteger(op.type);
  if (integer ? result != Type::S32
              : result != Type::F32 &&
                    !(result == Type::F16 && op.type != Type::BF16 && op.type != Type::TF32))
    return decoder.fail("no such accumulator");
  uint32_t registersOfB = op.target / (4 * elementsIn(op.type)),
           registersOfA = (isLow ? 1 : 2) * registersOfB;
  uint32_t accumulators = result == Type::F16 || isLow ? 2 : 4;
  op.value = registersOfA | registersOfB << 8;
  const Operand &results = decoder.operands()[0];
  std::vector<Slot> defs(accumulators), uses;
  if (results.kind != Operand::Kind::Vector || results.elements.size() != accumulators)
    return decoder.fail("the result must be a vector of " + std::to_string(accumulators) +
                        " registers");
  for (size_t i = 0; i < accumulators; ++i)
    if (!decoder.define(results.elements[i], 4, defs[i]))
      return false;
  if (!useAll(decoder, 1, registersOfA, uses) || !useAll(decoder, 2, registersOfB, uses) ||
      !useAll(decoder, 3, accumulators, uses))
    return false;
  decoder.more(defs, uses);
  return decoder.run(integer ? multiplyInteger : multiplyFloat);
}

} // namespace pianola::ptx
