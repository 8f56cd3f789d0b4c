// GgufConfig.cpp - the metadata of a GGUF file as the config.json of a model directory.
#include "lib/checkpoint/GgufConfig.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <set>

using nlohmann::json;

namespace pianola {
namespace {

struct Architecture {
  llvm::StringLiteral name, inTransformers;
};
constexpr Architecture architectures[] = {
    {"gemma2", "Gemma2ForCausalLM"},    {"gemma3", "Gemma3ForCausalLM"},
    {"gpt-oss", "GptOssForCausalLM"},   {"llama", "LlamaForCausalLM"},
    {"qwen2", "Qwen2ForCausalLM"},      {"qwen3", "Qwen3ForCausalLM"},
    {"qwen3moe", "Qwen3MoeForCausalLM"}};

constexpr int64_t kMost = 1 << 30;

/// Makes a config.json of one file's metadata.
class Config {
public:
  explicit Config(const GgufFile &file)
      : file(file), name(ggufArchitecture(file)), fields(file.metadata(), file.name().str()) {}

  llvm::Expected<std::string> text();

private:
  std::string key(const char *of) const { return name + "." + of; }
  std::optional<int64_t> integer(const char *of) {
    std::optional<int64_t> value;
    fields.integer(key(of), 0, kMost, value);
    return value;
  }
  std::optional<double> number(const char *of) {
    std::optional<double> value;
    fields.number(key(of), 0, 1e15, value);
    return value;
  }
  int64_t required(const char *of) {
    int64_t value = 0;
    fields.integer(key(of), 1, kMost, value);
    return value;
  }
  bool has(const std::string &tensor) const { return file.find(tensor) != nullptr; }
  bool layerHas(int64_t layer, const char *tensor) const {
    return has("blk." + std::to_string(layer) + "." + tensor);
  }

  llvm::Error readRope();
  void readGemma();
  void readExperts();
  void keepUnread();

