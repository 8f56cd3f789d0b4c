// LayerTypes.h - which layers of a model are of which type, as config.json says it.
#ifndef PIANOLA_LIB_IMPORT_LAYERTYPES_H
#define PIANOLA_LIB_IMPORT_LAYERTYPES_H

#include "lib/import/DecoderBuilder.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace pianola {

/// For each layer, whether keys behind a window are out of its sight: where layer_types says
/// sliding_attention and not full_attention, and by `ifAbsent` where there is none.
std::vector<bool> slidingLayers(DecoderBuilder &decoder,
                                llvm::function_ref<bool(int64_t layer)> ifAbsent);

/// The same with another type than sliding_attention beside full_attention.
std::vector<bool> layersOfType(DecoderBuilder &decoder, llvm::StringRef type,
                               llvm::function_ref<bool(int64_t layer)> ifAbsent);

/// For each layer, whether it has experts: where mlp_layer_types says sparse and not dense.
std::vector<bool> sparseLayers(DecoderBuilder &decoder,
                               llvm::function_ref<bool(int64_t layer)> ifAbsent);

/// For each layer, whether it chooses positions: where indexer_types says full and not shared.
std::vector<bool> choosingLayers(DecoderBuilder &decoder,
                                 llvm::function_ref<bool(int64_t layer)> ifAbsent);

/// For each layer, an entry of `field` that is 1 and not 0, and `ifAbsent` where there is none.
std::vector<bool> layerFlags(DecoderBuilder &decoder, llvm::StringRef field,
                             llvm::function_ref<bool(int64_t layer)> ifAbsent);

/// sliding_window: how many keys a query of such layers sees, its own with them. `ifAbsent` is for
/// a config.json that does not speak of it; with null there is no window.
std::optional<int64_t> slidingWindow(DecoderBuilder &decoder,
                                     std::optional<int64_t> ifAbsent = std::nullopt);

/// The window of each layer of Qwen2 and Qwen3. Almost every release carries a sliding_window that
/// use_sliding_window switches off. Where it is on, layers from max_window_layers (28 if absent)
/// slide, unless layer_types says which.
std::vector<std::optional<int64_t>> qwenWindows(DecoderBuilder &decoder);

} // namespace pianola

#endif
