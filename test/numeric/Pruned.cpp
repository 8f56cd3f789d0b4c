// Pruned.cpp - matrices of which two of four columns stand on the tapes, against the interpreter
// with the same matrices.
#include "lib/encode/Pruned.h"
#include "test/numeric/ConvertWeights.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Reference.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

std::string goldenDirectory(const std::string &name) {
  return PIANOLA_SOURCE_DIR "/test/golden/" + name;
}

// Mixtures, latent attention, which multiplies heads where they lie, layers that remember, and
// matrices that are parts of tensors.
class Pruned : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(All, Pruned,
                         testing::Values("mixtral", "gpt_oss", "deepseek_v3", "qwen3_next",
                                         "gpt_neox"));

TEST_P(Pruned, AgreeWithTheInterpreter) {
  CompileOptions options;
  options.directory = goldenDirectory(GetParam());
  options.weights = "2:4";
  options.workers = 3;
  options.slots = {1, 4, 64};
  std::vector<int32_t> ids = goldenIds(70);
  std::vector<float> wanted = interpreted(options, ids);
  for (const char *target : {"host", "x86-64-v3"}) {
    options.target = target;
    TemporaryDirectory temporary;
    std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
          << target << (oneByOne ? ", decode" : ", prefill");
    }
  }
}

// Each on another device; the weights are the first operand of products with few slots only.
class PrunedOnGpus : public testing::TestWithParam<std::tuple<const char *, const char *, int>> {};

INSTANTIATE_TEST_SUITE_P(All, PrunedOnGpus,
                         testing::Values(std::tuple("mixtral", "h200", 4),
                                         std::tuple("deepseek_v3", "l40s", 16),
                                         std::tuple("gpt_neox", "a100", 8)));

TEST_P(PrunedOnGpus, AgreeWithTheInterpreter) {
  auto [model, device, slots] = GetParam();
  TemporaryDirectory temporary;
  setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
  CompileOptions options;
  options.directory = goldenDirectory(model);
  options.target = device;
  options.weights = "2:4";
  options.workers = 3;
  options.slots = {1, slots};
  std::vector<int32_t> ids = goldenIds(20);
  std::vector<float> wanted = interpreted(options, ids);
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  Emulation emulation{device, slots % 8 ? LaunchKind::Persistent : LaunchKind::Graph, 1};
  std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, 17, 2);
  ASSERT_EQ(logits.size(), wanted.size());
  EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
      << testing::PrintToString(emulation);
}

// A checkpoint that somebody else has pruned becomes what one becomes that is pruned here; with one
// number more a matrix stands in full.
TEST(FoundPruned, StandLikeWhatIsPrunedHere) {
  TemporaryDirectory dense, pruned, spoilt, temporary;
  std::string golden = goldenDirectory("llama");
  convertTo<Bf16>("BF16", golden, dense.path);
  auto pruneAll = [](const TensorInfo &tensor, std::vector<float> &values) {
    bool isEnd = tensor.name.find("embed_tokens") != std::string::npos ||
                 tensor.name.find("lm_head") != std::string::npos;
    if (tensor.shape.size() != 2 || isEnd)
      return;
    for (size_t row = 0; row < values.size(); row += tensor.shape[1])
      prune(llvm::MutableArrayRef(values).slice(row, tensor.shape[1]));
  };
  convertTo<Bf16>("BF16", golden, pruned.path, "", pruneAll);
  convertTo<Bf16>("BF16", golden, spoilt.path, "",
                  [&](const TensorInfo &tensor, std::vector<float> &values) {
                    pruneAll(tensor, values);
                    if (tensor.name == "model.layers.1.mlp.down_proj.weight")
                      std::fill(values.end() - 4, values.end() - 1, 1.0f);
                  });
  auto made = [&](const TemporaryDirectory &model, const char *weights, const char *budget = "") {
    CompileOptions options;
    options.directory = model.path;
    options.weights = weights;
    options.budget = budget;
    options.workers = 2;
    return compiled(options, temporary);
  };
  Compiled whole = made(dense, ""), found = made(pruned, ""), here = made(dense, "2:4");
  EXPECT_EQ(whole.notes, "");
  EXPECT_EQ(found.notes, here.notes);
  EXPECT_EQ(found.notes,
            "note: 2:4: of 15 matrices 14 have two of four columns, 0.14 MB in place of "
            "0.25 MB (43.5 % less)\n");
  EXPECT_TRUE(found.tapes() == here.tapes());
  EXPECT_LT(found.tapes().size(), whole.tapes().size());
  // All of it in bf16 would take 0.31 MB.
  EXPECT_TRUE(made(pruned, "", "220KB").tapes() == found.tapes());
  Compiled others = made(spoilt, "");
  EXPECT_GT(others.tapes().size(), found.tapes().size());
  EXPECT_LT(others.tapes().size(), whole.tapes().size());
  EXPECT_EQ(others.notes.rfind("note: 2:4: of 15 matrices 13 have ", 0), 0u) << others.notes;
}

} // namespace
