// PlayedStage.h - compiles the text of stages, maps the image and calls its parts.
#ifndef PIANOLA_TEST_TARGETS_HOST_PLAYEDSTAGE_H
#define PIANOLA_TEST_TARGETS_HOST_PLAYEDSTAGE_H

#include "pianola/roll.h"
#include "targets/host/HostCode.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace pianola::test {

/// The targets that generated code is tried for: each step of features. Without those that this CPU
/// cannot run; AMX is emulated where AVX512-BF16 is.
std::vector<std::string> runnableTargets();
/// A target as a part of a test's name.
std::string nameOf(std::string target);

/// Whether code for `target` takes products of bf16.
bool hasBf16Products(const std::string &target);

/// Memory whose last byte is followed by a page that must not be touched. All bytes are 0xff (NaN,
/// in every float type) at first.
class GuardedMemory {
public:
  explicit GuardedMemory(size_t bytes);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory &) = delete;
  GuardedMemory &operator=(const GuardedMemory &) = delete;

  uint8_t *data() const { return begin; }
  template <typename T> T *as() const { return reinterpret_cast<T *>(begin); }

private:
  void *mapping;
  size_t mapped;
  uint8_t *begin;
};

/// One stage, compiled and mapped. Bind what its arguments are, in order; then run its parts.
class PlayedStage {
public:
  /// `text` holds one tile.stage; fails the test if it does not compile.
  PlayedStage(const std::string &text, const std::string &target);
  ~PlayedStage();
  PlayedStage(const PlayedStage &) = delete;
  PlayedStage &operator=(const PlayedStage &) = delete;

  /// Forgets what was bound, for another run.
  void unbind() { bindings.clear(); }
  void bind(void *address) { bindings.push_back(address); }

  /// The play's slots, all of them: `count` at consecutive positions of sequence 0, or one at each
  /// of some positions.
  void placeSlots(uint64_t position, uint64_t count);
  void placeSlots(std::vector<uint64_t> positions, std::vector<uint32_t> sequences);

  /// Runs part `suffix` ("prologue", "0", ...) of the stage for tiles begin .. end-1.
  void run(const std::string &suffix, uint64_t begin, uint64_t end);

  HostImage image;
  PianolaHostCall call{}; // what run() passes; bindings, scratch and tiles are filled in

private:
  void *code = nullptr;
  size_t codeBytes = 0;
  std::unique_ptr<GuardedMemory> scratch;
  std::vector<void *> bindings;
  std::vector<uint64_t> positions;
  std::vector<uint32_t> sequences;
};

/// The text of types, and of a stage with one tile.
std::string buffer(int64_t slots, int64_t columns, const char *element = "f32");
std::string tensor(int64_t slots, int64_t columns, const char *element = "f32");
std::string oneTile(const std::string &arguments, const std::string &body);

/// Numbers in -1 .. 1 that bf16 and f16 hold exactly, if `exact`.
std::vector<float> randomNumbers(size_t count, unsigned seed, bool exact = false);

inline uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float fromBf16(uint16_t value) {
  uint32_t bits = uint32_t(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

/// The bytes of one weight tile of `rows` x `depth` numbers (row-major), as !tile.matrix packs
/// them; element is "bf16", "f16" or "f32".
std::vector<uint8_t> packTile(const std::vector<float> &weights, int64_t rows, int64_t depth,
                              const std::string &element);

/// Copies bytes to the start of 64-byte aligned memory.
class AlignedBytes {
public:
  AlignedBytes(const void *bytes, size_t count) : memory(count) {
    std::memcpy(memory.data(), bytes, count);
  }
  template <typename T>
  explicit AlignedBytes(const std::vector<T> &values)
      : AlignedBytes(values.data(), values.size() * sizeof(T)) {}
  uint8_t *data() const { return memory.data(); }

private:
  GuardedMemory memory;
};

} // namespace pianola::test

#endif
