// wmma: matrices that a warp loads, multiplies and stores as a whole.
//
// Which lane holds which element is left open by the ISA. Here the elements of a fragment lie in
// rows, one lane's after the other's; where the registers of a warp have room for several copies of
// the matrix, as those of f16 have, each copy follows the one before. Sums are taken as by mma.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/WholeWarp.h"
#include "targets/nvptx/emulator/numeric/Integer.h"
#include "targets/nvptx/emulator/numeric/SmallFloats.h"

#include <cmath>
#include <cstring>

namespace pianola::ptx {

namespace {

struct Shape {
  const char *name;
  uint32_t rows, columns, depth; ///< m, n, k
};
constexpr Shape shapes[] = {{"m16n16k16", 16, 16, 16},
                            {"m32n8k16", 32, 8, 16},
                            {"m8n32k16", 8, 32, 16},
                            {"m16n16k8", 16, 16, 8},
                            {"m8n8k4", 8, 8, 4}};
constexpr uint32_t mostElements = 512;
enum : uint16_t { ColumnMode = 1, SaturateMode = 2 };

/// Elements in a register.
uint32_t packedIn(Type type) {
  return type == Type::TF32 || sizeOf(type) >= 4 ? 1 : 4 / sizeOf(type);
}

/// The number in a register of a lane that holds element `i` of it.
template <typename T> T elementOf(Warp &warp, Type type, Slot slot, uint32_t lane, uint32_t i) {
  if (type == Type::F64)
    return T(warp.in<double>(slot)[lane]);
  uint32_t word = warp.in<uint32_t>(slot)[lane];
  switch (type) {
  case Type::F16:
    return T(decodeF16(uint16_t(word >> (16 * i))));
  case Type::BF16:
    return T(decodeBF16(uint16_t(word >> (16 * i))));
  case Type::TF32:
    return T(decodeTF32(word));
  case Type::F32:
    return T(f32Of(word));
  case Type::S8:
    return T(int8_t(word >> (8 * i)));
  case Type::U8:
    return T(uint8_t(word >> (8 * i)));
  default:
    return T(int32_t(word));
  }
}

/// target: columns of the fragment's matrix; value3: its elements; s[2]: the stride.
template <bool IsStore> Step moveFragment(Warp &warp, const Op &op, uint32_t) {
  if (!gatherWarp(warp))
    return Step::Switch;
  Playing &playing = warp.playing;
  auto what = uint32_t(&op - playing.code.ops.data());
  const Slot *slots = playing.code.slots.data() + op.more;
  auto total = uint32_t(op.value3), columns = op.target, packed = packedIn(op.type);
  uint32_t bytes = sizeOf(op.type), registers = op.count, registerBytes = bytes == 8 ? 8 : 4;
  uint32_t rows = total / columns, perLane = registers * packed;
  uint8_t values[warpSize][32] = {};
  Location location;
  AccessCheck check(warp, what);
  for (uint32_t lane = 0; lane < warpSize; ++lane) {
    uint64_t stride = op.s[2] == noSlot ? (op.mode & ColumnMode ? rows : columns)
                                        : warp.in<uint32_t>(op.s[2])[lane];
    uint64_t base = addressOf(warp, op, lane);
    for (uint32_t i = 0; i < perLane; ++i) {
      uint32_t element = (lane * perLane + i) % total;
      if (IsStore && lane * perLane + i >= total)
        break; // a further copy
      uint32_t row = element / columns, column = element % columns;
      uint64_t place = op.mode & ColumnMode ? column * stride + row : row * stride + column;
      if (!locate(warp, lane, op.space, base + place * bytes, bytes, bytes, IsStore, location))
        return Step::Switch;
      uint32_t at = i / packed;
      if (IsStore) {
        const auto *from = reinterpret_cast<const uint8_t *>(warp.in<uint8_t>(slots[at])) +
                           size_t(lane) * registerBytes + i % packed * bytes;
        std::memcpy(location.bytes, from, bytes);
        if (playing.checking)
          check.write(lane, location, bytes);
      } else {
        std::memcpy(values[lane] + i * bytes, location.bytes, bytes);
        if (playing.checking)
          check.read(lane, location, bytes);
      }
    }
  }
  if (IsStore)
    playing.progress();
  for (uint32_t r = 0; r < registers && !IsStore; ++r)
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      std::memcpy(warp.out<uint8_t>(slots[r]) + size_t(lane) * registerBytes,
                  values[lane] + r * registerBytes, registerBytes);
  return Step::Next;
}

/// One matrix of numbers from the registers of a warp.
template <typename T>
void spread(Warp &warp, Type type, const Slot *slots, uint32_t registers, uint32_t total,
            T (&matrix)[mostElements]) {
  uint32_t packed = packedIn(type), perLane = registers * packed;
  for (uint32_t element = 0; element < total; ++element)
    matrix[element] = elementOf<T>(warp, type, slots[element % perLane / packed], element / perLane,
                                   element % packed);
}

/// value: registers of a, b, and c; value2: the shape; target: the accumulator's type.
template <typename T> Step multiplyFragments(Warp &warp, const Op &op, uint32_t) {
  if (!gatherWarp(warp))
    return Step::Switch;
  const Shape &shape = shapes[op.value2];
  const Slot *results = warp.playing.code.slots.data() + op.more, *operands = results + op.moreDefs;
  uint32_t inA = op.value & 0xff, inB = op.value >> 8 & 0xff, inC = op.value >> 16 & 0xff;
  uint32_t rows = shape.rows, columns = shape.columns, depth = shape.depth, total = rows * columns;
  T a[mostElements], b[mostElements], c[mostElements];
  auto addend = Type(op.value3), result = Type(op.target);
  spread(warp, op.type, operands, inA, rows * depth, a);
  spread(warp, op.other, operands + inA, inB, depth * columns, b);
  spread(warp, addend, operands + inA + inB, inC, total, c);
  uint32_t packed = packedIn(result), perLane = op.moreDefs * packed;
  for (uint32_t element = 0; element < total; ++element) {
    const T *line = a + element / columns * depth, *column = b + element % columns;
    T sum = 0;
    if (result == Type::F64) {
      sum = c[element];
      for (uint32_t k = 0; k < depth; ++k)
        sum = T(std::fma(double(line[k]), double(column[k * columns]), double(sum)));
    } else {
      for (uint32_t k = 0; k < depth; ++k)
        sum += line[k] * column[k * columns];
      sum += c[element];
    }
    uint32_t lane = element / perLane, i = element % packed;
    Slot slot = results[element % perLane / packed];
    if (result == Type::F64)
      warp.out<double>(slot)[lane] = double(sum);
    else if (result == Type::F32)
      warp.out<uint32_t>(slot)[lane] = bitsOf(canonicalised(float(sum)));
    else if (result == Type::S32)
      warp.out<int32_t>(slot)[lane] =
          op.mode & SaturateMode ? saturate32(int64_t(sum)) : int32_t(int64_t(sum));
    else
      warp.out<uint16_t>(slot)[2 * lane + i] = encodeHalf<F16>(double(sum), EncodeMode{});
  }
  return Step::Next;
}

bool vectorOf(Decoder &decoder, size_t operand, std::vector<const Operand *> &out) {
  const Operand &vector = decoder.operands()[operand];
  if (decoder.isRegister(vector)) {
    out.push_back(&vector);
    return true;
  }
  if (vector.kind != Operand::Kind::Vector)
    return decoder.fail("expected a vector of registers");
  for (const Operand &each : vector.elements)
    out.push_back(&each);
  return true;
}

/// Whether that many registers hold the matrix, once or several times over.
bool fits(size_t registers, Type type, uint32_t elements) {
  uint32_t room = uint32_t(registers) * packedIn(type) * warpSize;
  return registers && registers <= 8 && room % elements == 0;
}

const Shape *takeShape(Decoder &decoder) {
  for (const Shape &shape : shapes)
    if (decoder.accept(shape.name))
      return &shape;
  decoder.fail("this shape is not supported");
  return nullptr;
}

Type registerType(Type type) { return type == Type::F64 ? Type::B64 : Type::B32; }

bool decodeFragmentMove(Decoder &decoder, bool isStore) {
  Op &op = decoder.op;
  bool isA = !isStore && decoder.accept("a"), isB = !isStore && !isA && decoder.accept("b");
  if (!isA && !isB && !decoder.accept(isStore ? "d" : "c"))
    return decoder.unknown();
  decoder.accept("sync"), decoder.accept("aligned");
  if (decoder.accept("col"))
    op.mode |= ColumnMode;
  else if (!decoder.accept("row"))
    return decoder.unknown();
  const Shape *shape = takeShape(decoder);
  Space space = Space::Generic;
  decoder.takeSpace(space);
  if (!shape || !decoder.takeType(op.type) || !decoder.expectOperands(2, 3))
    return false;
  uint32_t rows = isB ? shape->depth : shape->rows;
  op.target = isA ? shape->depth : shape->columns;
  op.value3 = uint64_t(rows) * op.target;
  std::vector<const Operand *> registers;
  if (!vectorOf(decoder, isStore ? 1 : 0, registers))
    return false;
  if (!fits(registers.size(), op.type, uint32_t(op.value3)))
    return decoder.fail("the matrix does not fill these registers");
  std::vector<Slot> slots(registers.size());
  for (size_t i = 0; i < slots.size(); ++i)
    if (!(isStore ? decoder.use(*registers[i], registerType(op.type), slots[i])
                  : decoder.define(*registers[i], sizeOf(registerType(op.type)), slots[i])))
      return false;
  op.count = uint8_t(slots.size());
  isStore ? decoder.more({}, slots) : decoder.more(slots, {});
  if (decoder.operandCount() == 3 && !decoder.use(2, Type::U32, op.s[2]))
    return false;
  return decoder.address(isStore ? 0 : 1, space) &&
         decoder.run(isStore ? moveFragment<true> : moveFragment<false>);
}

bool decodeProduct(Decoder &decoder) {
  Op &op = decoder.op;
  decoder.accept("sync"), decoder.accept("aligned");
  // The layouts of a and b: fragments know theirs.
  for (int i = 0; i < 2; ++i)
    if (!decoder.accept("row") && !decoder.accept("col"))
      return decoder.unknown();
  const Shape *shape = takeShape(decoder);
  Type types[4];
  uint32_t count = 0;
  while (count < 4 && decoder.takeType(types[count]))
    ++count;
  if (!shape || (count != 2 && count != 4) || !decoder.expectOperands(4))
    return decoder.unknown();
  Type result = types[0], addend = types[count - 1];
  op.type = count == 2 ? Type::F16 : types[1];
  op.other = count == 2 ? Type::F16 : types[2];
  bool integer = op.type == Type::S8 || op.type == Type::U8;
  bool isKnown = integer                 ? op.other == op.type && result == Type::S32
                 : op.type == Type::F64  ? result == Type::F64
                 : op.type == Type::F16  ? result == Type::F16 || result == Type::F32
                 : op.type == Type::BF16 ? result == Type::F32
                 : op.type == Type::TF32 ? result == Type::F32
                                         : false;
  if (!isKnown || op.type != op.other || (result != addend && op.type != Type::F16))
    return decoder.unknown();
  if (decoder.accept("satfinite"))
    op.mode |= SaturateMode;
  decoder.accept("rn");
  op.value2 = uint64_t(shape - shapes);
  op.value3 = uint64_t(addend);
  op.target = uint32_t(result);
  const uint32_t elements[] = {shape->rows * shape->columns, shape->rows * shape->depth,
                               shape->depth * shape->columns, shape->rows * shape->columns};
  const Type all[] = {result, op.type, op.other, addend};
  std::vector<Slot> defs, uses;
  for (size_t operand = 0; operand < 4; ++operand) {
    std::vector<const Operand *> registers;
    if (!vectorOf(decoder, operand, registers))
      return false;
    if (!fits(registers.size(), all[operand], elements[operand]))
      return decoder.fail("the matrix of operand " + std::to_string(operand + 1) +
                          " does not fill its registers");
    std::vector<Slot> &into = operand ? uses : defs;
    for (const Operand *each : registers) {
      into.emplace_back();
      Type type = registerType(all[operand]);
      if (!(operand ? decoder.use(*each, type, into.back())
                    : decoder.define(*each, sizeOf(type), into.back())))
        return false;
    }
    if (operand)
      op.value |= uint64_t(registers.size()) << (8 * (operand - 1));
  }
  decoder.more(defs, uses);
  return decoder.run(integer ? multiplyFragments<int64_t> : multiplyFragments<double>);
}

} // namespace

bool decodeWarpMatrix(Decoder &decoder) {
  decoder.op.splits = decoder.op.earlyClobber = true;
  if (decoder.accept("load"))
    return decodeFragmentMove(decoder, false);
  if (decoder.accept("store"))
    return decodeFragmentMove(decoder, true);
  return decoder.accept("mma") ? decodeProduct(decoder) : decoder.unknown();
}

} // namespace pianola::ptx
