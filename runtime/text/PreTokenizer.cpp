// PreTokenizer.cpp - normalisation, and the splits that no token crosses.
#include "runtime/text/PreTokenizer.h"

#include "runtime/text/Pattern.h"
#include "runtime/text/Utf8.h"

#include <nlohmann/json.hpp>
#include <utf8proc.h>

namespace pianola {

using nlohmann::json;

static std::string typeOf(const json &value) {
  return value.is_object() && value.contains("type") && value["type"].is_string()
             ? value["type"].get<std::string>()
             : std::string();
}

static bool flag(const json &value, const char *name, bool otherwise) {
  auto found = value.find(name);
  return found != value.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

Result<Normalizer> Normalizer::fromJson(const json &value, const std::string &path) {
  Normalizer normalizer;
  if (value.is_null())
    return normalizer;
  std::string type = typeOf(value);
  if (type == "Sequence" && value.contains("normalizers") && value["normalizers"].is_array()) {
    for (size_t i = 0; i < value["normalizers"].size(); ++i) {
      const json &inner = value["normalizers"][i];
      if (typeOf(inner) == "Sequence")
        return Status::error(path + ": a Sequence in a Sequence is not supported");
      Result<Normalizer> step = fromJson(inner, path + ".normalizers[" + std::to_string(i) + "]");
      if (!step)
        return step.status();
      normalizer.forms.insert(normalizer.forms.end(), step->forms.begin(), step->forms.end());
    }
    return normalizer;
  }
  int common = UTF8PROC_STABLE;
  if (type == "NFC")
    normalizer.forms = {common | UTF8PROC_COMPOSE};
  else if (type == "NFD")
    normalizer.forms = {common | UTF8PROC_DECOMPOSE};
  else if (type == "NFKC")
    normalizer.forms = {common | UTF8PROC_COMPOSE | UTF8PROC_COMPAT};
  else if (type == "NFKD")
    normalizer.forms = {common | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
  else
    return Status::error(path + ".type: \"" + type +
                         "\" is not supported (known: NFC, NFD, NFKC, NFKD, Sequence)");
  return normalizer;
}

static Result<std::string> normalise(std::string_view text, int form) {
  utf8proc_uint8_t *out = nullptr;
  utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &out,
                                       static_cast<utf8proc_option_t>(form));
  if (size < 0)
    return Status::error(std::string("text cannot be normalised: ") + utf8proc_errmsg(size));
  std::string result(reinterpret_cast<const char *>(out), size);
  free(out);
  return result;
}

Result<std::string> Normalizer::apply(std::string text) const {
  // utf8proc 2.8 takes U+11A7 for a trailing jamo and composes it away (the first is U+11A8). It
  // composes with nothing, so text is normalised between such characters.
  constexpr std::string_view kNotTrailing = "\xe1\x86\xa7";
  for (int form : forms) {
    std::string result;
    for (size_t from = 0;;) {
      size_t at = text.find(kNotTrailing, from);
      Result<std::string> part = normalise(std::string_view(text).substr(from, at - from), form);
      if (!part)
        return part;
      result += *part;
      if (at == std::string::npos)
        break;
      result += kNotTrailing;
      from = at + kNotTrailing.size();
    }
    text = std::move(result);
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Splits
//===----------------------------------------------------------------------===//

namespace {

// A stretch of a piece: found by the pattern, or between two that were.
struct Stretch {
  size_t begin, end;
  bool isMatch;
};

// A string or expression splits a piece; `behavior` says what becomes of the matches.
class PatternSplitter : public Splitter {
public:
  enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

  PatternSplitter(Pattern pattern, Behavior behavior, bool invert)
      : pattern(std::move(pattern)), behavior(behavior), invert(invert) {}

  Status split(std::string piece, std::vector<std::string> &pieces) const override {
    std::vector<Stretch> stretches;
    size_t from = 0;
    auto found = [&](size_t begin, size_t end) {
      if (from < begin)
        stretches.push_back({from, begin, invert});
      if (begin < end)
        stretches.push_back({begin, end, !invert});
      from = end;
    };
    if (Status status = pattern.findAll(piece, found); !status.ok())
      return status;
    if (from < piece.size())
      stretches.push_back({from, piece.size(), invert});
    arrange(stretches);
    for (const Stretch &stretch : stretches)
      if (!(behavior == Behavior::Removed && stretch.isMatch))
        pieces.push_back(piece.substr(stretch.begin, stretch.end - stretch.begin));
    return Status();
  }

private:
  // Joins neighbours as the behavior says.
  void arrange(std::vector<Stretch> &stretches) const {
    std::vector<Stretch> joined;
    for (const Stretch &stretch : stretches) {
      bool join = false;
      if (!joined.empty()) {
        const Stretch &before = joined.back();
        if (behavior == Behavior::MergedWithPrevious)
          join = stretch.isMatch && !before.isMatch;
        else if (behavior == Behavior::MergedWithNext)
          join = before.isMatch && !stretch.isMatch;
        else if (behavior == Behavior::Contiguous)
          join = before.isMatch == stretch.isMatch;
      }
      if (!join) {
        joined.push_back(stretch);
        continue;
      }
      joined.back().end = stretch.end;
      // A piece that has taken its match takes no second one.
      joined.back().isMatch = behavior == Behavior::MergedWithPrevious || stretch.isMatch;
    }
    stretches = std::move(joined);
  }

  Pattern pattern;
  Behavior behavior;
  bool invert;
};

// Numbers (general categories Nd, Nl, No) stand alone, each by itself or run by run.
class DigitSplitter : public Splitter {
public:
  explicit DigitSplitter(bool individual) : individual(individual) {}

  Status split(std::string piece, std::vector<std::string> &pieces) const override {
    size_t begin = 0;
    bool wasNumber = false;
    for (size_t i = 0; i < piece.size();) {
      Character c = characterAt(piece, i);
      utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c.code));
      bool isNumber = category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                      category == UTF8PROC_CATEGORY_NO;
      if (i > begin && (isNumber != wasNumber || (isNumber && individual))) {
        pieces.push_back(piece.substr(begin, i - begin));
        begin = i;
      }
      wasNumber = isNumber;
      i += c.size;
    }
    if (begin < piece.size())
      pieces.push_back(piece.substr(begin));
    return Status();
  }

private:
  bool individual;
};

class PrefixSpace : public Splitter {
public:
  Status split(std::string piece, std::vector<std::string> &pieces) const override {
    pieces.push_back(piece.empty() || piece[0] != ' ' ? " " + piece : std::move(piece));
    return Status();
  }
};

// GPT-2's pattern (openai/gpt-2, encoder.py).
constexpr const char *kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

} // namespace

Status PreTokenizer::add(const json &value, const std::string &path) {
  std::string type = typeOf(value);
  if (type == "Sequence" && value.contains("pretokenizers") && value["pretokenizers"].is_array()) {
    for (size_t i = 0; i < value["pretokenizers"].size(); ++i) {
      const json &inner = value["pretokenizers"][i];
      if (typeOf(inner) == "Sequence")
        return Status::error(path + ": a Sequence in a Sequence is not supported");
      if (Status status = add(inner, path + ".pretokenizers[" + std::to_string(i) + "]");
          !status.ok())
        return status;
    }
    return Status();
  }
  if (type == "ByteLevel") {
    byteLevel = true;
    if (flag(value, "add_prefix_space", true))
      steps.push_back(std::make_shared<PrefixSpace>());
    if (!flag(value, "use_regex", true))
      return Status();
    Result<Pattern> pattern = Pattern::compile(kByteLevelPattern);
    if (!pattern)
      return pattern.status();
    steps.push_back(std::make_shared<PatternSplitter>(std::move(*pattern),
                                                      PatternSplitter::Behavior::Isolated, false));
    return Status();
  }
  if (type == "Digits") {
    steps.push_back(std::make_shared<DigitSplitter>(flag(value, "individual_digits", false)));
    return Status();
  }
  if (type == "Split") {
    using Behavior = PatternSplitter::Behavior;
    static const std::pair<const char *, Behavior> kBehaviors[] = {
        {"Removed", Behavior::Removed},
        {"Isolated", Behavior::Isolated},
        {"MergedWithPrevious", Behavior::MergedWithPrevious},
        {"MergedWithNext", Behavior::MergedWithNext},
        {"Contiguous", Behavior::Contiguous}};
    std::string behavior = value.value("behavior", json()).is_string()
                               ? value["behavior"].get<std::string>()
                               : std::string();
    for (const auto &[name, which] : kBehaviors) {
      if (behavior != name)
        continue;
      json text = value.value("pattern", json());
      bool isRegex = text.is_object() && text.contains("Regex") && text["Regex"].is_string();
      bool isString = text.is_object() && text.contains("String") && text["String"].is_string();
      if (!isRegex && !isString)
        return Status::error(path + ".pattern: expected {\"Regex\": ...} or {\"String\": ...}");
      Result<Pattern> pattern = isRegex ? Pattern::compile(text["Regex"].get<std::string>())
                                        : Pattern::literal(text["String"].get<std::string>());
      if (!pattern)
        return Status::error(path + ".pattern: " + pattern.message());
      steps.push_back(std::make_shared<PatternSplitter>(std::move(*pattern), which,
                                                        flag(value, "invert", false)));
      return Status();
    }
    return Status::error(path + ".behavior: \"" + behavior + "\" is not known");
  }
  return Status::error(path + ".type: \"" + type +
                       "\" is not supported (known: ByteLevel, Split, Digits, Sequence)");
}

Result<PreTokenizer> PreTokenizer::fromJson(const json &value, const std::string &path) {
  PreTokenizer result;
  if (Status status = result.add(value, path); !status.ok())
    return status;
  if (!result.byteLevel)
    return Status::error(path + ": has no ByteLevel; only byte-level tokenizers are supported");
  return result;
}

Status PreTokenizer::apply(std::string text, std::vector<std::string> &pieces) const {
  std::vector<std::string> current{std::move(text)}, next;
  for (const auto &step : steps) {
    next.clear();
    for (std::string &piece : current)
      if (Status status = step->split(std::move(piece), next); !status.ok())
        return status;
    std::swap(current, next);
  }
  pieces.insert(pieces.end(), std::make_move_iterator(current.begin()),
                std::make_move_iterator(current.end()));
  return Status();
}

} // namespace pianola
