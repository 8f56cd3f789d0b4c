// ZeroBlocks.cpp - matrices of which blocks are left out on the tapes, against the interpreter,
// which knows nothing of blocks.
#include "lib/checkpoint/SafeTensorsWriter.h"
#include "test/numeric/ConvertWeights.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Mixtures.h"
#include "test/numeric/Reference.h"
#include "test/numeric/Tolerance.h"

#include <map>
#include <random>

using namespace pianola;

namespace {

// Heads of 32 columns, so that the matrix behind attention has blocks, too; and a vocabulary that
// ends within one.
constexpr Shape kDense = {"dense", "Qwen3ForCausalLM", 160, 224, 5, 1, 32, 131, 0, 3, false};
constexpr Shape kBiased = {"biased", "Qwen2ForCausalLM", 96, 160, 3, 1, 64, 97, 0, 3, true};
// Heads of no whole blocks stand in full, and so does what multiplies them.
constexpr Shape kWideHeads = {"wide", "Qwen3ForCausalLM", 128, 96, 2, 1, 80, 97, 0, 3, false};
// Rows of an expert that are whole blocks, and that are not: these stand in full.
constexpr Mixture kWhole = {"whole", 96, 64, 5, 2, 3, 0};
constexpr Mixture kHalf = {"half", 96, 48, 5, 2, 2, 0};

// A checkpoint of a seed's weights, in which seven of ten blocks are zero; -0 counts as zero, too.
template <typename Model> void writeSparse(const Model &model, const std::string &directory) {
  writeConfig(model, directory);
  mlir::MLIRContext context;
  LoadedModel loaded = llvm::cantFail(loadModel(context, directory, /*seed=*/3, ""));
  std::map<std::string, std::vector<float>> all;
  std::vector<TensorToWrite> tensors;
  std::mt19937 engine(5);
  for (const std::string &name : loaded.weights->names()) {
    const TensorInfo &tensor = *loaded.weights->find(name);
    std::vector<float> &values = all[name];
    values.resize(tensor.elements());
    llvm::cantFail(loaded.weights->readFloats(tensor, 0, values));
    int64_t rows = tensor.shape.size() == 2 ? tensor.shape[0] : 0;
    for (int64_t row = 0; row < rows; row += 32)
      for (int64_t column = 0; column < tensor.shape[1]; column += 32)
        if (engine() % 10 < 7)
          for (int64_t r = row; r < std::min(row + 32, rows); ++r)
            for (int64_t c = column; c < std::min(column + 32, tensor.shape[1]); ++c)
              values[r * tensor.shape[1] + c] = engine() % 2 ? -0.0f : 0.0f;
    tensors.push_back({name, {tensor.shape.begin(), tensor.shape.end()}, llvm::ArrayRef(values)});
  }
  llvm::cantFail(writeSafeTensors(directory + "/model.safetensors", tensors));
}

void writeNamed(const std::string &model, const std::string &directory) {
  for (const Shape &shape : {kDense, kBiased, kWideHeads})
    if (model == shape.name)
      writeSparse(shape, directory);
  for (const Mixture &mixture : {kWhole, kHalf})
    if (model == mixture.name)
      writeSparse(mixture, directory);
}

std::vector<int32_t> idsOf(int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back((i * 37 + i * i) % 90);
  return ids;
}

class ZeroBlocks : public testing::TestWithParam<std::tuple<const char *, const char *>> {};

INSTANTIATE_TEST_SUITE_P(All, ZeroBlocks,
                         testing::Combine(testing::Values("dense", "whole", "half"),
                                          testing::Values("f32", "bf16", "f16")));

INSTANTIATE_TEST_SUITE_P(Heads, ZeroBlocks,
                         testing::Combine(testing::Values("biased", "wide"),
                                          testing::Values("bf16")));

TEST_P(ZeroBlocks, AgreeWithTheInterpreter) {
  auto [model, weights] = GetParam();
  TemporaryDirectory directory, temporary;
  writeNamed(model, directory.path);
  CompileOptions options;
  options.directory = directory.path;
  options.weights = weights;
  options.workers = 3;
  options.slots = {1, 4, 64};
  std::vector<int32_t> ids = idsOf(70);
  std::vector<float> wanted = interpreted(options, ids);
  for (const char *target : {"host", "x86-64-v3"}) {
    options.target = target;
    std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
          << target << (oneByOne ? ", decode" : ", prefill");
    }
  }
}

