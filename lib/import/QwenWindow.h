// QwenWindow.h - which layers of Qwen2 and Qwen3 see a window.
#ifndef PIANOLA_LIB_IMPORT_QWENWINDOW_H
#define PIANOLA_LIB_IMPORT_QWENWINDOW_H

#include "lib/checkpoint/ModelConfig.h"

namespace pianola {

/// Almost every release carries a sliding_window that use_sliding_window switches off. Where it is
/// on, layers from max_window_layers (28 if absent) slide, unless layer_types says which.
inline std::optional<int64_t> qwenWindow(const ModelConfig &config, int64_t layer) {
  if (!config.useSlidingWindow.value_or(false))
    return std::nullopt;
  bool slides = config.slidingLayers ? bool((*config.slidingLayers)[size_t(layer)])
                                     : layer >= config.maxWindowLayers.value_or(28);
  return slides ? config.slidingWindow : std::nullopt;
}

} // namespace pianola

#endif
