// Refusals.cpp - checkpoints that do not fit their config, and what is said about them.
#include "SmallModel.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/SafeTensorsWriter.h"
#include "test/lib/checkpoint/ScratchDirectory.h"

#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>

#include <random>

using namespace pianola;
using nlohmann::json;

namespace {

/// The tensors of a one-layer Llama of smallConfig's sizes, to be spoilt and written.
class Refusals : public testing::Test {
protected:
  json config = smallConfig("LlamaForCausalLM", 1);
  std::map<std::string, std::pair<llvm::SmallVector<int64_t, 2>, std::vector<float>>> tensors;
  std::vector<std::string> unused, remarks;

  void SetUp() override {
    SmallModel whole(config);
    for (const std::string &name : whole.weights.names()) {
      const TensorInfo &tensor = *whole.weights.find(name);
      std::vector<float> values(tensor.elements());
      llvm::cantFail(whole.weights.readFloats(tensor, 0, values));
      tensors[name] = {tensor.shape, values};
    }
  }

  std::string import() {
    ScratchDirectory scratch;
    std::vector<TensorToWrite> list;
    for (const auto &[name, tensor] : tensors)
      list.push_back({name, tensor.first, llvm::ArrayRef<float>(tensor.second)});
    llvm::cantFail(writeSafeTensors(scratch.file("model.safetensors"), list));
    return import(llvm::cantFail(Checkpoint::open(scratch.path)));
  }

  std::string import(std::unique_ptr<WeightSource> stored) {
    DerivedWeights weights(std::move(stored));
    mlir::MLIRContext context;
    ImportNotes notes;
    auto module =
        importModel(context, llvm::cantFail(ModelConfig::fromText(config.dump())), weights, &notes);
    unused = notes.unusedTensors;
    remarks = notes.remarks;
    return messageOf(std::move(module));
  }
};

TEST_F(Refusals, NothingToRefuse) {
  EXPECT_EQ(import(), "accepted");
  EXPECT_TRUE(unused.empty());
}

TEST_F(Refusals, UnknownArchitecture) {
  config["architectures"] = {"MambaForCausalLM"};
  EXPECT_EQ(import(), "config.json: architectures: expected one of " +
                          llvm::join(knownArchitectures(), ", ") + ", found \"MambaForCausalLM\"");
}

TEST_F(Refusals, UnknownActivation) {
  config["hidden_act"] = "relu2";
  EXPECT_EQ(import(), "config.json: hidden_act: expected one of silu, swish, gelu, gelu_new, "
                      "gelu_pytorch_tanh, found \"relu2\"");
}

TEST_F(Refusals, TypesOfLayers) {
  config["hidden_act"] = json::array();
  EXPECT_EQ(import(), "config.json: hidden_act: expected a string, found []");
  config.erase("hidden_act");
  config["architectures"] = {"Qwen3ForCausalLM"};
  config["layer_types"] = {"full_attention", "full_attention"};
  EXPECT_EQ(import(), "config.json: layer_types: expected an array of 1, one per layer, found "
                      "[\"full_attention\",\"full_attention\"]");
  config["layer_types"] = {"linear_attention"};
  EXPECT_EQ(import(), "config.json: layer_types: layer 0: expected full_attention or "
                      "sliding_attention, found \"linear_attention\"");
  config["architectures"] = {"SmolLM3ForCausalLM"};
  config["layer_types"] = {"sliding_attention"};
  config["no_rope_layers"] = {2};
  EXPECT_EQ(import(), "config.json: no_rope_layers: layer 0: expected 0 or 1, found 2");
}

TEST_F(Refusals, PartialRopeWhereThereIsNone) {
  config["partial_rotary_factor"] = 0.5;
  EXPECT_EQ(import(),
            "config.json: partial_rotary_factor: expected 1 for LlamaForCausalLM, found 0.5");
}

TEST_F(Refusals, PartialRopeOfNoPairs) {
  config["architectures"] = {"Phi3ForCausalLM"};
  config["partial_rotary_factor"] = 0.3;
  EXPECT_EQ(import(),
            "config.json: partial_rotary_factor: expected an even number of lanes, found 1 "
            "of head_dim 4");
}

TEST_F(Refusals, FactorsOfOtherPairs) {
  config["rope_scaling"] = {{"type", "longrope"},
                            {"short_factor", {1, 1}},
                            {"long_factor", {1, 2, 3}},
                            {"original_max_position_embeddings", 8}};
  EXPECT_EQ(import(), "config.json: rope_scaling: long_factor: expected 2 numbers, found 3");
}

TEST_F(Refusals, MissingTensor) {
  tensors.erase("model.layers.0.mlp.up_proj.weight");
  EXPECT_EQ(import(), "model.safetensors: tensor \"model.layers.0.mlp.up_proj.weight\": missing, "
                      "expected [24, 16]");
}

TEST_F(Refusals, MissingHead) {
  tensors.erase("lm_head.weight");
  EXPECT_EQ(import(), "model.safetensors: tensor \"lm_head.weight\": missing, expected [40, 16]");
}

TEST_F(Refusals, OtherShape) {
  config["intermediate_size"] = 25;
  EXPECT_EQ(import(), "model.safetensors: tensor \"model.layers.0.mlp.gate_proj.weight\": shape: "
                      "expected [25, 16], found [24, 16]");
}

TEST_F(Refusals, TooManyLayers) {
  config["num_hidden_layers"] = 4096;
  EXPECT_EQ(import(), "model.safetensors: tensor \"model.layers.1.input_layernorm.weight\": "
                      "missing, expected [16]");
}

TEST_F(Refusals, OtherType) {
  ScratchDirectory scratch;
  scratch.write("model.safetensors",
                safeTensors(R"({"model.embed_tokens.weight":{"dtype":"F8_E4M3","shape":[40,16],)"
                            R"("data_offsets":[0,640]}})",
                            640));
  EXPECT_EQ(import(llvm::cantFail(Checkpoint::open(scratch.path))),
            "model.safetensors: tensor \"model.embed_tokens.weight\": dtype: "
            "expected F32, BF16 or F16, found F8_E4M3");
}

/// Whatever happens to a config, import ends with a module or with an error.
TEST(ImportOfMutatedConfigs, EndsWell) {
  const std::string directory = PIANOLA_SOURCE_DIR "/test/golden/qwen3_yarn";
  DerivedWeights weights(llvm::cantFail(Checkpoint::open(directory)));
  const std::string valid = llvm::cantFail(readText(directory + "/config.json", 1 << 20));
  std::mt19937 random(11);
  size_t imported = 0, refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = valid;
    for (int change = random() % 2; change >= 0; --change) {
      size_t at = random() % text.size();
      if (random() % 2)
        text[at] = "0123456789.-e\"{}[],:"[random() % 20];
      else
        text.replace(at, random() % 4, std::string(1, text[random() % text.size()]));
    }
    llvm::Expected<ModelConfig> config = ModelConfig::fromText(text);
    if (!config) {
      llvm::consumeError(config.takeError());
      ++refused;
      continue;
    }
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = importModel(context, *config, weights);
    if (module) {
      ++imported;
      continue;
    }
    EXPECT_EQ(llvm::toString(module.takeError()).find("does not verify"), std::string::npos)
        << text;
    ++refused;
  }
  EXPECT_GT(imported, 50u);
  EXPECT_GT(refused, 200u);
}

