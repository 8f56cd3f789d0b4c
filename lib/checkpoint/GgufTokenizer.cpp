// GgufTokenizer.cpp - the tokenizer of a GGUF file as the tokenizer.json of a model directory.
//
// There are two kinds. "gpt2" merges bytes in the order of a list; how text is split before that is
// no more than a name in the file (`pre`), whose meaning is here. "llama" is SentencePiece's: of
// two neighbours those become one whose piece has the greatest score. As merges that is a list of
// each way to part each piece, by the piece's score, as Hugging Face makes it of such models.
#include "lib/checkpoint/GgufTokenizer.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/ConvertUTF.h"

#include <cmath>
#include <set>
#include <tuple>

using nlohmann::json;

namespace pianola {
namespace {

/// Types of tokens, numbered as in files.
enum TokenType { Normal = 1, Unknown, Control, UserDefined, Unused, Byte };

/// How text is split for one kind of merged bytes.
struct Split {
  llvm::StringLiteral name;
  /// A regular expression; none: GPT-2's, which ByteLevel has.
  const char *pattern;
  bool singleDigits; // digits one by one before that
  bool wholeFirst;   // a piece that is a token is taken whole
  bool isComposed;   // text is brought to Unicode's form C
  bool begins;       // a text begins with the token for that, unless the file says
};

// What letters are in words of one kind of case: o200k and those after it.
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define ENDING "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

constexpr char kLlama3[] =
    ENDING "|" LEAD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES;
constexpr char kQwen2[] = ENDING "|" LEAD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES;
constexpr char kO200k[] = LEAD UPPER "*" LOWER "+" ENDING "?|" LEAD UPPER "+" LOWER "*" ENDING
                                     "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES;
constexpr char kTekken[] = LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER
                                      "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES;

constexpr Split splits[] = {
    {"deepseek-r1-qwen", kQwen2, false, false, true, false},
    {"gpt-2", nullptr, false, false, false, false},
    {"gpt-4o", kO200k, false, true, false, false},
    {"llama-bpe", kLlama3, false, true, false, true},
    {"qwen2", kQwen2, false, false, true, false},
    {"smollm", nullptr, true, false, false, false},
    {"tekken", kTekken, false, true, false, true},
};

/// Makes a tokenizer.json of one file's metadata.
class TokenizerText {
public:
  explicit TokenizerText(const GgufFile &file)
      : name(file.name().str()), fields(file.metadata(), name) {}

  llvm::Expected<std::string> text();

private:
  llvm::Error readTokens();
  llvm::Error readBytes();
  llvm::Error readPieces();
  void takeSpaces();
  json scoredMerges(const json &scores) const;
  json added() const;
  json ends(bool beginsIfAbsent);
  int64_t typeOf(size_t id) const { return types.empty() ? int64_t(Normal) : types[id]; }
  std::string token(size_t id) const { return tokens[id].get<std::string>(); }

