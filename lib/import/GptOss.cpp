// GptOss.cpp - GPT-OSS.
//
// Biases everywhere; a window on every other layer; sinks in the softmax of attention; yarn whose
// ramp is not cut to whole lanes; experts with a clamped gated unit. Their gate and up take turns
// in one matrix: of its rows where it is in MXFP4, of its columns in bf16, where inputs are rows.
// transformers: modeling_gpt_oss.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  JsonFields &fields = decoder.fields();
  // It says silu. What was trained on is said in rope_scaling, too, and K by its usual name.
  for (llvm::StringRef field : {"hidden_act", "initial_context_length"})
    fields.ignore(field);
  std::optional<double> limit;
  fields.number("swiglu_limit", 1e-3, 1e6, limit);
  decoder.setClampedSwiglu(limit.value_or(7));

  Mixture mixture;
  mixture.router = decoder.readRouter("num_local_experts", 128, 4);
  if (fields.integerOr("experts_per_token", 1, 4096, mixture.router.chosen) !=
      mixture.router.chosen)
    fields.wrong("experts_per_token", "num_experts_per_tok, " + llvm::Twine(mixture.router.chosen));
  mixture.router.normalised = true;
  mixture.router.bias = "mlp.router.bias";
  mixture.routerName = "mlp.router";
  mixture.size = config.intermediate;
  mixture.bias = true;
  int64_t experts = mixture.router.experts, size = mixture.size, hidden = config.hidden;
  bool areCodes = config.quantisation.has_value();
  mixture.stored = [=](const std::string &layer, int64_t expert, ExpertPart part) {
    bool isDown = part == ExpertPart::Down;
    StoredRows stored{layer + ".mlp.experts." + (isDown ? "down_proj" : "gate_up_proj"),
                      isDown ? hidden : 2 * size,
                      {}};
    for (int64_t row = 0; row < (isDown ? hidden : size); ++row)
      stored.rows.push_back(isDown ? row : 2 * row + (part == ExpertPart::Up));
    stored.transposed = !areCodes;
    stored.slice = expert;
    stored.slices = experts;
    stored.suffix = "";
    stored.biasSuffix = "_bias";
    return stored;
  };
  // GGUF files have matrices of their own.
  if (decoder.has("model.layers.0.mlp.experts.0.gate_proj.weight"))
    mixture.stored = separateExperts(config, size);

  LayerCard card;
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", true);
  card.sinks = true;
  card.mixture = mixture;
  std::optional<int64_t> window = slidingWindow(decoder, 128);
  std::vector<bool> slides = slidingLayers(decoder, [](int64_t layer) { return layer % 2 == 0; });
  DecoderDefaults defaults;
  defaults.activationField = "";
  defaults.ropeTheta = 150000;
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    card.attention.window = slides[size_t(layer)] ? window : std::nullopt;
    return card;
  });
}

const Family gptOss = {"GptOssForCausalLM", "gpt_oss", build};

} // namespace pianola
