// TextConfig.cpp - the text model's fields, in the config of a model for text and images.
#include "lib/checkpoint/TextConfig.h"

#include <nlohmann/json.hpp>

#include <map>

using nlohmann::json;

namespace pianola {
namespace {

struct Text {
  const char *architecture, *defaults;
};

/// transformers' `Gemma3TextConfig`, whose defaults releases leave out.
constexpr const char *kGemma3 = R"({"vocab_size": 262208, "hidden_size": 2304,
  "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
  "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,
  "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256, "sliding_window": 4096})";

/// transformers' `Qwen3_5TextConfig` and `Qwen3_5MoeTextConfig`.
constexpr const char *kQwen35 = R"({"vocab_size": 248320, "hidden_size": 4096,
  "intermediate_size": 12288, "num_hidden_layers": 32, "num_attention_heads": 16,
  "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 32768,
  "rms_norm_eps": 1e-6})";
constexpr const char *kQwen35Moe = R"({"vocab_size": 248320, "hidden_size": 2048,
  "num_hidden_layers": 40, "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256,
  "max_position_embeddings": 32768, "rms_norm_eps": 1e-6})";

/// By the architecture around it, and the model_type of the text model.
const std::map<std::pair<std::string, std::string>, Text> &texts() {
  static const std::map<std::pair<std::string, std::string>, Text> all = {
      {{"Gemma3ForConditionalGeneration", "gemma3_text"}, {"Gemma3ForCausalLM", kGemma3}},
      {{"Mistral3ForConditionalGeneration", "mistral"}, {"MistralForCausalLM", "{}"}},
      {{"Mistral3ForConditionalGeneration", "ministral3"}, {"Ministral3ForCausalLM", "{}"}},
      {{"Qwen3_5ForConditionalGeneration", "qwen3_5_text"}, {"Qwen3_5ForCausalLM", kQwen35}},
      {{"Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe_text"},
       {"Qwen3_5MoeForCausalLM", kQwen35Moe}},
  };
  return all;
}

} // namespace

std::vector<std::string> nestingArchitectures() {
  std::vector<std::string> names;
  for (const auto &[key, text] : texts())
    if (names.empty() || names.back() != key.first)
      names.push_back(key.first);
  return names;
}

bool takeTextConfig(json &config) {
  auto names = config.find("architectures");
  auto inner = config.find("text_config");
  if (names == config.end() || !names->is_array() || names->size() != 1 ||
      !names->front().is_string() || inner == config.end() || !inner->is_object())
    return false;
  auto type = inner->find("model_type");
  if (type == inner->end() || !type->is_string())
    return false;
  auto found = texts().find({names->front().get<std::string>(), type->get<std::string>()});
  if (found == texts().end())
    return false;
  json text = json::parse(found->second.defaults);
  text.update(*inner);
  text["architectures"] = {found->second.architecture};
  // What is said of the whole model.
  for (const char *field : {"tie_word_embeddings", "quantization_config"})
    if (auto outer = config.find(field); outer != config.end() && !text.contains(field))
      text[field] = *outer;
  config = std::move(text);
  return true;
}

} // namespace pianola
