// wgmma: products of matrices that four warps hold together, read from shared memory by way of
// descriptors.
//
// Each warp computes its sixteen rows of D when it comes to the instruction; so the accumulators
// are there earlier than on a device. But what is read of shared memory counts as read by the
// asynchronous proxy, until the warp has waited for the group. Sums are taken as by mma.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/numeric/Integer.h"
#include "targets/nvptx/emulator/numeric/SmallFloats.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

constexpr uint32_t rowsOfWarp = 16, mostColumns = 256, deepest = 32;
enum : uint16_t {
  RegistersMode = 1, ///< A lies in registers
  TurnedAMode = 2,   ///< A is stored column by column
  TurnedBMode = 4,   ///< B is stored row by row
  NegatedAMode = 8,
  NegatedBMode = 16,
  SaturateMode = 32,
  AlwaysMode = 64, ///< D is added to, without a predicate
  NeverMode = 128
};

/// In shared memory: the ISA's matrix descriptor.
struct Descriptor {
  uint32_t start, leading, stride, swizzle; ///< bytes; bits of the swizzle

  explicit Descriptor(uint64_t bits)
      : start(uint32_t(bits & 0x3fff) << 4), leading(uint32_t(bits >> 16 & 0x3fff) << 4),
        stride(uint32_t(bits >> 32 & 0x3fff) << 4),
        swizzle(bits >> 62 == 0 ? 0 : 4 - uint32_t(bits >> 62)) {}

  /// The 16 bytes that hold the element (line, k): lines are rows of A or columns of B. `turned`:
  /// the 16 bytes go along the lines instead of along k. `each`: bytes of an element.
  uint32_t place(uint32_t line, uint32_t k, uint32_t each, bool turned) const {
    uint32_t inVector = 16 / each, atoms = 1u << swizzle, offset; // vectors in a row of the pattern
    if (!turned)
      offset = line % 8 * 16 * atoms + line / 8 * stride + k / inVector * (swizzle ? 16 : leading);
    else if (!swizzle)
      offset = line / inVector * stride + k % 8 * 16 + k / 8 * leading;
    else
      offset = line / inVector % atoms * 16 + line / (inVector * atoms) * leading +
               k % 8 * 16 * atoms + k / 8 * stride;
    uint32_t address = start + offset;
    return address ^ (address >> 3 & (atoms - 1) << 4);
  }
};

template <typename T> T decoded(Type type, const uint8_t *bytes) {
  uint16_t half;
  uint32_t word;
  switch (type) {
  case Type::F16:
    std::memcpy(&half, bytes, 2);
    return T(decodeF16(half));
  case Type::BF16:
    std::memcpy(&half, bytes, 2);
    return T(decodeBF16(half));
  case Type::TF32:
    std::memcpy(&word, bytes, 4);
    return T(decodeTF32(word));
  case Type::E4M3:
    return T(decodeE4M3(*bytes));
  case Type::E5M2:
    return T(decodeE5M2(*bytes));
  case Type::S8:
    return T(int8_t(*bytes));
  default:
    return T(*bytes);
  }
}

uint32_t bytesOf(Type type) { return type == Type::TF32 ? 4 : sizeOf(type); }

/// Reads lines [first, first + count) of a matrix, as the asynchronous proxy does.
template <typename T>
bool readMatrix(Warp &warp, const Op &op, const Witness &reader, uint64_t descriptor, Type type,
                bool turned, uint32_t first, uint32_t count, T *matrix) {
  Playing &playing = warp.playing;
  Descriptor shape(descriptor);
  uint32_t each = bytesOf(type), inVector = 16 / each, depth = op.target;
  for (uint32_t line = 0; line < count; line += turned ? inVector : 1) {
    for (uint32_t k = 0; k < depth; k += turned ? 1 : inVector) {
      Location location;
      if (!locate(warp, 0, Space::Shared, shape.place(first + line, k, each, turned), 16, 16, false,
                  location))
        return false;
      if (playing.checking)
        if (Conflict conflict = location.buffer->shadow.read(
                location.offset, 16, reader, playing.checks.races, playing.checks.uninitialised))
          playing.report(FindingKind::Race, warp, 0, conflict, *location.buffer);
      for (uint32_t i = 0; i < inVector; ++i) {
        uint32_t atLine = turned ? line + i : line, atK = turned ? k : k + i;
        matrix[atLine * deepest + atK] = decoded<T>(type, location.bytes + i * each);
      }
    }
  }
  return true;
}

