// TemplateVerb.cpp - pianola template: what a chat template makes of a conversation.
#include "runtime/JsonShape.h"
#include "runtime/template/Template.h"
#include "tools/pianola/ModelText.h"
#include "tools/pianola/Verbs.h"

#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::ordered_json;

namespace {

struct RenderOptions {
  std::string model, variables, now;
};

Result<ordered_json> readVariables(const std::string &path) {
  Result<std::string> text = readTextFile(path);
  if (!text)
    return text.status();
  if (jsonShape(*text).depth > 500)
    return Status::error(path + ": is nested too deeply");
  ordered_json variables = ordered_json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!variables.is_object())
    return Status::error(path + ": is not a JSON object");
  // As in transformers, who has messages has these, too.
  if (variables.contains("messages")) {
    for (const char *name : {"tools", "documents"})
      if (!variables.contains(name))
        variables[name] = nullptr;
    if (!variables.contains("add_generation_prompt"))
      variables["add_generation_prompt"] = false;
  }
  return variables;
}

Status renderTemplate(const RenderOptions &given) {
  Result<ChatConfig> config = openChatConfig(given.model);
  if (!config)
    return config.status();
  if (config->source.empty())
    return Status::error(given.model + ": has no chat template");
  Result<ordered_json> variables = readVariables(given.variables);
  if (!variables)
    return variables.status();
  TemplateOptions options;
  options.now = localTimeNow();
  if (!given.now.empty()) {
    Result<std::tm> now = parseTime(given.now);
    if (!now)
      return Status::error("--now: " + now.message());
    options.now = *now;
  }
  for (const auto &[name, text] : config->tokens)
    if (!variables->contains(name))
      (*variables)[name] = text;
  Result<ChatTemplate> parsed = ChatTemplate::parse(config->source);
  Result<std::string> text = parsed ? parsed->renderText(*variables, options) : parsed.status();
  if (!text)
    return Status::error(given.model + ": " + text.message());
  std::fwrite(text->data(), 1, text->size(), stdout);
  return Status();
}

} // namespace

void addTemplateVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<RenderOptions>();
  CLI::App *verb = app.add_subcommand("template", "Print what a chat template makes of a case");
  verb->add_option("model", options->model, "A model directory, a template, or a roll")->required();
  verb->add_option("case", options->variables,
                   "A JSON file: messages, tools, add_generation_prompt, and other variables")
      ->required();
  verb->add_option("--now", options->now, "The time for strftime_now: 2026-03-05 07:08:09");
  verb->callback([=, &exitCode] {
    if (Status status = renderTemplate(*options); !status.ok())
      exitCode = fail(status.message());
  });
}

} // namespace pianola
