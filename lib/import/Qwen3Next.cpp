// Qwen3Next.cpp - Qwen3-Next, and Qwen3.5 with its mixtures.
//
// Three layers of four remember a matrix in place of keys and values (see DeltaNet.h). The fourth
// attends as Qwen3 does, with rope on a quarter of a head's lanes and a gate on what was attended
// to. Norms multiply by 1 + w, but for that of the delta layers. Qwen3-Next is a mixture with one
// expert more for all tokens; Qwen3.5 has an MLP, or such a mixture on all layers, with all experts
// in one tensor. Its rope knows of images, for which pairs of lanes have positions of their own;
// text has one position for all. transformers: modeling_qwen3_next.py, modeling_qwen3_5.py,
// modeling_qwen3_5_moe.py.
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"
#include "lib/import/QwenMoe.h"

namespace pianola {

static void build(DecoderBuilder &decoder, DeltaNet net, const std::optional<Mixture> &mixture,
                  const std::vector<bool> &sparse) {
  JsonFields &fields = decoder.fields();
  // Tensors that predict further tokens.
  decoder.ignoreParts("mtp.");
  int64_t interval = fields.integerOr("full_attention_interval", 1, 4096, 4);
  std::vector<bool> remembers = layersOfType(
      decoder, "linear_attention", [&](int64_t layer) { return (layer + 1) % interval != 0; });
  if (!fields.flag("attn_output_gate", true))
    fields.wrong("attn_output_gate", "true");
  // The convolution has the MLP's activation, and the norm behind the rule is gated by silu.
  std::optional<std::string> activation;
  fields.string("hidden_act", activation);
  if (activation && *activation != "silu" && *activation != "swish")
    fields.wrong("hidden_act", "silu or swish");
  LayerCard card;
  card.queryKeyNorm = LayerCard::QueryKeyNorm::Heads;
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  card.gatedAttention = true;
  DecoderDefaults defaults;
  defaults.normsPlusOne = true;
  defaults.rotaryShare = 0.25;
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    card.delta.reset();
    if (remembers[size_t(layer)])
      card.delta = net;
    card.mixture.reset();
    if (sparse[size_t(layer)])
      card.mixture = mixture;
    return card;
  });
}

static void buildNext(DecoderBuilder &decoder) {
  Mixture mixture = qwenMixture(decoder, 512, 10, 512, /*normalised=*/true);
  readSharedExpert(decoder, mixture, 512);
  DeltaNet net = DeltaNet::read(decoder);
  net.byKeyHead = true;
  build(decoder, net, mixture, steppedLayers(decoder));
}

static void buildDense(DecoderBuilder &decoder) {
  build(decoder, DeltaNet::read(decoder), std::nullopt,
        std::vector<bool>(size_t(decoder.config().layers)));
}

static void buildMixture(DecoderBuilder &decoder) {
  Mixture mixture = qwenMixture(decoder, 256, 8, 512);
  mixture.router.normalised = true; // transformers knows no other
  readSharedExpert(decoder, mixture, 512);
  int64_t experts = mixture.router.experts, size = mixture.size, hidden = decoder.config().hidden;
  mixture.stored = [=](const std::string &layer, int64_t expert, ExpertPart part) {
    std::string all = layer + ".mlp.experts.";
    StoredRows stored = part == ExpertPart::Down
                            ? StoredRows::range(all + "down_proj", hidden, 0, hidden)
                            : StoredRows::range(all + "gate_up_proj", 2 * size,
                                                part == ExpertPart::Up ? size : 0, size);
    stored.slice = expert;
    stored.slices = experts;
    stored.suffix = "";
    return stored;
  };
  build(decoder, DeltaNet::read(decoder), mixture,
        std::vector<bool>(size_t(decoder.config().layers), true));
}

const Family qwen3Next = {"Qwen3NextForCausalLM", "qwen3_next", buildNext};
const Family qwen35 = {"Qwen3_5ForCausalLM", "qwen3_5", buildDense};
const Family qwen35Moe = {"Qwen3_5MoeForCausalLM", "qwen3_5_moe", buildMixture};

} // namespace pianola