/// As those of A in mma, of the warp's own rows.
template <typename T> void readRegisters(Warp &warp, const Op &op, const Slot *slots, T *matrix) {
  uint32_t each = bytesOf(op.type), inRegister = 4 / each;
  for (uint32_t r = 0; r < 4; ++r)
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      for (uint32_t e = 0; e < inRegister; ++e)
        matrix[(lane / 4 + 8 * (r % 2)) * deepest + inRegister * (lane % 4) +
               4 * inRegister * (r / 2) + e] =
            decoded<T>(op.type, warp.in<uint8_t>(slots[r]) + 4 * lane + e * each);
}

/// value: columns; target: depth; value2: the type of D; s[0], s[1]: descriptors; s[2]: whether D
/// is added to. Results, then A's registers and D's old values.
template <typename T> Step multiply(Warp &warp, const Op &op, uint32_t) {
  if (!warp.gatherAll())
    return Step::Switch;
  Playing &playing = warp.playing;
  Block &block = warp.block;
  auto refuse = [&](FindingKind kind, const char *message) {
    playing.report(kind, warp, firstLane(warp.current().mask), message);
    playing.stop();
    return Step::Switch;
  };
  if (warp.current().mask != ~0u)
    return refuse(FindingKind::BarrierDivergence, "the instruction needs a warp of 32 threads");
  if (block.warps.size() < (warp.number / 4 + 1) * 4)
    return refuse(FindingKind::BarrierDivergence, "the instruction needs groups of four warps");
  if (block.bulkTimes.size() >= mostBulkCopies && block.freeBulkSlots.empty())
    return refuse(FindingKind::AsyncMisuse, "more products are in flight than can be followed");
  auto pc = uint32_t(&op - playing.code.ops.data());
  uint32_t slot = takeSlot(block, warp.number, 0, pc), time = block.bulkTimes[slot];
  Clock clock;
  if (playing.checks.races)
    clock = warp.publish(~0u);
  Witness reader{{bulkAgent(block.index, slot), 1, time, pc | Access::Async}, &clock};
  warp.products.push_back({warp.productGroup, slot, time});
  warp.passTime();

  const Slot *results = playing.code.slots.data() + op.more, *operands = results + op.moreDefs;
  const Slot *old = operands + (op.mode & RegistersMode ? 4 : 0);
  auto columns = uint32_t(op.value), depth = op.target;
  auto result = Type(op.value2);
  T a[rowsOfWarp * deepest];
  std::vector<T> b(mostColumns * deepest);
  if (op.mode & RegistersMode)
    readRegisters(warp, op, operands, a);
  else if (!readMatrix(warp, op, reader, warp.in<uint64_t>(op.s[0])[0], op.type,
                       op.mode & TurnedAMode, warp.number % 4 * rowsOfWarp, rowsOfWarp, a))
    return Step::Switch;
  if (!readMatrix(warp, op, reader, warp.in<uint64_t>(op.s[1])[0], op.other, op.mode & TurnedBMode,
                  0, columns, b.data()))
    return Step::Switch;
  bool adds = op.mode & AlwaysMode || (op.s[2] != noSlot && warp.predicate(op.s[2]) & 1);
  if (op.s[2] != noSlot && op.mode & NeverMode)
    adds = !adds; // !p
  bool negated = bool(op.mode & NegatedAMode) != bool(op.mode & NegatedBMode);
  for (uint32_t row = 0; row < rowsOfWarp; ++row) {
    for (uint32_t column = 0; column < columns; ++column) {
      T sum = 0;
      for (uint32_t k = 0; k < depth; ++k)
        sum += a[row * deepest + k] * b[column * deepest + k];
      if (negated)
        sum = -sum;
      uint32_t lane = row % 8 * 4 + column % 8 / 2, i = column / 8 * 4 + row / 8 * 2 + column % 2;
      if (result == Type::F16) {
        Slot from = old[i / 2], to = results[i / 2];
        if (adds)
          sum += T(decodeF16(warp.in<uint16_t>(from)[2 * lane + i % 2]));
        warp.out<uint16_t>(to)[2 * lane + i % 2] = encodeHalf<F16>(double(sum), EncodeMode{});
      } else if (result == Type::F32) {
        if (adds)
          sum += T(warp.in<float>(old[i])[lane]);
        warp.out<uint32_t>(results[i])[lane] = bitsOf(canonicalised(float(sum)));
      } else {
        int64_t total = int64_t(sum) + (adds ? warp.in<int32_t>(old[i])[lane] : 0);
        warp.out<int32_t>(results[i])[lane] =
            op.mode & SaturateMode ? saturate32(total) : int32_t(total);
      }
    }
  }
  return Step::Next;
}

