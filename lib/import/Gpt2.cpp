// Gpt2.cpp - GPT-2.
//
// Embeddings of tokens and of positions; layer norms before attention, MLP and head; an MLP without
// a gate; biases everywhere. Matrices are stored with inputs as rows (`Conv1D`), and query, key and
// value as columns of one. transformers: modeling_gpt2.py.
#include "lib/import/DecoderBuilder.h"
#include "lib/import/Family.h"

#include <cmath>

using mlir::Value;

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  JsonFields &fields = decoder.fields();
  decoder.setPrefix(decoder.has("transformer.wte.weight") ? "transformer." : "");
  for (llvm::StringRef mask : {"attn.bias", "attn.masked_bias"})
    decoder.ignoreBuffers(mask);
  decoder.setActivation("activation_function", "gelu_new");
  bool hasScale = fields.flag("scale_attn_weights", true);
  bool isByLayer = fields.flag("scale_attn_by_inverse_layer_idx", false);
  // Another order of the same operations; the length of what n_positions says.
  for (llvm::StringRef field : {"reorder_and_upcast_attn", "n_ctx"})
    fields.ignore(field);

  int64_t hidden = config.hidden;
  // `width` columns, from `first` on, of a matrix of `count`.
  auto columns = [&](Value input, const std::string &name, const std::string &matrix, int64_t count,
                     int64_t first, int64_t width) {
    StoredRows stored = StoredRows::range(matrix, count, first, width);
    stored.transposed = true;
    return decoder.linear(input, name, width, /*bias=*/true, &stored);
  };
  auto linear = [&](Value input, const std::string &name, int64_t out) {
    return columns(input, name, name, out, 0, out);
  };
  Value x = decoder.embed("wte", std::nullopt, "wpe");
  decoder.observe(x, "hidden.0");
  for (int64_t layer = 0; layer < config.layers && !decoder.failed(); ++layer) {
    std::string name = "h." + std::to_string(layer), self = name + ".attn", mlp = name + ".mlp";
    Value n = decoder.layerNorm(x, name + ".ln_1");
    auto part = [&](const char *called, int64_t number) {
      return columns(n, self + called, self + ".c_attn", 3 * hidden, number * hidden, hidden);
    };
    Value q = part(".q", 0), k = part(".k", 1), v = part(".v", 2);
    double scale = hasScale ? 1 / std::sqrt(double(config.headSize)) : 1;
    DecoderBuilder::Attention how;
    how.scale = isByLayer ? scale / double(layer + 1) : scale;
    Value mixed = decoder.attend(q, k, v, layer, how);
    x = decoder.add(x, linear(mixed, self + ".c_proj", hidden), self);

    n = decoder.layerNorm(x, name + ".ln_2");
    Value lifted = linear(n, mlp + ".c_fc", config.intermediate);
    lifted = decoder.activate(lifted, mlp + ".act");
    x = decoder.add(x, linear(lifted, mlp + ".c_proj", hidden), mlp);
    decoder.observe(x, "hidden." + llvm::Twine(layer + 1));
  }
  x = decoder.layerNorm(x, "ln_f");
  decoder.observe(x, "hidden.norm");
  decoder.head(x, "lm_head", "wte", config.tied.value_or(true));
}

const Family gpt2 = {"GPT2LMHeadModel", "gpt2", build};

} // namespace pianola
