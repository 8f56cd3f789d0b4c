// TokenizerJson.cpp - reads a tokenizer.json.
#include "runtime/JsonDepth.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/text/Utf8.h"

#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::json;

namespace {

constexpr int64_t kMostIds = 1 << 24;

// Byte-level tokens are written in printable characters: the 188 bytes that are printable in
// Latin-1 for themselves, the other 68 as U+0100 and on, in their order (openai/gpt-2, encoder.py).
std::unordered_map<uint32_t, uint8_t> byteAlphabet() {
  std::unordered_map<uint32_t, uint8_t> bytes;
  uint32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    bytes[printable ? b : next++] = static_cast<uint8_t>(b);
  }
  return bytes;
}

// A token that has a character outside of the alphabet stands for itself.
std::string toBytes(const std::string &token) {
  static const std::unordered_map<uint32_t, uint8_t> alphabet = byteAlphabet();
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    Character c = characterAt(token, i);
    auto found = alphabet.find(c.code);
    if (!c.valid || found == alphabet.end())
      return token;
    bytes += static_cast<char>(found->second);
    i += c.size;
  }
  return bytes;
}

} // namespace

class TokenizerReader {
public:
  explicit TokenizerReader(Tokenizer &tokenizer) : tokenizer(tokenizer) {}

  Status read(const json &root);

private:
  Status readVocabulary(const json &model);
  Status readMerges(const json &model);
  Status readAdded(const json &list);
  Status readPostProcessor(const json &value, const std::string &path);
  Status readTemplate(const json &value, const std::string &path);
  Status readDecoder(const json &value, const std::string &path);
  Status addToken(const std::string &name, const json &id, const std::string &path);

  Tokenizer &tokenizer;
};

Status TokenizerReader::addToken(const std::string &name, const json &id, const std::string &path) {
  if (!id.is_number_integer() || id < 0 || id >= kMostIds)
    return Status::error(path + ": expected an id from 0 to " + std::to_string(kMostIds - 1) +
                         ", found " + id.dump());
  auto number = id.get<int32_t>();
  if (static_cast<size_t>(number) >= tokenizer.tokens.size())
    tokenizer.tokens.resize(number + 1);
  Tokenizer::Token &token = tokenizer.tokens[number];
  std::string bytes = toBytes(name);
  if (token.known && token.bytes != bytes)
    return Status::error(path + ": id " + std::to_string(number) + " is given to two tokens");
  token.bytes = std::move(bytes);
  token.known = true;
  tokenizer.names[name] = number;
  return Status();
}

Status TokenizerReader::readVocabulary(const json &model) {
  auto found = model.find("vocab");
  if (found == model.end() || !found->is_object() || found->empty())
    return Status::error("model.vocab: expected an object of tokens and ids");
  // Ids may have gaps, but not such that a small file makes a large table.
  for (const auto &[name, id] : found->items())
    if (id.is_number_integer() && id >= 0 && id < kMostIds &&
        id.get<uint64_t>() > 64 * found->size() + 1024)
      return Status::error("model.vocab: id " + id.dump() + " is too large for a vocabulary of " +
                           std::to_string(found->size()));
  for (const auto &[name, id] : found->items())
    if (Status status = addToken(name, id, "model.vocab"); !status.ok())
      return status;
  tokenizer.pairs.bytes.fill(-1);
  for (const auto &[name, id] : found->items()) {
    std::string bytes = toBytes(name);
    if (bytes.size() == 1)
      tokenizer.pairs.bytes[static_cast<uint8_t>(bytes[0])] = id.get<int32_t>();
    tokenizer.pairs.whole[bytes] = id.get<int32_t>();
  }
  return Status();
}

Status TokenizerReader::readMerges(const json &model) {
  auto found = model.find("merges");
  if (found == model.end() || !found->is_array())
    return Status::error("model.merges: expected a list");
  for (size_t i = 0; i < found->size(); ++i) {
    const json &merge = (*found)[i];
    std::string path = "model.merges[" + std::to_string(i) + "]", left, right;
    if (merge.is_string()) {
      auto text = merge.get<std::string>();
      size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        return Status::error(path + ": expected two tokens and a space");
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      return Status::error(path + ": expected two tokens");
    }
    int32_t ids[3];
    const std::string names[3] = {left, right, left + right};
    for (int j = 0; j < 3; ++j) {
      auto known = tokenizer.names.find(names[j]);
      if (known == tokenizer.names.end())
        return Status::error(path + ": \"" + names[j] + "\" is not in the vocabulary");
      ids[j] = known->second;
    }
    tokenizer.pairs.addMerge(ids[0], ids[1], ids[2]);
  }
  return Status();
}

Status TokenizerReader::readAdded(const json &list) {
  if (list.is_null())
    return Status();
  if (!list.is_array())
    return Status::error("added_tokens: expected a list");
  for (size_t i = 0; i < list.size(); ++i) {
    const json &entry = list[i];
    std::string path = "added_tokens[" + std::to_string(i) + "]";
    if (!entry.is_object() || !entry.contains("content") || !entry["content"].is_string() ||
        !entry.contains("id"))
      return Status::error(path + ": expected an object with id and content");
    auto flag = [&](const char *name) {
      auto found = entry.find(name);
      return found != entry.end() && found->is_boolean() && found->get<bool>();
    };
    auto content = entry["content"].get<std::string>();
    if (Status status = addToken(content, entry["id"], path + ".id"); !status.ok())
      return status;
    AddedToken token{entry["id"].get<int32_t>(),
                     content,
                     flag("special"),
                     flag("lstrip"),
                     flag("rstrip"),
                     flag("single_word"),
                     flag("normalized")};
    tokenizer.tokens[token.id].special = token.special;
    tokenizer.added.add(std::move(token));
  }
  return Status();
}