Step fence(Warp &warp, const Op &, uint32_t) {
  return warp.gatherAll() ? Step::Next : Step::Switch;
}

Step commit(Warp &warp, const Op &, uint32_t) {
  if (!warp.gatherAll())
    return Step::Switch;
  ++warp.productGroup;
  return Step::Next;
}

Step waitGroup(Warp &warp, const Op &op, uint32_t) {
  if (!warp.gatherAll())
    return Step::Switch;
  Clock clock;
  auto isDue = [&](const Warp::Product &product) {
    return product.group + op.value < warp.productGroup;
  };
  for (const Warp::Product &product : warp.products) {
    if (!isDue(product))
      continue;
    clock.seen.add(bulkAgent(warp.block.index, product.slot), ~0u, product.time);
    warp.block.freeBulkSlots.push_back(product.slot);
  }
  warp.products.erase(std::remove_if(warp.products.begin(), warp.products.end(), isDue),
                      warp.products.end());
  if (warp.playing.checks.races)
    warp.learn(warp.current().mask, clock);
  return Step::Next;
}

/// "m64n128k16"
bool takeShape(Decoder &decoder, uint32_t &columns, uint32_t &depth) {
  for (std::string_view word : decoder.instruction().words) {
    if (word.substr(0, 4) != "m64n")
      continue;
    size_t at = word.find('k');
    if (at == word.npos || !decoder.accept(word))
      return false;
    columns = uint32_t(std::strtoul(std::string(word.substr(4, at - 4)).c_str(), nullptr, 10));
    depth = uint32_t(std::strtoul(std::string(word.substr(at + 1)).c_str(), nullptr, 10));
    return columns >= 8 && columns <= mostColumns && columns % 8 == 0;
  }
  return false;
}

/// 1 or -1; 0 or 1.
bool takeFlag(Decoder &decoder, size_t operand, int64_t set, int64_t unset, uint16_t mode) {
  uint64_t value;
  if (!decoder.immediate(operand, value))
    return false;
  if (int64_t(value) != set && int64_t(value) != unset && int32_t(value) != set)
    return decoder.fail("operand " + std::to_string(operand + 1) + " has no such value");
  if (int64_t(value) != unset)
    decoder.op.mode |= mode;
  return true;
}

bool isEight(Type type) { return type == Type::E4M3 || type == Type::E5M2; }

