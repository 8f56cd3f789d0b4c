// Perturbed.cpp - a config that says something else never means the same.
//
// Every number, string and flag of every golden's config.json is changed, one at a time. Then
// import refuses it, or what the interpreter computes is changed, or the field is one of those
// below, which carry no mathematics.
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/InputFile.h"
#include "lib/driver/LoadModel.h"
#include "lib/import/InertFields.h"
#include "lib/reference/Interpreter.h"
#include "test/GoldenModels.h"
#include "test/lib/checkpoint/ScratchDirectory.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace pianola;
using nlohmann::json;

namespace {

/// Fields that change nothing, and why. A field is named by how its path begins; the model, if it
/// is not so in all.
struct Reviewed {
  const char *model, *field, *reason;
};
constexpr Reviewed kReviewed[] = {
    {"", "max_position_embeddings", "bounds the positions, of which the goldens use fewer"},
    {"gpt2", "n_ctx", "the same as n_positions, which counts"},
    {"gemma2", "hidden_act", "hidden_activation beside it counts"},
    {"ministral3", "rope_parameters/max_position_embeddings", "that outside of it counts"},
    {"ministral3", "rope_parameters/beta_fast", "of 16 positions no lane turns so often"},
    {"phi3", "rope_scaling/short_factor", "compiled for more positions than these are for"},
    {"phi4mini", "rope_scaling/long_factor", "compiled for fewer positions than these are for"},
    {"phi3_win", "original_max_position_embeddings", "of longrope, which is not on"},
    {"phi3", "attention_bias", "transformers' Phi3Attention has none, whatever it says"},
    {"phi3_win", "attention_bias", "as in phi3"},
    {"phi4mini", "attention_bias", "as in phi3"},
    {"phi3", "sliding_window", "more than the positions"},
    {"phi4mini", "sliding_window", "more than the positions"},
    {"qwen2", "sliding_window", "switched off by use_sliding_window"},
    {"qwen2", "max_window_layers", "switched off by use_sliding_window"},
    {"qwen3", "max_window_layers", "switched off by use_sliding_window"},
    {"qwen3", "use_sliding_window", "sliding_window is null"},
    {"qwen2_moe", "sliding_window", "switched off by use_sliding_window"},
    {"qwen2_moe", "max_window_layers", "switched off by use_sliding_window"},
    {"qwen2_moe", "intermediate_size", "of layers without experts, of which there are none"},
    {"qwen3_moe", "max_window_layers", "a window would be on all layers"},
    {"qwen3_moe", "use_sliding_window", "sliding_window is null"},
    {"qwen3_moe_raw", "use_sliding_window", "sliding_window is null"},
    {"qwen3_moe_raw", "intermediate_size", "of layers without experts, of which there are none"},
    {"qwen3_next", "intermediate_size", "of layers without experts, of which there are none"},
    {"qwen3_5_text", "rope_parameters/mrope", "of images, whose pairs of lanes differ in position"},
    {"glm4_moe", "num_nextn_predict_layers", "layers beyond the last are left out"},
    {"glm4_moe_lite", "num_nextn_predict_layers", "as in glm4_moe"},
    {"deepseek_v3", "num_nextn_predict_layers", "as in glm4_moe"},
    {"deepseek_v32", "num_nextn_predict_layers", "as in glm4_moe"},
    {"glm_moe_dsa", "num_nextn_predict_layers", "as in glm4_moe"},
    {"deepseek_v32", "rope_scaling/beta_slow", "as in deepseek_v2"},
    {"deepseek_v2", "norm_topk_prob", "transformers' DeepseekV2Moe never looks at it"},
    {"deepseek_v2_group", "norm_topk_prob", "as in deepseek_v2"},
    {"deepseek_v2", "rope_scaling/beta_slow", "1 and 6 turns are both of the third pair of four"},
    {"deepseek_v2_group", "rope_scaling/beta_slow", "as in deepseek_v2"},
    {"deepseek_v3", "rope_scaling/beta_slow", "as in deepseek_v2"},
    {"gpt_oss", "hidden_act", "transformers' GptOssExperts has its own, whatever it says"},
    {"gpt_oss_mxfp4", "hidden_act", "as in gpt_oss"},
    {"gpt_oss", "initial_context_length", "rope_scaling says it"},
    {"gpt_oss_mxfp4", "initial_context_length", "as in gpt_oss"},
    {"smollm3", "use_sliding_window", "there is no sliding_window"},
    {"smollm3", "no_rope_layer_interval", "no_rope_layers says which"},
    // What is quantised, and whether it has zero points or an order, its tensors say. How it came
    // about does not matter. Activations stay as they are (docs/architecture.md).
    {"", "quantization_config/config_groups/group_0/targets", "which tensors there are counts"},
    {"", "quantization_config/ignore", "which tensors there are counts"},
    {"", "quantization_config/modules_to_not_convert", "which tensors there are counts"},
    {"", "quantization_config/lm_head", "which tensors there are counts"},
    {"", "quantization_config/config_groups/group_0/weights/symmetric", "zero points count"},
    {"", "quantization_config/zero_point", "zero points count"},
    {"", "quantization_config/sym", "zero points count"},
    {"", "quantization_config/desc_act", "g_idx counts"},
    {"", "quantization_config/config_groups/group_0/weights/observer", "how it came about"},
    {"", "quantization_config/damp_percent", "how it came about"},
    {"", "quantization_config/static_groups", "how it came about"},
    {"", "quantization_config/true_sequential", "how it came about"},
    {"", "quantization_config/quantization_status", "how it came about"},
    {"", "quantization_config/config_groups/group_0/input_activations", "of activations"},
    {"", "quantization_config/activation_scheme", "of activations"},
};

bool isReviewed(llvm::StringRef model, llvm::StringRef field) {
  return llvm::any_of(kReviewed, [&](const Reviewed &entry) {
    llvm::StringRef only = entry.model;
    return (only.empty() || only == model) && field.starts_with(entry.field);
  });
}

/// Other values of the same type: near ones, and some so far that no rounding hides them.
std::vector<json> others(const json &value) {
  if (value.is_boolean())
    return {!value.get<bool>()};
  if (value.is_string())
    return {value.get<std::string>() + "x"};
  if (value.is_number_integer())
    return {value.get<int64_t>() + 1, value.get<int64_t>() * 4 + 2};
  double number = value.get<double>();
  return {number == 0 ? 0.5 : number * 1.25, number * 8 + 0.125};
}

/// The paths of all numbers, strings and flags.
void collect(const json &value, const json::json_pointer &at,
             std::vector<json::json_pointer> &out) {
  if (!value.is_structured()) {
    if (!value.is_null())
      out.push_back(at);
    return;
  }
  for (const auto &[key, inner] : value.items())
    collect(inner, at / key, out);
}

class Perturbed : public testing::TestWithParam<const char *> {
protected:
  ScratchDirectory scratch;

