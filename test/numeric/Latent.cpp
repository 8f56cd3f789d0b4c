// Latent.cpp - latent attention of odd shapes against the interpreter: heads that are dealt to
// several tiles, in each encoding of weights and of contexts, on CPUs and on the emulator.
#include "lib/checkpoint/Checkpoint.h"
#include "test/GoldenModels.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct LatentShape {
  const char *name;
  int heads, queryRank, rank, plain, turned, value, workers;
  const char *weights, *keyValues;
};

void PrintTo(const LatentShape &shape, std::ostream *out) { *out << shape.name; }

// Of the widest, more lanes of query heads than a GPU's tile takes.
constexpr LatentShape kLatentShapes[] = {
    {"wide", 12, 0, 240, 24, 16, 20, 5, "keep", ""},
    {"odd", 3, 29, 37, 13, 6, 11, 2, "int4", ""},
    {"codes", 5, 40, 48, 16, 16, 32, 3, "int8", "int8"},
    {"small_floats", 8, 0, 320, 32, 32, 24, 4, "keep", "fp8"},
};

struct SeededLatent : Seeded {
  SeededLatent(const LatentShape &shape, const std::string &target, std::vector<int64_t> slots)
      : Seeded(kShapes[0], target, std::move(slots), 7) {
    nlohmann::json config = {{"architectures", {"DeepseekV3ForCausalLM"}},
                             {"model_type", "deepseek_v3"},
                             {"vocab_size", 97},
                             {"hidden_size", 56},
                             {"intermediate_size", 72},
                             {"num_hidden_layers", 2},
                             {"num_attention_heads", shape.heads},
                             {"hidden_act", "silu"},
                             {"rms_norm_eps", 1e-5},
                             {"max_position_embeddings", 512},
                             {"rope_theta", 10000.0},
                             {"kv_lora_rank", shape.rank},
                             {"q_lora_rank", nullptr},
                             {"qk_nope_head_dim", shape.plain},
                             {"qk_rope_head_dim", shape.turned},
                             {"v_head_dim", shape.value},
                             {"n_routed_experts", 4},
                             {"num_experts_per_tok", 2},
                             {"moe_intermediate_size", 24},
                             {"first_k_dense_replace", 2},
                             {"eos_token_id", 1}};
    if (shape.queryRank)
      config["q_lora_rank"] = shape.queryRank;
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

std::vector<int32_t> idsOf(int length) {
  std::vector<int32_t> ids;
  for (int i = 0; i < length; ++i)
    ids.push_back((i * 37 + i * i + 11) % 97);
  return ids;
}

class LatentAttention : public testing::TestWithParam<LatentShape> {};

TEST_P(LatentAttention, OnCpus) {
  std::vector<int32_t> ids = idsOf(90);
  for (const char *target : {"host", "x86-64-v3"}) {
    SeededLatent model(GetParam(), target, {1, 4, 16});
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

TEST_P(LatentAttention, OnGpus) {
  std::vector<int32_t> ids = idsOf(90);
  SeededLatent model(GetParam(), "h200", {1, 8});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<float> wanted = model.rounded(ids);
  for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
    std::vector<float> logits = EmulatedSession(*roll, {"h200", launch}).logits(ids, 70, 10);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance);
  }
}

// As many positions as are chosen at most: what is compiled then makes no choice.
class NothingToChoose : public testing::TestWithParam<const char *> {};

TEST_P(NothingToChoose, AgreesWithTransformers) {
  TemporaryDirectory output;
  setenv("PIANOLA_CACHE", output.path.c_str(), 1);
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam();
  options.maxModelLen = 8;
  options.workers = 3;
  options.slots = {1, 4};
  auto file = llvm::cantFail(Checkpoint::openFile(options.directory + "/golden.safetensors"));
  std::vector<float> wanted(file->find("logits")->elements());
  llvm::cantFail(file->readFloats(*file->find("logits"), 0, wanted));
  const TensorInfo *tensor = file->find("input_ids");
  std::vector<int32_t> ids(tensor->elements());
  llvm::cantFail(file->read(*tensor, 0, {reinterpret_cast<uint8_t *>(ids.data()), tensor->bytes}));
  wanted.resize(wanted.size() / ids.size() * 8);
  ids.resize(8);
  for (const char *target : {"x86-64-v3", "h200"}) {
    options.target = target;
    std::unique_ptr<Roll> roll = compileAndOpen(options, output);
    ASSERT_TRUE(roll);
    std::vector<float> logits = options.target == "h200"
                                    ? EmulatedSession(*roll, {"h200"}).logits(ids, 5, 3)
                                    : logitsOf(*roll, ids, false);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance) << target;
  }
}

INSTANTIATE_TEST_SUITE_P(All, NothingToChoose, testing::ValuesIn(kChoosingGoldens),
                         [](const auto &info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(All, LatentAttention, testing::ValuesIn(kLatentShapes),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