bool decodeProduct(Decoder &decoder) {
  Op &op = decoder.op;
  uint32_t columns = 0;
  Type result;
  if (!takeShape(decoder, columns, op.target) || !decoder.takeType(result) ||
      !decoder.takeType(op.type) || !decoder.takeType(op.other))
    return decoder.unknown();
  bool integer = op.type == Type::S8 || op.type == Type::U8;
  bool isHalf = op.type == Type::F16 || op.type == Type::BF16;
  bool exists = op.target * bytesOf(op.type) == 32 &&
                (integer ? (op.other == Type::S8 || op.other == Type::U8) && result == Type::S32
                 : isEight(op.type)
                     ? isEight(op.other) && (result == Type::F32 || result == Type::F16)
                     : op.type == op.other && (isHalf || op.type == Type::TF32) &&
                           (result == Type::F32 || (result == Type::F16 && op.type == Type::F16)));
  if (!exists)
    return decoder.unknown();
  if (decoder.accept("satfinite"))
    op.mode |= SaturateMode;
  // d, a, b, scale-d, then signs of a and b but for integers, then turns of those that are in
  // shared memory, of 16 bits alone.
  bool inRegisters =
      decoder.operandCount() > 1 && decoder.operands()[1].kind == Operand::Kind::Vector;
  size_t expected = 4 + (integer ? 0 : 2) + (isHalf ? (inRegisters ? 1 : 2) : 0);
  if (!decoder.expectOperands(expected))
    return false;
  op.value = columns, op.value2 = uint64_t(result);
  const Operand &accumulators = decoder.operands()[0];
  size_t count = columns / (result == Type::F16 ? 4 : 2);
  if (accumulators.kind != Operand::Kind::Vector || accumulators.elements.size() != count)
    return decoder.fail("the accumulator must be a vector of " + std::to_string(count) +
                        " registers");
  std::vector<Slot> defs(count), uses;
  if (inRegisters) {
    op.mode |= RegistersMode;
    const auto &elements = decoder.operands()[1].elements;
    if (elements.size() != 4)
      return decoder.fail("a must be a vector of 4 registers");
    uses.resize(4);
    for (size_t i = 0; i < 4; ++i)
      if (!decoder.use(elements[i], Type::B32, uses[i]))
        return false;
  } else if (!decoder.use(1, Type::B64, op.s[0])) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    Slot before;
    if (!decoder.define(accumulators.elements[i], 4, defs[i]) ||
        !decoder.use(accumulators.elements[i], Type::B32, before))
      return false;
    uses.push_back(before);
  }
  const Operand &scale = decoder.operands()[3];
  if (scale.kind == Operand::Kind::Immediate) {
    if (!takeFlag(decoder, 3, 1, 0, AlwaysMode))
      return false;
  } else {
    bool isNegated = false;
    if (!decoder.usePredicate(scale, op.s[2], isNegated))
      return false;
    op.mode |= isNegated ? NeverMode : 0;
  }
  if (!decoder.use(2, Type::B64, op.s[1]))
    return false;
  size_t next = 4;
  if (!integer && (!takeFlag(decoder, next++, -1, 1, NegatedAMode) ||
                   !takeFlag(decoder, next++, -1, 1, NegatedBMode)))
    return false;
  if (isHalf && !inRegisters && !takeFlag(decoder, next++, 1, 0, TurnedAMode))
    return false;
  if (isHalf && !takeFlag(decoder, next++, 1, 0, TurnedBMode))
    return false;
  decoder.more(defs, uses);
  return decoder.run(integer ? multiply<int64_t> : multiply<double>);
}

} // namespace

bool decodeWarpgroupMatrix(Decoder &decoder) {
  Op &op = decoder.op;
  op.splits = true;
  bool multiplies = decoder.accept("mma_async"), fences = !multiplies && decoder.accept("fence"),
       commits = !multiplies && !fences && decoder.accept("commit_group"),
       waits = !multiplies && !fences && !commits && decoder.accept("wait_group");
  if (!decoder.accept("sync") || !decoder.accept("aligned"))
    return decoder.unknown();
  if (multiplies)
    return decodeProduct(decoder);
  if (fences || commits)
    return decoder.expectOperands(0) && decoder.run(fences ? fence : commit);
  return waits && decoder.expectOperands(1) && decoder.immediate(0, op.value) &&
         decoder.run(waitGroup);
}

} // namespace pianola::ptx