  void SetUp() override {
    namespace fs = std::filesystem;
    for (const auto &entry :
         fs::directory_iterator(std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam()))
      if (entry.path().filename() != "config.json")
        fs::create_symlink(entry.path(), fs::path(scratch.path) / entry.path().filename());
  }

  /// The logits of a few ids; nothing if it is refused.
  std::optional<std::vector<float>> logitsOf(const json &config) {
    scratch.write("config.json", config.dump());
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    llvm::Expected<LoadedModel> model =
        loadModel(context, scratch.path, std::nullopt, "", positionsOf(GetParam()));
    if (!model) {
      llvm::consumeError(model.takeError());
      return std::nullopt;
    }
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 40; ++i)
      ids.push_back(1 + i * 37 % 300);
    llvm::Expected<ReferenceResult> result = interpret(*model->module, *model->weights, ids);
    if (!result) {
      llvm::consumeError(result.takeError());
      return std::nullopt;
    }
    return result->logits.values;
  }
};

TEST_P(Perturbed, NeverMeansTheSame) {
  const json config = json::parse(llvm::cantFail(readText(
      std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam() + "/config.json", 1 << 20)));
  std::optional<std::vector<float>> usual = logitsOf(config);
  ASSERT_TRUE(usual);
  std::vector<json::json_pointer> places;
  collect(config, json::json_pointer(), places);
  for (const json::json_pointer &place : places) {
    std::string field = place.to_string().substr(1);
    if (isInert(llvm::StringRef(field).split('/').first) || isReviewed(GetParam(), field))
      continue;
    bool isHeard = false;
    json changed = config;
    for (const json &value : others(config[place])) {
      changed[place] = value;
      isHeard |= logitsOf(changed) != usual;
    }
    EXPECT_TRUE(isHeard) << GetParam() << ": " << field << ": " << config[place] << " and "
                         << changed[place] << " mean the same";
  }
}

std::string nameOf(const testing::TestParamInfo<const char *> &info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Models, Perturbed, testing::ValuesIn(kGoldenModels), nameOf);
INSTANTIATE_TEST_SUITE_P(Quantised, Perturbed, testing::ValuesIn(kQuantisedGoldens), nameOf);
INSTANTIATE_TEST_SUITE_P(Routed, Perturbed, testing::ValuesIn(kRoutedGoldens), nameOf);
INSTANTIATE_TEST_SUITE_P(Choosing, Perturbed, testing::ValuesIn(kChoosingGoldens), nameOf);
INSTANTIATE_TEST_SUITE_P(Delta, Perturbed, testing::ValuesIn(kDeltaGoldens), nameOf);

} // namespace