  std::string name;
  JsonFields fields;
  json tokens, root;
  std::vector<int64_t> types;
  json vocabulary = json::object(); // of what can be merged
  std::set<size_t> first;           // of it, what is merged before all else
};

llvm::Error TokenizerText::readTokens() {
  const json *found = fields.find("tokenizer.ggml.tokens");
  if (!found || !found->is_array() || found->empty() || !found->front().is_string())
    return refuse(name + ": \"tokenizer.ggml.tokens\": expected a list of texts");
  tokens = *found;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto &text = tokens[id].get_ref<const std::string &>();
    const auto *begin = reinterpret_cast<const llvm::UTF8 *>(text.data());
    if (!llvm::isLegalUTF8String(&begin, begin + text.size()))
      return refuse(name + ": \"tokenizer.ggml.tokens\": token " + llvm::Twine(id) +
                    " is not UTF-8: " + inQuotes(text));
  }
  types = fields.integers("tokenizer.ggml.token_type", 0, 255);
  if (!types.empty() && types.size() != tokens.size())
    return refuse(name + ": \"tokenizer.ggml.token_type\": expected " + llvm::Twine(tokens.size()) +
                  " of them, one for each token, found " + llvm::Twine(types.size()));
  // Of a token that is there twice the first counts. Those that fill the vocabulary up to the rows
  // of a matrix are none.
  for (size_t id = 0; id < tokens.size(); ++id)
    if (int64_t type = typeOf(id); type == Normal || type == Byte || type == Unknown)
      vocabulary.emplace(token(id), id);
  return llvm::Error::success();
}

json TokenizerText::added() const {
  json list = json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    int64_t type = typeOf(id);
    if (type != Control && type != UserDefined && type != Unknown)
      continue;
    if (tokens[id] == "")
      continue;
    list.push_back({{"id", id},
                    {"content", tokens[id]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", type != UserDefined}});
  }
  return list;
}

/// What stands before and after each text.
json TokenizerText::ends(bool beginsIfAbsent) {
  json single = json::array(), special = json::object();
  auto add = [&](const char *which, bool isThere) {
    std::string key = std::string("tokenizer.ggml.") + which + "_token_id";
    std::optional<int64_t> id;
    fields.integer(key, 0, int64_t(tokens.size()) - 1, id);
    if (isThere && !id)
      fields.wrong(key, "a token, which is to be put beside each text");
    if (!isThere || !id || fields.failed())
      return;
    std::string text = token(size_t(*id));
    single.push_back({{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
    special[text] = {{"id", text}, {"ids", {*id}}, {"tokens", {text}}};
  };
  add("bos", fields.flag("tokenizer.ggml.add_bos_token", beginsIfAbsent));
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add("eos", fields.flag("tokenizer.ggml.add_eos_token", false));
  if (special.empty())
    return nullptr;
  json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

llvm::Error TokenizerText::readBytes() {
  std::optional<std::string> pre;
  fields.string("tokenizer.ggml.pre", pre);
  std::vector<std::string> names;
  for (const Split &split : splits)
    names.push_back(inQuotes(split.name));
  const auto *split = llvm::find_if(splits, [&](const Split &each) { return each.name == pre; });
  if (split == std::end(splits))
    return refuse(name + ": \"tokenizer.ggml.pre\": expected one of " + llvm::join(names, ", ") +
                  ", found " + (pre ? inQuotes(*pre) : "none"));
  json byteLevel = {{"type", "ByteLevel"},
                    {"add_prefix_space", false},
                    {"trim_offsets", false},
                    {"use_regex", split->pattern == nullptr}};
  json steps = json::array();
  if (split->singleDigits)
    steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (split->pattern)
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", split->pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  steps.push_back(byteLevel);
  root["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  root["normalizer"] = split->isComposed ? json{{"type", "NFC"}} : json();
  root["decoder"] = byteLevel;
  root["post_processor"] = ends(split->begins);
  const json *merges = fields.find("tokenizer.ggml.merges");
  if (!merges || !merges->is_array() || (!merges->empty() && !merges->front().is_string()))
    return refuse(name + ": \"tokenizer.ggml.merges\": expected a list of texts");
  root["model"] = {{"type", "BPE"},        {"dropout", nullptr},
                   {"unk_token", nullptr}, {"ignore_merges", split->wholeFirst},
                   {"vocab", vocabulary},  {"merges", *merges}};
  return llvm::Error::success();
}

/// Gemma has runs of spaces among the tokens that users define, which are found before all else. In
/// Hugging Face's tokenizers spaces are another character by then: they are merged before all else.
void TokenizerText::takeSpaces() {
  const std::string space = "\u2581";
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (typeOf(id) != UserDefined)
      continue;
    std::string run;
    llvm::StringRef rest = tokens[id].get_ref<const std::string &>();
    while (rest.consume_front(" ") || rest.consume_front(space))
      run += space;
    if (run.empty() || !rest.empty())
      continue;
    tokens[id] = run;
    vocabulary.emplace(run, id);
    first.insert(id);
  }
}

// More than any model has, and what tokenizer.json may still have room for.
constexpr size_t kMostMerges = 1 << 22;

json TokenizerText::scoredMerges(const json &scores) const {
  llvm::StringMap<size_t> ids;
  for (const auto &[text, id] : vocabulary.items())
    ids[text] = id.get<size_t>();
  // The best pieces first; of one piece and of pieces as good the first by their numbers.
  using Merge =
      std::tuple<double, size_t, size_t, size_t>; // -score, piece, its left and right part
  std::vector<Merge> merges;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (typeOf(id) != Normal && !first.count(id))
      continue;
    llvm::StringRef text = tokens[id].get_ref<const std::string &>();
    double score = first.count(id) ? HUGE_VAL : scores[id].get<double>();
    constexpr size_t longest = 256; // what a piece of more bytes is made of would be too many
    if (text.size() > longest)
      continue;
    for (size_t at = 1; at < text.size(); ++at) {
      if ((uint8_t(text[at]) & 0xc0) == 0x80) // within a character
        continue;
      auto left = ids.find(text.take_front(at)), right = ids.find(text.drop_front(at));
      if (left != ids.end() && right != ids.end())
        merges.push_back({-score, id, left->second, right->second});
    }
    if (merges.size() > kMostMerges)
      return nullptr;
  }
  llvm::sort(merges);
  json list = json::array();
  for (const auto &[score, piece, left, right] : merges)
    list.push_back({tokens[left], tokens[right]});
  return list;
}

llvm::Error TokenizerText::readPieces() {
  const json *scores = fields.find("tokenizer.ggml.scores");
  if (!scores || !scores->is_array() || scores->size() != tokens.size())
    return refuse(name + ": \"tokenizer.ggml.scores\": expected " + llvm::Twine(tokens.size()) +
                  " numbers, one for each token");
  for (size_t id = 0; id < scores->size(); ++id)
    if (!(*scores)[id].is_number() || std::isnan((*scores)[id].get<double>()))
      return refuse(name + ": \"tokenizer.ggml.scores\": that of token " + llvm::Twine(id) +
                    " is no number");
  const json space = "\u2581";
  json toSpace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", space}};
  json fromSpace = {{"type", "Replace"}, {"pattern", {{"String", space}}}, {"content", " "}};
  json decoders = {fromSpace, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  root["normalizer"] = toSpace;
  if (fields.flag("tokenizer.ggml.add_space_prefix", true)) {
    root["normalizer"] = {{"type", "Sequence"},
                          {"normalizers", {{{"type", "Prepend"}, {"prepend", space}}, toSpace}}};
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  root["pre_tokenizer"] = nullptr;
  root["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
  root["post_processor"] = ends(true);
  json unknown;
  std::optional<int64_t> id;
  fields.integer("tokenizer.ggml.unknown_token_id", 0, int64_t(tokens.size()) - 1, id);
  if (!id)
    for (size_t i = 0; i < tokens.size() && !id; ++i)
      if (typeOf(i) == Unknown)
        id = int64_t(i);
  if (id && !fields.failed()) {
    unknown = tokens[size_t(*id)];
    vocabulary.emplace(token(size_t(*id)), *id);
  }
  json merges = scoredMerges(*scores);
  if (merges.is_null())
    return refuse(name + ": \"tokenizer.ggml.tokens\": are made of each other in more than " +
                  llvm::Twine(kMostMerges) + " ways");
  root["model"] = {{"type", "BPE"},       {"dropout", nullptr},         {"unk_token", unknown},
                   {"fuse_unk", true},    {"byte_fallback", true},      {"ignore_merges", false},
                   {"vocab", vocabulary}, {"merges", std::move(merges)}};
  return llvm::Error::success();
}

llvm::Expected<std::string> TokenizerText::text() {
  std::optional<std::string> model;
  fields.string("tokenizer.ggml.model", model);
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  if (!model || *model == "none" || *model == "no_vocab")
    return std::string();
  if (*model != "gpt2" && *model != "llama")
    return refuse(name + ": \"tokenizer.ggml.model\": expected one of \"gpt2\", \"llama\", found " +
                  inQuotes(*model));
  root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  if (llvm::Error error = readTokens())
    return std::move(error);
  if (*model == "llama")
    takeSpaces();
  root["added_tokens"] = added();
  if (llvm::Error error = *model == "gpt2" ? readBytes() : readPieces())
    return std::move(error);
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

llvm::Expected<std::string> ggufTokenizer(const GgufFile &file) {
  return TokenizerText(file).text();
}

llvm::Expected<std::string> ggufTokenizerConfig(const GgufFile &file) {
  JsonFields fields(file.metadata(), file.name().str());
  json config = json::object();
  std::optional<std::string> source;
  fields.string("tokenizer.chat_template", source);
  if (source)
    config["chat_template"] = *source;
  const json *tokens = fields.find("tokenizer.ggml.tokens");
  for (auto [key, name] : {std::pair("bos", "bos_token"),
                           {"eos", "eos_token"},
                           {"unknown", "unk_token"},
                           {"padding", "pad_token"}}) {
    std::optional<int64_t> id;
    fields.integer(std::string("tokenizer.ggml.") + key + "_token_id", 0, 1 << 30, id);
    if (id && tokens && tokens->is_array() && size_t(*id) < tokens->size() &&
        (*tokens)[size_t(*id)].is_string())
      config[name] = (*tokens)[size_t(*id)];
  }
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  return config.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace pianola
