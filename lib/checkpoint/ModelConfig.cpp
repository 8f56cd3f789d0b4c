// ModelConfig.cpp - config.json, with its spellings made one.
#include "lib/checkpoint/ModelConfig.h"

#include "lib/checkpoint/GgufFile.h"
#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/ModelTexts.h"
#include "lib/checkpoint/Refusal.h"
#include "lib/checkpoint/TextConfig.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <algorithm>

using nlohmann::json;

namespace pianola {
namespace {

constexpr int64_t mostLayers = 4096;
constexpr int64_t mostPositions = 1 << 30;

/// The first of `keys` that is there; if none is, the first.
llvm::StringRef spelling(const JsonFields &fields, std::initializer_list<llvm::StringRef> keys) {
  const auto *found =
      llvm::find_if(keys, [&](llvm::StringRef key) { return fields.find(key) != nullptr; });
  return found == keys.end() ? *keys.begin() : *found;
}

void readSizes(JsonFields &fields, ModelConfig &config) {
  auto read = [&](std::initializer_list<llvm::StringRef> keys, int64_t most, int64_t &out) {
    fields.integer(spelling(fields, keys), 1, most, out);
  };
  read({"vocab_size"}, 1 << 24, config.vocabulary);
  read({"hidden_size", "n_embd"}, 1 << 20, config.hidden);
  read({"num_hidden_layers", "n_layer"}, mostLayers, config.layers);
  read({"num_attention_heads", "n_head"}, 4096, config.heads);
  read({"max_position_embeddings", "n_positions"}, mostPositions, config.maxPositions);
  fields.number(spelling(fields, {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"}), 0, 1,
                config.normEps);
  // GPT-2 need not say that its MLP is four times as wide as the rest.
  if (fields.find("n_embd") && !fields.find("n_inner"))
    config.intermediate = 4 * config.hidden;
  // Of Qwen3.5's mixtures no layer has one.
  else if (config.architecture != "Qwen3_5MoeForCausalLM")
    read({"intermediate_size", "n_inner"}, 1 << 22, config.intermediate);
  if (fields.failed())
    return;

  std::optional<int64_t> kvHeads, headSize;
  fields.integer("num_key_value_heads", 1, config.heads, kvHeads);
  config.kvHeads = kvHeads.value_or(config.heads);
  if (config.heads % config.kvHeads)
    return fields.wrong("num_key_value_heads",
                        "a divisor of num_attention_heads, " + llvm::Twine(config.heads));
  fields.integer("head_dim", 2, 4096, headSize);
  // Of latent attention, heads differ in size; this is what rope turns of each, whatever head_dim
  // says beside it, which transformers overwrites.
  if (fields.contains("qk_rope_head_dim"))
    fields.integer("qk_rope_head_dim", 2, 4096, headSize);
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
  if (type && legacy && type != legacy)
    scaling.fail("rope_type", "is another one than type beside it, " + inQuotes(*legacy));
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

  scaling.ignore("max_position_embeddings"); // that outside counts
  // Which pairs of lanes have the positions of an image's rows, and which those of its columns.
  scaling.ignore("mrope_section");
  scaling.ignore("mrope_interleaved");
  scaling.number("llama_4_scaling_beta", 0, 1e3, rope.queryGrowth);

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

/// Of layers that see all and of those with a window, each by itself (Gemma 3).
llvm::Error readRopeByLayerType(const json &scaling, llvm::StringRef key, JsonFields &fields,
                                std::optional<int64_t> original, ModelConfig &config) {
  std::string place = "config.json: " + key.str();
  JsonFields outer(scaling, place);
  for (llvm::StringRef type : {"sliding_attention", "full_attention"}) {
    const json *table = outer.find(type);
    if (!table || !table->is_object()) {
      outer.wrong(type, "an object");
      return outer.takeError();
    }
    JsonFields inner(*table, place + ": " + type.str());
    std::optional<double> &theta =
        type == "full_attention" ? config.ropeTheta : config.localRopeTheta;
    inner.number("rope_theta", 1.1, 1e15, theta);
    if (type == "full_attention") {
      readRopeScaling(inner, original, config);
    } else {
      std::optional<std::string> kind;
      inner.string("rope_type", kind);
      if (kind.value_or("default") != "default")
        inner.wrong("rope_type", "default");
    }
    if (llvm::Error error = inner.takeError())
      return error;
    outer.leave(type, inner);
  }
  fields.leave(key, outer);
  return llvm::Error::success();
}

llvm::Error readRope(JsonFields &fields, ModelConfig &config) {
  // From 1.1, because yarn divides by the logarithm of theta.
  auto readTheta = [&](JsonFields &from) {
    from.number(spelling(from, {"rope_theta", "rotary_emb_base"}), 1.1, 1e15, config.ropeTheta);
  };
  readTheta(fields);
  std::optional<int64_t> original;
  fields.integer("original_max_position_embeddings", 1, mostPositions, original);
  fields.number(spelling(fields, {"partial_rotary_factor", "rotary_pct"}), 1e-3, 1,
                config.rotaryShare);
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
    if (scaling->contains("full_attention"))
      return readRopeByLayerType(*scaling, key, fields, original, config);
    JsonFields inner(*scaling, "config.json: " + key.str());
    readTheta(inner);
    readRopeScaling(inner, original, config);
    fields.leave(key, inner);
    return inner.takeError();
  }
  return llvm::Error::success();
}

struct ConfigFile {
  ConfigFile(json object, const char *place)
      : object(std::move(object)), fields(this->object, place) {}

  json object;
  JsonFields fields;
};

llvm::Expected<ModelConfig> readConfig(json object) {
  ModelConfig config;
  config.isNested = takeTextConfig(object);
  auto file = std::make_shared<ConfigFile>(
      std::move(object), config.isNested ? "config.json: text_config" : "config.json");
  config.fields = std::shared_ptr<JsonFields>(file, &file->fields);
  JsonFields &fields = file->fields;
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
    if (!quantisation->variants.empty())
      config.quantisation = std::move(*quantisation);
  }
  readSizes(fields, config);
  fields.boolean("tie_word_embeddings", config.tied);
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
  return readConfig(std::move(*object));
}

llvm::Expected<ModelConfig> ModelConfig::fromDirectory(llvm::StringRef directory,
                                                       llvm::ArrayRef<std::string> known) {
  constexpr uint64_t longest = 4 << 20;
  llvm::Expected<std::string> text = readModelText(directory, "config.json", longest);
  if (!text)
    return text.takeError();
  llvm::Expected<ModelConfig> config = fromText(*text, known);
  // Not every rule is the metadata's own.
  if (!config && isGguf(directory))
    return refuse(llvm::sys::path::filename(directory) + ": as " +
                  llvm::toString(config.takeError()));
  return config;
}

} // namespace pianola
