// Families.cpp - what each family makes of its config.
#include "SmallModel.h"
#include "lib/import/DecoderBuilder.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace pianola;
using nlohmann::json;
using Windows = std::vector<int64_t>;

namespace {

json with(json config, const json &more) {
  config.update(more);
  return config;
}

TEST(Families, WindowOfMistralIsOnEveryLayer) {
  json config = smallConfig("MistralForCausalLM", 3);
  EXPECT_EQ(SmallModel(with(config, {{"sliding_window", 8}})).windows(), (Windows{8, 8, 8}));
  EXPECT_EQ(SmallModel(with(config, {{"sliding_window", nullptr}})).windows(), (Windows{0, 0, 0}));
  EXPECT_EQ(SmallModel(config).windows(), (Windows{4096, 4096, 4096})) << "transformers' default";
}

TEST(Families, WindowOfQwenMustBeSwitchedOn) {
  for (const char *architecture : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    json config = with(smallConfig(architecture, 4), {{"sliding_window", 8}});
    EXPECT_EQ(SmallModel(config).windows(), (Windows{0, 0, 0, 0}));
    config["use_sliding_window"] = true;
    EXPECT_EQ(SmallModel(config).windows(), (Windows{0, 0, 0, 0})) << "from layer 28 on";
    config["max_window_layers"] = 1;
    EXPECT_EQ(SmallModel(config).windows(), (Windows{0, 8, 8, 8}));
    config["layer_types"] = {"sliding_attention", "full_attention", "full_attention",
                             "sliding_attention"};
    EXPECT_EQ(SmallModel(config).windows(), (Windows{8, 0, 0, 8}));
    config["use_sliding_window"] = false;
    EXPECT_EQ(SmallModel(config).windows(), (Windows{0, 0, 0, 0}));
  }
}

TEST(Families, WindowOfSmolLM3IsOnLayersWithoutRope) {
  json config = with(smallConfig("SmolLM3ForCausalLM", 4), {{"sliding_window", 8}});
  EXPECT_EQ(SmallModel(config).windows(), (Windows{0, 0, 0, 0}));
  config["use_sliding_window"] = true;
  EXPECT_EQ(SmallModel(config).windows(), (Windows{0, 0, 0, 8}));
  config["no_rope_layers"] = {0, 1, 1, 1};
  EXPECT_EQ(SmallModel(config).windows(), (Windows{8, 0, 0, 0}));
}

TEST(Families, SmolLM3RotatesWhereItSaysSo) {
  auto rotations = [](const json &config) {
    return SmallModel(config).all<transformer::RopeOp>().size();
  };
  json config = smallConfig("SmolLM3ForCausalLM", 4);
  EXPECT_EQ(rotations(config), 6u);
  EXPECT_EQ(rotations(with(config, {{"no_rope_layer_interval", 2}})), 4u);
  EXPECT_EQ(rotations(with(config, {{"no_rope_layers", {1, 0, 0, 0}}})), 2u);
}

TEST(Families, FusedMatricesArePartsOfOne) {
  SmallModel model(smallConfig("Phi3ForCausalLM", 1));
  auto tensorOf = [&](const char *name) {
    auto op = model.module->lookupSymbol<transformer::WeightOp>(std::string("layers.0.") + name);
    return op ? op.getTensor().str() : "";
  };
  std::string prefix = "model.layers.0.";
  EXPECT_EQ(tensorOf("self_attn.q_proj"), prefix + "self_attn.qkv_proj.weight[0:16]");
  EXPECT_EQ(tensorOf("self_attn.k_proj"), prefix + "self_attn.qkv_proj.weight[16:24]");
  EXPECT_EQ(tensorOf("self_attn.v_proj"), prefix + "self_attn.qkv_proj.weight[24:32]");
  EXPECT_EQ(tensorOf("mlp.gate_proj"), prefix + "mlp.gate_up_proj.weight[0:24]");
  EXPECT_EQ(tensorOf("mlp.up_proj"), prefix + "mlp.gate_up_proj.weight[24:48]");
}

TEST(Families, GlmTurnsHalfOfTheLanesInPairs) {
  SmallModel model(with(smallConfig("GlmForCausalLM", 1), {{"head_dim", 8}}));
  auto tensorOf = [&](const char *name) {
    return model.module
        ->lookupSymbol<transformer::WeightOp>(std::string("layers.0.self_attn.") + name)
        .getTensor()
        .str();
  };
  EXPECT_EQ(tensorOf("q_proj"), "model.layers.0.self_attn.q_proj.weight[0:32, pairs apart]");
  EXPECT_EQ(tensorOf("v_proj"), "model.layers.0.self_attn.v_proj.weight");
  EXPECT_EQ(model.all<transformer::RopeTableOp>()[0].getInvFreq().size(), 2u);
  // Row 4 of a head's eight is the second lane of its first pair.
  auto rows = StoredRows::range("q", 8, 0, 8);
  rows.separatePairs(8, 4);
  EXPECT_EQ(rows.rows, (std::vector<int64_t>{0, 2, 1, 3, 4, 5, 6, 7}));
}

TEST(Families, GranitesFactors) {
  json config = smallConfig("GraniteForCausalLM", 2);
  EXPECT_TRUE(SmallModel(config).all<transformer::ScaleOp>().empty());
  EXPECT_EQ(SmallModel(config).all<transformer::AttentionOp>()[0].getScale().convertToFloat(), 1);
  SmallModel model(with(config, {{"embedding_multiplier", 12.0},
                                 {"residual_multiplier", 0.22},
                                 {"attention_multiplier", 0.015625},
                                 {"logits_scaling", 8.0}}));
  std::vector<float> factors;
  for (transformer::ScaleOp op : model.all<transformer::ScaleOp>())
    factors.push_back(op.getFactor().convertToFloat());
  EXPECT_EQ(factors, (std::vector<float>{0.22f, 0.22f, 0.22f, 0.22f, 0.125f}));
  EXPECT_EQ(model.all<transformer::AttentionOp>()[1].getScale().convertToFloat(), 0.015625f);
  EXPECT_EQ(model.all<transformer::EmbedOp>()[0].getScale()->convertToFloat(), 12);
}

TEST(Families, WindowsOfGemmaAlternate) {
  json config = with(smallConfig("Gemma2ForCausalLM", 3), {{"sliding_window", 8}});
  EXPECT_EQ(SmallModel(config).windows(), (Windows{8, 0, 8}));
  config = with(smallConfig("Gemma3ForCausalLM", 4),
                {{"sliding_window", 8}, {"sliding_window_pattern", 2}});
  SmallModel model(config);
  EXPECT_EQ(model.windows(), (Windows{8, 0, 8, 0}));
  std::vector<std::string> tables;
  for (transformer::RopeOp op : model.all<transformer::RopeOp>())
    tables.push_back(op.getTable().str());
  EXPECT_EQ(tables, (std::vector<std::string>{"rope.local", "rope.local", "rope", "rope",
                                              "rope.local", "rope.local", "rope", "rope"}));
}

TEST(Families, Gemma2Caps) {
  SmallModel model(with(smallConfig("Gemma2ForCausalLM", 1), {{"attn_logit_softcapping", 50.0},
                                                              {"final_logit_softcapping", 30.0},
                                                              {"query_pre_attn_scalar", 64}}));
  auto attention = model.all<transformer::AttentionOp>()[0];
  ASSERT_TRUE(attention.getCap());
  EXPECT_EQ(attention.getCap()->convertToFloat(), 50);
  EXPECT_EQ(attention.getScale().convertToFloat(), 0.125f);
  ASSERT_EQ(model.all<transformer::SoftcapOp>().size(), 1u);
  EXPECT_EQ(model.all<transformer::SoftcapOp>()[0].getCap().convertToFloat(), 30);
  EXPECT_EQ(model.all<transformer::EmbedOp>()[0].getScale()->convertToFloat(), 4);
  EXPECT_EQ(model.module->lookupSymbol<transformer::WeightOp>("norm").getTensor(),
            "1 + model.norm.weight");
}

TEST(Families, Ministral3ScalesItsQueries) {
  json config =
      with(smallConfig("Ministral3ForCausalLM", 1), {{"rope_parameters",
                                                      {{"rope_type", "yarn"},
                                                       {"factor", 4.0},
                                                       {"original_max_position_embeddings", 16},
                                                       {"llama_4_scaling_beta", 0.25}}}});
  SmallModel model(config);
  auto ropes = model.all<transformer::RopeOp>();
  ASSERT_EQ(ropes.size(), 2u);
  EXPECT_EQ(ropes[0].getTable(), "rope.query");
  EXPECT_EQ(ropes[1].getTable(), "rope");
  auto table = model.module->lookupSymbol<transformer::RopeTableOp>("rope.query");
  EXPECT_EQ(table.getGrowth()->convertToFloat(), 0.25f);
  EXPECT_EQ(int64_t(*table.getPeriod()), 16);
  EXPECT_EQ(int64_t(*table.getFrom()), 0);
}

TEST(Families, GptNeoXMayBeSequential) {
  json config = smallConfig("GPTNeoXForCausalLM", 1);
  config.erase("num_key_value_heads");
  config["rotary_pct"] = 0.5;
  auto inputs = [&](bool isParallel) {
    config["use_parallel_residual"] = isParallel;
    SmallModel model(config);
    auto norms = model.all<transformer::NormOp>();
    return norms[0].getInput() == norms[1].getInput();
  };
  EXPECT_TRUE(inputs(true));
  EXPECT_FALSE(inputs(false));
}

TEST(Families, Gpt2ScalesAsItsFlagsSay) {
  json config = {{"architectures", {"GPT2LMHeadModel"}},
                 {"vocab_size", 40},
                 {"n_embd", 16},
                 {"n_layer", 2},
                 {"n_head", 4},
                 {"n_positions", 32},
                 {"layer_norm_epsilon", 1e-5}};
  auto scales = [](const json &config) {
    std::vector<float> all;
    for (transformer::AttentionOp op : SmallModel(config).all<transformer::AttentionOp>())
      all.push_back(op.getScale().convertToFloat());
    return all;
  };
  EXPECT_EQ(scales(config), (std::vector<float>{0.5, 0.5}));
  EXPECT_EQ(scales(with(config, {{"scale_attn_weights", false}})), (std::vector<float>{1, 1}));
  EXPECT_EQ(scales(with(config, {{"scale_attn_by_inverse_layer_idx", true}})),
            (std::vector<float>{0.5, 0.25}));
  SmallModel model(config);
  EXPECT_EQ(model.module->lookupSymbol<transformer::WeightOp>("h.1.attn.k").getTensor(),
            "h.1.attn.c_attn.weight[16:32]");
  EXPECT_EQ(model.all<transformer::ActivateOp>()[0].getActivation(),
            transformer::Activation::GeluTanh);
}

TEST(Families, TyingDefaultsByFamily) {
  EXPECT_FALSE(SmallModel(smallConfig("SmolLM3ForCausalLM", 1)).has("lm_head"));
  EXPECT_TRUE(SmallModel(smallConfig("LlamaForCausalLM", 1)).has("lm_head"));
  EXPECT_FALSE(SmallModel(with(smallConfig("LlamaForCausalLM", 1), {{"tie_word_embeddings", true}}))
                   .has("lm_head"));
}

TEST(Families, Biases) {
  auto biases = [](const json &config) {
    SmallModel model(config);
    std::string found;
    for (const char *name : {"q", "k", "v", "o"})
      if (model.has("layers.0.self_attn." + std::string(name) + "_proj.bias"))
        found += name;
    for (const char *name : {"gate", "up", "down"})
      if (model.has("layers.0.mlp." + std::string(name) + "_proj.bias"))
        found += name;
    return found;
  };
  json both = {{"attention_bias", true}, {"mlp_bias", true}};
  EXPECT_EQ(biases(smallConfig("LlamaForCausalLM", 1)), "");
  EXPECT_EQ(biases(with(smallConfig("LlamaForCausalLM", 1), both)), "qkvogateupdown");
  EXPECT_EQ(biases(with(smallConfig("MistralForCausalLM", 1), both)), "");
  EXPECT_EQ(biases(smallConfig("Qwen2ForCausalLM", 1)), "qkv");
  EXPECT_EQ(biases(with(smallConfig("Qwen3ForCausalLM", 1), both)), "qkvo");
}

TEST(Families, ActivationsByName) {
  auto activation = [](const char *name) {
    SmallModel model(with(smallConfig("LlamaForCausalLM", 1), {{"hidden_act", name}}));
    return model.all<transformer::GluOp>().front().getActivation();
  };
  EXPECT_EQ(activation("silu"), transformer::Activation::Silu);
  EXPECT_EQ(activation("gelu"), transformer::Activation::Gelu);
  EXPECT_EQ(activation("gelu_pytorch_tanh"), transformer::Activation::GeluTanh);
}

TEST(Families, OpsCarryTheirNames) {
  SmallModel model(smallConfig("Qwen3ForCausalLM", 2));
  auto linear = model.all<transformer::LinearOp>().front();
  auto location = mlir::dyn_cast<mlir::NameLoc>(linear.getLoc());
  ASSERT_TRUE(location);
  EXPECT_EQ(location.getName(), "layers.0.self_attn.q_proj");
}

/// The printed module is the module: what is read back from the text prints the same again.
TEST(Families, TextRoundTrips) {
  SmallModel model(with(smallConfig("Qwen3ForCausalLM", 2),
                        {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 3.7}}}}));
  auto print = [](mlir::ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream, mlir::OpPrintingFlags().enableDebugInfo());
    return text;
  };
  std::string text = print(*model.module);
  auto again = mlir::parseSourceString<mlir::ModuleOp>(text, &model.context);
  ASSERT_TRUE(again);
  EXPECT_EQ(print(*again), text);
}

} // namespace
