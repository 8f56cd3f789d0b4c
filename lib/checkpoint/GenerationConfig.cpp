// GenerationConfig.cpp - how a release wants to be sampled, and where each wish stands.
#include "lib/checkpoint/GenerationConfig.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/ModelTexts.h"
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <limits>

using nlohmann::json;

namespace pianola {
namespace {

constexpr int64_t mostId = std::numeric_limits<int32_t>::max();

/// Some releases write -1 where they have no such token.
void readId(JsonFields &fields, llvm::StringRef key, const std::string &from,
            std::optional<Setting<int32_t>> &out) {
  std::optional<int64_t> id;
  fields.integer(key, -1, mostId, id);
  if (id && *id >= 0)
    out = Setting<int32_t>{int32_t(*id), from};
}

void readStopIds(JsonFields &fields, const std::string &from, std::vector<Setting<int32_t>> &out) {
  const json *value = fields.find("eos_token_id");
  if (!value)
    return;
  json ids = value->is_array() ? *value : json::array({*value});
  constexpr size_t mostIds = 1024;
  if (ids.size() > mostIds)
    return fields.wrong("eos_token_id", "at most 1024 ids");
  for (const json &id : ids) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t(mostId))
      return fields.wrong("eos_token_id", "an id from 0 to 2147483647 or an array of such");
    int32_t stop = id.get<int32_t>();
    if (llvm::none_of(out, [&](const Setting<int32_t> &known) { return known.value == stop; }))
      out.push_back({stop, from});
  }
}

template <typename T>
void keep(const std::optional<T> &value, const std::string &from, std::optional<Setting<T>> &out) {
  if (value)
    out = Setting<T>{*value, from};
}

llvm::Error readInto(GenerationConfig &config, const json &object, const std::string &from) {
  JsonFields fields(object, from);
  readStopIds(fields, from, config.stopIds);
  readId(fields, "bos_token_id", from, config.bosId);
  readId(fields, "pad_token_id", from, config.padId);
  std::optional<bool> doSample;
  fields.boolean("do_sample", doSample);
  keep(doSample, from, config.doSample);
  std::optional<int64_t> topK;
  fields.integer("top_k", -1, mostId, topK);
  if (topK)
    topK = std::max<int64_t>(*topK, 0); // -1 also means off
  keep(topK, from, config.topK);
  auto number = [&](llvm::StringRef key, double least, double most,
                    std::optional<Setting<double>> &out) {
    std::optional<double> value;
    fields.number(key, least, most, value);
    keep(value, from, out);
  };
  number("temperature", 0, 1e6, config.temperature);
  number("top_p", 0, 1, config.topP);
  number("min_p", 0, 1, config.minP);
  number("repetition_penalty", 1e-6, 1e6, config.repetitionPenalty);
  return fields.takeError();
}

} // namespace

llvm::Expected<GenerationConfig> GenerationConfig::fromDirectory(llvm::StringRef directory) {
  constexpr uint64_t longest = 4 << 20;
  llvm::Expected<std::string> model = readModelText(directory, "config.json", longest);
  if (!model)
    return model.takeError();
  llvm::Expected<std::optional<std::string>> generation =
      findModelText(directory, "generation_config.json", longest);
  if (!generation)
    return generation.takeError();
  return fromTexts(*model,
                   *generation ? std::optional<llvm::StringRef>(**generation) : std::nullopt);
}

llvm::Expected<GenerationConfig>
GenerationConfig::fromTexts(llvm::StringRef model, std::optional<llvm::StringRef> generation) {
  // What is read first has the last word, except that stop ids add up. Old releases keep sampling
  // defaults in config.json.
  auto read = [&](llvm::StringRef text, const std::string &name, auto &into) -> llvm::Error {
    llvm::Expected<json> object = parseJsonObject(text, name);
    return object ? readInto(into, *object, name) : object.takeError();
  };
  GenerationConfig config, fallback;
  if (llvm::Error error = read(model, "config.json", fallback))
    return std::move(error);
  if (generation)
    if (llvm::Error error = read(*generation, "generation_config.json", config))
      return std::move(error);
  for (const Setting<int32_t> &stop : fallback.stopIds)
    if (llvm::none_of(config.stopIds, [&](auto &known) { return known.value == stop.value; }))
      config.stopIds.push_back(stop);
  llvm::sort(config.stopIds, [](auto &a, auto &b) { return a.value < b.value; });
  auto fill = [&](auto member) {
    if (!(config.*member))
      config.*member = fallback.*member;
  };
  fill(&GenerationConfig::bosId);
  fill(&GenerationConfig::padId);
  fill(&GenerationConfig::doSample);
  fill(&GenerationConfig::temperature);
  fill(&GenerationConfig::topK);
  fill(&GenerationConfig::topP);
  fill(&GenerationConfig::minP);
  fill(&GenerationConfig::repetitionPenalty);
  return config;
}

} // namespace pianola
