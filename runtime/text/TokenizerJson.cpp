// TokenizerJson.cpp - reads a tokenizer.json.
#include "runtime/JsonShape.h"
#include "runtime/text/JsonParts.h"
#include "runtime/text/Tokenizer.h"

namespace pianola {

using nlohmann::json;

static constexpr int64_t kMostIds = 1 << 24;

class TokenizerReader {
public:
  explicit TokenizerReader(Tokenizer &tokenizer) : tokenizer(tokenizer) {}

  Status read(const json &root);

private:
  Status readModel(const json &model);
  Status readVocabulary(const json &model);
  Status readUnknown(const json &model);
  Status readMerges(const json &model);
  Status readAdded(const json &list);
  Status readTemplate(const json &value, const std::string &path);
  Status readPostProcessor(const json &value, const std::string &path);
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
  if (token.known && token.name != name)
    return Status::error(path + ": id " + std::to_string(number) + " is given to two tokens");
  if (token.known)
    return Status();
  token.name = name;
  token.spelling = tokenizer.decoder.spell(name, /*first=*/false);
  token.known = true;
  tokenizer.names.add(name, number);
  return Status();
}

Status TokenizerReader::readVocabulary(const json &model) {
  const json &vocabulary = member(model, "vocab");
  if (!vocabulary.is_object() || vocabulary.empty())
    return Status::error("model.vocab: expected an object of tokens and ids");
  // Ids may have gaps, but not such that a small file makes a large table.
  for (const auto &[name, id] : vocabulary.items())
    if (id.is_number_integer() && id >= 0 && id < kMostIds &&
        id.get<uint64_t>() > 64 * vocabulary.size() + 1024)
      return Status::error("model.vocab: id " + id.dump() + " is too large for a vocabulary of " +
                           std::to_string(vocabulary.size()));
  BytePairs &pairs = tokenizer.pairs;
  pairs.byteLevel = tokenizer.preTokenizer.isByteLevel();
  pairs.vocabulary.reserve(vocabulary.size());
  tokenizer.names.reserve(vocabulary.size());
  for (const auto &[name, id] : vocabulary.items()) {
    if (Status status = addToken(name, id, "model.vocab"); !status.ok())
      return status;
    std::optional<std::string> text = pairs.byteLevel ? bytesOfLevel(name) : name;
    // Byte-level text has no other characters than those of the alphabet.
    if (!text)
      continue;
    pairs.vocabulary.add(*text, id.get<int32_t>());
    if (pairs.byteLevel && text->size() == 1)
      pairs.bytes[static_cast<uint8_t>((*text)[0])] = id.get<int32_t>();
  }
  return Status();
}

// What becomes of characters that are not in the vocabulary.
Status TokenizerReader::readUnknown(const json &model) {
  BytePairs &pairs = tokenizer.pairs;
  Result<bool> fallback = flag(model, "byte_fallback", false, "model");
  Result<bool> fuse = flag(model, "fuse_unk", false, "model");
  if (!fallback || !fuse)
    return fallback ? fuse.status() : fallback.status();
  const json &unknown = member(model, "unk_token");
  if (pairs.byteLevel)
    return Status(); // there are none
  if (*fallback)
    for (int byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof(name), "<0x%02X>", byte);
      pairs.bytes[byte] = tokenizer.names.find(name);
    }
  pairs.fuseUnknown = *fuse;
  if (unknown.is_null())
    return Status();
  if (!unknown.is_string())
    return Status::error("model.unk_token: expected a token");
  pairs.unknown = pairs.vocabulary.find(unknown.get<std::string>());
  if (pairs.unknown == Vocabulary::kNone)
    return Status::error("model.unk_token: " + unknown.dump() + " is not in the vocabulary");
  return Status();
}

Status TokenizerReader::readMerges(const json &model) {
  const json &merges = member(model, "merges");
  if (!merges.is_array())
    return Status::error("model.merges: expected a list");
  for (size_t i = 0; i < merges.size(); ++i) {
    const json &merge = merges[i];
    auto path = [&] { return "model.merges[" + std::to_string(i) + "]"; };
    std::string left, right;
    if (merge.is_string()) {
      auto both = merge.get<std::string>();
      size_t space = both.find(' ');
      if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos)
        return Status::error(path() + ": expected two tokens and a space");
      left = both.substr(0, space);
      right = both.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      return Status::error(path() + ": expected two tokens");
    }
    int32_t ids[3];
    const std::string names[3] = {left, right, left + right};
    for (int j = 0; j < 3; ++j) {
      ids[j] = tokenizer.names.find(names[j]);
      if (ids[j] == Vocabulary::kNone)
        return Status::error(path() + ": \"" + names[j] + "\" is not in the vocabulary");
    }
    tokenizer.pairs.addMerge(ids[0], ids[1], ids[2]);
  }
  tokenizer.pairs.finish();
  return Status();
}

Status TokenizerReader::readModel(const json &model) {
  if (!model.is_object())
    return Status::error("model: expected an object");
  // Old files do not say the type.
  if (const json &type = member(model, "type"); !type.is_null() && type != "BPE")
    return Status::error("model.type: " + type.dump() + " is not supported (known: \"BPE\")");
  for (const char *name : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const json &affix = member(model, name); !affix.is_null() && affix != "")
      return Status::error(std::string("model.") + name + ": " + affix.dump() +
                           " is not supported (known: null, \"\")");
  Result<bool> ignoreMerges = flag(model, "ignore_merges", false, "model");
  if (!ignoreMerges)
    return ignoreMerges.status();
  tokenizer.pairs.ignoreMerges = *ignoreMerges;
  if (Status status = readVocabulary(model); !status.ok())
    return status;
  if (Status status = readUnknown(model); !status.ok())
    return status;
  return readMerges(model);
}

