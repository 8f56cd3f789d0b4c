// ChatMessages.cpp - messages and tools of a chat request, as chat templates know them.
#include "runtime/server/ChatMessages.h"

#include "runtime/BoundedJson.h"
#include "runtime/server/Fields.h"

#include <algorithm>

namespace pianola::server {

static constexpr size_t kMostTools = 128;

static bool isText(const ordered_json &object, const char *name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string();
}

// A text, or parts of one.
static std::optional<ordered_json> readContent(Fields &fields, const std::string &where,
                                               const ordered_json &content) {
  if (content.is_string() || content.is_null())
    return content;
  std::string text;
  if (!content.is_array()) {
    fields.fail(where, "expected a string or an array of parts, found " + kindOf(content));
    return std::nullopt;
  }
  for (size_t i = 0; i < content.size(); ++i) {
    const ordered_json &part = content[i];
    std::string name = where + "[" + std::to_string(i) + "]";
    if (part.is_string()) {
      text += (i ? "\n" : "") + part.get<std::string>();
      continue;
    }
    if (!part.is_object() || !isText(part, "type")) {
      fields.fail(name, "expected an object with a type, found " + kindOf(part));
      return std::nullopt;
    }
    std::string type = part["type"];
    const char *member = type == "refusal" ? "refusal" : "text";
    if ((type != "text" && type != "refusal") || !isText(part, member)) {
      fields.fail(name, type == "text" || type == "refusal"
                            ? std::string(member) + ": expected a string"
                            : "parts of type \"" + type + "\" are not supported");
      return std::nullopt;
    }
    text += (i ? "\n" : "") + part[member].get<std::string>();
  }
  return text;
}

static bool readCalls(Fields &fields, const std::string &where, ordered_json &calls) {
  if (!calls.is_array()) {
    fields.fail(where, "expected an array, found " + kindOf(calls));
    return false;
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    std::string name = where + "[" + std::to_string(i) + "]";
    ordered_json &call = calls[i];
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object() ||
        !isText(call["function"], "name")) {
      fields.fail(name + ".function", "expected an object with a name");
      return false;
    }
    ordered_json &arguments = call["function"]["arguments"];
    if (arguments.is_string()) {
      // JSON within the body's, which the body's limits have not seen.
      const std::string &text = arguments.get_ref<const std::string &>();
      Result<ordered_json> parsed = readBoundedJson(text.empty() ? "{}" : text);
      if (!parsed || !parsed->is_object()) {
        fields.fail(name + ".function.arguments",
                    parsed ? "expected a JSON object in a string" : parsed.message());
        return false;
      }
      arguments = std::move(*parsed);
    } else if (arguments.is_null()) {
      arguments = ordered_json::object();
    } else if (!arguments.is_object()) {
      fields.fail(name + ".function.arguments",
                  "expected a JSON object in a string, found " + kindOf(arguments));
      return false;
    }
  }
  return true;
}

static void readMessage(Fields &fields, const std::string &where, ordered_json &message) {
  if (!message.is_object())
    return fields.fail(where, "expected an object, found " + kindOf(message));
  if (!isText(message, "role"))
    return fields.fail(where + ".role", "expected a string");
  const std::string role = message["role"];
  static const char *const known[] = {"system", "developer", "user", "assistant", "tool"};
  if (std::none_of(std::begin(known), std::end(known), [&](auto name) { return role == name; }))
    return fields.fail(where + ".role", "expected system, developer, user, assistant or tool, "
                                        "found \"" +
                                            role + "\"");
  bool hasCalls = message.contains("tool_calls") && !message["tool_calls"].is_null();
  if (hasCalls && !readCalls(fields, where + ".tool_calls", message["tool_calls"]))
    return;
  if (!hasCalls)
    message.erase("tool_calls");
  auto content = message.find("content");
  bool hasContent = content != message.end() && !content->is_null();
  if (!hasContent && role != "assistant")
    return fields.fail(where + ".content", "is missing");
  if (std::optional<ordered_json> text =
          readContent(fields, where + ".content", hasContent ? *content : ordered_json("")))
    message["content"] = std::move(*text);
}

