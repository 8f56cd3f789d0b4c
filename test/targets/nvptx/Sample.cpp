// Sample.cpp - tokens that generated GPU code chooses against those of the host's sampler.
#include "dialects/schedule/Schedule.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "pianola/cuda.h"
#include "pianola/sampling.h"
#include "runtime/sampling/Sampler.h"
#include "targets/nvptx/PtxCode.h"
#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Emulator.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <random>

namespace pianola {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kSlots = 2; // of the program; the logits that count are the second ones
constexpr uint32_t kMostPlays = 300;

struct Expected {
  std::vector<uint64_t> entries; // of the host's list
  std::vector<int32_t> history;
  uint32_t end;
  uint64_t draws;
};

struct Case {
  SamplingOptions options;
  std::vector<float> logits;
  std::vector<int32_t> history, stops;
  uint32_t plays = 1;
  uint64_t draws = 0;
  bool isCancelled = false;
};

std::ostream &operator<<(std::ostream &out, const Case &c) {
  const SamplingOptions &o = c.options;
  return out << c.logits.size() << " tokens, temperature " << o.temperature << ", top_k " << o.topK
             << ", top_p " << o.topP << ", min_p " << o.minP << ", penalties "
             << o.repetitionPenalty << " " << o.presencePenalty << " " << o.frequencyPenalty << ", "
             << o.logitBias.size() << " biases, seed " << o.seed << ", " << c.draws << " draws";
}

// What the host's sampler makes of it, play after play.
Expected play(const Case &c) {
  auto vocabulary = static_cast<int32_t>(c.logits.size());
  EXPECT_TRUE(validate(c.options, vocabulary).ok());
  Sampler sampler(c.options, vocabulary);
  sampler.setDrawn(c.draws);
  Expected expected{{}, c.history, c.plays, c.draws};
  for (uint32_t number = 0; number < c.plays; ++number) {
    Result<int32_t> token = sampler.sample(c.logits.data(), expected.history);
    uint64_t end = PIANOLA_CUDA_GOES_ON;
    if (!token)
      end = PIANOLA_CUDA_NOT_NUMBERS;
    else if (std::count(c.stops.begin(), c.stops.end(), *token))
      end = PIANOLA_CUDA_STOP;
    else if (number + 1 == c.plays)
      end = PIANOLA_CUDA_LENGTH;
    else if (c.isCancelled)
      end = PIANOLA_CUDA_CANCELLED;
    uint64_t id = token ? static_cast<uint32_t>(*token) : 0;
    expected.entries.push_back(uint64_t(1) << 63 | end << 32 | id);
    if (token)
      expected.history.push_back(*token);
    if (end != PIANOLA_CUDA_GOES_ON) {
      expected.end = number + 1;
      break;
    }
  }
  expected.draws = sampler.drawn();
  return expected;
}

// A program of which nothing is left but its last step, on one worker.
class Choosing {
public:
  Choosing(int64_t vocabulary, const char *deviceName)
      : row(findDevice(deviceName)), device(*row), columns((vocabulary + 31) / 32 * 32),
        rows(vocabulary % 2 ? 8 : 16), peakColumns((columns / rows + 3) / 4 * 4) {
    std::string buffer = llvm::formatv("!tile.buffer<{0} x {1} x f32>", kSlots, columns);
    std::string peaksBuffer = llvm::formatv("!tile.buffer<{0} x {1} x f32>", kSlots, peakColumns);
    std::string text = llvm::formatv(
        "tile.stage @choose(%l: {0}, %p: {1}) {{\ntile.section grid = [1] {{\n^bb0(%t: index):\n"
        "tile.sample %l vocabulary = {2} peaks %p rows = {3} : {0}, {1}\n}\n}\n"
        "schedule.program @loop slots = {4} arena = {6} loops {{\n"
        "%0 = schedule.buffer \"logits\" at 0 : {0}\n"
        "%1 = schedule.buffer \"peaks\" at {5} : {1}\n%2 = schedule.event\n"
        "schedule.step \"sample\" @choose(%0, %1) tiles [[0, 1]] signals %2 : {0}, {1}\n}\n",
        buffer, peaksBuffer, vocabulary, rows, kSlots, kSlots * columns * 4,
        kSlots * (columns + peakColumns) * 4);
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    context.loadDialect<tile::TileDialect, schedule::ScheduleDialect>();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module)
      throw std::runtime_error("cannot parse\n" + text);
    code = llvm::cantFail(compilePtx(*module, *row));
    Result<std::shared_ptr<const ptx::Module>> loaded = device.load(code.text, "sample.ptx");
    if (!loaded)
      throw std::runtime_error(loaded.status().message());
    kernels = *loaded;
    logits = allocate(kSlots * columns * 4, "logits");
    peaks = allocate(kSlots * peakColumns * 4, "peaks");
    state = allocate(sizeof(PianolaCudaState), "state");
    counts = allocate(vocabulary * 4, "counts");
    bias = allocate(vocabulary * 4, "bias");
    stops = allocate(200 * 4, "stops");
    tokens = allocate(kSlots * 4, "tokens");
    cards = allocate(2 * sizeof(PianolaCudaCard), "cards");
    ranges = allocate(2 * 8, "ranges");
    tapes = allocate(2 * 16, "tapes");
    tape = allocate(1024, "tape");
    events = allocate(PIANOLA_CUDA_EVENT_STRIDE, "events");
    PianolaCudaCard card[2] = {};
    card[0].binding[0] = logits;
    card[0].binding[1] = peaks;
    card[0].signal = 0;
    card[0].tiles[0].end = 1;
    card[1].stage = PIANOLA_CUDA_NONE; // a worker without tiles
    put(cards, card, sizeof card);
    uint64_t some[2] = {uint64_t(1) << 32, 0}; // one card and none
    put(ranges, some, sizeof some);
    uint64_t none[4] = {};
    put(tapes, none, sizeof none);
    list.resize(offsetof(PianolaCudaHost, tokens) / 8 + kMostPlays);
    host = *device.adopt(list.data(), list.size() * 8, "host");
  }
  ~Choosing() { (void)device.release(host); }

