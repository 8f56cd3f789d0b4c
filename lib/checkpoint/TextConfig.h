// TextConfig.h - the text model's fields, in the config of a model for text and images.
#ifndef PIANOLA_LIB_CHECKPOINT_TEXTCONFIG_H
#define PIANOLA_LIB_CHECKPOINT_TEXTCONFIG_H

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace pianola {

/// The architectures that have their text model in text_config, sorted.
std::vector<std::string> nestingArchitectures();

/// Makes of such a config that of the text model alone, as it would be published by itself: what
/// text_config leaves out is filled in as its class does. Whether it was one.
bool takeTextConfig(nlohmann::json &config);

} // namespace pianola

#endif
