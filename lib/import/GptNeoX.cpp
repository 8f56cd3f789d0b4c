// GptNeoX.cpp - GPT-NeoX 20B and Pythia.
//
// Layer norms; attention and MLP that read the same x, each through a norm of its own, and are
// added to it together, unless use_parallel_residual says that the MLP comes after; rope on a
// quarter of a head's lanes; an MLP without a gate. One matrix has for each head query, key and
// value. transformers: modeling_gpt_neox.py.
#include "lib/import/DecoderBuilder.h"
#include "lib/import/Family.h"

using mlir::Value;

namespace pianola {

// Query (0), key (1) or value (2) of each head.
static StoredRows partOfHeads(const std::string &name, const ModelConfig &config, int64_t part) {
  int64_t size = config.headSize;
  StoredRows stored{name, 3 * config.heads * size, {}};
  for (int64_t head = 0; head < config.heads; ++head)
    for (int64_t lane = 0; lane < size; ++lane)
      stored.rows.push_back((3 * head + part) * size + lane);
  return stored;
}

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  JsonFields &fields = decoder.fields();
  decoder.setPrefix("gpt_neox.");
  for (llvm::StringRef mask : {"attention.bias", "attention.masked_bias"})
    decoder.ignoreBuffers(mask);
  decoder.setActivation("hidden_act", "gelu");
  bool isParallel = fields.flag("use_parallel_residual", true);
  bool hasBias = fields.flag("attention_bias", true);
  if (config.kvHeads != config.heads)
    fields.wrong("num_key_value_heads", "num_attention_heads for " + config.architecture);
  decoder.ropeTable("rope", config.ropeTheta.value_or(10000), config.rotaryLanes(0.25),
                    config.rope);

  Value x = decoder.embed("embed_in");
  decoder.observe(x, "hidden.0");
  for (int64_t layer = 0; layer < config.layers && !decoder.failed(); ++layer) {
    std::string name = "layers." + std::to_string(layer), self = name + ".attention.";
    Value n = decoder.layerNorm(x, name + ".input_layernorm");
    auto part = [&](const char *called, int64_t number) {
      StoredRows stored = partOfHeads(self + "query_key_value", config, number);
      return decoder.linear(n, self + called, config.heads * config.headSize, hasBias, &stored);
    };
    Value q = part("q", 0), k = part("k", 1), v = part("v", 2);
    q = decoder.rope(q, self + "q_rope", config.heads, "rope");
    k = decoder.rope(k, self + "k_rope", config.heads, "rope");
    Value mixed = decoder.attend(q, k, v, layer);
    Value change = decoder.linear(mixed, self + "dense", config.hidden, hasBias);
    Value after = decoder.add(x, change, name + ".attention");

    n = decoder.layerNorm(isParallel ? x : after, name + ".post_attention_layernorm");
    Value lifted = decoder.linear(n, name + ".mlp.dense_h_to_4h", config.intermediate, true);
    lifted = decoder.activate(lifted, name + ".mlp.act");
    change = decoder.linear(lifted, name + ".mlp.dense_4h_to_h", config.hidden, true);
    x = decoder.add(after, change, name + ".mlp");
    decoder.observe(x, "hidden." + llvm::Twine(layer + 1));
  }
  x = decoder.layerNorm(x, "final_layer_norm");
  decoder.observe(x, "hidden.norm");
  decoder.head(x, "embed_out", "embed_in", config.tied.value_or(false));
}

const Family gptNeoX = {"GPTNeoXForCausalLM", "gpt_neox", build};

} // namespace pianola