void readMessages(Fields &fields, GenerationRequest &request) {
  const ordered_json *messages = fields.find("messages");
  if (!messages)
    return fields.fail("messages", "is missing");
  if (!messages->is_array() || messages->empty())
    return fields.fail("messages", "expected an array of messages");
  ordered_json read = *messages;
  for (size_t i = 0; i < read.size() && fields.ok(); ++i)
    readMessage(fields, "messages[" + std::to_string(i) + "]", read[i]);
  if (!fields.ok())
    return;
  if (const ordered_json *more = fields.find("chat_template_kwargs")) {
    if (!more->is_object())
      return fields.fail("chat_template_kwargs", "expected an object, found " + kindOf(*more));
    for (const auto &[name, value] : more->items())
      if (name != "messages" && name != "tools")
        request.variables[name] = value;
  }
  std::string effort;
  fields.take("reasoning_effort", effort);
  if (!effort.empty())
    request.variables["reasoning_effort"] = effort;
  // An answer that has begun is gone on with, if the request says so (vLLM's fields).
  bool opens = true;
  fields.take("add_generation_prompt", opens);
  request.variables["add_generation_prompt"] = opens;
  request.variables["messages"] = std::move(read);
}

static void readTool(Fields &fields, const std::string &where, const ordered_json &tool) {
  if (!tool.is_object() || !isText(tool, "type") || tool["type"] != "function")
    return fields.fail(where + ".type", "expected \"function\"");
  if (!tool.contains("function") || !tool["function"].is_object() ||
      !isText(tool["function"], "name"))
    return fields.fail(where + ".function", "expected an object with a name");
  const ordered_json &function = tool["function"];
  const std::string &name = function["name"].get_ref<const std::string &>();
  auto isGood = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), isGood))
    return fields.fail(where + ".function.name",
                       "expected 1 to 64 letters, digits, _, - or ., found \"" + name + "\"");
  if (function.contains("parameters") && !function["parameters"].is_null() &&
      !function["parameters"].is_object())
    return fields.fail(where + ".function.parameters",
                       "expected a JSON schema, found " + kindOf(function["parameters"]));
}

static void readChoice(Fields &fields, GenerationRequest &request) {
  ToolChoice &choice = request.toolChoice;
  choice.kind = request.tools.empty() ? ToolChoice::None : ToolChoice::Auto;
  const ordered_json *given = fields.find("tool_choice");
  if (!given)
    return;
  if (given->is_string() && *given == "none") {
    choice.kind = ToolChoice::None;
    return;
  }
  if (request.tools.empty()) {
    if (*given != "auto")
      fields.fail("tool_choice", "needs tools");
    return;
  }
  if (given->is_string() && *given == "auto")
    return;
  choice.kind = ToolChoice::Required;
  if (given->is_string() && *given == "required")
    return;
  if (!given->is_object() || !given->contains("function") || !(*given)["function"].is_object() ||
      !isText((*given)["function"], "name"))
    return fields.fail("tool_choice", "expected none, auto, required or a function's name");
  choice.name = (*given)["function"]["name"];
  if (std::none_of(request.tools.begin(), request.tools.end(), [&](const ordered_json &tool) {
        return tool["function"]["name"] == choice.name;
      }))
    fields.fail("tool_choice", "there is no tool \"" + choice.name + "\"");
}

void readTools(Fields &fields, GenerationRequest &request) {
  if (const ordered_json *tools = fields.find("tools")) {
    if (!tools->is_array() || tools->size() > kMostTools)
      return fields.fail("tools",
                         "expected an array of at most " + std::to_string(kMostTools) + " tools");
    for (size_t i = 0; i < tools->size() && fields.ok(); ++i)
      readTool(fields, "tools[" + std::to_string(i) + "]", (*tools)[i]);
    if (!fields.ok())
      return;
    request.tools = *tools;
  }
  readChoice(fields, request);
  fields.take("parallel_tool_calls", request.toolChoice.parallel);
  if (request.toolChoice.kind == ToolChoice::Required &&
      request.constraint.kind != Constraint::None)
    fields.fail("tool_choice",
                "a call cannot be required together with response_format or grammar");
  if (request.toolChoice.kind != ToolChoice::None)
    request.variables["tools"] = request.tools;
}

} // namespace pianola::server
