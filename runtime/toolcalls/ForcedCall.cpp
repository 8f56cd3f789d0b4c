// ForcedCall.cpp - an answer that must be a call: how it begins, and a grammar for the rest.
#include "runtime/toolcalls/ForcedCall.h"

#include "runtime/grammar/JsonForms.h"
#include "runtime/grammar/Schema.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/toolcalls/CallReader.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace pianola {

using grammar::choiceOf;
using grammar::Expression;
using grammar::sequenceOf;
using grammar::textOf;
using nlohmann::ordered_json;

/// So that nobody calls for ever.
static constexpr uint32_t kMostCalls = 64;

namespace {

struct ForcedTool {
  std::string name;
  Expression arguments;
};

} // namespace

static Result<Expression> argumentsOf(grammar::Rules &rules, const ordered_json &function,
                                      const std::string &where) {
  auto place = function.find("parameters");
  if (place == function.end() || place->is_null())
    return textOf("{}");
  if (!place->is_object())
    return Status::error(where + ": expected a JSON Schema, an object");
  ordered_json schema = *place;
  // Arguments are an object, whatever else a schema allows.
  bool isCombined = false;
  for (const char *keyword : {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"})
    isCombined |= schema.contains(keyword);
  if (auto type = schema.find("type"); type != schema.end()) {
    if (*type != "object" &&
        !(type->is_array() && std::find(type->begin(), type->end(), "object") != type->end()))
      return Status::error(where + "/type: arguments are an object");
    *type = "object";
  } else if (!isCombined) {
    schema["type"] = "object";
  }
  Result<Expression> arguments = grammar::addSchema(rules, schema);
  if (!arguments)
    return Status::error(where + ": " + arguments.message());
  return arguments;
}

static Result<std::vector<ForcedTool>> toolsOf(grammar::Rules &rules, const ordered_json &tools,
                                               const std::optional<std::string> &wanted) {
  std::vector<ForcedTool> found;
  for (size_t i = 0; tools.is_array() && i < tools.size(); ++i) {
    std::string where = "tools[" + std::to_string(i) + "].function";
    const ordered_json *function = functionOf(tools[i]);
    if (!function)
      return Status::error(where + ": expected an object with a name");
    auto name = (*function)["name"].get<std::string>();
    // What the parser reads back, and JSON writes as it is.
    bool isPlain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return c > ' ' && !std::strchr("[]<>{}\"\\", c);
    });
    if (name.empty() || name.size() > kLongestName || !isPlain)
      return Status::error(where + ".name: expected 1 to " + std::to_string(kLongestName) +
                           " bytes without white space, quotation marks, brackets, "
                           "backslashes and control characters");
    if (wanted && *wanted != name)
      continue;
    Result<Expression> arguments = argumentsOf(rules, *function, where + ".parameters");
    if (!arguments)
      return arguments.status();
    found.push_back({std::move(name), std::move(*arguments)});
  }
  if (found.empty())
    return Status::error(wanted ? "tool_choice: no tool is called \"" + *wanted + "\""
                                : "tool_choice: there are no tools");
  return found;
}

// One of the tools: its name and its arguments, with what stands around them.
static Expression callOf(const std::vector<ForcedTool> &tools, const std::string &beforeName,
                         const std::string &between, const std::string &after) {
  std::vector<Expression> ways;
  for (const ForcedTool &tool : tools)
    ways.push_back(
        sequenceOf({textOf(beforeName + tool.name + between), tool.arguments, textOf(after)}));
  return choiceOf(std::move(ways));
}

// Calls with `between` two.
static Expression callsOf(Expression call, const std::string &between, bool isParallel) {
  if (!isParallel)
    return call;
  Expression more = sequenceOf({textOf(between), call});
  return sequenceOf({std::move(call), repeatOf(std::move(more), 0, kMostCalls - 1)});
}

static bool isSpecial(const Tokenizer &tokenizer, const std::string &marker) {
  std::optional<int32_t> id = tokenizer.tokenToId(marker);
  return id && tokenizer.bytesOf(*id, /*skipSpecial=*/true).empty();
}

Result<ForcedCall> forceCall(const AnswerFormat &format, const Tokenizer &tokenizer,
                             const ordered_json &tools, const ForcedCallRequest &request) {
  if (format.calls == CallStyle::None)
    return Status::error("tool_choice: the model's chat template knows no calls of tools");
  if (format.calls == CallStyle::QwenCoder || format.calls == CallStyle::Glm)
    return Status::error(std::string("tool_choice: calls cannot be forced in the style ") +
                         nameOf(format.calls) + ", whose arguments are not JSON");
  grammar::Rules rules;
  rules.add("a call"); // the first; of what follows it is made
  Result<std::vector<ForcedTool>> found = toolsOf(rules, tools, request.name);
  if (!found)
    return found.status();

  ForcedCall forced;
  if (request.isThinking)
    forced.prefix = "\n" + format.thinkEnd + "\n\n";
  const char *arguments = format.calls == CallStyle::Llama3 ? "parameters" : "arguments";
  Expression object =
      callOf(*found, "{\"name\": \"", std::string("\", \"") + arguments + "\": ", "}");
  Expression &body = rules.rules[0].body;
  if (format.calls == CallStyle::Hermes) {
    forced.prefix += "<tool_call>\n";
    bool canOpen = !isSpecial(tokenizer, "<tool_call>");
    bool canClose = !isSpecial(tokenizer, "</tool_call>");
    body = callsOf(std::move(object), "\n</tool_call>\n<tool_call>\n",
                   request.isParallel && canOpen && canClose);
    if (canClose)
      body = sequenceOf({std::move(body), textOf("\n</tool_call>")});
  } else if (format.calls == CallStyle::Llama3) {
    // Templates refuse conversations with more than one call at once.
    body = std::move(object);
  } else if (format.calls == CallStyle::Mistral) {
    forced.prefix += "[TOOL_CALLS]";
    body = sequenceOf({choiceOf({textOf(" ["), textOf("[")}),
                       callsOf(std::move(object), ", ", request.isParallel), textOf("]")});
  } else if (found->size() == 1) { // MistralArgs
    forced.prefix += "[TOOL_CALLS]" + found->front().name + "[ARGS]";
    body = std::move(found->front().arguments);
  } else {
    // The marker between is left out if it is no text; the object says as much.
    forced.prefix += "[TOOL_CALLS]";
    body = callOf(*found, "", isSpecial(tokenizer, "[ARGS]") ? "" : "[ARGS]", "");
  }
  Result<std::shared_ptr<const grammar::Grammar>> compiled = grammar::Grammar::compile(rules);
  if (!compiled)
    return Status::error("tools: " + compiled.message());
  forced.grammar = std::move(*compiled);
  return forced;
}

} // namespace pianola
