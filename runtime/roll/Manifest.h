// Manifest.h - the manifest of a roll, as plain structs.
//
// Members are named as in pianola/roll.h, where they are explained.
#ifndef PIANOLA_RUNTIME_ROLL_MANIFEST_H
#define PIANOLA_RUNTIME_ROLL_MANIFEST_H

#include "runtime/Status.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pianola {

struct RollModel {
  std::string family, name;
  int64_t vocabulary, validVocabulary, hidden, layers, maxPositions, parameters;
};

struct RollTarget {
  std::string name, product;
  std::string architecture; // of a host
  std::vector<std::string> features;
  std::string device, chip; // of a GPU
  int64_t capability = 0;
  int64_t workers, bandwidth, peak, event, step;

  bool isGpu() const { return name == "nvptx"; }
};

/// A default for generation and the file that it is from.
template <typename T> struct RollSetting {
  T value;
  std::string from;
};

struct RollGeneration {
  std::vector<int32_t> stop;
  std::optional<RollSetting<int64_t>> bos, pad, topK;
  std::optional<RollSetting<bool>> doSample;
  std::optional<RollSetting<double>> temperature, topP, minP, repetitionPenalty;
};

struct RollContext {
  uint64_t heads, size;
  std::string element;
  uint64_t elementBytes, scaleBytes;             // of a lane; of a head's key or value
  std::optional<uint64_t> window = std::nullopt; // positions
  std::optional<uint64_t> ring = std::nullopt;   // positions kept, the newest, a multiple of 64

  /// Positions of a sequence that memory is for, where others' have `capacity`.
  uint64_t room(uint64_t capacity) const { return std::min(capacity, ring.value_or(capacity)); }
  /// Keys and values of all heads.
  uint64_t positionBytes() const { return 2 * heads * (size * elementBytes + scaleBytes); }
};

struct RollRotation {
  std::vector<float> invFreq;
  float scale;
  float growth = 0; // on the scale, with the logarithm of periods passed
  uint64_t period = 1, from = 0;
};

struct RollTable {
  bool onTapes;
  uint64_t offset, count;
};

/// All experts' tiles of a matrix, in the tape section.
struct RollPool {
  uint64_t offset, bytes;
};

/// Sections that are made up; bytes.
struct RollMadeUp {
  uint64_t seed, tape, table, constant;
};

struct RollPart {
  std::string name;
  uint64_t entry;
};

struct RollTape {
  uint64_t offset, bytes;
};

enum class RollSpace { Arena, Context, State, Rotation, Table, Constant, Pool };

struct RollBinding {
  RollSpace space;
  uint64_t at;
};

struct RollCost {
  int64_t tape, memory, flops, ns;
};

struct RollStep {
  std::string label;
  std::vector<RollBinding> bindings;
  RollCost cost;
  uint64_t stage = 0; // of a GPU's kernel
};

/// f32 [slots x columns] in the arena.
struct RollRows {
  uint64_t at, columns;
};

struct RecordRange {
  uint64_t first, count;
};

struct RollStage {
  std::string name, entry;
};

/// What a program is on a GPU.
struct RollKernel {
  std::string entry;
  uint64_t threads, shared, chunk, slots;
  std::vector<RollStage> stages;
};

struct RollProgram {
  std::string name;
  uint64_t slots, arena, scratch, events;
  RollRows logits;
  std::optional<RollRows> hiddenStates;
  std::vector<RollStep> steps;
  std::vector<RecordRange> records; // of each worker
  bool loops = false;
  RollKernel kernel = {}; // of a GPU
};

struct RollManifest {
  std::string pianola; // version of the compiler
  RollModel model;
  RollTarget target;
  uint64_t maxModelLen;
  RollGeneration generation;
  std::vector<std::pair<std::string, std::string>> chatTokens;
  std::vector<RollContext> contexts;
  std::vector<uint64_t> states; // bytes of what a layer remembers of a sequence, each
  std::vector<RollRotation> rotations;
  std::vector<RollTable> tables;
  std::vector<RollPool> pools;
  std::vector<RollPart> parts;
  std::vector<RollTape> tapes;
  std::optional<RollMadeUp> weights;
  std::vector<RollProgram> programs;

  /// All programs have them, or none.
  bool hasHiddenStates() const { return !programs.empty() && programs[0].hiddenStates; }
};

/// Parses and checks types and ranges; what refers to other sections is checked by Roll. Messages
/// name the field: "programs[0].steps[3].label: expected a string".
Result<RollManifest> parseManifest(std::string_view text);

} // namespace pianola

#endif
