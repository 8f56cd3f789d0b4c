// PreTokenizer.cpp - the splits that no token crosses.
#include "runtime/text/PreTokenizer.h"

#include "runtime/text/JsonParts.h"
#include "runtime/text/Unicode.h"
#include "runtime/text/Utf8.h"

namespace pianola {

using nlohmann::json;

// GPT-2's pattern (openai/gpt-2, encoder.py).
static constexpr const char *kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

static Result<SplitBehavior> behaviorOf(const json &value, const char *otherwise,
                                        const std::string &path) {
  const json &found = member(value, "behavior");
  std::string name = found.is_string() ? found.get<std::string>() : otherwise;
  static const std::pair<const char *, SplitBehavior> kBehaviors[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous}};
  for (const auto &[known, behavior] : kBehaviors)
    if (name == known)
      return behavior;
  return Status::error(path + ".behavior: \"" + name + "\" is not known");
}

// The one character of a text.
static Result<uint32_t> characterOf(const json &value, const char *name, const std::string &path) {
  Result<std::string> given = text(value, name, path);
  if (!given)
    return given.status();
  if (given->empty() || characterAt(*given, 0).size != given->size())
    return Status::error(path + "." + name + ": expected one character");
  return characterAt(*given, 0).code;
}

static Result<Metaspace::Prepend> prependOf(const json &value, const std::string &path) {
  const json &scheme = member(value, "prepend_scheme");
  if (scheme.is_null()) { // files of 2023 and before
    Result<bool> space = flag(value, "add_prefix_space", true, path);
    if (!space)
      return space.status();
    return *space ? Metaspace::Prepend::Always : Metaspace::Prepend::Never;
  }
  if (scheme == "always")
    return Metaspace::Prepend::Always;
  if (scheme == "first")
    return Metaspace::Prepend::First;
  if (scheme == "never")
    return Metaspace::Prepend::Never;
  return Status::error(path + ".prepend_scheme: " + scheme.dump() +
                       " is not known (known: always, first, never)");
}

Status PreTokenizer::add(const json &value, const std::string &path) {
  std::string type = typeOf(value);
  if (byteLevel)
    return Status::error(path + ": comes after ByteLevel, which is supported at the end alone");
  auto take = [&](auto splitter) {
    steps.push_back(std::make_shared<decltype(splitter)>(std::move(splitter)));
    return Status();
  };
  auto takePattern = [&](const char *expression, SplitBehavior behavior, bool invert) {
    Result<Pattern> pattern = Pattern::compile(expression);
    return pattern ? take(PatternSplitter(std::move(*pattern), behavior, invert))
                   : pattern.status();
  };
  if (type == "ByteLevel") {
    Result<bool> prefix = flag(value, "add_prefix_space", true, path);
    Result<bool> splits = flag(value, "use_regex", true, path);
    if (!prefix || !splits)
      return prefix ? splits.status() : prefix.status();
    byteLevel = true;
    if (*prefix)
      (void)take(PrefixSpace());
    return *splits ? takePattern(kByteLevelPattern, SplitBehavior::Isolated, false) : Status();
  }
  if (type == "Split") {
    Result<SplitBehavior> behavior = behaviorOf(value, "", path);
    Result<bool> invert = flag(value, "invert", false, path);
    if (!behavior || !invert)
      return behavior ? invert.status() : behavior.status();
    Result<Pattern> pattern = Pattern::fromJson(member(value, "pattern"), path + ".pattern");
    return pattern ? take(PatternSplitter(std::move(*pattern), *behavior, *invert))
                   : pattern.status();
  }
  if (type == "Digits") {
    Result<bool> individual = flag(value, "individual_digits", false, path);
    if (!individual)
      return individual.status();
    return take(CharacterSplitter(isNumber, *individual ? SplitBehavior::Isolated
                                                        : SplitBehavior::Contiguous));
  }
  if (type == "Metaspace") {
    Result<uint32_t> replacement = characterOf(value, "replacement", path);
    Result<Metaspace::Prepend> prepend = prependOf(value, path);
    Result<bool> splits = flag(value, "split", true, path);
    if (!replacement)
      return replacement.status();
    if (!prepend || !splits)
      return prepend ? splits.status() : prepend.status();
    return take(Metaspace(encodeCharacter(*replacement), *prepend, *splits));
  }
  if (type == "Whitespace")
    // \w of Rust's regex: with the joiners.
    return takePattern(R"([\w\x{200c}\x{200d}]+|[^\w\x{200c}\x{200d}\s]+)", SplitBehavior::Removed,
                       /*invert=*/true);
  if (type == "WhitespaceSplit")
    return take(CharacterSplitter(isWhiteSpace, SplitBehavior::Removed));
  if (type == "Punctuation") {
    Result<SplitBehavior> behavior = behaviorOf(value, "Isolated", path);
    return behavior ? take(CharacterSplitter(isPunctuation, *behavior)) : behavior.status();
  }
  if (type == "CharDelimiterSplit") {
    Result<uint32_t> delimiter = characterOf(value, "delimiter", path);
    if (!delimiter)
      return delimiter.status();
    return take(CharacterSplitter([c = *delimiter](uint32_t other) { return other == c; },
                                  SplitBehavior::Removed));
  }
  return unknownType(value, path,
                     "ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit, "
                     "Punctuation, CharDelimiterSplit, Sequence");
}

Result<PreTokenizer> PreTokenizer::fromJson(const json &value, const std::string &path) {
  PreTokenizer result;
  if (value.is_null())
    return result;
  auto read = [&](const json &part, const std::string &where) { return result.add(part, where); };
  if (Status status = eachPart(value, "pretokenizers", path, read); !status.ok())
    return status;
  return result;
}

Status PreTokenizer::apply(Pieces &pieces) const {
  for (const auto &step : steps) {
    pieces.next.clear();
    for (const Piece &piece : pieces.list)
      if (Status status = step->split(piece, pieces); !status.ok())
        return status;
    std::swap(pieces.list, pieces.next);
  }
  return Status();
}

} // namespace pianola
