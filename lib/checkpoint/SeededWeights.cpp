// SeededWeights.cpp - weights out of a seed.
#include "lib/checkpoint/SeededWeights.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <algorithm>

namespace pianola {
namespace {

uint64_t mix(uint64_t state) {
  uint64_t z = state * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

/// FNV-1a of the name, stirred with the seed.
uint64_t keyOf(uint64_t seed, llvm::StringRef name) {
  uint64_t hash = 0xCBF29CE484222325;
  for (unsigned char c : name)
    hash = (hash ^ c) * 0x100000001B3;
  return mix(hash ^ mix(seed + 1));
}

uint16_t toBF16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  return uint16_t((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16); // nearest, ties to even
}

/// The four elements of group j.
void makeGroup(uint64_t key, uint64_t j, float mean, float scale, uint16_t out[4]) {
  uint64_t word = mix(key + j);
  for (int lane = 0; lane < 4; ++lane) {
    float centred = float(int32_t((word >> (16 * lane)) & 0xFFFF)) - 32767.5f;
    // Two statements: fused into one rounding, the result would depend on the machine.
    float spread = centred * scale;
    float value = spread + mean;
    out[lane] = toBF16(value);
  }
}

} // namespace

const TensorInfo *SeededWeights::find(llvm::StringRef name) const {
  auto it = tensors.find(name);
  return it == tensors.end() ? nullptr : &it->second.tensor;
}

llvm::Expected<const TensorInfo *>
SeededWeights::require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, TensorRole role) {
  if (const TensorInfo *tensor = find(name)) {
    if (llvm::ArrayRef<int64_t>(tensor->shape) != shape)
      return refuse(origin(name) + ": tensor " + inQuotes(name) + ": shape: expected " +
                    showShape(shape) + ", found " + showShape(tensor->shape));
    return tensor;
  }
  std::optional<uint64_t> bytes = tensorBytes(DType::BF16, shape);
  if (!bytes)
    return refuse(origin(name) + ": tensor " + inQuotes(name) + ": shape: " + showShape(shape) +
                  " is over 2^63 - 1 bytes");
  float deviation = role == TensorRole::Norm ? 0.1f : 0.02f;
  float steps = 18918.614f; // standard deviation of a uniform 16-bit integer, 65536 / sqrt(12)
  Made made{{name.str(), DType::BF16, llvm::SmallVector<int64_t, 2>(shape), *bytes},
            keyOf(seed, name),
            role == TensorRole::Norm ? 1.0f : 0.0f,
            deviation / steps};
  return &tensors.try_emplace(name, std::move(made)).first->second.tensor;
}

llvm::Error SeededWeights::read(const TensorInfo &tensor, uint64_t firstByte,
                                llvm::MutableArrayRef<uint8_t> out) const {
  auto it = tensors.find(tensor.name);
  if (it == tensors.end())
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": missing");
  const Made &made = it->second;
  if (firstByte > made.tensor.bytes || out.size() > made.tensor.bytes - firstByte)
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": has " +
                  llvm::Twine(made.tensor.bytes) + " bytes, asked for " + llvm::Twine(out.size()) +
                  " from " + llvm::Twine(firstByte));
  // A group is eight bytes; the first and the last may be cut.
  uint64_t group = firstByte / 8;
  size_t skip = firstByte % 8;
  while (!out.empty()) {
    uint16_t values[4];
    makeGroup(made.key, group++, made.mean, made.scale, values);
    uint8_t bytes[8];
    for (int lane = 0; lane < 4; ++lane) {
      bytes[2 * lane] = uint8_t(values[lane]);
      bytes[2 * lane + 1] = uint8_t(values[lane] >> 8);
    }
    size_t count = std::min(out.size(), 8 - skip);
    std::copy_n(bytes + skip, count, out.begin());
    out = out.drop_front(count);
    skip = 0;
  }
  return llvm::Error::success();
}

std::vector<std::string> SeededWeights::names() const {
  std::vector<std::string> result;
  for (const auto &entry : tensors)
    result.push_back(entry.first().str());
  llvm::sort(result);
  return result;
}

std::string SeededWeights::origin(llvm::StringRef) const { return "seed " + std::to_string(seed); }

} // namespace pianola