  /// Plays a case and compares. By stage kernels, one launch for each play, or as one persistent
  /// kernel.
  void compare(const Case &c, uint64_t seed, bool persistent, bool checked = true) {
    Expected expected = play(c);
    prepare(c);
    for (uint32_t number = 0; number < (persistent ? 1 : c.plays); ++number)
      ASSERT_NO_FATAL_FAILURE(launch(persistent, seed + number, checked)) << c;
    auto after = get<PianolaCudaState>(state, 1).front();
    ASSERT_EQ(after.chosen, expected.entries.size()) << c;
    const uint64_t *chosen = list.data() + offsetof(PianolaCudaHost, tokens) / 8;
    for (size_t i = 0; i < expected.entries.size(); ++i)
      ASSERT_EQ(chosen[i], expected.entries[i])
          << c << ": play " << i << ": token " << (chosen[i] & 0xffffffff) << " instead of "
          << (expected.entries[i] & 0xffffffff);
    ASSERT_EQ(after.end, expected.end) << c;
    ASSERT_EQ(after.sampling.draws, expected.draws) << c;
    if (!persistent)
      ASSERT_EQ(after.play, expected.end) << c;
    if (expected.history.size() > c.history.size())
      ASSERT_EQ(get<int32_t>(tokens, 1).front(), expected.history.back());
    if (after.sampling.counts) {
      std::vector<uint32_t> seen = get<uint32_t>(counts, c.logits.size());
      for (int32_t id : expected.history)
        --seen[id];
      ASSERT_EQ(std::count(seen.begin(), seen.end(), 0u), static_cast<long>(seen.size())) << c;
    }
  }

  void expectNothing(const Case &c) {
    prepare(c);
    auto before = get<PianolaCudaState>(state, 1).front();
    before.choose = 0;
    put(state, &before, sizeof before);
    std::vector<uint64_t> listed = list;
    launch(false, 3, true);
    launch(true, 4, true);
    EXPECT_EQ(list, listed);
    auto after = get<PianolaCudaState>(state, 1).front();
    EXPECT_EQ(after.play, 1u);
    after.play = 0;
    EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
  }