TEST_F(Refusals, NotesFieldsThatNobodyReads) {
  config["final_logit_softcapping"] = 30.0;
  config["torch_dtype"] = "bfloat16";
  EXPECT_EQ(import(), "accepted");
  EXPECT_EQ(remarks, std::vector<std::string>{"config.json: LlamaForCausalLM has no use for "
                                              "final_logit_softcapping"});
}

TEST_F(Refusals, NotesWhatNobodyUses) {
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{2}, {1, 0.5f}};
  tensors["model.layers.9.extra"] = {{1}, {1}};
  EXPECT_EQ(import(), "accepted");
  EXPECT_EQ(unused, std::vector<std::string>{"model.layers.9.extra"});
}

TEST_F(Refusals, HeadBesideTiedEmbeddings) {
  config["tie_word_embeddings"] = true;
  EXPECT_EQ(import(), "model.safetensors: tensor \"lm_head.weight\": differs from "
                      "\"model.embed_tokens.weight\", though config.json says tie_word_embeddings");
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
  EXPECT_EQ(import(), "accepted");
  EXPECT_TRUE(unused.empty());
  tensors["lm_head.weight"] = {{2, 2}, {1, 2, 3, 4}};
  EXPECT_EQ(import(), "model.safetensors: tensor \"lm_head.weight\": [2, 2] is another shape than "
                      "[40, 16] of \"model.embed_tokens.weight\", though config.json says "
                      "tie_word_embeddings");
}

} // namespace
