// ChatConfig.h - what a model directory says about conversations.
#ifndef PIANOLA_RUNTIME_TEMPLATE_CHATCONFIG_H
#define PIANOLA_RUNTIME_TEMPLATE_CHATCONFIG_H

#include "runtime/Status.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pianola {

struct ChatConfig {
  /// The template's source; empty if there is none.
  std::string source;
  /// bos_token, eos_token and the like, and their texts: variables of the template.
  std::vector<std::pair<std::string, std::string>> tokens;

  /// Of tokenizer_config.json and of chat_template.jinja, whose template counts if both have one;
  /// either may be empty. Of several templates by name the one named "default" counts.
  static Result<ChatConfig> read(std::string_view tokenizerConfig, std::string chatTemplate);
};

} // namespace pianola

#endif