  PtxCode code;

private:
  void launch(bool persistent, uint64_t seed, bool checked) {
    ptx::Launch launch;
    launch.grid = {2, 1, 1}; // one worker has nothing to do, and meets nobody
    launch.block = {static_cast<uint32_t>(code.programs[0].threads), 1, 1};
    launch.dynamicShared = code.programs[0].shared;
    launch.cooperative = persistent;
    launch.seed = seed;
    if (!checked)
      launch.checks = ptx::Checks::none();
    ptx::Arguments arguments;
    for (uint64_t value : {cards, ranges, tape, tapes, events, state, host, uint64_t(1) << 62})
      arguments.add(value);
    const PtxProgram &program = code.programs[0];
    const std::string &entry = persistent ? program.entry : program.stages[0].entry;
    Result<ptx::Played> played = device.play(kernels->findKernel(entry), launch, arguments);
    ASSERT_TRUE(bool(played)) << played.status().message();
    for (const ptx::Finding &finding : played->findings)
      FAIL() << finding.text() << "\nseed " << seed;
  }

  uint64_t allocate(uint64_t bytes, const char *name) { return *device.allocate(bytes, name); }
  void put(uint64_t at, const void *bytes, size_t count) {
    if (count)
      ASSERT_TRUE(device.write(at, bytes, count).ok());
  }
  template <typename T> std::vector<T> get(uint64_t at, size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(device.read(at, values.data(), count * sizeof(T)).ok());
    return values;
  }

  void prepare(const Case &c) {
    const SamplingOptions &o = c.options;
    size_t vocabulary = c.logits.size();
    put(logits + columns * 4, c.logits.data(), vocabulary * 4);
    // The last tile has rows beyond the vocabulary, whose products are zero.
    std::vector<float> greatest;
    for (size_t i = 0; i < vocabulary; ++i)
      if (i % rows == 0)
        greatest.push_back(i + rows > vocabulary ? std::fmax(c.logits[i], 0.0f) : c.logits[i]);
      else
        greatest.back() = std::fmax(greatest.back(), c.logits[i]);
    put(peaks + peakColumns * 4, greatest.data(), greatest.size() * 4);
    PianolaCudaState s = {};
    s.slots = kSlots;
    s.first_output = 1;
    s.plays = s.end = c.plays;
    s.choose = 1;
    s.stop_count = c.stops.size();
    s.stops = stops;
    s.tokens = tokens;
    s.begin = {0, 1, 0, 0};
    s.sampling = {o.temperature,
                  o.topP,
                  o.minP,
                  o.repetitionPenalty,
                  o.presencePenalty,
                  o.frequencyPenalty,
                  o.topK,
                  static_cast<uint32_t>(vocabulary),
                  o.seed,
                  c.draws,
                  0,
                  0};
    if (Sampler(o, vocabulary).penalises()) {
      std::vector<uint32_t> seen(vocabulary, 0);
      for (int32_t id : c.history)
        ++seen[id];
      put(counts, seen.data(), vocabulary * 4);
      s.sampling.counts = counts;
    }
    if (!o.logitBias.empty()) {
      std::vector<float> biases(vocabulary, 0);
      for (const auto &[id, value] : o.logitBias)
        biases[id] += value;
      put(bias, biases.data(), vocabulary * 4);
      s.sampling.bias = bias;
    }
    put(stops, c.stops.data(), c.stops.size() * 4);
    put(state, &s, sizeof s);
    std::fill(list.begin(), list.end(), 0);
    reinterpret_cast<PianolaCudaHost *>(list.data())->cancel = c.isCancelled;
    uint32_t zeros[PIANOLA_CUDA_EVENT_STRIDE / 4] = {};
    put(events, zeros, sizeof zeros);
  }

  const DeviceRow *row;
  ptx::Device device;
  int64_t columns, rows, peakColumns;
  std::shared_ptr<const ptx::Module> kernels;
  uint64_t logits, peaks, state, counts, bias, stops, tokens, cards, ranges, tapes, tape, events,
      host;
  std::vector<uint64_t> list;
};

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

class Inventing {
public:
  explicit Inventing(unsigned seed) : engine(seed) {}

