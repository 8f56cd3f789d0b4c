// Granite.cpp - Granite 3, dense and as a mixture of experts.
//
// Llama with four factors: on the embedding, on what attention and MLP add to x, on the scores of
// attention (in place of one over the root of head_dim), and under the logits, which are divided.
// Each is 1 if config.json is silent. Experts are chosen and weighted as Mixtral's; those of a
// layer stand in two tensors, gate above up in one. transformers: modeling_granite.py,
// modeling_granitemoe.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"

namespace pianola {

static LayerCard cardOf(JsonFields &fields) {
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  card.attention.scale = 1;
  fields.number("attention_multiplier", -1e6, 1e6, card.attention.scale);
  fields.number("residual_multiplier", -1e6, 1e6, card.residualScale);
  return card;
}

static DecoderDefaults defaultsOf(JsonFields &fields) {
  DecoderDefaults defaults;
  fields.number("embedding_multiplier", -1e6, 1e6, defaults.embeddingScale);
  std::optional<double> divisor;
  fields.number("logits_scaling", 1e-6, 1e6, divisor);
  if (divisor)
    defaults.logitsScale = 1 / *divisor;
  return defaults;
}

static void buildDense(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  LayerCard card = cardOf(fields);
  card.mlpBias = fields.flag("mlp_bias", false);
  buildDecoder(decoder, defaultsOf(fields), [&](int64_t) { return card; });
}

static void buildMoe(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  JsonFields &fields = decoder.fields();
  Mixture mixture;
  mixture.router = decoder.readRouter("num_local_experts", 8, 2);
  mixture.router.normalised = true;
  mixture.routerName = "block_sparse_moe.router.layer";
  mixture.size = config.intermediate;
  int64_t experts = mixture.router.experts, size = mixture.size, hidden = config.hidden;
  mixture.stored = [=](const std::string &layer, int64_t expert, ExpertPart part) {
    std::string self = layer + ".block_sparse_moe.";
    StoredRows stored = part == ExpertPart::Down
                            ? StoredRows::range(self + "output_linear", hidden, 0, hidden)
                            : StoredRows::range(self + "input_linear", 2 * size,
                                                part == ExpertPart::Up ? size : 0, size);
    stored.slice = expert;
    stored.slices = experts;
    return stored;
  };
  LayerCard card = cardOf(fields);
  card.mlp = "block_sparse_moe";
  card.mixture = mixture;
  buildDecoder(decoder, defaultsOf(fields), [&](int64_t) { return card; });
}

const Family granite = {"GraniteForCausalLM", "granite", buildDense};
const Family graniteMoe = {"GraniteMoeForCausalLM", "granitemoe", buildMoe};

} // namespace pianola
