// Limits.cpp - hostile templates and variables end soon, with an error; data stays data.
#include "runtime/template/Template.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace pianola;
using nlohmann::ordered_json;

namespace {

std::string outcome(const std::string &source,
                    const ordered_json &variables = ordered_json::object(),
                    const TemplateOptions &options = {}) {
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  if (!parsed)
    return "error: " + parsed.message();
  Result<std::string> text = parsed->renderText(variables, options);
  return text ? *text : "error: " + text.message();
}

std::string repeated(const std::string &text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i)
    result += text;
  return result;
}

TEST(Template, EndsHostileTemplatesSoon) {
  const std::string fails = "error: the chat template cannot be rendered: ";
  auto failure = [&](const std::string &source) {
    std::string got = outcome(source);
    return got.compare(0, fails.size(), fails) == 0 ? got.substr(fails.size()) : got.substr(0, 100);
  };
  const std::string steps = "the template takes more than 10000000 steps";
  const std::string bytes = "the template makes a text of more than 67108864 bytes";
  EXPECT_EQ(
      failure("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
      steps);
  EXPECT_EQ(failure("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}"),
            "maximum recursion depth exceeded");
  EXPECT_EQ(
      failure("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s "
              "%}{% endfor %}"),
      bytes);
  EXPECT_EQ(failure("{{ 'x' * 99999999999999999999 }}"), bytes);
  EXPECT_EQ(failure("{{ 'xxxxxxxxxxxxxxxx' * 99999999999999999999999999 }}"), bytes);
  EXPECT_EQ(failure("{{ 'x' * 999999999 }}"), bytes);
  EXPECT_EQ(failure("{{ [1] * 999999999 }}"), steps);
  EXPECT_EQ(failure("{{ '%999999999d' % 1 }}"), "a width of more than 10000");
  EXPECT_EQ(failure("{{ '{:999999999}'.format(1) }}"), "a width of more than 10000");
  EXPECT_EQ(failure("{{ 'x'.center(999999999) }}"), bytes);
  EXPECT_EQ(failure("{{ 'x' | indent(999999999, true) }}"), bytes);
  EXPECT_EQ(failure("{{ [1] | tojson(indent=999999999) }}"), "an indentation of more than 1000");
  EXPECT_EQ(failure("{{ 9 ** 9 ** 9 ** 9 }}"), "a number of more than 127 bits");
  EXPECT_EQ(failure("{{ '" + repeated("9", 200) + "' | int }}"), "a number of more than 127 bits");
  EXPECT_EQ(
      failure("{% set ns = namespace(l=[]) %}{% for i in range(900) %}{% set ns.l = [ns.l] %}{% "
              "endfor %}{{ ns.l }}"),
      "values are nested too deeply");
  EXPECT_EQ(
      failure(
          "{% for i in range(20000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' | replace('', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
          "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') }}{% endfor %}"),
      bytes);
}

TEST(Template, RefusesValuesThatNobodyCouldGoThrough) {
  auto grown = [](const std::string &step, int times) {
    return "{% set ns = namespace(l=['x']) %}{% for i in range(" + std::to_string(times) +
           ") %}{% set ns.l = " + step + " %}{% endfor %}";
  };
  const std::string refused = "error: the chat template cannot be rendered: ";
  EXPECT_EQ(outcome(grown("[ns.l, ns.l]", 60) + "{{ ns.l == 1 }}"),
            refused + "a value holds too many others");
  EXPECT_EQ(outcome(grown("{'a': ns.l, 'b': ns.l}", 60)),
            refused + "a value holds too many others");
  EXPECT_EQ(outcome(grown("[ns.l]", 50000)), refused + "values are nested too deeply");
  EXPECT_EQ(outcome(grown("{'a': ns.l}", 50000)), refused + "values are nested too deeply");
  EXPECT_EQ(outcome(grown("(ns.l,)", 50000)), refused + "values are nested too deeply");
  EXPECT_EQ(outcome(grown("[ns.l, 'x']", 10) + "{{ ns.l | length }}"), "2");
}

TEST(Template, RefusesNumbersBeyondItsOwn) {
  const std::string refused = "error: the chat template cannot be rendered: ";
  EXPECT_EQ(outcome("{{ range(0 - 2**126 - 2**126, 2**126 + 5)[0:3] }}"),
            refused + "range() is supported up to 2**64");
  EXPECT_EQ(outcome("{{ -(0 - 2**126 - 2**126) }}"),
            refused + "integers are supported up to 2**127");
}

TEST(Template, RefusesDepthWithoutEnd) {
  EXPECT_EQ(outcome("{{ " + repeated("(", 10000) + repeated(")", 10000) + " }}").substr(0, 80),
            "error: the chat template cannot be rendered: line 1: the template is nested too ");
  EXPECT_EQ(outcome("{{ " + repeated("-", 10000) + "1 }}").substr(0, 80),
            "error: the chat template cannot be rendered: line 1: the template is nested too ");
  EXPECT_EQ(outcome("{{ " + repeated("not ", 10000) + "1 }}").substr(0, 80),
            "error: the chat template cannot be rendered: line 1: the template is nested too ");
  EXPECT_EQ(outcome(repeated("{% if 1 %}", 10000)).substr(0, 80),
            "error: the chat template cannot be rendered: line 1: the template is nested too ");
  // These lean to one side in the tree, however they are written.
  EXPECT_EQ(outcome("{{ 1" + repeated(" + 1", 10000) + " }}"),
            "error: the chat template cannot be rendered: maximum recursion depth exceeded");
  EXPECT_EQ(outcome("{{ 'a'" + repeated(" | upper", 10000) + " }}"),
            "error: the chat template cannot be rendered: maximum recursion depth exceeded");
  EXPECT_EQ(outcome("{{ 1" + repeated(" ~ 1", 10000) + " }}").size(), 10001u);
  ordered_json deep = 1;
  for (int i = 0; i < 200; ++i)
    deep = ordered_json::array({deep});
  EXPECT_EQ(outcome("{{ x }}", {{"x", deep}}),
            "error: the variables of the chat template are nested too deeply");
  EXPECT_EQ(outcome("{{ \xff }}"), "error: the chat template is not UTF-8 at byte 3");
}

// Parts that are data stand in brackets.
std::string marked(const std::string &source, const ordered_json &variables) {
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  if (!parsed)
    return "error: " + parsed.message();
  auto parts = parsed->render(variables, {});
  if (!parts)
    return "error: " + parts.message();
  std::string text;
  for (const TextPart &part : *parts)
    text += part.parseSpecial ? part.text : "[" + part.text + "]";
  return text;
}

TEST(Template, KnowsWhatIsData) {
  const ordered_json variables = {
      {"bos_token", "<s>"}, {"m", {{"role", "user"}, {"content", " a<s>b,c "}}}, {"l", {"x", "y"}}};
  auto expect = [&](const std::string &source, const std::string &wanted) {
    EXPECT_EQ(marked(source, variables), wanted) << source;
  };
  expect("{{ bos_token }}<h>{{ m.role }}</h>{{ m.content | trim }}<e>",
         "<s><h>[user]</h>[a<s>b,c]<e>");
  expect("{{ bos_token + '<h>' + m['role'] + '</h>' ~ m.content.strip() ~ 1 }}",
         "<s><h>[user]</h>[a<s>b,c]1");
  expect(
      "{% set c = '<t>' + m.content %}{{ c[2:5] }}{{ c.split(',')[0] }}{{ c | replace('<', '«') }}",
      ">[ a]<t>[ a<s>b]«t>[ a]«[s>b,c ]");
  expect("{{ '<h>%s</h>' % m.role }}{{ '<{}>'.format(m.role) }}{{ '<%s>' | format(m.role) }}",
         "<h>[user]</h><[user]><[user]>");
  expect("{{ l | join('<,>') }}{{ '<,>'.join(l) }}{{ l | map('upper') | join }}",
         "[x]<,>[yx]<,>[yXY]");
  expect("{{ m | tojson }}", "{[\"role\"]: [\"user\"], [\"content\"]: [\" a<s>b,c \"]}");
  expect(
      "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(m.role) }}{% set b %}<{{ m.role }}>{% endset %}"
      "{{ b }}{% filter trim %} <{{ m.role }}> {% endfilter %}",
      "<[user]><[user]><[user]>");
  expect("{{ m }}", "{['role']: ['user'], ['content']: [' a<s>b,c ']}");
  expect("{{ m.role * 2 }}{{ m.role[::-1] }}{{ m.role | indent('<>', true) }}{{ m.role | first }}",
         "[useruserresu]<>[useru]");
  expect("{% for c in m.role %}<{{ c }}>{% endfor %}", "<[u]><[s]><[e]><[r]>");
}

} // namespace
