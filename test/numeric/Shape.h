// Shape.h - models of shapes that divide by nothing; their weights come from a seed.
#ifndef PIANOLA_TEST_NUMERIC_SHAPE_H
#define PIANOLA_TEST_NUMERIC_SHAPE_H

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace pianola {

struct Shape {
  const char *name;
  const char *architecture;
  int hidden, intermediate, heads, kvHeads, headSize, vocabulary, window, workers;
  bool tied;
};

// gtest prints parameters.
inline void PrintTo(const Shape &shape, std::ostream *out) { *out << shape.name; }

constexpr Shape kShapes[] = {
    {"odd", "LlamaForCausalLM", 57, 91, 3, 1, 18, 131, 0, 2, true},
    {"wide_heads", "Qwen3ForCausalLM", 40, 50, 2, 2, 160, 77, 0, 3, false},
    {"seven_to_one", "Qwen3ForCausalLM", 72, 33, 7, 1, 34, 300, 0, 4, true},
    {"window_1", "MistralForCausalLM", 64, 64, 4, 2, 16, 97, 1, 2, false},
    {"window_16", "MistralForCausalLM", 48, 40, 6, 3, 8, 97, 16, 1, false},
    {"window_65", "MistralForCausalLM", 48, 40, 6, 3, 24, 97, 65, 2, true},
    {"many_workers", "LlamaForCausalLM", 33, 20, 5, 5, 2, 61, 0, 7, false},
    {"qkv_bias", "Qwen2ForCausalLM", 90, 130, 9, 3, 10, 210, 0, 2, true},
};

/// A config.json is all that a model with a seed needs.
inline void writeConfig(const Shape &shape, const std::string &directory) {
  nlohmann::json config = {{"architectures", {shape.architecture}},
                           {"model_type", "x"},
                           {"vocab_size", shape.vocabulary},
                           {"hidden_size", shape.hidden},
                           {"intermediate_size", shape.intermediate},
                           {"num_hidden_layers", 2},
                           {"num_attention_heads", shape.heads},
                           {"num_key_value_heads", shape.kvHeads},
                           {"head_dim", shape.headSize},
                           {"hidden_act", "silu"},
                           {"rms_norm_eps", 1e-5},
                           {"max_position_embeddings", 1024},
                           {"rope_theta", 10000.0},
                           {"tie_word_embeddings", shape.tied},
                           {"eos_token_id", 1}};
  if (shape.window)
    config["sliding_window"] = shape.window;
  std::ofstream(directory + "/config.json") << config;
}

/// Ids that come in no order.
inline std::vector<int32_t> someIds(const Shape &shape, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back((i * 37 + i * i) % shape.vocabulary);
  return ids;
}

} // namespace pianola

#endif