// Weights are the first operand of products with few slots only; f32 and f16 have products of their
// own.
class ZeroBlocksOnGpus
    : public testing::TestWithParam<
          std::tuple<const char *, const char *, const char *, int64_t, LaunchKind>> {};

INSTANTIATE_TEST_SUITE_P(
    All, ZeroBlocksOnGpus,
    testing::Values(std::tuple("dense", "bf16", "h200", 4, LaunchKind::Persistent),
                    std::tuple("dense", "bf16", "l40s", 16, LaunchKind::Graph),
                    std::tuple("whole", "bf16", "a100", 8, LaunchKind::Persistent),
                    std::tuple("half", "bf16", "h200", 4, LaunchKind::Graph),
                    std::tuple("whole", "f16", "h200", 4, LaunchKind::Persistent),
                    std::tuple("biased", "bf16", "h200", 4, LaunchKind::Persistent),
                    std::tuple("wide", "bf16", "a100", 4, LaunchKind::Graph),
                    std::tuple("dense", "f32", "a100", 4, LaunchKind::Graph)));

TEST_P(ZeroBlocksOnGpus, AgreeWithTheInterpreter) {
  auto [model, weights, device, slots, launch] = GetParam();
  TemporaryDirectory directory, temporary;
  setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
  writeNamed(model, directory.path);
  CompileOptions options;
  options.directory = directory.path;
  options.target = device;
  options.weights = weights;
  options.workers = 3;
  options.slots = {1, slots};
  std::vector<int32_t> ids = idsOf(20);
  std::vector<float> wanted = interpreted(options, ids);
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  Emulation emulation{device, launch, 1};
  std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, 17, 2);
  ASSERT_EQ(logits.size(), wanted.size());
  EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
      << testing::PrintToString(emulation);
}

CompileOptions optionsFor(const TemporaryDirectory &model, const char *weights) {
  CompileOptions options;
  options.directory = model.path;
  options.weights = weights;
  options.workers = 2;
  return options;
}

// What is found is said, and the tapes are as much shorter. The few blocks of a dense model that
// are zero make none of its matrices smaller.
TEST(FoundZeroBlocks, ShortenTapes) {
  TemporaryDirectory sparse, full, temporary;
  writeNamed("dense", sparse.path);
  writeConfig(kDense, full.path);
  CompileOptions ofFull = optionsFor(full, "bf16");
  ofFull.seed = 3;
  Compiled made = compiled(optionsFor(sparse, "bf16"), temporary);
  Compiled all = compiled(ofFull, temporary);
  EXPECT_EQ(made.notes,
            "note: zero blocks: of 16 matrices 15 have blocks that do not stand there, 0.36 MB in "
            "place of 0.72 MB (50.5 % less)\n");
  EXPECT_EQ(all.notes, "");
  EXPECT_LT(made.tapes().size(), all.tapes().size() / 2);
}

// Experts of 48 rows have no blocks to themselves: what they would take in blocks is not enough.
TEST(FoundZeroBlocks, KeepWithinABudget) {
  TemporaryDirectory exact, half, temporary;
  writeNamed("half", exact.path);
  convertTo<Bf16>("BF16", exact.path, half.path);
  constexpr size_t kBudget = 240'000, kPadding = 40'000; // of tiles
  CompileOptions options = optionsFor(half, "");
  Compiled whole = compiled(options, temporary);
  EXPECT_GT(whole.tapes().size(), kBudget + kPadding);
  options.budget = std::to_string(kBudget);
  Compiled within = compiled(options, temporary);
  EXPECT_LT(within.tapes().size(), kBudget + kPadding);
}

} // namespace
