// GoldenModels.h - the checkpoints of test/golden, each with what transformers computes of it.
#ifndef PIANOLA_TEST_GOLDENMODELS_H
#define PIANOLA_TEST_GOLDENMODELS_H

#include <cstdint>
#include <string_view>

namespace pianola {

constexpr const char *kGoldenModels[] = {
    "gemma2",   "gemma3_text", "gemma3_v5", "glm",        "glm4",     "gpt2",
    "gpt_neox", "granite",     "llama",     "ministral3", "llama2",   "llama_bias",
    "mistral",  "olmo2",       "olmo3",     "phi3",       "phi3_win", "phi4mini",
    "qwen2",    "qwen2_win",   "qwen3",     "qwen3_yarn", "smollm3"};

/// Linears of four and eight bits.
constexpr const char *kQuantisedGoldens[] = {"qwen3_awq",     "qwen3_ct_w4a16", "qwen3_ct_w8a16",
                                             "qwen3_ct_w8a8", "qwen3_fp8",      "qwen3_gptq",
                                             "qwen3_gptq_act"};

/// Mixtures of experts, some with latent attention.
constexpr const char *kRoutedGoldens[] = {"deepseek_v2",   "deepseek_v2_group", "deepseek_v3",
                                          "glm4_moe",      "glm4_moe_lite",     "gpt_oss",
                                          "gpt_oss_mxfp4", "llama4_text",       "mixtral",
                                          "qwen2_moe",     "qwen3_moe",         "qwen3_moe_raw"};

/// Such that attend to positions that they choose, among equal scores as PyTorch happens to.
constexpr const char *kChoosingGoldens[] = {"deepseek_v32", "glm_moe_dsa"};

/// Layers that remember a matrix in place of keys and values.
constexpr const char *kDeltaGoldens[] = {"qwen3_5_text", "qwen3_next"};

/// Positions that a golden is for, if not all. transformers gives phi4mini the factors of rope that
/// are for texts of at most 48 tokens.
inline int64_t positionsOf(std::string_view model) { return model == "phi4mini" ? 48 : 0; }

} // namespace pianola

#endif