Status TokenizerReader::readAdded(const json &list) {
  if (list.is_null())
    return Status();
  if (!list.is_array())
    return Status::error("added_tokens: expected a list");
  size_t count = tokenizer.tokens.size() + list.size();
  for (size_t i = 0; i < list.size(); ++i) {
    const json &entry = list[i];
    std::string path = "added_tokens[" + std::to_string(i) + "]";
    const json &content = member(entry, "content"), &id = member(entry, "id");
    if (!content.is_string() || id.is_null())
      return Status::error(path + ": expected an object with id and content");
    if (id.is_number_unsigned() && id.get<uint64_t>() > 64 * count + 1024)
      return Status::error(path + ".id: " + id.dump() + " is too large for a vocabulary of " +
                           std::to_string(count));
    AddedToken token{};
    token.content = content.get<std::string>();
    for (auto [name, to] : {std::pair("special", &token.special),
                            {"lstrip", &token.lstrip},
                            {"rstrip", &token.rstrip},
                            {"single_word", &token.singleWord},
                            {"normalized", &token.normalized}}) {
      Result<bool> given = flag(entry, name, false, path);
      if (!given)
        return given.status();
      *to = *given;
    }
    if (Status status = addToken(token.content, member(entry, "id"), path + ".id"); !status.ok())
      return status;
    Result<std::string> normal = tokenizer.normalizer.apply(token.content);
    if (!normal)
      return Status::error(path + ".content: " + normal.message());
    token.normalContent = std::move(*normal);
    token.id = member(entry, "id").get<int32_t>();
    Tokenizer::Token &known = tokenizer.tokens[token.id];
    known.special = token.special;
    // As in Hugging Face's tokenizers it is shown normalised, and if that is another text it is not
    // known for a special one.
    if (token.normalized) {
      known.special &= token.normalContent == token.content;
      known.name = token.normalContent;
      known.spelling = tokenizer.decoder.spell(known.name, /*first=*/false);
    }
    tokenizer.added.add(std::move(token));
  }
  return Status();
}

Status TokenizerReader::readTemplate(const json &value, const std::string &path) {
  const json &single = member(value, "single"), &special = member(value, "special_tokens");
  if (!single.is_array())
    return Status::error(path + ".single: expected a list");
  std::vector<int32_t> before, after, *to = &before;
  for (size_t i = 0; i < single.size(); ++i) {
    const json &piece = single[i];
    std::string where = path + ".single[" + std::to_string(i) + "]";
    if (!member(piece, "Sequence").is_null()) {
      to = &after;
      continue;
    }
    const json &token = member(member(piece, "SpecialToken"), "id");
    if (!token.is_string())
      return Status::error(where + ": expected a SpecialToken or a Sequence");
    auto name = token.get<std::string>();
    const json &ids = member(member(special, name.c_str()), "ids");
    if (!ids.is_array())
      return Status::error(where + ": \"" + name + "\" is not in special_tokens");
    for (const json &id : ids) {
      if (!id.is_number_integer() || id < 0 || id >= kMostIds || !tokenizer.find(id.get<int32_t>()))
        return Status::error(path + ".special_tokens." + name + ".ids: expected ids of tokens");
      to->push_back(id.get<int32_t>());
    }
  }
  // A template that comes later goes around those before.
  tokenizer.prefix.insert(tokenizer.prefix.begin(), before.begin(), before.end());
  tokenizer.suffix.insert(tokenizer.suffix.end(), after.begin(), after.end());
  return Status();
}

Status TokenizerReader::readPostProcessor(const json &value, const std::string &path) {
  if (value.is_null())
    return Status();
  return eachPart(value, "processors", path, [&](const json &part, const std::string &where) {
    std::string type = typeOf(part);
    if (type == "ByteLevel")
      return Status(); // concerns offsets alone
    if (type == "TemplateProcessing")
      return readTemplate(part, where);
    return unknownType(part, where, "ByteLevel, TemplateProcessing, Sequence");
  });
}

Status TokenizerReader::read(const json &root) {
  auto take = [&](const char *name, auto read, auto &to) {
    auto part = read(member(root, name), name);
    if (!part)
      return part.status();
    to = std::move(*part);
    return Status();
  };
  if (Status status = take("normalizer", Normalizer::fromJson, tokenizer.normalizer); !status.ok())
    return status;
  if (Status status = take("pre_tokenizer", PreTokenizer::fromJson, tokenizer.preTokenizer);
      !status.ok())
    return status;
  if (Status status = take("decoder", Decoder::fromJson, tokenizer.decoder); !status.ok())
    return status;
  if (Status status = readModel(member(root, "model")); !status.ok())
    return status;
  if (Status status = readAdded(member(root, "added_tokens")); !status.ok())
    return status;
  return readPostProcessor(member(root, "post_processor"), "post_processor");
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::fromJson(std::string_view text) {
  if (jsonShape(text).depth > 64) // deeper than any tokenizer
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
