// ModelConfig.cpp - config.json, with its spellings made one.
#include "lib/checkpoint/ModelConfig.h"

#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <algorithm>

using nlohmann::json;

namespace pianola {
namespace {

constexpr int64_t mostLayers = 4096;
constexpr int64_t mostPositions = 1 << 30;

void readSizes(JsonFields &fields, ModelConfig &config) {
  fields.integer("vocab_size", 1, 1 << 24, config.vocabulary);
  fields.integer("hidden_size", 1, 1 << 20, config.hidden);
  fields.integer("intermediate_size", 1, 1 << 22, config.intermediate);
  fields.integer("num_hidden_layers", 1, mostLayers, config.layers);
  fields.integer("num_attention_heads", 1, 4096, config.heads);
  fields.integer("max_position_embeddings", 1, mostPositions, config.maxPositions);
  fields.number("rms_norm_eps", 0, 1, config.normEps);
  if (fields.failed())
    return;

  std::optional<int64_t> kvHeads, headSize;
  fields.integer("num_key_value_heads", 1, config.heads, kvHeads);
  config.kvHeads = kvHeads.value_or(config.heads);
  if (config.heads % config.kvHeads)
    return fields.wrong("num_key_value_heads",
                        "a divisor of num_attention_heads, " + llvm::Twine(config.heads));
  fields.integer("head_dim", 2, 4096, headSize);
  if (!headSize && config.hidden % config.heads)
    return fields.wrong("num_attention_heads", "a divisor of hidden_size, " +
                                                   llvm::Twine(config.hidden) +
                                                   ", where head_dim is absent");
  config.headSize = headSize.value_or(config.hidden / config.heads);
  if (config.headSize % 2)
    fields.fail("head_dim", "expected an even number, found " + llvm::Twine(config.headSize));
  if (config.headSize * config.heads > 1 << 20)
    fields.fail("head_dim", "expected at most 1048576 lanes in all heads, found " +
                                llvm::Twine(config.headSize * config.heads));
}

void readYarn(JsonFields &fields, RopeScaling &rope) {
  std::optional<double> fast, slow;
  fields.number("beta_fast", 0, 1e6, fast);
  fields.number("beta_slow", 0, 1e6, slow);
  // As in transformers, a beta of 0 means the default.
  if (fast && *fast != 0)
    rope.betaFast = *fast;
  if (slow && *slow != 0)
    rope.betaSlow = *slow;
  std::optional<bool> truncate;
  fields.boolean("truncate", truncate);
  rope.truncate = truncate.value_or(true);
  fields.number("attention_factor", 1e-3, 1e3, rope.attentionFactor);
  fields.number("mscale", 0, 1e3, rope.mscale);
  fields.number("mscale_all_dim", 0, 1e3, rope.mscaleAllDim);
}

/// What divides the frequency of each pair. How many pairs there are is not known yet.
void readFactors(JsonFields &scaling, llvm::StringRef key, std::vector<float> &out) {
  const json *value = scaling.find(key);
  if (!value || !value->is_array() || value->empty() || value->size() > 2048)
    return scaling.wrong(key, "an array of 1 to 2048 numbers");
  for (const json &factor : *value) {
    if (!factor.is_number() || !(factor.get<double>() >= 1e-3 && factor.get<double>() <= 1e6))
      return scaling.fail(key, "expected numbers from 0.001 to 1e+06, found " + showJson(factor));
    out.push_back(factor.get<float>());
  }
}

/// `scaling` is rope_scaling or rope_parameters, `outer` the original_max_position_embeddings
/// beside it, which counts where there is none in it (and before it for longrope, as in
/// transformers).
void readRopeScaling(JsonFields &scaling, std::optional<int64_t> outer, ModelConfig &config) {
  RopeScaling &rope = config.rope;
  std::optional<std::string> legacy, type;
  scaling.string("type", legacy);
  scaling.string("rope_type", type);
  std::string kind = type ? *type : legacy.value_or("default");
  std::optional<int64_t> original = outer;
  scaling.integer("original_max_position_embeddings", 1, mostPositions, original);
  rope.originalMaxPositions = original.value_or(config.maxPositions);
  bool isLong = kind == "longrope" || kind == "su" ||
                // What the first Phi-3 of long contexts called it.
                (kind == "yarn" && config.architecture == "Phi3ForCausalLM");
  if (outer && original != outer && !isLong)
    scaling.fail("original_max_position_embeddings",
                 "is another one than that beside it, " + llvm::Twine(*outer));
  scaling.number("partial_rotary_factor", 1e-3, 1, config.rotaryShare);

  std::optional<double> factor;
  scaling.number("factor", 1, 1e6, factor);
  auto requireFactor = [&] {
    if (!factor)
      scaling.wrong("factor", "a number from 1 to 1e+06");
    rope.factor = factor.value_or(1);
  };

  if (kind == "default") {
    rope.kind = RopeScaling::Kind::Default;
  } else if (kind == "linear") {
    rope.kind = RopeScaling::Kind::Linear;
    requireFactor();
  } else if (kind == "dynamic") {
    // Up to the trained length, dynamic scaling is none; beyond it the frequencies depend on the
    // length of the sequence, which cached keys cannot follow.
    if (rope.originalMaxPositions < config.maxPositions)
      scaling.fail(type ? "rope_type" : "type",
                   "\"dynamic\" is supported up to the trained length only, and "
                   "max_position_embeddings, " +
                       llvm::Twine(config.maxPositions) + ", is beyond " +
                       llvm::Twine(rope.originalMaxPositions));
  } else if (kind == "llama3") {
    rope.kind = RopeScaling::Kind::Llama3;
    requireFactor();
    scaling.number("low_freq_factor", 1e-6, 1e6, rope.lowFrequencyFactor);
    scaling.number("high_freq_factor", 1e-6, 1e6, rope.highFrequencyFactor);
    if (rope.highFrequencyFactor < rope.lowFrequencyFactor)
      scaling.wrong("high_freq_factor", "at least low_freq_factor");
  } else if (kind == "yarn" && !isLong) {
    rope.kind = RopeScaling::Kind::Yarn;
    rope.factor = factor.value_or(double(config.maxPositions) / double(rope.originalMaxPositions));
    readYarn(scaling, rope);
    // Whoever switches yarn on by hand leaves max_position_embeddings as it was.
    config.maxPositions = std::max(
        config.maxPositions,
        int64_t(std::min(rope.factor * double(rope.originalMaxPositions), double(mostPositions))));
  } else if (isLong) {
    rope.kind = RopeScaling::Kind::LongRope;
    rope.originalMaxPositions = outer.value_or(rope.originalMaxPositions);
    rope.factor = factor.value_or(double(config.maxPositions) / double(rope.originalMaxPositions));
    scaling.number("attention_factor", 1e-3, 1e3, rope.attentionFactor);
    readFactors(scaling, "short_factor", rope.shortFactors);
    readFactors(scaling, "long_factor", rope.longFactors);
  } else {
    scaling.fail(type ? "rope_type" : "type",
                 "expected one of default, dynamic, linear, llama3, longrope, yarn, found " +
                     inQuotes(kind));
  }
}

llvm::Error readRope(JsonFields &fields, ModelConfig &config) {
  // From 1.1, because yarn divides by the logarithm of theta.
  auto readTheta = [&](JsonFields &from) {
    from.number("rope_theta", 1.1, 1e15, config.ropeTheta);
  };
  readTheta(fields);
  std::optional<int64_t> original;
  fields.integer("original_max_position_embeddings", 1, mostPositions, original);
  fields.number("partial_rotary_factor", 1e-3, 1, config.rotaryShare);
  const json *parameters = fields.find("rope_parameters"), *scaling = fields.find("rope_scaling");
  if (parameters && scaling && *parameters != *scaling) {
    fields.fail("rope_scaling", "says something else than rope_parameters beside it");
    return llvm::Error::success();
  }
  for (llvm::StringRef key : {"rope_parameters", "rope_scaling"}) {
    const json *scaling = fields.find(key);
    if (!scaling)
      continue;
    if (!scaling->is_object()) {
      fields.wrong(key, "an object or null");
      break;
    }
    JsonFields inner(*scaling, "config.json: " + key.str());
    readTheta(inner);
    readRopeScaling(inner, original, config);
    return inner.takeError();
  }
  return llvm::Error::success();
}

/// An array with one entry per layer, each turned into a bool by `read`, which returns whether the
/// entry is good.
void readPerLayer(JsonFields &fields, llvm::StringRef key, llvm::StringRef expected, int64_t layers,
                  std::optional<std::vector<bool>> &out,
                  llvm::function_ref<std::optional<bool>(const json &)> read) {
  const json *value = fields.find(key);
  if (!value)
    return;
  if (!value->is_array() || value->size() != size_t(layers))
    return fields.wrong(key, "an array of " + llvm::Twine(layers) + ", one per layer");
  out.emplace();
  for (size_t i = 0; i < value->size(); ++i) {
    std::optional<bool> entry = read((*value)[i]);
    if (!entry)
      return fields.fail(key, "layer " + llvm::Twine(i) + ": expected " + expected + ", found " +
                                  showJson((*value)[i]));
    out->push_back(*entry);
  }
}

void readLayerKinds(const json &object, JsonFields &fields, ModelConfig &config) {
  fields.integer("sliding_window", 1, mostPositions, config.slidingWindow);
  config.saysWindow = object.contains("sliding_window");
  fields.boolean("use_sliding_window", config.useSlidingWindow);
  fields.integer("max_window_layers", 0, 1 << 20, config.maxWindowLayers);
  readPerLayer(fields, "layer_types", "full_attention or sliding_attention", config.layers,
               config.slidingLayers, [](const json &entry) -> std::optional<bool> {
                 if (entry == "sliding_attention")
                   return true;
                 return entry == "full_attention" ? std::optional<bool>(false) : std::nullopt;
               });
  readPerLayer(fields, "no_rope_layers", "0 or 1", config.layers, config.ropeLayers,
               [](const json &entry) -> std::optional<bool> {
                 if (entry == 1)
                   return true;
                 return entry == 0 ? std::optional<bool>(false) : std::nullopt;
               });
  std::optional<int64_t> interval;
  fields.integer("no_rope_layer_interval", 1, mostLayers, interval);
  config.noRopeLayerInterval = interval.value_or(4);
}

llvm::Expected<ModelConfig> readConfig(const json &object) {
  ModelConfig config;
  JsonFields fields(object, "config.json");
  const json *architectures = fields.find("architectures");
  if (!architectures || !architectures->is_array() || architectures->size() != 1 ||
      !architectures->front().is_string())
    fields.wrong("architectures", "an array of one string");
  else
    config.architecture = architectures->front().get<std::string>();
  if (const json *field = fields.find("quantization_config")) {
    llvm::Expected<Quantisation> quantisation = Quantisation::fromJson(*field);
    if (!quantisation)
      return quantisation.takeError();
    config.quantisation = std::move(*quantisation);
  }
  readSizes(fields, config);
  std::optional<std::string> activation;
  fields.string("hidden_act", activation);
  config.activation = activation.value_or("silu");
  fields.boolean("tie_word_embeddings", config.tied);
  fields.number("embedding_multiplier", -1e6, 1e6, config.embeddingMultiplier);
  fields.number("residual_multiplier", -1e6, 1e6, config.residualMultiplier);
  fields.number("attention_multiplier", -1e6, 1e6, config.attentionMultiplier);
  fields.number("logits_scaling", 1e-6, 1e6, config.logitsScaling);
  std::optional<bool> attentionBias, mlpBias;
  fields.boolean("attention_bias", attentionBias);
  fields.boolean("mlp_bias", mlpBias);
  config.attentionBias = attentionBias;
  config.mlpBias = mlpBias.value_or(false);
  if (!fields.failed())
    readLayerKinds(object, fields, config);
  if (!fields.failed())
    if (llvm::Error error = readRope(fields, config))
      return std::move(error);
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  return config;
}

} // namespace

llvm::Error refuseArchitecture(llvm::StringRef found, llvm::ArrayRef<std::string> known) {
  return refuse("config.json: architectures: expected one of " + llvm::join(known, ", ") +
                ", found " + inQuotes(found));
}

llvm::Expected<ModelConfig> ModelConfig::fromText(llvm::StringRef text,
                                                  llvm::ArrayRef<std::string> known) {
  llvm::Expected<json> object = parseJsonObject(text, "config.json");
  if (!object)
    return object.takeError();
  if (auto found = object->find("architectures"); !known.empty() && found != object->end() &&
                                                  found->is_array() && found->size() == 1 &&
                                                  found->front().is_string())
    if (auto name = found->front().get<std::string>(); !llvm::is_contained(known, name))
      return refuseArchitecture(name, known);
  return readConfig(*object);
}

llvm::Expected<ModelConfig> ModelConfig::fromDirectory(llvm::StringRef directory,
                                                       llvm::ArrayRef<std::string> known) {
  llvm::SmallString<256> path(directory);
  llvm::sys::path::append(path, "config.json");
  constexpr uint64_t longest = 4 << 20;
  llvm::Expected<std::string> text = readText(path, longest);
  if (!text)
    return text.takeError();
  return fromText(*text, known);
}

} // namespace pianola
