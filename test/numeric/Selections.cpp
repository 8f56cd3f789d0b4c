// Selections.cpp - attention to positions that are chosen, of odd shapes, against the interpreter:
// in each encoding of contexts, with scores that are often equal, on CPUs and on the emulator.
#include "lib/checkpoint/Checkpoint.h"
#include "runtime/session/Ensemble.h"
#include "test/GoldenModels.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct SelectionShape {
  const char *name;
  int heads, size, top, workers;
  const char *weights, *keyValues;
  const char *device = "h200";
  int64_t slots = 8;
};

void PrintTo(const SelectionShape &shape, std::ostream *out) { *out << shape.name; }

// Of one head half of the scores are zero, and those that are chosen often are the earliest of
// these. Heads that a GPU takes in two rounds, which do not divide evenly; a choice of one position
// and of almost all; keys of each encoding; more workers than the text has groups of positions, and
// queries of all slots that do not fit a device's scratch memory.
//
// Where a score is within rounding of the least that is chosen, another position may be: with keys
// of codes, of which one in many rounds otherwise, these numbers are such that none is.
constexpr SelectionShape kSelectionShapes[] = {
    {"equal", 1, 16, 8, 5, "keep", ""},
    {"one", 3, 24, 1, 2, "int4", "bf16", "a100"},
    {"rounds", 37, 40, 21, 7, "keep", "bf16"},
    {"most", 4, 52, 90, 3, "int8", "int8"},
    {"wide", 64, 128, 30, 9, "keep", "fp8", "l40s", 16},
};

struct SeededSelection : Seeded {
  SeededSelection(const SelectionShape &shape, const std::string &target,
                  std::vector<int64_t> slots)
      : Seeded(kShapes[0], target, std::move(slots), 7) {
    nlohmann::json config = {{"architectures", {"DeepseekV32ForCausalLM"}},
                             {"model_type", "deepseek_v32"},
                             {"vocab_size", 97},
                             {"hidden_size", 56},
                             {"intermediate_size", 72},
                             {"num_hidden_layers", 2},
                             {"num_attention_heads", 4},
                             {"hidden_act", "silu"},
                             {"rms_norm_eps", 1e-5},
                             {"max_position_embeddings", 512},
                             {"rope_theta", 10000.0},
                             {"kv_lora_rank", 40},
                             {"q_lora_rank", 29},
                             {"qk_nope_head_dim", 24},
                             {"qk_rope_head_dim", 16},
                             {"v_head_dim", 20},
                             {"n_routed_experts", 4},
                             {"num_experts_per_tok", 2},
                             {"moe_intermediate_size", 24},
                             {"first_k_dense_replace", 2},
                             {"index_topk", shape.top},
                             {"index_head_dim", shape.size},
                             {"index_n_heads", shape.heads},
                             {"eos_token_id", 1}};
    std::ofstream(model.path + "/config.json") << config;
    options.workers = shape.workers;
    options.weights = shape.weights;
    options.kv = shape.keyValues;
  }
  /// What the interpreter says that keeps keys and values in the roll's way.
  std::vector<float> rounded(const std::vector<int32_t> &ids) const {
    mlir::MLIRContext context;
    LoadedModel loaded =
        llvm::cantFail(loadModel(context, model.path, options.seed, options.weights));
    llvm::cantFail(encodeContexts(*loaded.module, options.kv));
    return llvm::cantFail(interpret(*loaded.module, *loaded.weights, ids)).logits.values;
  }
};

std::vector<int32_t> idsOf(int length, int number = 1) {
  std::vector<int32_t> ids;
  for (int i = 0; i < length; ++i)
    ids.push_back((i * 37 + i * i + 11 * number) % 97);
  return ids;
}

class Selection : public testing::TestWithParam<SelectionShape> {};

TEST_P(Selection, OnCpus) {
  std::vector<int32_t> ids = idsOf(150);
  // Stages without products play slots of a large program in blocks.
  for (auto [target, slots] : {std::pair("host", 16), std::pair("x86-64-v3", 64)}) {
    SeededSelection model(GetParam(), target, {1, slots});
    model.options.workers = 3;
    std::unique_ptr<Roll> roll = model.roll();
    ASSERT_TRUE(roll);
    std::vector<float> wanted = model.rounded(ids);
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
          << target << (oneByOne ? ", decode" : ", prefill");
    }
  }
}

