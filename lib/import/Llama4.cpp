// Llama4.cpp - the text model of Llama 4.
//
// Of four layers three turn queries and keys, in pairs of lanes, norm them without weights, and
// attend to the keys of their own chunk of positions alone; the fourth has no rope and sees all,
// with queries that grow with their position. Experts, on every so many-th layer, get their input
// times the sigmoid of the router's logit; one more is for all tokens. transformers:
// modeling_llama4.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static Mixture mixtureOf(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  Mixture mixture;
  mixture.router = decoder.readRouter("num_local_experts", 16, 1);
  mixture.router.score = transformer::Score::Sigmoid;
  mixture.routerName = "feed_forward.router";
  mixture.size = config.intermediate;
  mixture.weighsInput = true;
  mixture.shared = "feed_forward.shared_expert";
  mixture.sharedSize = mixture.size;
  int64_t experts = mixture.router.experts, size = mixture.size, hidden = config.hidden;
  mixture.stored = [=](const std::string &layer, int64_t expert, ExpertPart part) {
    bool isDown = part == ExpertPart::Down;
    std::string name = layer + ".feed_forward.experts." + (isDown ? "down_proj" : "gate_up_proj");
    StoredRows stored =
        isDown ? StoredRows::range(name, hidden, 0, hidden)
               : StoredRows::range(name, 2 * size, part == ExpertPart::Up ? size : 0, size);
    stored.transposed = true;
    stored.slice = expert;
    stored.slices = experts;
    stored.suffix = "";
    return stored;
  };
  return mixture;
}

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  JsonFields &fields = decoder.fields();
  Mixture mixture = mixtureOf(decoder);
  int64_t step = fields.integerOr("interleave_moe_layer_step", 1, 4096, 1);
  std::vector<bool> sparse;
  for (int64_t layer = 0; layer < config.layers; ++layer)
    sparse.push_back((layer + 1) % step == 0);
  if (fields.find("moe_layers")) {
    sparse.assign(sparse.size(), false);
    for (int64_t layer : fields.integers("moe_layers", 0, config.layers - 1))
      sparse[size_t(layer)] = true;
  }
  int64_t interval = fields.integerOr("no_rope_layer_interval", 1, 4096, 4);
  std::vector<bool> turns = layerFlags(decoder, "no_rope_layers",
                                       [&](int64_t layer) { return (layer + 1) % interval != 0; });
  std::vector<bool> chunked = layersOfType(
      decoder, "chunked_attention", [&](int64_t layer) { return bool(turns[size_t(layer)]); });
  std::optional<int64_t> chunk;
  fields.integer("attention_chunk_size", 1, 1 << 30, chunk);
  if (!fields.contains("attention_chunk_size"))
    chunk = 8192;

  LayerCard card;
  card.mlp = "feed_forward";
  card.mlpSize = fields.integerOr("intermediate_size_mlp", 1, 1 << 22, 16384);
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  card.pairedLanes = true;
  bool hasNorm = fields.flag("use_qk_norm", true);
  // Of the layers without rope: a table that does not turn.
  std::string still;
  const nlohmann::json *tuning = fields.find("attn_temperature_tuning");
  if (!tuning || *tuning == true || (tuning->is_number() && *tuning != 0)) {
    std::optional<double> growth;
    fields.number("attn_scale", 0, 1e3, growth);
    double period = 8192;
    if (fields.find("floor_scale"))
      fields.number("floor_scale", 1, 1 << 30, period);
    still = "rope.none";
    decoder.stillTable(still, config.headSize,
                       DecoderBuilder::Growth{growth.value_or(0.1), int64_t(period), 1});
  }
  DecoderDefaults defaults;
  defaults.ropeTheta = 500000;
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    auto at = size_t(layer);
    card.queryRope = turns[at] ? "rope" : still;
    card.keyRope = turns[at] ? "rope" : "";
    card.queryKeyNorm =
        turns[at] && hasNorm ? LayerCard::QueryKeyNorm::Turned : LayerCard::QueryKeyNorm::None;
    card.attention.chunk = chunked[at] ? chunk : std::nullopt;
    card.mixture.reset();
    if (sparse[at])
      card.mixture = mixture;
    return card;
  });
}

const Family llama4 = {"Llama4ForCausalLM", "llama4", build};

} // namespace pianola
