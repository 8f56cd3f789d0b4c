// Rings.cpp - contexts of layers with windows keep the newest positions alone: what is computed
// stays the same, after any cut too, and memory does not grow with the conversation.
#include "runtime/session/Ensemble.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Kept.h"
#include "test/numeric/Seeded.h"

using namespace pianola;

namespace {

// Windows of less than a group of 64 positions, and of more; rings of 64, and of 128.
constexpr Shape kWindows[] = {kShapes[4], kShapes[5]};
constexpr int kPositions = 300;

class Rings : public testing::TestWithParam<std::tuple<Shape, Kept>> {
protected:
  void SetUp() override {
    auto [shape, kept] = GetParam();
    model = std::make_unique<Seeded>(shape, "host", std::vector<int64_t>{1, 16}, 7);
    model->options.kv = kept.name;
    ids = someIds(shape, kPositions);
    wanted = interpretedAs(model->options, kept.name, ids);
    tolerance = kept.tolerance;
    roll = model->roll();
    ASSERT_TRUE(roll);
    vocabulary = roll->manifest().model.vocabulary;
    for (const RollContext &context : roll->manifest().contexts) {
      window = *context.window;
      ring = *context.ring;
    }
  }

  void expectWanted(const float *logits, size_t position) {
    EXPECT_LT(distance(logits, &wanted[position * vocabulary], vocabulary), tolerance)
        << "at " << position;
  }

  std::unique_ptr<Seeded> model;
  std::unique_ptr<Roll> roll;
  std::vector<int32_t> ids;
  std::vector<float> wanted;
  double tolerance = 0;
  size_t vocabulary = 0, window = 0, ring = 0;
};

TEST_P(Rings, AgreeWithTheInterpreter) {
  EXPECT_EQ(ring, (window + 16 + 7 + 63) / 64 * 64);
  for (const char *target : {"host", "x86-64-v3"}) {
    model->options.target = target;
    roll = model->roll();
    ASSERT_TRUE(roll);
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), tolerance)
          << target << (oneByOne ? ", decode" : ", prefill");
    }
  }
}

TEST_P(Rings, AreCutAsFarAsTheyReach) {
  auto session = std::move(*Session::create(*roll, {}));
  auto goOn = [&](size_t length) {
    ASSERT_TRUE(session->truncate(length).ok());
    EXPECT_EQ(session->history(), std::vector<int32_t>(ids.begin(), ids.begin() + length));
    EXPECT_FALSE(session->logits());
    ASSERT_TRUE(session->feed(&ids[length], 1).ok());
    expectWanted(*session->logits(), length);
  };
  ASSERT_TRUE(session->feed(ids.data(), 250).ok());
  size_t least = 250 + window - ring;
  goOn(least);     // all that is looked at is there
  goOn(least - 1); // it no longer is, and is fed again
  ASSERT_TRUE(session->feed(&ids[least], 250 - least).ok());
  goOn(100);
  goOn(0);
  // What was cut off has been written over what went before it.
  ASSERT_TRUE(session->feed(&ids[1], 249).ok());
  goOn(245);
  goOn(least - 5);
}

TEST_P(Rings, GiveAPromptWhatTheyHave) {
  auto session = std::move(*Session::create(*roll, {}));
  ASSERT_TRUE(session->feed(ids.data(), 250).ok());
  size_t least = 250 + window - ring;
  std::vector<int32_t> other = ids;
  other[least] = (ids[least] + 1) % int(vocabulary);
  Result<uint64_t> same = session->feedPrompt(other.data(), 250);
  ASSERT_TRUE(same) << same.message();
  EXPECT_EQ(*same, least);
  ASSERT_TRUE(session->feedPrompt(ids.data(), 250));
  expectWanted(*session->logits(), 249);
  other = ids;
  other[least - 1] = (ids[least - 1] + 1) % int(vocabulary);
  same = session->feedPrompt(other.data(), 250);
  ASSERT_TRUE(same) << same.message();
  EXPECT_EQ(*same, 0u);
  ASSERT_TRUE(session->feedPrompt(ids.data(), 250));
  expectWanted(*session->logits(), 249);
}

