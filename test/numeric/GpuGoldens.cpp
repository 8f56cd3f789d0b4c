// GpuGoldens.cpp - rolls for GPUs, played by the emulator, against what Hugging Face transformers
// computes.
//
// Persistent and stage by stage, in several interleavings: nothing that the emulator has something
// to say of, and the same bits in each.
#include "lib/checkpoint/Checkpoint.h"
#include "test/GoldenModels.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct Case {
  const char *model, *device;
  int64_t workers;
  std::vector<int64_t> slots;
  // Of a context, of which the parts are computed apart and combined: as many as the workers are
  // for.
  bool splits;
};

void PrintTo(const Case &each, std::ostream *out) {
  *out << each.model << " on " << each.device << " with " << each.workers << " workers";
}

// Those of few key heads, of which 4 workers each take some part of the context.
bool splitsOf(std::string_view model) {
  constexpr std::string_view kSplit[] = {
      "deepseek_v2",   "deepseek_v2_group", "deepseek_v3", "gemma3_v5",
      "glm4_moe_lite", "gpt_oss_mxfp4",     "llama_bias",  "qwen2",
      "qwen3_5_text",  "qwen3_moe",         "qwen3_next"};
  return llvm::is_contained(kSplit, model);
}

// A chunk of 8 slots is played with one instruction for all; of 4 slots half of it is padding. A
// long run plays each golden on both devices, any other one of them: loaders that copy by
// themselves are slow in emulation, where they wait for experts.
std::vector<Case> cases() {
  constexpr const char *kDevices[] = {"h200", "a100"};
  std::vector<Case> all;
  auto add = [&](const char *model, size_t device) {
    for (size_t other = 0; other < (isLongRun() ? 2 : 1); ++other)
      all.push_back({model, kDevices[(device + other) % 2], 4, {1, 8}, splitsOf(model)});
  };
  for (size_t i = 0; i < std::size(kGoldenModels); ++i)
    add(kGoldenModels[i], i % 2);
  for (const char *model : kRoutedGoldens)
    add(model, std::string_view(model) == "deepseek_v3" ? 1 : 0);
  for (const char *model : kDeltaGoldens)
    add(model, std::string_view(model) == "qwen3_next" ? 0 : 1);
  all.push_back({"llama", "a100", 7, {1, 4}, true});
  all.push_back({"qwen3", "h200", 7, {1, 4}, true});
  return all;
}

class GpuGolden : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
    options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam().model;
    options.maxModelLen = positionsOf(GetParam().model);
    options.target = GetParam().device;
    options.workers = GetParam().workers;
    options.slots = GetParam().slots;
    file = llvm::cantFail(Checkpoint::openFile(options.directory + "/golden.safetensors"));
  }
  template <typename T> std::vector<T> read(const char *name) {
    const TensorInfo *tensor = file->find(name);
    EXPECT_NE(tensor, nullptr) << name;
    std::vector<T> values(tensor->elements());
    llvm::cantFail(
        file->read(*tensor, 0, {reinterpret_cast<uint8_t *>(values.data()), tensor->bytes}));
    return values;
  }
  std::vector<int32_t> greedyOnHost(const std::vector<int32_t> &prompt, size_t count) {
    TemporaryDirectory host;
    CompileOptions hostOptions;
    hostOptions.directory = options.directory;
    hostOptions.maxModelLen = options.maxModelLen;
    hostOptions.target = "x86-64-v3";
    hostOptions.workers = 2;
    hostOptions.slots = {1};
    std::unique_ptr<Roll> roll = compileAndOpen(hostOptions, host);
    return roll ? greedy(*roll, prompt, count) : std::vector<int32_t>();
  }

  void checkLogits(const Roll &roll);
  void checkTokens(const Roll &roll);

  TemporaryDirectory temporary;
  CompileOptions options;
  std::unique_ptr<Checkpoint> file;
};

void GpuGolden::checkLogits(const Roll &roll) {
  auto ids = read<int32_t>("input_ids");
  auto wanted = read<float>("logits");
  std::vector<float> first;
  for (unsigned seed = 0; seed < interleavings(1); ++seed)
    for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
      Emulation emulation{GetParam().device, launch, seed * 1000};
      // Chunks of 8 and 7 slots, or in other programs of 4 and 3, or of 15.
      std::vector<float> logits = EmulatedSession(roll, emulation).logits(ids, 15, 3);
      ASSERT_EQ(logits.size(), wanted.size());
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
          << testing::PrintToString(emulation);
      if (first.empty())
        first = logits;
      EXPECT_TRUE(logits == first) << testing::PrintToString(emulation);
    }
}

// Below a gap of the two best logits rounding may choose the other token.
void GpuGolden::checkTokens(const Roll &roll) {
  constexpr float kMargin = 1e-3;
  auto ids = read<int32_t>("input_ids");
  auto greedyIds = read<int32_t>("greedy_ids");
  auto margins = read<float>("greedy_margin");
  std::vector<int32_t> prompt(ids.begin(), ids.begin() + 12);
  std::vector<int32_t> onHost = greedyOnHost(prompt, greedyIds.size());
  ASSERT_EQ(onHost.size(), greedyIds.size());
  EXPECT_GT(margins[0], kMargin) << "nothing is compared";
  for (unsigned seed = 0; seed < interleavings(1); ++seed)
    for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
      Emulation emulation{GetParam().device, launch, seed * 1000 + 1};
      std::vector<int32_t> got =
          EmulatedSession(roll, emulation).generate(prompt, greedyIds.size(), {});
      ASSERT_EQ(got.size(), 24u);
      for (size_t i = 0; i < got.size() && margins[i] > kMargin; ++i) {
        EXPECT_EQ(got[i], greedyIds[i]) << testing::PrintToString(emulation) << ", token " << i;
        EXPECT_EQ(got[i], onHost[i]) << testing::PrintToString(emulation) << ", token " << i;
      }
    }
}

TEST_P(GpuGolden, LogitsAndGreedyTokens) {
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  checkLogits(*roll);
  checkTokens(*roll);
}

TEST_P(GpuGolden, ContextIsSplitWhereWorkersAreMany) {
  Progress progress(false);
  std::string text;
  llvm::raw_string_ostream stream(text);
  options.emit = Emit::Tile;
  llvm::cantFail(compile(options, progress, stream, llvm::nulls()));
  EXPECT_EQ(text.find("tile.combine") != std::string::npos, GetParam().splits);
}

INSTANTIATE_TEST_SUITE_P(All, GpuGolden, testing::ValuesIn(cases()));
INSTANTIATE_TEST_SUITE_P(Quantised, GpuGolden,
                         testing::Values(Case{"qwen3_awq", "h200", 4, {1, 4}, false},
                                         Case{"qwen3_ct_w4a16", "a100", 4, {1, 4}, false},
                                         Case{"qwen3_ct_w8a16", "h200", 4, {1, 8}, false},
                                         Case{"qwen3_ct_w8a8", "a100", 4, {1, 8}, false},
                                         Case{"qwen3_fp8", "a100", 4, {1, 4}, true},
                                         Case{"qwen3_gptq", "a100", 4, {1, 8}, false},
                                         Case{"qwen3_gptq_act", "h200", 4, {1, 4}, false}));

} // namespace
