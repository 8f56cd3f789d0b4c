// Template.h - chat templates: Jinja, as Hugging Face transformers runs it.
//
// A template is code from outside, and so are its variables: it reaches nothing but what it is
// given, and its steps, its texts and its depth have limits. Strings of the variables stay apart
// from the template's own in the rendering.
#ifndef PIANOLA_RUNTIME_TEMPLATE_TEMPLATE_H
#define PIANOLA_RUNTIME_TEMPLATE_TEMPLATE_H

#include "runtime/Status.h"
#include "runtime/template/Interpreter.h"
#include "runtime/text/Tokenizer.h"

#include <memory>
#include <nlohmann/json_fwd.hpp>

namespace pianola {

struct TemplateOptions {
  templates::Limits limits;
  std::tm now{}; // for strftime_now
  /// Variables that are the model's own and not data: bos_token and its like.
  std::vector<std::string> trusted = {"bos_token", "eos_token", "pad_token", "unk_token",
                                      "sep_token", "cls_token", "mask_token"};
};

class ChatTemplate {
public:
  /// Errors name the line.
  static Result<ChatTemplate> parse(std::string_view source);

  /// `variables` is an object; its order of keys is kept. An error has the template's own message
  /// if that called raise_exception; see also wasRaised().
  Result<std::vector<TextPart>> render(const nlohmann::ordered_json &variables,
                                       const TemplateOptions &options) const;

  /// The same as one text.
  Result<std::string> renderText(const nlohmann::ordered_json &variables,
                                 const TemplateOptions &options) const;

private:
  std::shared_ptr<const templates::Body> body;
};

/// The time of the clock, here.
std::tm localTimeNow();
/// "2026-03-05 07:08:09", or the date alone.
Result<std::tm> parseTime(const std::string &text);

} // namespace pianola

#endif
