// SchemaScalars.cpp - strings and numbers.
#include "runtime/grammar/NumberForms.h"
#include "runtime/grammar/Refusal.h"
#include "runtime/grammar/SchemaCompiler.h"
#include "runtime/grammar/StringPattern.h"

#include <cmath>

namespace pianola::grammar {

Expression SchemaCompiler::stringBody(const Json &flat, const std::string &pointer) {
  auto [least, most] = rangeOf(flat, "minLength", "maxLength", pointer);
  const char *keyword = "pattern";
  std::string pattern;
  if (flat.contains("pattern")) {
    if (!flat["pattern"].is_string())
      refuse(pointer + "/pattern: expected a string");
    pattern = flat["pattern"];
  }
  if (flat.contains("format")) {
    // What is no format of strings says how numbers are stored, or is no format of the standard's.
    static const std::set<std::string> kFree = {"int32",  "int64",    "uint32", "uint64", "float",
                                                "double", "password", "binary", "byte"};
    const Json &format = flat["format"];
    const char *found = format.is_string() ? patternOfFormat(format.get<std::string>()) : nullptr;
    if (!found && !(format.is_string() && kFree.count(format.get<std::string>())))
      refuse(pointer + "/format: " + format.dump(-1, ' ', false, Json::error_handler_t::replace) +
             " is not supported (known: date, time, date-time, uuid, email, hostname, ipv4, uri)");
    if (found && flat.contains("pattern"))
      refuse(pointer + ": pattern and format at once are not supported");
    if (found) {
      keyword = "format";
      pattern = found;
    }
  }
  if (std::string(keyword) == "pattern" && !flat.contains("pattern"))
    return forms.string(least, most);
  try {
    auto [characters, lengths] = parsePattern(pattern);
    bool isWithin = lengths.least >= least && (most == kUnbounded || lengths.most <= most);
    return sequenceOf(
        {textOf("\""),
         isWithin ? written(characters) : writtenWithLength(characters, least, most, rules),
         textOf("\"")});
  } catch (const Refusal &refusal) {
    refuse(pointer + "/" + keyword + ": " + refusal.message);
  }
}

// Rounded to a whole number; nothing for what is beyond all that are written.
static std::optional<WideInteger> wholeOf(const Json &value, bool up) {
  if (value.is_number_unsigned())
    return value.get<uint64_t>();
  if (value.is_number_integer())
    return value.get<int64_t>();
  double rounded = up ? std::ceil(value.get<double>()) : std::floor(value.get<double>());
  if (!(std::fabs(rounded) < 1e30))
    return std::nullopt;
  return static_cast<WideInteger>(rounded);
}

Expression SchemaCompiler::numberBody(const Json &flat, const std::string &pointer,
                                      bool isInteger) {
  WideInteger factor = 0;
  if (flat.contains("multipleOf")) {
    const Json &value = flat["multipleOf"];
    if (!value.is_number() || typeNameOf(value) != "integer" || value < 1 || value > 1e15)
      refuse(pointer + "/multipleOf: expected a whole number from 1 to 1e15; others are not "
                       "supported");
    factor = *wholeOf(value, false);
    isInteger = true;
  }
  IntegerBounds whole;
  std::optional<NumberBound> least, most;
  for (const char *name : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    if (!flat.contains(name))
      continue;
    const Json &value = flat[name];
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      refuse(pointer + "/" + name + ": expected a number");
    bool isLeast = std::string(name).find("inimum") != std::string::npos;
    bool isExclusive = name[0] == 'e';
    // A bound beyond all that are written says nothing, or leaves nothing.
    auto checkBeyond = [&] {
      if ((value < 0) != isLeast)
        refuse(pointer + "/" + name + ": numbers of more than 18 digits are not supported");
    };
    if (isInteger) {
      std::optional<WideInteger> bound = wholeOf(value, isLeast);
      if (bound && isExclusive && (!value.is_number_float() || typeNameOf(value) == "integer"))
        *bound += isLeast ? 1 : -1;
      if (!bound || *bound > kGreatest || *bound < -kGreatest) {
        checkBeyond();
        continue;
      }
      std::optional<WideInteger> &end = isLeast ? whole.least : whole.most;
      end = !end ? *bound : isLeast ? std::max(*end, *bound) : std::min(*end, *bound);
      continue;
    }
    // Of two bounds the narrower one, and of equal ones the one that excludes.
    std::optional<NumberBound> &end = isLeast ? least : most;
    const char *twin = isLeast ? "minimum" : "maximum";
    if (end && (isLeast ? value < flat[twin] : value > flat[twin]))
      continue;
    std::optional<Decimal> bound = Decimal::parse(value.dump());
    if (!bound && std::fabs(value.get<double>()) < 1e18)
      refuse(pointer + "/" + name + ": " + value.dump() + " has too many digits");
    if (!bound) {
      checkBeyond();
      bound = Decimal{isLeast, std::string(18, '9'), ""};
    }
    end = NumberBound{*bound, isExclusive};
  }
  if (factor > 0) {
    try {
      return multiplesBetween(factor, whole, rules);
    } catch (const Refusal &refusal) {
      refuse(pointer + "/multipleOf: " + refusal.message);
    }
  }
  return isInteger ? integersBetween(whole) : numbersBetween(least, most);
}

} // namespace pianola::grammar
