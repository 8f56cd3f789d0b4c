// Template.cpp - chat templates: Jinja, as Hugging Face transformers runs it.
#include "runtime/template/Template.h"

#include "runtime/template/Parser.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pianola {

using namespace templates;
using nlohmann::ordered_json;

static constexpr size_t kLongestSource = size_t(4) << 20;

// Runs `body`; what it throws becomes an error.
template <typename T, typename Run> static Result<T> caught(Run run) {
  try {
    return run();
  } catch (const Failure &failure) {
    const char *how = failure.kind == FailureKind::Raised ? "says: " : "cannot be rendered: ";
    return Status::error(std::string("the chat template ") + how + failure.message);
  } catch (const std::bad_alloc &) {
    return Status::error("the chat template cannot be rendered: out of memory");
  }
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  if (source.size() > kLongestSource)
    return Status::error("the chat template is larger than 4 MiB");
  if (size_t at = findInvalid(source); at != std::string_view::npos)
    return Status::error("the chat template is not UTF-8 at byte " + std::to_string(at));
  return caught<ChatTemplate>([&] {
    ChatTemplate result;
    result.body = std::make_shared<const Body>(templates::parse(source));
    return result;
  });
}

static size_t depthOf(const ordered_json &value, size_t least) {
  size_t depth = least;
  if (value.is_structured() && least < 300)
    for (const ordered_json &item : value)
      depth = std::max(depth, depthOf(item, least + 1));
  return depth;
}

Result<std::vector<TextPart>> ChatTemplate::render(const ordered_json &variables,
                                                   const TemplateOptions &options) const {
  if (!variables.is_object())
    return Status::error("the variables of a chat template must be an object");
  if (depthOf(variables, 0) > 150)
    return Status::error("the variables of the chat template are nested too deeply");
  return caught<std::vector<TextPart>>([&] {
    auto scope = std::make_shared<Scope>();
    for (const auto &[name, value] : variables.items()) {
      bool isTrusted = std::count(options.trusted.begin(), options.trusted.end(), name) != 0;
      scope->names[name] = Value::fromJson(value, !isTrusted);
    }
    Interpreter interpreter(options.limits, options.now);
    Text text = interpreter.render(*body, scope);
    std::vector<TextPart> parts;
    size_t done = 0;
    auto add = [&](size_t end, bool isData) {
      if (end > done)
        parts.push_back({text.bytes().substr(done, end - done), !isData});
      done = end;
    };
    for (const Text::Range &range : text.dataRanges()) {
      add(range.begin, false);
      add(range.end, true);
    }
    add(text.size(), false);
    return parts;
  });
}

Result<std::string> ChatTemplate::renderText(const ordered_json &variables,
                                             const TemplateOptions &options) const {
  Result<std::vector<TextPart>> parts = render(variables, options);
  if (!parts)
    return parts.status();
  std::string text;
  for (const TextPart &part : *parts)
    text += part.text;
  return text;
}

std::tm localTimeNow() {
  std::time_t now = std::time(nullptr);
  std::tm result{};
  localtime_r(&now, &result);
  return result;
}

Result<std::tm> parseTime(const std::string &text) {
  std::tm time{};
  const char *end = strptime(text.c_str(), "%Y-%m-%d", &time);
  if (end && (*end == ' ' || *end == 'T'))
    end = strptime(end + 1, "%H:%M:%S", &time);
  if (!end || *end)
    return Status::error("expected a time as 2026-03-05 07:08:09, found \"" + text + "\"");
  time.tm_isdst = -1;
  return time;
}

} // namespace pianola
