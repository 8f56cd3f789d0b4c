// Glm4Moe.cpp - GLM-4.5, 4.6 and 4.7.
//
// Rope on the first half of a head's lanes, not in pairs as the dense GLM-4; norms of query and key
// heads in the larger ones. Experts are scored by sigmoids and chosen by these plus a correction,
// which does not count in their weights; one more is for all tokens. The first layers have an MLP.
// Layers behind the last one predict further tokens and are left out. transformers:
// modeling_glm4_moe.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  JsonFields &fields = decoder.fields();
  decoder.ignoreLayersBeyond(fields.integerOr("num_nextn_predict_layers", 0, 64, 0));
  Mixture mixture;
  mixture.router = decoder.readRouter("n_routed_experts", 128, 8);
  mixture.router.score = transformer::Score::Sigmoid;
  mixture.router.correction = "mlp.gate.e_score_correction_bias";
  mixture.router.normalised = fields.flag("norm_topk_prob", true);
  mixture.router.by = transformer::GroupScore::TopTwo;
  std::optional<double> scale;
  fields.number("routed_scaling_factor", 1e-6, 1e6, scale);
  mixture.router.scale = scale.value_or(1);
  mixture.size = fields.integerOr("moe_intermediate_size", 1, 1 << 22, 1408);
  mixture.stored = separateExperts(config, mixture.size);
  mixture.shared = "mlp.shared_experts";
  mixture.sharedSize = mixture.size * fields.integerOr("n_shared_experts", 1, 64, 1);
  int64_t dense = fields.integerOr("first_k_dense_replace", 0, 4096, 1);

  DecoderDefaults defaults;
  defaults.rotaryShare = 0.5;
  LayerCard card;
  card.queryKeyValueBias = fields.flag("attention_bias", false);
  if (fields.flag("use_qk_norm", false))
    card.queryKeyNorm = LayerCard::QueryKeyNorm::Heads;
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    card.mixture.reset();
    if (layer >= dense)
      card.mixture = mixture;
    return card;
  });
}

const Family glm4Moe = {"Glm4MoeForCausalLM", "glm4_moe", build};

} // namespace pianola
