// ToJson.cpp - Python's json.dumps.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <cmath>
#include <list>

namespace pianola::templates {

namespace {

constexpr int kDeepest = 200;

struct Style {
  bool isAscii = false, sortsKeys = false;
  std::optional<std::string> indent;
  std::string afterItem = ", ", afterKey = ": ";
};

class JsonWriter {
public:
  JsonWriter(Interpreter &interpreter, const Style &style)
      : interpreter(interpreter), style(style) {}

  void write(const Value &value, int depth) {
    if (depth > kDeepest)
      fail("values are nested too deeply", FailureKind::Limit);
    interpreter.charge();
    if (value.is<None>())
      out.append("null");
    else if (const bool *flag = value.as<bool>())
      out.append(*flag ? "true" : "false");
    else if (const Integer *integer = value.as<Integer>())
      out.append(formatInteger(*integer));
    else if (const double *number = value.as<double>())
      out.append(numberOf(*number));
    else if (const Text *text = value.text())
      writeText(*text);
    else if (const Items *items = value.items())
      writeList(*items, depth);
    else if (const Dict *dict = value.as<Dict>())
      writeDict(*dict, depth);
    else
      fail(std::string("Object of type ") + value.typeName() + " is not JSON serializable");
  }

  Text take() {
    interpreter.chargeText(out.size());
    return std::move(out);
  }

private:
  static std::string numberOf(double number) {
    if (std::isnan(number))
      return "NaN";
    if (std::isinf(number))
      return number < 0 ? "-Infinity" : "Infinity";
    return formatFloat(number);
  }

  void writeText(const Text &text) {
    const std::string &bytes = text.bytes();
    interpreter.chargeText(bytes.size());
    std::string result = "\"";
    char buffer[16];
    auto escape = [&](uint32_t unit) {
      std::snprintf(buffer, sizeof(buffer), "\\u%04x", unit);
      result += buffer;
    };
    for (size_t i = 0; i < bytes.size();) {
      Character c = characterAt(bytes, i);
      static const std::pair<char, const char *> kShort[] = {
          {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"},
          {'\t', "\\t"}, {'\b', "\\b"},  {'\f', "\\f"}};
      const char *known = nullptr;
      for (auto [from, to] : kShort)
        known = c.code == static_cast<uint8_t>(from) ? to : known;
      if (known) {
        result += known;
      } else if (c.code < 0x20 ||
                 (style.isAscii && c.code >= 0x7f && c.code != 0x7f && c.code < 0x10000)) {
        escape(c.code);
      } else if (style.isAscii && c.code >= 0x10000) {
        escape(0xd800 + ((c.code - 0x10000) >> 10));
        escape(0xdc00 + ((c.code - 0x10000) & 0x3ff));
      } else {
        result.append(bytes, i, c.size);
      }
      i += c.size;
    }
    out.append(result + "\"", text.hasData());
  }

  void newLine(int depth) {
    if (!style.indent)
      return;
    out.append("\n");
    for (int i = 0; i < depth; ++i)
      out.append(*style.indent);
    interpreter.charge(style.indent->size() * static_cast<size_t>(depth));
  }

  void writeList(const Items &items, int depth) {
    if (items.empty())
      return out.append("[]");
    out.append("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0)
        out.append(style.afterItem);
      newLine(depth + 1);
      write(items[i], depth + 1);
    }
    newLine(depth);
    out.append("]");
  }

  static Text keyOf(const Value &key) {
    if (const Text *text = key.text())
      return *text;
    if (key.is<None>())
      return Text("null");
    if (const bool *flag = key.as<bool>())
      return Text(*flag ? "true" : "false");
    if (const double *number = key.as<double>())
      return Text(numberOf(*number));
    if (key.is<Integer>())
      return key.str();
    fail(std::string("keys must be str, int, float, bool or None, not ") + key.typeName());
  }

  void writeDict(const Dict &dict, int depth) {
    if (dict.entries->empty())
      return out.append("{}");
    std::list<Entry> entries(dict.entries->begin(), dict.entries->end());
    if (style.sortsKeys)
      entries.sort([](const Entry &a, const Entry &b) { return compare(a.first, b.first) < 0; });
    out.append("{");
    bool isFirst = true;
    for (const auto &[key, value] : entries) {
      if (!isFirst)
        out.append(style.afterItem);
      isFirst = false;
      newLine(depth + 1);
      writeText(keyOf(key));
      out.append(style.afterKey);
      write(value, depth + 1);
    }
    newLine(depth);
    out.append("}");
  }

  Interpreter &interpreter;
  const Style &style;
  Text out;
};

} // namespace

Text toJson(Interpreter &interpreter, const Value &value, const Arguments &arguments) {
  Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  Style style;
  style.isAscii = bound.isTrue(0, false);
  style.sortsKeys = bound.isTrue(3, false);
  if (bound[1] && !bound[1]->is<None>()) {
    if (const Text *text = bound[1]->text()) {
      style.indent = text->bytes();
    } else {
      Integer width = std::max<Integer>(0, bound.integer(1, 0));
      if (width > 1000)
        fail("an indentation of more than 1000", FailureKind::Limit);
      style.indent = std::string(static_cast<size_t>(width), ' ');
    }
    style.afterItem = ",";
  }
  if (bound[2] && !bound[2]->is<None>()) {
    Items both = iterate(*bound[2]);
    if (both.size() != 2 || !both[0].text() || !both[1].text())
      fail("separators must be two texts");
    style.afterItem = both[0].text()->bytes();
    style.afterKey = both[1].text()->bytes();
  }
  JsonWriter writer(interpreter, style);
  writer.write(value, 0);
  return writer.take();
}

} // namespace pianola::templates