TEST_P(Rings, AreCopied) {
  EnsembleOptions options;
  options.sequences = 4;
  options.stepSlots = 1;
  auto all = std::move(*Ensemble::create(*roll, options));
  ASSERT_TRUE(all->feed(0, ids.data(), 240).ok());
  std::vector<float> bits(*all->logits(0), *all->logits(0) + vocabulary);
  ASSERT_TRUE(all->feed(0, &ids[240], 8).ok());
  ASSERT_TRUE(all->feed(1, ids.data(), 96).ok());
  size_t least = (248 + window - ring + 15) / 16 * 16;
  for (size_t length : {least, size_t(64), size_t(0)}) {
    EXPECT_EQ(all->keeps(0, length), length == least || length == 0);
    ASSERT_TRUE(all->copy(0, 1, length).ok());
    EXPECT_EQ(all->position(1), length);
    ASSERT_TRUE(all->copy(0, 2, length).ok());
    ASSERT_TRUE(all->truncate(2, length / 2).ok());
    for (uint64_t sequence : {1, 2}) {
      size_t from = all->position(sequence);
      ASSERT_TRUE(all->feed(sequence, &ids[from], 240 - from).ok());
      EXPECT_EQ(std::vector<float>(*all->logits(sequence), *all->logits(sequence) + vocabulary),
                bits)
          << sequence << " from " << length;
    }
  }
}

std::string nameOf(const testing::TestParamInfo<std::tuple<Shape, Kept>> &info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(All, Rings,
                         testing::Combine(testing::ValuesIn(kWindows), testing::ValuesIn(kKept)),
                         nameOf);

// On a GPU the context is written while it is read, but not where.
TEST(GpuRings, AgreeWithTheInterpreter) {
  constexpr Shape kTurning{"turning", "MistralForCausalLM", 32, 40, 4, 2, 32, 64, 33, 2, true};
  unsigned number = 0;
  for (const Kept &kept : kKept) {
    Emulation emulation{++number % 2 ? "h200" : "a100",
                        number % 4 < 2 ? LaunchKind::Persistent : LaunchKind::Graph, number};
    Seeded model(kTurning, emulation.device, {1, 8, 16}, 2);
    model.options.kv = kept.name;
    std::vector<int32_t> ids = someIds(kTurning, 130);
    std::vector<float> wanted = interpretedAs(model.options, kept.name, ids);
    std::unique_ptr<Roll> roll = model.roll();
    ASSERT_TRUE(roll);
    EXPECT_EQ(roll->manifest().contexts.front().ring, 64u);
    std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, 87, 9);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kept.tolerance) << kept.name;
  }
}

// The kernel plays on for a while when nobody listens any more, and writes what nobody asked for.
TEST(GpuRings, AreCutAfterAGeneration) {
  constexpr Shape kTurning{"turning", "MistralForCausalLM", 32, 40, 4, 2, 32, 64, 20, 2, true};
  Seeded model(kTurning, "h200", {1, 8}, 3);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(kTurning, 100);
  std::vector<float> wanted = interpretedAs(model.options, "f32", ids);
  setenv("PIANOLA_EMULATED_DEVICE", "h200", 1);
  SessionOptions options;
  options.device = DeviceKind::Emulator;
  auto session = std::move(*Session::create(*roll, options));
  for (size_t length : {size_t(90), size_t(60)}) {
    ASSERT_TRUE(session->feedPrompt(ids.data(), 92));
    Sampler sampler({}, 64);
    GenerateOptions generate;
    generate.most = 50;
    int heard = 0;
    generate.take = [&](int32_t) { return ++heard < 7; };
    Result<GenerationEnd> end = session->generate(sampler, generate);
    ASSERT_TRUE(end) << end.message();
    EXPECT_EQ(*end, GenerationEnd::Taker);
    ASSERT_TRUE(session->truncate(length).ok());
    ASSERT_TRUE(session->feed(&ids[length], 1).ok());
    EXPECT_LT(distance(*session->logits(), &wanted[length * 64], 64), kKept[0].tolerance) << length;
  }
}

} // namespace
