// Rehearsal.h - one kernel, rehearsed: buffers on an emulated device, a launch, and what came out
// of it.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_REHEARSAL_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_REHEARSAL_H

#include "targets/nvptx/emulator/Emulator.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace pianola::ptx {

struct Outcome {
  std::vector<Finding> findings;
  std::string wrong;  ///< the first thing that is not as expected; empty: everything is right
  std::string output; ///< what was printed
  uint64_t threadInstructions = 0;
  uint64_t digest =
      14695981039346656037u; ///< of all results compared: another seed must not change it

  bool right() const { return findings.empty() && wrong.empty(); }
  std::string text() const;
};

/// Numbers that are the same in every run.
class Draw {
public:
  explicit Draw(uint64_t seed) : state(seed) {}
  uint32_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return static_cast<uint32_t>((z ^ z >> 31) >> 16);
  }
  /// A whole number from `low` to `high`, both included.
  int32_t whole(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(next() % static_cast<uint32_t>(high - low + 1));
  }
  float real(float low, float high) { return low + (high - low) * (next() >> 8) * 0x1p-24f; }

private:
  uint64_t state;
};

/// `count` values of make(index).
template <typename Make> auto listOf(size_t count, Make make) {
  std::vector<decltype(make(size_t()))> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(make(i));
  return values;
}

class Rehearsal {
public:
  /// `like` says how to play: its seed, checks and limits. Shapes come with each launch.
  Rehearsal(const std::string &path, const std::string &deviceName, const Launch &like);

  template <typename T> uint64_t put(const std::vector<T> &values, const char *name) {
    const uint64_t at = allocate(values.size() * sizeof(T), name);
    write(at, values);
    return at;
  }
  template <typename T> void write(uint64_t at, const std::vector<T> &values) {
    need(device.write(at, values.data(), values.size() * sizeof(T)));
  }
  /// Room that nothing has written yet.
  template <typename T> uint64_t room(size_t count, const char *name) {
    return allocate(count * sizeof(T), name);
  }
  template <typename T> std::vector<T> get(uint64_t at, size_t count) {
    std::vector<T> values(count);
    need(device.read(at, values.data(), count * sizeof(T)));
    return values;
  }

  void play(const char *kernel, Dim3 grid, Dim3 block, const Arguments &arguments,
            uint32_t dynamicShared = 0, bool cooperative = false);

  /// Nothing is compared any more once something was found.
  bool good() const { return outcome.right(); }
  void expect(bool condition, const std::string &what);
  template <typename T>
  void expectSame(uint64_t at, const std::vector<T> &expected, const char *what) {
    if (!good())
      return;
    const std::vector<T> found = get<T>(at, expected.size());
    digest(found.data(), found.size() * sizeof(T));
    for (size_t i = 0; i < found.size() && good(); ++i)
      if (std::memcmp(&found[i], &expected[i], sizeof(T)) != 0)
        expect(false, std::string(what) + "[" + std::to_string(i) + "] is " +
                          std::to_string(found[i]) + ", not " + std::to_string(expected[i]));
  }
  /// Every `stride`-th value from `first` on within relative * |expected| + absolute.
  template <typename T>
  void expectNear(uint64_t at, const std::vector<double> &expected, double relative,
                  double absolute, const char *what, size_t first = 0, size_t stride = 1) {
    if (!good())
      return;
    const std::vector<T> found = get<T>(at, expected.size());
    digest(found.data(), found.size() * sizeof(T));
    for (size_t i = first; i < found.size() && good(); i += stride)
      if (!(std::fabs(found[i] - expected[i]) <= relative * std::fabs(expected[i]) + absolute))
        expect(false, std::string(what) + "[" + std::to_string(i) + "] is " +
                          std::to_string(found[i]) + ", not about " + std::to_string(expected[i]));
  }

  Outcome outcome;

private:
  uint64_t allocate(uint64_t bytes, const char *name);
  void need(const Status &status);
  void digest(const void *bytes, size_t size);

  Device device;
  std::shared_ptr<const Module> module;
  Launch like;
};

/// A kernel for one architecture, with buffers of one shape, and what they must hold afterwards.
struct Case {
  std::string name; ///< "reduce_tree_4x256.sm_80"
  std::string file; ///< where its PTX stands, "reduce"
  std::string architecture;
  std::function<void(Rehearsal &)> body;

  std::string path() const;
  std::string deviceName() const { return architecture == "sm_80" ? "a100" : "h200"; }
  Outcome play(const Launch &like) const { return play(path(), like); }
  /// The same buffers and launches, with the kernel from another file.
  Outcome play(const std::string &path, const Launch &like) const;
};

/// Where the kernels stand, and the defective ones.
std::string kernelFolder();
std::string defectFolder();
std::string readText(const std::string &path);

/// Every kernel that is free of defects, for each of its architectures and shapes.
const std::vector<Case> &goodKernels();
/// The case of that name, or null.
const Case *findCase(const std::string &name);

/// What a theme adds its cases to.
class Repertoire {
public:
  explicit Repertoire(std::vector<Case> &cases) : cases(cases) {}
  void file(std::string name) { current = std::move(name); }
  /// For sm_80 and sm_90a; where there is no PTX for sm_80, for sm_90a alone.
  void add(const std::string &name, const std::function<void(Rehearsal &)> &body);

private:
  std::vector<Case> &cases;
  std::string current;
};

void addReductions(Repertoire &repertoire);
void addMatrices(Repertoire &repertoire);
void addNorms(Repertoire &repertoire);
void addCopies(Repertoire &repertoire);
void addIdioms(Repertoire &repertoire);
void addLibraries(Repertoire &repertoire);
void addWarpgroups(Repertoire &repertoire);
void addGrids(Repertoire &repertoire);
void addAtomics(Repertoire &repertoire);
void addControl(Repertoire &repertoire);
void addMemory(Repertoire &repertoire);
void addNumbers(Repertoire &repertoire);

} // namespace pianola::ptx

#endif
