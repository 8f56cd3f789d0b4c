// LayerTypes.cpp - which layers of a model are of which type, as config.json says it.
#include "lib/import/LayerTypes.h"

using nlohmann::json;

namespace pianola {

static std::vector<bool> perLayer(DecoderBuilder &decoder, llvm::StringRef field, const json &no,
                                  const json &yes, llvm::function_ref<bool(int64_t)> ifAbsent) {
  JsonFields &fields = decoder.fields();
  size_t count = size_t(decoder.config().layers);
  std::vector<bool> flags(count);
  const json *entries = fields.find(field);
  if (entries && (!entries->is_array() || entries->size() != count)) {
    fields.wrong(field, "an array of " + llvm::Twine(count) + ", one per layer");
    return flags;
  }
  auto show = [](const json &value) {
    return value.is_string() ? value.get<std::string>() : showJson(value);
  };
  for (size_t layer = 0; layer < count; ++layer) {
    if (!entries) {
      flags[layer] = ifAbsent(int64_t(layer));
      continue;
    }
    const json &entry = (*entries)[layer];
    if (entry != no && entry != yes)
      fields.fail(field, "layer " + llvm::Twine(layer) + ": expected " + show(no) + " or " +
                             show(yes) + ", found " + showJson(entry));
    flags[layer] = entry == yes;
  }
  return flags;
}

std::vector<bool> slidingLayers(DecoderBuilder &decoder,
                                llvm::function_ref<bool(int64_t)> ifAbsent) {
  return perLayer(decoder, "layer_types", "full_attention", "sliding_attention", ifAbsent);
}

std::vector<bool> layersOfType(DecoderBuilder &decoder, llvm::StringRef type,
                               llvm::function_ref<bool(int64_t)> ifAbsent) {
  return perLayer(decoder, "layer_types", "full_attention", type.str(), ifAbsent);
}

std::vector<bool> sparseLayers(DecoderBuilder &decoder,
                               llvm::function_ref<bool(int64_t)> ifAbsent) {
  return perLayer(decoder, "mlp_layer_types", "dense", "sparse", ifAbsent);
}

std::vector<bool> choosingLayers(DecoderBuilder &decoder,
                                 llvm::function_ref<bool(int64_t)> ifAbsent) {
  return perLayer(decoder, "indexer_types", "shared", "full", ifAbsent);
}

std::vector<bool> layerFlags(DecoderBuilder &decoder, llvm::StringRef field,
                             llvm::function_ref<bool(int64_t)> ifAbsent) {
  return perLayer(decoder, field, 0, 1, ifAbsent);
}

std::optional<int64_t> slidingWindow(DecoderBuilder &decoder, std::optional<int64_t> ifAbsent) {
  JsonFields &fields = decoder.fields();
  std::optional<int64_t> window;
  fields.integer("sliding_window", 1, 1 << 30, window);
  return fields.contains("sliding_window") ? window : ifAbsent;
}

std::vector<std::optional<int64_t>> qwenWindows(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  std::optional<int64_t> first;
  fields.integer("max_window_layers", 0, 1 << 20, first);
  std::optional<int64_t> window = slidingWindow(decoder);
  bool isOn = fields.flag("use_sliding_window", false);
  std::vector<bool> slides =
      slidingLayers(decoder, [&](int64_t layer) { return layer >= first.value_or(28); });
  std::vector<std::optional<int64_t>> windows;
  for (bool slide : slides)
    windows.push_back(isOn && slide ? window : std::nullopt);
  return windows;
}

} // namespace pianola
