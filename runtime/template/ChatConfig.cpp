// ChatConfig.cpp - what a model directory says about conversations.
#include "runtime/template/ChatConfig.h"

#include "runtime/JsonShape.h"

#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::json;

// One template, or a list of {"name": ..., "template": ...}.
static Result<std::string> templateOf(const json &value) {
  if (value.is_null())
    return std::string();
  if (value.is_string())
    return value.get<std::string>();
  if (!value.is_array())
    return Status::error("chat_template: expected a text or a list of named texts");
  std::string names;
  for (const json &entry : value) {
    if (!entry.is_object() || !entry.value("name", json()).is_string() ||
        !entry.value("template", json()).is_string())
      return Status::error("chat_template: expected {\"name\": ..., \"template\": ...}");
    if (entry["name"] == "default")
      return entry["template"].get<std::string>();
    names += (names.empty() ? "" : ", ") + entry["name"].get<std::string>();
  }
  return Status::error(
      "chat_template: none of the templates is named \"default\" (found: " + names + ")");
}

Result<ChatConfig> ChatConfig::read(std::string_view tokenizerConfig, std::string chatTemplate) {
  ChatConfig config;
  config.source = std::move(chatTemplate);
  if (tokenizerConfig.empty())
    return config;
  const std::string file = "tokenizer_config.json: ";
  if (jsonShape(tokenizerConfig).depth > 64)
    return Status::error(file + "is nested too deeply");
  json root = json::parse(tokenizerConfig.begin(), tokenizerConfig.end(), nullptr,
                          /*allow_exceptions=*/false);
  if (!root.is_object())
    return Status::error(file + "is not a JSON object");
  if (config.source.empty()) {
    Result<std::string> source = templateOf(root.value("chat_template", json()));
    if (!source)
      return Status::error(file + source.message());
    config.source = std::move(*source);
  }
  const std::string suffix = "_token";
  for (const auto &[name, value] : root.items()) {
    bool isToken = name.size() > suffix.size() &&
                   name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
    const json &text = value.is_object() && value.contains("content") ? value["content"] : value;
    if (isToken && text.is_string())
      config.tokens.emplace_back(name, text.get<std::string>());
  }
  return config;
}

} // namespace pianola
