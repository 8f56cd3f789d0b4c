// TiedLayers.cpp - layers with the same weights, which stand once on the tapes of a CPU, play what
// the interpreter says.
#include "lib/checkpoint/SafeTensorsWriter.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Mixtures.h"
#include "test/numeric/Reference.h"
#include "test/numeric/Tolerance.h"

#include <map>

using namespace pianola;

namespace {

constexpr Shape kDense = {"dense", "Qwen3ForCausalLM", 96, 112, 3, 1, 32, 131, 0, 3, false};
constexpr Mixture kMixture = {"mixture", 48, 40, 5, 2, 3, 0};

void keepLayers(int64_t layers, const std::string &directory) {
  std::string path = directory + "/config.json";
  nlohmann::json config = nlohmann::json::parse(std::ifstream(path));
  config["num_hidden_layers"] = layers;
  std::ofstream(path) << config;
}

// A checkpoint of a seed's weights, whose second layer, if it has so many, has those of the first:
// all whose names have `part`. With `tiedHead` the head has the embedding's, too.
template <typename Model>
void writeTied(const Model &model, const std::string &part, bool tiedHead,
               const std::string &directory, int64_t layers = 2) {
  writeConfig(model, directory);
  keepLayers(layers, directory);
  mlir::MLIRContext context;
  LoadedModel loaded = llvm::cantFail(loadModel(context, directory, /*seed=*/3, ""));
  std::map<std::string, std::vector<float>> all;
  std::vector<TensorToWrite> tensors;
  for (const std::string &name : loaded.weights->names()) {
    const TensorInfo &tensor = *loaded.weights->find(name);
    std::string from = name;
    if (size_t at = name.find("layers.1.");
        at != std::string::npos && name.find(part) < name.size())
      from[at + strlen("layers.")] = '0';
    if (tiedHead && name == "lm_head.weight")
      from = "model.embed_tokens.weight";
    std::vector<float> &values = all[name];
    values.resize(tensor.elements());
    llvm::cantFail(loaded.weights->readFloats(*loaded.weights->find(from), 0, values));
    tensors.push_back({name, {tensor.shape.begin(), tensor.shape.end()}, llvm::ArrayRef(values)});
  }
  llvm::cantFail(writeSafeTensors(directory + "/model.safetensors", tensors));
}

CompileOptions optionsFor(const TemporaryDirectory &model, const char *weights) {
  CompileOptions options;
  options.directory = model.path;
  options.weights = weights;
  options.workers = 3;
  options.slots = {1, 4, 64};
  return options;
}

std::vector<int32_t> idsOf(int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back((i * 37 + i * i) % 90);
  return ids;
}

void expectPlays(const Roll &roll, const CompileOptions &options) {
  std::vector<int32_t> ids = idsOf(70);
  std::vector<float> wanted = interpreted(options, ids);
  for (bool oneByOne : {false, true}) {
    std::vector<float> logits = logitsOf(roll, ids, oneByOne);
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
        << (oneByOne ? "decode" : "prefill");
  }
}

class TiedLayers : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(All, TiedLayers, testing::Values("bf16", "int4"));

// The second of two layers takes no room at all.
TEST_P(TiedLayers, StandOnce) {
  TemporaryDirectory one, apart, tied, temporary;
  writeTied(kDense, "none", false, one.path, /*layers=*/1);
  writeTied(kDense, "none", false, apart.path);
  writeTied(kDense, "", false, tied.path);
  Compiled first = compiled(optionsFor(one, GetParam()), temporary);
  Compiled all = compiled(optionsFor(apart, GetParam()), temporary);
  EXPECT_EQ(all.notes.find("tied"), std::string::npos) << all.notes;
  Compiled once = compiled(optionsFor(tied, GetParam()), temporary);
  EXPECT_EQ(once.notes.rfind("note: tied layers: 0.", 0), 0u) << once.notes;
  EXPECT_NE(all.table.find("layers.1.mlp.up_proj"), std::string::npos) << all.table;
  EXPECT_EQ(once.table.find("layers.1.mlp.up_proj"), std::string::npos) << once.table;
  CompileOptions head = optionsFor(tied, GetParam());
  expectPlays(*once.roll, head);
  EXPECT_EQ(once.tapes().size(), first.tapes().size());
  EXPECT_GT(all.tapes().size(), first.tapes().size());
  // A model has as many parameters as it plays.
  EXPECT_EQ(once.roll->manifest().model.parameters, all.roll->manifest().model.parameters);
}

// Where a step's weights differ in anything they all stand twice.
TEST(PartlyTiedLayers, ShareWholeStepsOnly) {
  TemporaryDirectory apart, mlp, gate, temporary;
  writeTied(kDense, "none", false, apart.path);
  writeTied(kDense, "mlp.", false, mlp.path);
  writeTied(kDense, "mlp.gate_proj", false, gate.path);
  Compiled all = compiled(optionsFor(apart, "bf16"), temporary);
  Compiled ofMlp = compiled(optionsFor(mlp, "bf16"), temporary);
  EXPECT_LT(ofMlp.tapes().size(), all.tapes().size());
  expectPlays(*ofMlp.roll, optionsFor(mlp, "bf16"));
  Compiled ofGate = compiled(optionsFor(gate, "bf16"), temporary);
  EXPECT_EQ(ofGate.tapes().size(), all.tapes().size());
  EXPECT_EQ(ofGate.notes, "");
  expectPlays(*ofGate.roll, optionsFor(gate, "bf16"));
}

TEST(TiedExperts, StandOnce) {
  TemporaryDirectory apart, tied, temporary;
  writeTied(kMixture, "none", false, apart.path);
  writeTied(kMixture, "mlp.experts", false, tied.path);
  Compiled all = compiled(optionsFor(apart, "bf16"), temporary);
  Compiled once = compiled(optionsFor(tied, "bf16"), temporary);
  EXPECT_LT(once.tapes().size(), all.tapes().size());
  EXPECT_EQ(once.notes.rfind("note: tied layers: ", 0), 0u) << once.notes;
  expectPlays(*once.roll, optionsFor(tied, "bf16"));
}

// A head that repeats the embedding stands once on both targets. A GPU's tapes pass by from end to
// end: there layers stand twice.
TEST(TiedHead, StandsOnce) {
  TemporaryDirectory apart, tied, temporary;
  setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
  writeTied(kDense, "none", false, apart.path);
  writeTied(kDense, "", true, tied.path);
  const char *note = "note: lm_head.weight is equal to model.embed_tokens.weight and stands once\n";
  CompileOptions options = optionsFor(tied, "bf16");
  Compiled host = compiled(options, temporary);
  EXPECT_EQ(host.notes.rfind(note, 0), 0u) << host.notes;
  expectPlays(*host.roll, options);
  options.target = "h200";
  options.slots = {1, 4};
  Compiled gpu = compiled(options, temporary);
  EXPECT_EQ(gpu.notes, note);
  std::vector<int32_t> ids = idsOf(20);
  std::vector<float> wanted = interpreted(options, ids);
  Emulation emulation{"h200", LaunchKind::Persistent, 1};
  std::vector<float> logits = EmulatedSession(*gpu.roll, emulation).logits(ids, 17, 2);
  ASSERT_EQ(logits.size(), wanted.size());
  EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance);
}

} // namespace