Status TokenizerReader::readTemplate(const json &value, const std::string &path) {
  auto single = value.find("single"), special = value.find("special_tokens");
  if (single == value.end() || !single->is_array())
    return Status::error(path + ".single: expected a list");
  std::vector<int32_t> *to = &tokenizer.prefix;
  for (size_t i = 0; i < single->size(); ++i) {
    const json &piece = (*single)[i];
    std::string where = path + ".single[" + std::to_string(i) + "]";
    if (piece.is_object() && piece.contains("Sequence")) {
      to = &tokenizer.suffix;
      continue;
    }
    if (!piece.is_object() || !piece.contains("SpecialToken") ||
        !piece["SpecialToken"].is_object() || !piece["SpecialToken"].contains("id") ||
        !piece["SpecialToken"]["id"].is_string())
      return Status::error(where + ": expected a SpecialToken or a Sequence");
    auto name = piece["SpecialToken"]["id"].get<std::string>();
    if (special == value.end() || !special->is_object() || !special->contains(name) ||
        !(*special)[name].is_object() || !(*special)[name].contains("ids") ||
        !(*special)[name]["ids"].is_array())
      return Status::error(where + ": \"" + name + "\" is not in special_tokens");
    for (const json &id : (*special)[name]["ids"]) {
      if (!id.is_number_integer() || id < 0 || id >= kMostIds)
        return Status::error(path + ".special_tokens." + name + ".ids: expected ids");
      to->push_back(id.get<int32_t>());
    }
  }
  return Status();
}

Status TokenizerReader::readPostProcessor(const json &value, const std::string &path) {
  if (value.is_null())
    return Status();
  std::string type = value.is_object() && value.contains("type") && value["type"].is_string()
                         ? value["type"].get<std::string>()
                         : std::string();
  if (type == "ByteLevel")
    return Status(); // concerns offsets alone
  if (type == "TemplateProcessing")
    return readTemplate(value, path);
  if (type == "Sequence" && value.contains("processors") && value["processors"].is_array()) {
    for (size_t i = 0; i < value["processors"].size(); ++i) {
      const json &inner = value["processors"][i];
      if (inner.is_object() && inner.value("type", json()) == "Sequence")
        return Status::error(path + ": a Sequence in a Sequence is not supported");
      if (Status status = readPostProcessor(inner, path + ".processors[" + std::to_string(i) + "]");
          !status.ok())
        return status;
    }
    return Status();
  }
  return Status::error(path + ".type: \"" + type +
                       "\" is not supported (known: ByteLevel, TemplateProcessing, Sequence)");
}

Status TokenizerReader::readDecoder(const json &value, const std::string &path) {
  std::string type = value.is_object() && value.contains("type") && value["type"].is_string()
                         ? value["type"].get<std::string>()
                         : std::string();
  if (type == "ByteLevel")
    return Status();
  if (type == "Sequence" && value.contains("decoders") && value["decoders"].is_array() &&
      value["decoders"].size() == 1)
    return readDecoder(value["decoders"][0], path + ".decoders[0]");
  return Status::error(path + ".type: \"" + type + "\" is not supported (known: ByteLevel)");
}

Status TokenizerReader::read(const json &root) {
  auto member = [&](const char *name) {
    auto found = root.find(name);
    return found == root.end() ? json() : *found;
  };
  json model = member("model");
  if (!model.is_object())
    return Status::error("model: expected an object");
  // Old files do not say the type.
  if (model.contains("type") && model["type"] != "BPE")
    return Status::error("model.type: " + model["type"].dump() +
                         " is not supported (known: \"BPE\")");
  if (model.contains("byte_fallback") && model["byte_fallback"] == true)
    return Status::error("model.byte_fallback: only byte-level tokenizers are supported");
  tokenizer.pairs.ignoreMerges = model.contains("ignore_merges") && model["ignore_merges"] == true;
  if (Status status = readVocabulary(model); !status.ok())
    return status;
  if (Status status = readMerges(model); !status.ok())
    return status;
  if (Status status = readAdded(member("added_tokens")); !status.ok())
    return status;
  Result<Normalizer> normalizer = Normalizer::fromJson(member("normalizer"), "normalizer");
  if (!normalizer)
    return normalizer.status();
  tokenizer.normalizer = std::move(*normalizer);
  Result<PreTokenizer> preTokenizer =
      PreTokenizer::fromJson(member("pre_tokenizer"), "pre_tokenizer");
  if (!preTokenizer)
    return preTokenizer.status();
  tokenizer.preTokenizer = std::move(*preTokenizer);
  if (Status status = readPostProcessor(member("post_processor"), "post_processor"); !status.ok())
    return status;
  return readDecoder(member("decoder"), "decoder");
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::fromJson(std::string_view text) {
  if (jsonDepth(text) > 64) // deeper than any tokenizer
    return Status::error("tokenizer.json: is nested too deeply");
  json root = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return Status::error("tokenizer.json: is not a JSON object");
  auto tokenizer = std::make_unique<Tokenizer>();
  if (Status status = TokenizerReader(*tokenizer).read(root); !status.ok())
    return Status::error("tokenizer.json: " + status.message());
  return tokenizer;
}

} // namespace pianola