// Chunks that begin anywhere, after another text: what that one has chosen is there still.
TEST(SelectionTexts, AreNotMixedUp) {
  SeededSelection model(kSelectionShapes[3], "host", {1, 16});
  model.options.workers = 2;
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  Result<std::unique_ptr<Session>> session = Session::create(*roll, {});
  ASSERT_TRUE(session) << session.message();
  std::vector<int32_t> ids = idsOf(150), other = idsOf(150, 2);
  std::vector<float> wanted = model.rounded(ids);
  ASSERT_TRUE((*session)->feed(other.data(), other.size()).ok());
  for (size_t begin : {5, 13}) {
    ASSERT_TRUE((*session)->truncate(0).ok());
    std::vector<float> logits(wanted.size());
    FeedOptions feed;
    feed.allLogits = logits.data();
    ASSERT_TRUE((*session)->feed(ids.data(), begin, feed).ok());
    feed.allLogits = &logits[begin * 97];
    ASSERT_TRUE((*session)->feed(&ids[begin], ids.size() - begin, feed).ok());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance) << begin;
  }
}

// Each sequence chooses among its own positions: with others at other positions it gets the bits
// that it gets alone.
TEST(SelectionTexts, AreChosenFromOneByOneInSharedSteps) {
  SeededSelection model(kSelectionShapes[2], "host", {1, 4, 16});
  model.options.workers = 2;
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  auto play = [&](const std::vector<size_t> &numbers) {
    EnsembleOptions options;
    options.sequences = 3;
    auto ensemble = std::move(*Ensemble::create(*roll, options));
    for (size_t number : numbers)
      EXPECT_TRUE(ensemble->feed(number, idsOf(120, number).data(), 18 + 45 * number).ok());
    for (int step = 0; step < 6; ++step) {
      std::vector<Turn> turns;
      for (size_t number : numbers)
        turns.push_back({number, idsOf(130, number)[120 + step]});
      EXPECT_TRUE(ensemble->step(turns).ok());
    }
    std::vector<std::vector<float>> last(3);
    for (size_t number : numbers)
      last[number].assign(*ensemble->logits(number), *ensemble->logits(number) + 97);
    return last;
  };
  std::vector<std::vector<float>> together = play({2, 0, 1});
  for (size_t number : {0, 1, 2})
    EXPECT_EQ(play({number})[number], together[number]) << number;
}

TEST_P(Selection, OnGpus) {
  std::vector<int32_t> ids = idsOf(100);
  std::string device = GetParam().device;
  SeededSelection model(GetParam(), device, {1, GetParam().slots});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<float> wanted = model.rounded(ids);
  for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
    std::vector<float> logits = EmulatedSession(*roll, {device, launch}).logits(ids, 92, 4);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance);
  }
}

// Beyond as many positions as are chosen, where transformers' choice among equal scores is
// nobody's: so the interpreter says what is wanted, whose tests have that choice.
class ChoosingGolden : public testing::TestWithParam<const char *> {};

TEST_P(ChoosingGolden, AgreesWithTheInterpreter) {
  TemporaryDirectory output;
  setenv("PIANOLA_CACHE", output.path.c_str(), 1);
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam();
  options.workers = 3;
  options.slots = {1, 4};
  auto file = llvm::cantFail(Checkpoint::openFile(options.directory + "/golden.safetensors"));
  const TensorInfo *tensor = file->find("input_ids");
  std::vector<int32_t> ids(tensor->elements());
  llvm::cantFail(file->read(*tensor, 0, {reinterpret_cast<uint8_t *>(ids.data()), tensor->bytes}));
  mlir::MLIRContext context;
  LoadedModel loaded = llvm::cantFail(loadModel(context, options.directory, std::nullopt, ""));
  std::vector<float> wanted =
      llvm::cantFail(interpret(*loaded.module, *loaded.weights, ids)).logits.values;
  std::vector<int32_t> prompt(ids.begin(), ids.begin() + 12), tokens;
  bool isFirst = GetParam() == std::string_view(kChoosingGoldens[0]);
  for (const char *target : {"host", "x86-64-v3", isFirst ? "h200" : "a100"}) {
    options.target = target;
    std::unique_ptr<Roll> roll = compileAndOpen(options, output);
    ASSERT_TRUE(roll);
    bool isGpu = options.target == "h200" || options.target == "a100";
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits =
          isGpu ? EmulatedSession(*roll,
                                  {target, oneByOne ? LaunchKind::Graph : LaunchKind::Persistent})
                      .logits(ids, 15, 3)
                : logitsOf(*roll, ids, oneByOne);
      ASSERT_EQ(logits.size(), wanted.size());
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()),
                isGpu ? kGpuTolerance : kHostTolerance)
          << target << (oneByOne ? ", one by one" : "");
    }
    // Chosen on the device, one after the other.
    std::vector<int32_t> got = isGpu ? EmulatedSession(*roll, {target}).generate(prompt, 24, {})
                                     : greedy(*roll, prompt, 24);
    if (tokens.empty())
      tokens = got;
    EXPECT_EQ(got, tokens) << target;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ChoosingGolden, testing::ValuesIn(kChoosingGoldens),
                         [](const auto &info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(All, Selection, testing::ValuesIn(kSelectionShapes),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
