// GpuTokens.cpp - tokens that a GPU chooses by itself are those that the host's sampler would.
#include "test/numeric/Emulated.h"

#include <nlohmann/json.hpp>

using namespace pianola;

namespace {

constexpr size_t kTokens = 8;

class GpuTokens : public testing::Test {
protected:
  void SetUp() override { setenv("PIANOLA_CACHE", temporary.path.c_str(), 1); }

  // Samplers of programs of many slots have fewer threads.
  std::unique_ptr<Roll> compileFor(const char *model, const char *device, int64_t workers,
                                   int64_t chunk = 8) {
    CompileOptions options;
    options.directory = std::string(PIANOLA_SOURCE_DIR "/") + model;
    options.target = device;
    options.workers = workers;
    options.slots = {1, chunk};
    return compileAndOpen(options, temporary);
  }

  TemporaryDirectory temporary;
};

std::vector<SamplingOptions> samplings() {
  std::vector<SamplingOptions> all(6);
  all[0].temperature = 1;
  all[1].temperature = 0.8f;
  all[1].topK = 20;
  all[1].seed = 7;
  all[2].temperature = 1.3f;
  all[2].topP = 0.9f;
  all[2].seed = 8;
  all[3].temperature = 1;
  all[3].minP = 0.05f;
  all[3].topK = 100;
  all[3].topP = 0.95f;
  all[3].seed = uint64_t(1) << 60;
  all[4].repetitionPenalty = 1.2f; // greedy
  all[4].frequencyPenalty = 0.1f;
  all[5].temperature = 0.7f;
  all[5].presencePenalty = 0.5f;
  all[5].logitBias = {{3, 4.0f}, {5, -2.0f}};
  all[5].seed = 9;
  return all;
}

void compare(const Roll &roll, const char *device) {
  std::vector<int32_t> prompt{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
  unsigned number = 0;
  for (const SamplingOptions &sampling : samplings()) {
    ++number;
    Emulation emulation{device, LaunchKind::Persistent, number};
    std::vector<int32_t> wanted =
        EmulatedSession(roll, emulation).sampleOnHost(prompt, kTokens, sampling);
    ASSERT_EQ(wanted.size(), kTokens);
    for (unsigned seed = 0; seed < interleavings(1); ++seed) {
      emulation.seed = seed * 1000 + number;
      emulation.launch = (seed + number) % 2 ? LaunchKind::Persistent : LaunchKind::Graph;
      EXPECT_EQ(EmulatedSession(roll, emulation).generate(prompt, kTokens, sampling), wanted)
          << "sampling " << number << " on " << testing::PrintToString(emulation);
    }
  }
}

// Launches go on where the ones before ended.
void goOnInALaterLaunch(const Roll &roll, const Emulation &emulation) {
  std::vector<int32_t> prompt{3, 1, 4, 1, 5};
  std::vector<int32_t> wanted = EmulatedSession(roll, emulation).generate(prompt, 9, {});
  EmulatedSession session(roll, emulation);
  std::vector<int32_t> got = session.generate(prompt, 4, {});
  ASSERT_EQ(got.size(), 4u);
  std::vector<int32_t> rest = session.generate({got.back()}, 5, {});
  got.insert(got.end(), rest.begin(), rest.end());
  EXPECT_EQ(got, wanted);
}

TEST_F(GpuTokens, AreSampledAsOnTheHostOnAnH200) {
  std::unique_ptr<Roll> roll = compileFor("test/golden/llama", "h200", 4, 64);
  ASSERT_TRUE(roll);
  compare(*roll, "h200");
  goOnInALaterLaunch(*roll, {"h200"});
}

TEST_F(GpuTokens, AreSampledAsOnTheHostOnAnA100) {
  std::unique_ptr<Roll> roll = compileFor("test/golden/qwen3", "a100", 7);
  ASSERT_TRUE(roll);
  compare(*roll, "a100");
}

class PocketDictionary : public GpuTokens, public testing::WithParamInterface<const char *> {};

TEST_P(PocketDictionary, SaysWhatItsSamplesSay) {
  std::unique_ptr<Roll> roll = compileFor("models/pocket-dictionary", GetParam(), 4);
  ASSERT_TRUE(roll);
  std::ifstream samples(PIANOLA_SOURCE_DIR "/models/pocket-dictionary/samples.jsonl");
  unsigned played = 0;
  for (std::string line; played < interleavings(1) && std::getline(samples, line);) {
    nlohmann::json sample = nlohmann::json::parse(line);
    // Below this gap of the two best logits rounding may choose the other token.
    if (sample["min_margin"].get<double>() < 0.01)
      continue;
    auto wanted = sample["completion_ids"].get<std::vector<int32_t>>();
    wanted.resize(std::min<size_t>(wanted.size(), isLongRun() ? 24 : 6));
    Emulation emulation{GetParam(), played % 2 ? LaunchKind::Graph : LaunchKind::Persistent,
                        played};
    EXPECT_EQ(EmulatedSession(*roll, emulation).generate(sample["prompt_ids"], wanted.size(), {}),
              wanted)
        << line.substr(0, 100);
    ++played;
  }
  EXPECT_GT(played, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, PocketDictionary,
                         testing::ValuesIn(isLongRun() ? std::vector<const char *>{"h200", "a100"}
                                                       : std::vector<const char *>{"h200"}));

} // namespace
