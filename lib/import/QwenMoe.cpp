// QwenMoe.cpp - Qwen1.5-MoE and Qwen2-MoE, and Qwen3-MoE.
//
// Qwen2 and Qwen3 with experts on the layers that decoder_sparse_step and mlp_only_layers leave for
// them. Weights are of the softmax over all experts, made to sum to one if norm_topk_prob says so.
// Qwen2-MoE has one expert more for all tokens, times a gate of its own. transformers:
// modeling_qwen2_moe.py, modeling_qwen3_moe.py.
#include "lib/import/QwenMoe.h"

#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

std::vector<bool> steppedLayers(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  int64_t layers = decoder.config().layers;
  std::optional<int64_t> step;
  fields.integer("decoder_sparse_step", 1, 4096, step);
  std::vector<bool> sparse;
  for (int64_t layer = 0; layer < layers; ++layer)
    sparse.push_back((layer + 1) % step.value_or(1) == 0);
  for (int64_t layer : fields.integers("mlp_only_layers", 0, layers - 1))
    sparse[size_t(layer)] = false;
  return sparse;
}

Mixture qwenMixture(DecoderBuilder &decoder, int64_t experts, int64_t chosen, int64_t size,
                    bool normalised) {
  JsonFields &fields = decoder.fields();
  Mixture mixture;
  mixture.router = decoder.readRouter("num_experts", experts, chosen);
  mixture.router.normalised = fields.flag("norm_topk_prob", normalised);
  mixture.size = fields.integerOr("moe_intermediate_size", 1, 1 << 22, size);
  mixture.stored = separateExperts(decoder.config(), mixture.size);
  return mixture;
}

void readSharedExpert(DecoderBuilder &decoder, Mixture &mixture, int64_t size) {
  mixture.shared = "mlp.shared_expert";
  mixture.sharedGate = "mlp.shared_expert_gate";
  mixture.sharedSize =
      decoder.fields().integerOr("shared_expert_intermediate_size", 1, 1 << 22, size);
}

static void build(DecoderBuilder &decoder, LayerCard card, const Mixture &mixture,
                  const std::vector<bool> &slides) {
  std::vector<bool> sparse = steppedLayers(decoder);
  std::optional<int64_t> window = slidingWindow(decoder);
  if (!decoder.fields().flag("use_sliding_window", false))
    window.reset();
  buildDecoder(decoder, {}, [&](int64_t layer) {
    card.attention.window = slides[size_t(layer)] ? window : std::nullopt;
    card.mixture.reset();
    if (sparse[size_t(layer)])
      card.mixture = mixture;
    return card;
  });
}

static void buildQwen2(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Mixture mixture = qwenMixture(decoder, 60, 4, 1408);
  readSharedExpert(decoder, mixture, 5632);
  LayerCard card;
  card.queryKeyValueBias = fields.flag("qkv_bias", true);
  // The other way round than Qwen2, and only every other layer.
  int64_t end = fields.integerOr("max_window_layers", 0, 1 << 20, 28);
  build(decoder, card, mixture,
        slidingLayers(decoder, [&](int64_t layer) { return layer < end && layer % 2 == 0; }));
}

static void buildQwen3(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  LayerCard card;
  card.queryKeyNorm = LayerCard::QueryKeyNorm::Heads;
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  fields.ignore("max_window_layers"); // a window, if it is on, is on all
  build(decoder, card, qwenMixture(decoder, 128, 8, 768),
        std::vector<bool>(size_t(decoder.config().layers), true));
}

const Family qwen2Moe = {"Qwen2MoeForCausalLM", "qwen2_moe", buildQwen2};
const Family qwen3Moe = {"Qwen3MoeForCausalLM", "qwen3_moe", buildQwen3};

} // namespace pianola
