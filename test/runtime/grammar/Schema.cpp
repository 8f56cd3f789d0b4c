// Schema.cpp - schemas of the corpus, with documents that they take and do not take; and what is
// refused.
//
// schemas.jsonl holds a schema a line, with texts that are written as docs/constrained.md says:
// `valid` ones, and `invalid` ones that the schema does not hold for or that are written otherwise.
#include "runtime/grammar/Schema.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace pianola;
using nlohmann::ordered_json;

namespace {

TEST(Schema, TakesWhatTheCorpusSays) {
  std::ifstream file(PIANOLA_SOURCE_DIR "/test/runtime/grammar/schemas.jsonl");
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    ordered_json entry = ordered_json::parse(line);
    SCOPED_TRACE(entry["name"].get<std::string>());
    auto made = grammar::fromSchema(entry["schema"]);
    ASSERT_TRUE(made) << made.message();
    for (const std::string &text : entry["valid"].get<std::vector<std::string>>())
      EXPECT_TRUE(grammar::matches(*made, text)) << text;
    for (const std::string &text : entry["invalid"].get<std::vector<std::string>>())
      EXPECT_FALSE(grammar::matches(*made, text)) << text;
  }
  EXPECT_GE(count, 60);
}

// Every number of a few digits, against arithmetic.
TEST(Schema, KeepsToBoundsOfIntegers) {
  for (int least = -120; least <= 120; least += 20)
    for (int most = least - 1; most <= 130; most += 31)
      for (int factor : {1, 3, 10}) {
        auto made = grammar::fromSchema(ordered_json{
            {"type", "integer"}, {"minimum", least}, {"maximum", most}, {"multipleOf", factor}});
        bool hasAny = false;
        for (int i = -150; i <= 300; ++i) {
          bool isIn = i >= least && i <= most && i % factor == 0;
          hasAny |= isIn;
          if (made)
            ASSERT_EQ(grammar::matches(*made, std::to_string(i)), isIn)
                << i << " in " << least << " to " << most << " by " << factor;
        }
        EXPECT_EQ(bool(made), hasAny) << least << " to " << most << " by " << factor;
      }
}

TEST(Schema, KeepsToBoundsOfNumbers) {
  for (double least : {-2.5, -1.0, -0.25, 0.0, 0.75, 1.0})
    for (double most : {-0.5, 0.0, 0.8, 0.75, 1.25, 3.0})
      for (int exclusive = 0; exclusive < 4; ++exclusive) {
        auto made = grammar::fromSchema(
            ordered_json{{"type", "number"},
                         {exclusive & 1 ? "exclusiveMinimum" : "minimum", least},
                         {exclusive & 2 ? "exclusiveMaximum" : "maximum", most}});
        for (int i = -400; made && i <= 400; ++i) {
          double value = i / 100.0;
          bool isIn = (exclusive & 1 ? value > least : value >= least) &&
                      (exclusive & 2 ? value < most : value <= most);
          char text[32];
          std::snprintf(text, sizeof(text), "%.2f", value);
          ASSERT_EQ(grammar::matches(*made, text), isIn)
              << text << " in " << least << " to " << most << ", " << exclusive;
        }
        bool isEmpty = least > most || (least == most && exclusive != 0);
        EXPECT_EQ(bool(made), !isEmpty) << least << " to " << most << ", " << exclusive;
      }
}

// However many digits: what reads them as a double must find them within the bounds.
TEST(Schema, KeepsToExclusiveBoundsOfDoubles) {
  for (double bound : {5.0, 100.0, 0.1, 1e14, 0.0})
    for (bool isMost : {false, true}) {
      auto made = grammar::fromSchema(ordered_json{
          {"type", "number"}, {isMost ? "exclusiveMaximum" : "exclusiveMinimum", bound}});
      ASSERT_TRUE(made) << made.message();
      size_t taken = 0;
      for (double step : {1.0, -1.0})
        for (int digits = 1; digits <= 17; ++digits) {
          char text[64];
          std::snprintf(text, sizeof(text), "%.*f", digits, bound + step * std::pow(10, -digits));
          std::string nines = std::to_string(int64_t(bound) - 1) + "." + std::string(digits, '9');
          for (const std::string &number : {std::string(text), nines}) {
            if (!grammar::matches(*made, number))
              continue;
            ++taken;
            double value = std::stod(number);
            EXPECT_TRUE(isMost ? value < bound : value > bound) << number << " by " << bound;
          }
        }
      EXPECT_GT(taken, 0u) << bound;
    }
}

TEST(Schema, MultiplesOfAnyLength) {
  auto made = grammar::fromSchemaText(R"j({"type": "integer", "multipleOf": 13, "minimum": 0})j");
  ASSERT_TRUE(made) << made.message();
  for (int i = 0; i < 5000; ++i)
    EXPECT_EQ(grammar::matches(*made, std::to_string(i)), i % 13 == 0) << i;
}

