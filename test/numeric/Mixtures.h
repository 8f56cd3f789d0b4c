// Mixtures.h - mixtures of experts of odd shapes, with weights from a seed.
#ifndef PIANOLA_TEST_NUMERIC_MIXTURES_H
#define PIANOLA_TEST_NUMERIC_MIXTURES_H

#include "test/numeric/Seeded.h"

namespace pianola {

struct Mixture {
  const char *name;
  int hidden, size, experts, chosen, workers, shared;
};

inline void PrintTo(const Mixture &mixture, std::ostream *out) { *out << mixture.name; }

// More workers than tiles, experts that are all chosen, and one; sizes that divide by nothing.
constexpr Mixture kMixtures[] = {
    {"two_of_five", 48, 40, 5, 2, 3, 0},  {"all_of_three", 64, 24, 3, 3, 2, 0},
    {"one_of_nine", 40, 33, 9, 1, 1, 0},  {"five_of_forty", 57, 16, 40, 5, 7, 0},
    {"with_shared", 72, 50, 6, 2, 2, 24},
};

/// What experts of several slots make of it has more rows than a small GPU's scratch memory.
constexpr Mixture kWideMixture = {"beyond_scratch", 40, 304, 6, 4, 2, 0};

inline void writeConfig(const Mixture &mixture, const std::string &directory) {
  bool hasShared = mixture.shared > 0;
  nlohmann::json config = {
      {"architectures", {hasShared ? "Qwen2MoeForCausalLM" : "Qwen3MoeForCausalLM"}},
      {"model_type", hasShared ? "qwen2_moe" : "qwen3_moe"},
      {"vocab_size", 97},
      {"hidden_size", mixture.hidden},
      {"intermediate_size", 64},
      {"num_hidden_layers", 2},
      {"num_attention_heads", 4},
      {"num_key_value_heads", 2},
      {"head_dim", 16},
      {"hidden_act", "silu"},
      {"rms_norm_eps", 1e-5},
      {"max_position_embeddings", 512},
      {"rope_theta", 10000.0},
      {"tie_word_embeddings", true},
      {"num_experts", mixture.experts},
      {"num_experts_per_tok", mixture.chosen},
      {"moe_intermediate_size", mixture.size},
      {"norm_topk_prob", !hasShared},
      {"decoder_sparse_step", 1},
      {"mlp_only_layers", nlohmann::json::array()},
      {"eos_token_id", 1}};
  if (hasShared) {
    config["shared_expert_intermediate_size"] = mixture.shared;
    config.erase("head_dim");
    config["num_attention_heads"] = mixture.hidden / 12;
    config["num_key_value_heads"] = mixture.hidden / 24;
  }
  std::ofstream(directory + "/config.json") << config;
}

struct SeededMixture : Seeded {
  SeededMixture(const Mixture &mixture, const std::string &target, std::vector<int64_t> slots)
      : Seeded(kShapes[0], target, std::move(slots), 7) {
    writeConfig(mixture, model.path);
    options.workers = mixture.workers;
  }
};

inline std::vector<int32_t> textOf(size_t number, int length) {
  std::vector<int32_t> ids;
  for (int i = 0; i < length; ++i)
    ids.push_back((i * 37 + i * i + 11 * (int(number) + 1)) % 97);
  return ids;
}

} // namespace pianola

#endif