  uint32_t below(uint32_t limit) { return engine() % limit; }
  bool oneIn(uint32_t count) { return below(count) == 0; }
  float real(float low, float high) {
    return low + (high - low) * static_cast<float>(engine() >> 8) * 0x1p-24f;
  }
  template <typename T> T oneOf(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

  // Several shapes: what models give, ties, all alike, both zeros, one far away, extremes.
  std::vector<float> logits(size_t count) {
    std::vector<float> values(count);
    std::normal_distribution<float> normal(0, 3);
    uint32_t shape = below(9);
    for (float &value : values)
      switch (shape) {
      case 0:
        value = std::round(normal(engine));
        break;
      case 1:
        value = 1.25f;
        break;
      case 2:
        value = oneOf({0.0f, -0.0f, -1e-40f, 1e-40f});
        break;
      case 3:
        value = real(-3e38f, 3e38f);
        break;
      case 4:
        value = oneOf({std::nanf(""), kInfinity, -kInfinity});
        break;
      default:
        value = normal(engine);
      }
    if (oneIn(4))
      values[below(count)] = oneOf({40.0f, 1e30f, -50.0f});
    if (oneIn(3)) {
      uint32_t share = 1 + below(9);
      for (float &value : values)
        if (below(10) < share)
          value = oneOf({std::nanf(""), kInfinity, -kInfinity, -kInfinity});
    }
    return values;
  }

  Case make(size_t vocabulary) {
    Case c;
    c.logits = logits(vocabulary);
    SamplingOptions &o = c.options;
    o.seed = (uint64_t(engine()) << 32) | engine();
    c.draws = oneIn(3) ? uint64_t(engine()) << 20 : below(100);
    if (!oneIn(4))
      o.temperature = oneOf({1.0f, 0.7f, 1.5f, real(0.05f, 3), real(0.05f, 3), 1e-3f, 1e-20f,
                             1e-38f, 1e-44f, 100.0f});
    if (oneIn(2))
      o.topK = oneOf({1, 2, 20, 50, 127, 128, 129, 400, 1024, 1 << 30}) + below(2);
    if (oneIn(2))
      o.topP = oneOf({0.0f, 0.1f, 0.5f, 0.9f, 0.95f, 0.99999994f, 1e-9f, real(0, 1)});
    if (oneIn(3))
      o.minP = oneOf({0.01f, 0.1f, 1.0f, real(0, 1), 1e-30f});
    if (oneIn(3)) {
      if (!oneIn(3))
        o.repetitionPenalty = oneOf({1.1f, 0.01f, 100.0f, 1.3f});
      if (oneIn(2))
        o.presencePenalty = oneOf({0.5f, -1.5f, 100.0f});
      if (oneIn(2))
        o.frequencyPenalty = oneOf({0.1f, -0.3f, 2.0f});
      for (uint32_t i = below(30); i > 0; --i)
        c.history.push_back(below(std::min<uint32_t>(vocabulary, oneIn(2) ? 8 : ~0u)));
    }
    if (oneIn(4))
      for (uint32_t i = below(5); i > 0; --i)
        o.logitBias.push_back({below(vocabulary), oneOf({5.0f, -1000.0f, 1000.0f, 0.1f})});
    if (oneIn(3))
      for (uint32_t i = below(100); i > 0; --i)
        c.stops.push_back(below(vocabulary));
    c.plays = 1 + below(3);
    c.isCancelled = oneIn(5);
    return c;
  }

private:
  std::mt19937 engine;
};

class SampleKernel : public testing::TestWithParam<const char *> {
protected:
  static Choosing &small() {
    static std::map<std::string, Choosing> made;
    return made.try_emplace(GetParam(), 5003, GetParam()).first->second;
  }
};

TEST_P(SampleKernel, ChoosesAsTheHostDoes) {
  Inventing inventing(1);
  for (int i = 0; i < 2000 && !HasFatalFailure(); ++i) {
    size_t vocabulary = inventing.oneOf(
        {1, 2, 3, 4, 5, 7, 31, 50, 322, 511, 1023, 1024, 1025, 1026, 2049, 2500, 4097, 5003});
    small().compare(inventing.make(vocabulary), i * 10, inventing.oneIn(2));
  }
}

// One option at a time, and each with the others; long runs of draws in one launch.
TEST_P(SampleKernel, DrawsOnInOneLaunch) {
  Inventing inventing(2);
  for (int which = 0; which < 64 && !HasFatalFailure(); ++which) {
    Case c;
    c.logits = inventing.logits(700 + which);
    c.plays = 25;
    c.options.seed = which;
    c.options.temperature = which & 1 ? 0.8f : 0;
    c.options.topK = which & 2 ? 40 : 0;
    c.options.topP = which & 4 ? 0.9f : 1;
    c.options.minP = which & 8 ? 0.05f : 0;
    c.options.repetitionPenalty = which & 16 ? 1.2f : 1;
    if (which & 32)
      c.options.logitBias = {{1, 3.0f}, {2, -5.0f}, {1, 1.5f}};
    small().compare(c, which, true);
  }
}

// The weight if product and sum of one step were rounded once, as compilers like to do.
uint64_t weightFusing(float x, int fused) {
  constexpr float kSeries[] = PIANOLA_EXP_SERIES;
  int step = 0;
  auto join = [&](float a, float b, float c) {
    float product = a * b;
    return step++ == fused ? std::fma(a, b, c) : product + c;
  };
  float shifted = join(x, PIANOLA_EXP_LOG2E, PIANOLA_EXP_WHOLE);
  float whole = shifted - PIANOLA_EXP_WHOLE;
  float rest = join(whole, -PIANOLA_EXP_LN2_HIGH, x);
  rest = join(whole, -PIANOLA_EXP_LN2_LOW, rest);
  float series = kSeries[4];
  for (int i = 3; i >= 0; --i)
    series = join(series, rest, kSeries[i]);
  series = join(series * rest, rest, rest) + 1;
  return static_cast<uint64_t>(std::ldexp(series, static_cast<int>(whole) + PIANOLA_WEIGHT_BITS));
}

// Every bit of a weight counts where min_p is that very weight: the token stays, and a hair above
// it does not. Draw 2 of seed 0 is small, so what stays and comes first is drawn.
TEST_P(SampleKernel, WeighsToTheBit) {
  Inventing inventing(4);
  auto weigh = [&](float logit, float temperature) {
    Case c;
    c.draws = 2;
    c.options.temperature = temperature;
    c.options.topK = inventing.oneOf({0, 2});
    c.logits = {logit, 0};
    uint64_t weight = Sampler::weightOf(logit / temperature);
    c.options.minP = static_cast<float>(weight) * 0x1p-40f;
    ASSERT_EQ(static_cast<uint64_t>(c.options.minP * 0x1p40f), weight);
    ASSERT_EQ(play(c).history.back(), 0) << c;
    small().compare(c, weight, false);
    c.options.minP = std::nextafter(c.options.minP, 2.0f);
    ASSERT_EQ(play(c).history.back(), 1) << c;
    small().compare(c, weight, false);
  };
  for (int i = 0; i < 200 && !HasFatalFailure(); ++i)
    weigh(inventing.real(-3, 0), inventing.real(1, 3));
  // Where it would show; in the steps before, whose numbers are small or exact, it hardly can.
  for (int fused = 5; fused < 8; ++fused)
    for (int found = 0, tries = 0; found < 4 && !HasFatalFailure(); ++tries) {
      ASSERT_LT(tries, 3000000) << fused;
      float x = inventing.real(-3, 0);
      ASSERT_EQ(weightFusing(x, -1), Sampler::weightOf(x));
      if (weightFusing(x, fused) == Sampler::weightOf(x))
        continue;
      ++found;
      weigh(x, 1);
    }
}

// As many tokens as models have, all alike but a few in the worst case.
TEST(ManyTokens, AreChosenFrom) {
  constexpr uint32_t kMany = 151669;
  Choosing choosing(kMany, "h200");
  Inventing inventing(3);
  for (int i = 0; i < 24 && !HasFatalFailure(); ++i) {
    Case c = inventing.make(i % 3 == 0 ? kMany : 100003);
    c.plays = 1;
    choosing.compare(c, i, inventing.oneIn(2));
  }
  Case c;
  c.logits.assign(kMany, 0.25f);
  c.logits[150000] = 1;
  c.plays = 4;
  c.options.temperature = 1;
  c.options.topP = 0.7f;
  choosing.compare(c, 1, true);
  c.options.topK = 90000;
  choosing.compare(c, 2, true);
  c.options.topK = 5;
  choosing.compare(c, 3, true);
}

// A program's last step without a choice: only the plays of stage kernels are counted.
TEST_P(SampleKernel, DoesNothingIfNotAsked) {
  Case c;
  c.logits = {1, 2};
  c.plays = 3;
  small().expectNothing(c);
}

INSTANTIATE_TEST_SUITE_P(Devices, SampleKernel, testing::Values("h200", "a100"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace pianola
