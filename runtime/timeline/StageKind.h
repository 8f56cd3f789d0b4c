// StageKind.h - what steps of all layers have in common.
#ifndef PIANOLA_RUNTIME_TIMELINE_STAGEKIND_H
#define PIANOLA_RUNTIME_TIMELINE_STAGEKIND_H

#include <string>

namespace pianola {

/// "layers.3.self_attn.q_proj" is "self_attn.q_proj" in all layers.
inline std::string stageKind(const std::string &label) {
  if (label.rfind("layers.", 0) != 0)
    return label;
  size_t dot = label.find('.', 7);
  return dot == std::string::npos ? label : label.substr(dot + 1);
}

} // namespace pianola

#endif
