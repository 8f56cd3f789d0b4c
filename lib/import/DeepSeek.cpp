// DeepSeek.cpp - DeepSeek-V2 (and its Lite), V3 and R1, V3.2, and GLM-5.
//
// Latent attention (see Decoder.h), whose rope pairs neighbouring lanes. V2 scores experts by
// softmax, and takes them, in the large model, from the groups with the best of them; their weights
// are not normalised. V3 scores by sigmoids and chooses by these plus a correction; a group's score
// is the sum of its two best. The first layers have an MLP. Layers behind the last one predict
// further tokens and are left out. V3.2 and GLM-5 attend to those positions alone that an index
// chooses; in GLM-5.2 not all layers choose. transformers: modeling_deepseek_v2.py,
// modeling_deepseek_v3.py, modeling_deepseek_v32.py, modeling_glm_moe_dsa.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

// What both versions have in common, but for how experts are chosen.
static Mixture readExperts(DecoderBuilder &decoder, int64_t experts, int64_t chosen, int64_t size) {
  JsonFields &fields = decoder.fields();
  Mixture mixture;
  mixture.router = decoder.readRouter("n_routed_experts", experts, chosen);
  std::optional<double> scale;
  fields.number("routed_scaling_factor", 1e-6, 1e6, scale);
  mixture.router.scale = scale.value_or(1);
  mixture.size = fields.integerOr("moe_intermediate_size", 1, 1 << 22, size);
  mixture.stored = separateExperts(decoder.config(), mixture.size);
  // Null says that there are none.
  int64_t ifAbsent = fields.contains("n_shared_experts") ? 0 : 1;
  if (int64_t shared = fields.integerOr("n_shared_experts", 0, 64, ifAbsent)) {
    mixture.shared = "mlp.shared_experts";
    mixture.sharedSize = mixture.size * shared;
  }
  if (fields.integerOr("moe_layer_freq", 1, 4096, 1) != 1)
    fields.wrong("moe_layer_freq", "1");
  return mixture;
}

static void expectString(JsonFields &fields, const char *field, const char *only) {
  std::optional<std::string> found;
  fields.string(field, found);
  if (found && *found != only)
    fields.wrong(field, std::string("\"") + only + "\"");
}

static void buildLayers(DecoderBuilder &decoder, const Mixture &mixture, const Latent &latent,
                        bool pairedLanes, llvm::function_ref<bool(int64_t layer)> isSparse) {
  LayerCard card;
  card.latent = latent;
  card.pairedLanes = pairedLanes;
  buildDecoder(decoder, {}, [&](int64_t layer) {
    card.mixture.reset();
    if (isSparse(layer))
      card.mixture = mixture;
    return card;
  });
}

static void buildV2(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = readExperts(decoder, 64, 6, 1407);
  std::optional<std::string> method;
  fields.string("topk_method", method);
  if (method.value_or("greedy") == "greedy")
    mixture.router.groups = 0;
  else if (*method != "group_limited_greedy")
    fields.wrong("topk_method", "\"greedy\" or \"group_limited_greedy\"");
  expectString(fields, "scoring_func", "softmax");
  fields.ignore("norm_topk_prob"); // transformers never looks at it
  int64_t dense = fields.integerOr("first_k_dense_replace", 0, 4096, 0);
  buildLayers(decoder, mixture, Latent::read(decoder), true,
              [&](int64_t layer) { return layer >= dense; });
}

static Mixture readScoredBySigmoids(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  decoder.ignoreLayersBeyond(fields.integerOr("num_nextn_predict_layers", 0, 64, 0));
  Mixture mixture = readExperts(decoder, 256, 8, 2048);
  mixture.router.score = transformer::Score::Sigmoid;
  mixture.router.correction = "mlp.gate.e_score_correction_bias";
  mixture.router.normalised = fields.flag("norm_topk_prob", true);
  mixture.router.by = transformer::GroupScore::TopTwo;
  expectString(fields, "scoring_func", "sigmoid");
  expectString(fields, "topk_method", "noaux_tc");
  return mixture;
}

static void buildV3(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = readScoredBySigmoids(decoder);
  int64_t dense = fields.integerOr("first_k_dense_replace", 0, 4096, 3);
  buildLayers(decoder, mixture, Latent::read(decoder), fields.flag("rope_interleave", true),
              [&](int64_t layer) { return layer >= dense; });
}

static void buildV32(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = readScoredBySigmoids(decoder);
  int64_t dense = fields.integerOr("first_k_dense_replace", 0, 4096, 3);
  Latent latent = Latent::read(decoder);
  latent.readIndex(decoder);
  latent.chooses = [](int64_t) { return true; };
  buildLayers(decoder, mixture, latent, fields.flag("rope_interleave", true),
              [&](int64_t layer) { return layer >= dense; });
}

static void buildGlm5(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = readScoredBySigmoids(decoder);
  int64_t dense = fields.integerOr("first_k_dense_replace", 0, 4096, 3);
  std::vector<bool> sparse = sparseLayers(decoder, [&](int64_t layer) { return layer >= dense; });
  Latent latent = Latent::read(decoder);
  latent.readIndex(decoder);
  latent.pairedIndex = fields.flag("indexer_rope_interleave", true);
  if (const nlohmann::json *pattern = fields.find("index_topk_pattern");
      pattern && !pattern->is_null())
    fields.wrong("index_topk_pattern", "null; indexer_types says the same");
  int64_t every = fields.integerOr("index_topk_freq", 1, 4096, 1);
  int64_t offset = fields.integerOr("index_skip_topk_offset", 0, 4096, 2);
  std::vector<bool> chooses = choosingLayers(decoder, [&](int64_t layer) {
    return std::max<int64_t>(layer - offset + 1, 0) % every == 0;
  });
  if (!chooses.front())
    fields.wrong("indexer_types", "the first layer to choose");
  latent.chooses = [&](int64_t layer) { return chooses[size_t(layer)]; };
  buildLayers(decoder, mixture, latent, fields.flag("rope_interleave", true),
              [&](int64_t layer) { return sparse[size_t(layer)]; });
}

const Family deepSeekV2 = {"DeepseekV2ForCausalLM", "deepseek_v2", buildV2};
const Family deepSeekV3 = {"DeepseekV3ForCausalLM", "deepseek_v3", buildV3};
const Family deepSeekV32 = {"DeepseekV32ForCausalLM", "deepseek_v32", buildV32};
const Family glm5 = {"GlmMoeDsaForCausalLM", "glm_moe_dsa", buildGlm5};

} // namespace pianola