TEST(Schema, RefusesByNameAndPointer) {
  const std::pair<const char *, const char *> kTable[] = {
      {"x", "schema: this is not JSON"},
      {"3", "#: expected a schema: an object or a boolean"},
      {R"j({"type": "text"})j", "#/type: expected null, boolean, object"},
      {R"j({"type": "object", "properties": {"a": {"not": {}}}})j",
       "#/properties/a: \"not\" is not supported"},
      {R"j({"properties": {"a/b": {"if": {}}}})j", "#/properties/a~1b: \"if\" is not supported"},
      {R"j({"patternProperties": {}})j", "\"patternProperties\" is not supported"},
      {R"j({"type": "array", "uniqueItems": true})j", "\"uniqueItems\" is not supported"},
      {R"j({"type": "array", "contains": {}})j", "\"contains\" is not supported"},
      {R"j({"requried": ["a"]})j", "\"requried\" is not supported"},
      {R"j({"type": "string", "format": "regex"})j", "#/format: \"regex\" is not supported"},
      {R"j({"type": "string", "pattern": "(?=a)"})j", "#/pattern: groups that begin with (?"},
      {R"j({"type": "string", "pattern": "(a)\\1"})j", "#/pattern: \\1 is not supported"},
      {R"j({"type": "string", "pattern": "a\\b"})j", "#/pattern: \\b is not supported"},
      {R"j({"type": "string", "pattern": "(^a)"})j", "#/pattern: ^ is supported at the ends"},
      {R"j({"type": "string", "pattern": "a{2,1}"})j", "#/pattern: a repetition whose most"},
      {R"j({"type": "string", "pattern": "[z-a]"})j", "#/pattern: a range must go"},
      {R"j({"type": "string", "pattern": "(a"})j", "#/pattern: a group is not closed"},
      {R"j({"type": "string", "pattern": "^(a?){3000}$", "maxLength": 5})j",
       "#/pattern: with these lengths it is too large"},
      {R"j({"type": "string", "pattern": "^a{3}$", "maxLength": 2})j", "no text can match"},
      {R"j({"type": "string", "minLength": -1})j", "#/minLength: expected a whole number"},
      {R"j({"type": "string", "minLength": 100000})j", "#/minLength: more than 20000"},
      {R"j({"type": "number", "multipleOf": 0.01})j", "#/multipleOf: expected a whole number"},
      {R"j({"type": "integer", "multipleOf": 12345, "minimum": 3})j", "#/multipleOf: with these"},
      {R"j({"type": "integer", "minimum": "1"})j", "#/minimum: expected a number"},
      {R"j({"type": "integer", "minimum": 1e40})j", "#/minimum: numbers of more than 18"},
      {R"j({"type": "integer", "minimum": 3, "maximum": 2})j", "#: no text can match"},
      {R"j({"$ref": "https://example.org/x"})j", "#/$ref: \"https://example.org/x\""},
      {R"j({"$ref": "#/$defs/a"})j", "#/$ref: there is nothing at"},
      {R"j({"oneOf": [{"type": "integer"}, {"type": "number"}]})j", "#/oneOf: options 0 and 1"},
      {R"j({"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object"}]})j",
       "#/oneOf: options 0 and 1"},
      {R"j({"oneOf": [{"const": {"a": 1, "b": 2}}, {"const": {"b": 2, "a": 1}}]})j",
       "#/oneOf: options 0 and 1"},
      {R"j({"anyOf": []})j", "#/anyOf: expected a list of schemas"},
      {R"j({"enum": []})j", "no text can match"},
      {R"j({"enum": 3})j", "#/enum: expected a list"},
      {R"j({"type": "object", "properties": []})j", "#/properties: expected an object"},
      {R"j({"type": "object", "required": [1]})j", "#/required: expected names"},
      {R"j({"type": "object", "minProperties": 2})j", "#/minProperties: more than 1"},
      {R"j({"type": "array", "items": [{}]})j", "#/items: a list is not supported"},
      {R"j({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})j", "\"pattern\" of several schemas"},
      {R"j({"type": "object", "properties": {"a": false}, "required": ["a"]})j",
       "no text can match"},
  };
  for (const auto &[schema, message] : kTable) {
    auto made = grammar::fromSchemaText(schema);
    ASSERT_FALSE(made) << schema;
    EXPECT_NE(made.message().find(message), std::string::npos) << schema << ": " << made.message();
  }
}

TEST(Schema, AnyObject) {
  auto made = grammar::anyObject();
  EXPECT_TRUE(grammar::matches(made, R"j({"a": [1, {"b": null}]})j"));
  EXPECT_FALSE(grammar::matches(made, "[]"));
  // White space has an end.
  EXPECT_TRUE(grammar::matches(made, "{\n" + std::string(40, ' ') + "\"a\": 1}"));
  EXPECT_FALSE(grammar::matches(made, "{\n" + std::string(41, ' ') + "\"a\": 1}"));
  EXPECT_FALSE(grammar::matches(made, "{\n\n\"a\": 1}"));
}

} // namespace
