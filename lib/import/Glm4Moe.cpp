// Glm4Moe.cpp - GLM-4.5, 4.6 and 4.7, and GLM-4.7-Flash.
//
// Rope on the first half of a head's lanes, not in pairs as the dense GLM-4; norms of query and key
// heads in the larger ones. Experts are scored by sigmoids and chosen by these plus a correction,
// which does not count in their weights; one more is for all tokens. The first layers have an MLP.
// Layers behind the last one predict further tokens and are left out. Flash has latent attention,
// as DeepSeek-V3. transformers: modeling_glm4_moe.py, modeling_glm4_moe_lite.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static Mixture readExperts(DecoderBuilder &decoder, int64_t experts, int64_t chosen, int64_t size) {
  JsonFields &fields = decoder.fields();
  decoder.ignoreLayersBeyond(fields.integerOr("num_nextn_predict_layers", 0, 64, 0));
  Mixture mixture;
  mixture.router = decoder.readRouter("n_routed_experts", experts, chosen);
  mixture.router.score = transformer::Score::Sigmoid;
  mixture.router.correction = "mlp.gate.e_score_correction_bias";
  mixture.router.normalised = fields.flag("norm_topk_prob", true);
  mixture.router.by = transformer::GroupScore::TopTwo;
  std::optional<double> scale;
  fields.number("routed_scaling_factor", 1e-6, 1e6, scale);
  mixture.router.scale = scale.value_or(1);
  mixture.size = fields.integerOr("moe_intermediate_size", 1, 1 << 22, size);
  mixture.stored = separateExperts(decoder.config(), mixture.size);
  mixture.shared = "mlp.shared_experts";
  mixture.sharedSize = mixture.size * fields.integerOr("n_shared_experts", 1, 64, 1);
  return mixture;
}

static void build(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = readExperts(decoder, 128, 8, 1408);
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

// transformers takes which layers have experts from mlp_layer_types, and says no more of it where
// that is absent: all but the first.
static void buildLite(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = readExperts(decoder, 64, 4, 1536);
  if (fields.integerOr("first_k_dense_replace", 0, 4096, 1) != 1)
    fields.wrong("first_k_dense_replace", "1");
  std::optional<std::string> method;
  fields.string("topk_method", method);
  if (method && *method != "noaux_tc")
    fields.wrong("topk_method", "\"noaux_tc\"");
  std::vector<bool> sparse = sparseLayers(decoder, [](int64_t layer) { return layer > 0; });
  LayerCard card;
  card.latent = Latent::read(decoder);
  card.pairedLanes = fields.flag("rope_interleave", true);
  buildDecoder(decoder, {}, [&](int64_t layer) {
    card.mixture.reset();
    if (sparse[size_t(layer)])
      card.mixture = mixture;
    return card;
  });
}

const Family glm4Moe = {"Glm4MoeForCausalLM", "glm4_moe", build};
const Family glm4MoeLite = {"Glm4MoeLiteForCausalLM", "glm4_moe_lite", buildLite};

} // namespace pianola