  const GgufFile &file;
  std::string name;
  JsonFields fields;
  json config;
  int64_t layers = 0, heads = 0, hidden = 0, headSize = 0, positions = 0;
};

llvm::Error Config::readRope() {
  if (std::optional<double> theta = number("rope.freq_base"))
    config["rope_theta"] = *theta;
  if (std::optional<int64_t> lanes = integer("rope.dimension_count"); lanes && *lanes != headSize)
    fields.wrong(key("rope.dimension_count"), llvm::Twine(headSize) + ", all lanes of a head");
  std::optional<std::string> type;
  fields.string(key("rope.scaling.type"), type);
  std::optional<double> factor = number("rope.scaling.factor");
  if (!factor)
    factor = number("rope.scale_linear"); // as old files say it
  if (factor == 0.0)                      // says as much as none
    factor.reset();
  std::string kind = type.value_or(factor.value_or(1) == 1 ? "none" : "linear");
  if (kind == "linear" && factor.value_or(1) == 1)
    kind = "none";
  // What nobody here knows how to apply.
  for (const char *of : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor",
                         "rope.scaling.yarn_ext_factor"})
    if (std::optional<double> other = number(of); other && *other != 1)
      fields.wrong(key(of), "1");
  json scaling;
  if (kind == "linear" || kind == "yarn") {
    scaling = {{"rope_type", kind}, {"factor", factor.value_or(1)}};
    auto original = integer("rope.scaling.original_context_length");
    if (kind == "yarn" && original)
      scaling["original_max_position_embeddings"] = *original;
    // What is not said is as transformers has it, but that GPT-OSS has its ramp not cut to whole
    // lanes.
    if (kind == "yarn" && name == "gpt-oss")
      scaling["truncate"] = false;
    for (auto [from, to] : {std::pair("rope.scaling.yarn_beta_fast", "beta_fast"),
                            {"rope.scaling.yarn_beta_slow", "beta_slow"}})
      if (std::optional<double> beta = number(from); beta && kind == "yarn")
        scaling[to] = *beta;
  } else if (kind != "none") {
    fields.wrong(key("rope.scaling.type"), "none, linear or yarn");
  }
  if (const GgufTensor *factors = file.find(kGgufRopeFactors)) {
    if (!scaling.is_null())
      fields.fail(key("rope.scaling.type"), "beside a tensor " + inQuotes(kGgufRopeFactors) +
                                                " expected none, found " + inQuotes(kind));
    else if (factors->shape.size() != 1 || factors->shape[0] > 2048)
      return refuse(file.name() + ": tensor " + inQuotes(kGgufRopeFactors) +
                    ": expected up to 2048 numbers, found " + showShape(factors->shape));
    std::vector<float> values(fields.failed() ? 0 : size_t(factors->shape[0]));
    if (llvm::Error error = file.readFloats(*factors, 0, values))
      return error;
    scaling = {{"rope_type", "longrope"},
               {"short_factor", values},
               {"long_factor", values},
               {"attention_factor", 1},
               {"original_max_position_embeddings", positions}};
  }
  if (!scaling.is_null())
    config["rope_scaling"] = scaling;
  return llvm::Error::success();
}

void Config::readGemma() {
  bool isThree = name == "gemma3";
  config["layernorm_zero_centered_gamma"] = false;
  // Not in the metadata: the largest of each generation divides by the root of the embedding's
  // share of a head, the others by that of a head.
  bool isLargest = layers == (isThree ? 62 : 46);
  config["query_pre_attn_scalar"] = isLargest && heads ? hidden / heads : headSize;
  for (const char *of : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    // What is not said is as in config.json; 0 says that there is none.
    std::optional<double> cap = number(of);
    if (cap)
      config[of] = *cap > 0 ? json(*cap) : json();
  }
  if (!isThree)
    return;
  if (std::optional<double> theta = number("rope.freq_base_swa"))
    config["rope_local_base_freq"] = *theta;
  if (const json *pattern = fields.find(key("attention.sliding_window_pattern"));
      pattern && pattern->is_array()) {
    json types = json::array();
    for (const json &slides : *pattern) {
      bool isOn = slides == true || slides == 1;
      if (!isOn && slides != false && slides != 0)
        fields.wrong(key("attention.sliding_window_pattern"), "truth values");
      types.push_back(isOn ? "sliding_attention" : "full_attention");
    }
    config["layer_types"] = types;
  } else if (pattern) {
    config["sliding_window_pattern"] = integer("attention.sliding_window_pattern").value_or(6);
  }
}

void Config::readExperts() {
  bool isQwen = name == "qwen3moe";
  int64_t size = required("expert_feed_forward_length");
  config[isQwen ? "num_experts" : "num_local_experts"] = required("expert_count");
  config["num_experts_per_tok"] = required("expert_used_count");
  if (!isQwen) {
    config["intermediate_size"] = size;
    return;
  }
  config["moe_intermediate_size"] = size;
  std::optional<bool> normalised;
  fields.boolean(key("expert_weights_norm"), normalised);
  config["norm_topk_prob"] = normalised.value_or(true); // as all releases have it
  json dense = json::array();
  for (int64_t layer = 0; layer < layers; ++layer)
    if (!layerHas(layer, "ffn_gate_exps.weight"))
      dense.push_back(layer);
  config["mlp_only_layers"] = dense;
}

/// Import names what config.json says and nobody has a use for: that of the metadata, too.
void Config::keepUnread() {
  // Those that say nothing, or what tensors say.
  for (const char *of : {"vocab_size", "feed_forward_length", "rope.scaling.finetuned",
                         "rope.scaling.original_context_length", "tensor_data_layout"})
    fields.ignore(key(of));
  for (const std::string &left : fields.unread())
    if (llvm::StringRef(left).starts_with(name + "."))
      config[left] = true;
}

llvm::Expected<std::string> Config::text() {
  std::vector<std::string> names;
  for (const Architecture &known : architectures)
    names.push_back(inQuotes(known.name));
  const auto *known = llvm::find_if(architectures, [&](auto &each) { return each.name == name; });
  if (known == std::end(architectures))
    return refuse(file.name() + ": \"general.architecture\": expected one of " +
                  llvm::join(names, ", ") + ", found " + (name.empty() ? "none" : inQuotes(name)));
  if (fields.integerOr("split.count", 0, kMost, 0) > 1)
    return refuse(file.name() + ": \"split.count\": is a part of a model, and parts have to be "
                                "merged into one file first");
  bool isMixture = name == "qwen3moe" || name == "gpt-oss";
  if (int64_t experts = integer("expert_count").value_or(0); experts && !isMixture)
    return refuse(file.name() + ": " + inQuotes(key("expert_count")) + ": expected none for " +
                  name + ", found " + llvm::Twine(experts));
  fields.integer(key("block_count"), 1, 4096, layers);
  hidden = required("embedding_length");
  heads = required("attention.head_count");
  positions = required("context_length");
  headSize = integer("attention.key_length").value_or(heads ? hidden / heads : 0);
  if (int64_t values = integer("attention.value_length").value_or(headSize); values != headSize)
    fields.wrong(key("attention.value_length"), llvm::Twine(headSize) + ", as key_length");
  config = {{"architectures", {known->inTransformers.str()}},
            {"hidden_size", hidden},
            {"num_hidden_layers", layers},
            {"num_attention_heads", heads},
            {"num_key_value_heads", integer("attention.head_count_kv").value_or(heads)},
            {"head_dim", headSize},
            {"max_position_embeddings", positions},
            {"tie_word_embeddings", !has("output.weight")}};
  double eps = 0;
  fields.number(key("attention.layer_norm_rms_epsilon"), 0, 1, eps);
  config["rms_norm_eps"] = eps;
  if (const GgufTensor *embedding = file.find("token_embd.weight"))
    config["vocab_size"] = embedding->shape.front();
  else
    return refuse(file.name() + ": tensor \"token_embd.weight\": missing");
  if (name != "gpt-oss")
    config["intermediate_size"] = required("feed_forward_length");
  if (isMixture)
    readExperts();
  bool isGemma = name == "gemma2" || name == "gemma3";
  if (isGemma)
    readGemma();
  if (isGemma || name == "gpt-oss")
    if (std::optional<int64_t> window = integer("attention.sliding_window"))
      config["sliding_window"] = *window;
  if (name == "llama") {
    config["rope_interleave"] = true;
    config["mlp_bias"] = layerHas(0, "ffn_gate.bias");
  }
  if (name != "qwen2")
    config["attention_bias"] = layerHas(0, "attn_q.bias");
  std::optional<bool> isCausal;
  fields.boolean(key("attention.causal"), isCausal);
  if (!isCausal.value_or(true))
    fields.wrong(key("attention.causal"), "true");
  if (llvm::Error error = readRope())
    return std::move(error);
  keepUnread();
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  return config.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::string ggufArchitecture(const GgufFile &file) {
  auto it = file.metadata().find("general.architecture");
  return it != file.metadata().end() && it->is_string() ? it->get<std::string>() : "";
}

llvm::Expected<std::string> ggufConfig(const GgufFile &file) { return Config(file).text(); }

llvm::Expected<std::string> ggufGeneration(const GgufFile &file) {
  JsonFields fields(file.metadata(), file.name().str());
  json config = json::object();
  std::set<int64_t> stops;
  auto id = [&](const char *name) {
    std::optional<int64_t> value;
    fields.integer(std::string("tokenizer.ggml.") + name + "_token_id", 0, kMost, value);
    return value;
  };
  for (const char *name : {"eos", "eot", "eom"})
    if (std::optional<int64_t> stop = id(name))
      stops.insert(*stop);
  if (const json *tokens = fields.find("tokenizer.ggml.tokens"); tokens && tokens->is_array()) {
    // By which Llama 3, Qwen, Gemma and GPT-OSS end answers, in their own generation_config.json.
    static const std::set<std::string> ends = {"<|end_of_text|>", "<|eom_id|>",    "<|eot_id|>",
                                               "<|im_end|>",      "<|endoftext|>", "<end_of_turn>",
                                               "<|return|>",      "<|call|>"};
    std::optional<int64_t> endOfMessage, endOfAnswer; // GPT-OSS's, whose answers are several
    for (size_t i = 0; i < tokens->size(); ++i) {
      if (!(*tokens)[i].is_string())
        continue;
      auto &text = (*tokens)[i].get_ref<const std::string &>();
      if (ends.count(text))
        stops.insert(int64_t(i));
      if (text == "<|end|>")
        endOfMessage = int64_t(i);
      if (text == "<|return|>")
        endOfAnswer = int64_t(i);
    }
    if (endOfMessage && endOfAnswer)
      stops.erase(*endOfMessage);
  }
  if (!stops.empty())
    config["eos_token_id"] = stops;
  if (std::optional<int64_t> begin = id("bos"))
    config["bos_token_id"] = *begin;
  if (std::optional<int64_t> padding = id("padding"))
    config["pad_token_id"] = *padding;
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  return config.dump();
}

} // namespace pianola
