// Quantisation.cpp - quantization_config, with its spellings made one.
#include "lib/checkpoint/Quantisation.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"

using nlohmann::json;

namespace pianola {
namespace {

using Format = Quantisation::Format;

constexpr llvm::StringLiteral place = "config.json: quantization_config";
constexpr int64_t mostColumns = 1 << 20;

/// -1 means the whole row, in every format.
void readGroup(JsonFields &fields, Quantisation::Weights &weights) {
  std::optional<int64_t> group;
  fields.integer("group_size", -1, mostColumns, group);
  weights.group = group.value_or(-1) == -1 ? 0 : *group;
  if (weights.group % 32)
    fields.wrong("group_size", "a multiple of 32, or -1");
}

void readGptq(JsonFields &fields, Quantisation &quantisation) {
  Quantisation::Weights weights{Format::Gptq};
  fields.integer("bits", 2, 8, weights.bits);
  if (weights.bits != 4 && weights.bits != 8)
    fields.wrong("bits", "4 or 8");
  readGroup(fields, weights);
  std::optional<std::string> format;
  fields.string("checkpoint_format", format);
  if (format && *format != "gptq" && *format != "gptq_v2")
    fields.wrong("checkpoint_format", "gptq or gptq_v2");
  quantisation.zerosLessOne = format.value_or("gptq") == "gptq";
  if (const json *dynamic = fields.find("dynamic"); dynamic && !dynamic->empty())
    fields.wrong("dynamic", "no exceptions by module");
  quantisation.variants.push_back(weights);
}

void readAwq(JsonFields &fields, Quantisation &quantisation) {
  Quantisation::Weights weights{Format::Awq};
  fields.integer("bits", 4, 4, weights.bits);
  readGroup(fields, weights);
  std::optional<std::string> version;
  fields.string("version", version);
  if (llvm::StringRef(version.value_or("gemm")).lower() != "gemm")
    fields.wrong("version", "gemm");
  quantisation.variants.push_back(weights);
}

/// A pair of numbers of rows and columns.
void readBlock(JsonFields &fields, llvm::StringRef key, Quantisation::Weights &weights) {
  const json *block = fields.find(key);
  if (!block)
    return;
  auto isSize = [](const json &n) {
    return n.is_number_integer() && n.get<double>() >= 1 && n.get<double>() <= double(mostColumns);
  };
  if (!block->is_array() || block->size() != 2 || !isSize((*block)[0]) || !isSize((*block)[1]) ||
      (*block)[1].get<int64_t>() % 32)
    return fields.wrong(key, "two numbers, of rows and of columns, the second a multiple of 32");
  weights.blockRows = (*block)[0].get<int64_t>();
  weights.group = (*block)[1].get<int64_t>();
}

void readFp8(JsonFields &fields, Quantisation &quantisation) {
  Quantisation::Weights weights{Format::Codes};
  weights.bits = 8;
  std::optional<std::string> format;
  fields.string("fmt", format);
  if (format && *format != "e4m3")
    fields.wrong("fmt", "e4m3");
  readBlock(fields, "weight_block_size", weights);
  quantisation.variants.push_back(weights);
}

llvm::Error readConfigGroup(const std::string &name, const json &group, Format format,
                            Quantisation &quantisation) {
  std::string where = (place + ": config_groups: " + inQuotes(name)).str();
  if (!group.is_object())
    return refuse(where + ": expected an object, found " + showJson(group));
  JsonFields outer(group, where);
  const json *inner = outer.find("weights");
  if (!inner)
    return llvm::Error::success(); // only activations, which stay as they are
  if (!inner->is_object())
    return refuse(where + ": weights: expected an object, found " + showJson(*inner));
  JsonFields fields(*inner, where + ": weights");
  Quantisation::Weights weights{format};
  std::string type = "int", strategy = "tensor";
  fields.integer("num_bits", 2, 8, weights.bits);
  std::optional<std::string> typeField, strategyField;
  fields.string("type", typeField);
  fields.string("strategy", strategyField);
  type = typeField.value_or(type);
  strategy = strategyField.value_or(strategy);
  std::optional<bool> dynamic;
  fields.boolean("dynamic", dynamic);
  if (dynamic.value_or(false))
    fields.wrong("dynamic", "false");
  if (weights.bits != 4 && weights.bits != 8)
    fields.wrong("num_bits", "4 or 8");
  bool isFloat = type == "float";
  if ((!isFloat && type != "int") || (isFloat && weights.bits == 4) != (format == Format::Mxfp4) ||
      (isFloat && format == Format::Packed) ||
      (!isFloat && format == Format::Codes && weights.bits == 4))
    fields.fail("type", "expected int of 4 or 8 bits, float of 8 bits, or the mxfp4-pack-quantized "
                        "format's float of 4 bits, found " +
                            inQuotes(type) + " of " + llvm::Twine(weights.bits) + " bits");
  if (strategy == "group")
    readGroup(fields, weights);
  else if (strategy == "block")
    readBlock(fields, "block_structure", weights);
  else if (strategy != "tensor" && strategy != "channel")
    fields.wrong("strategy", "one of tensor, channel, group, block");
  if (format == Format::Mxfp4 && weights.group != 32)
    fields.wrong("group_size", "32");
  quantisation.variants.push_back(weights);
  return fields.takeError();
}

llvm::Error readCompressedTensors(JsonFields &fields, Quantisation &quantisation) {
  std::string format;
  fields.string("format", format);
  Format known = Format::Packed;
  if (format == "int-quantized" || format == "float-quantized" || format == "naive-quantized")
    known = Format::Codes;
  else if (format == "mxfp4-pack-quantized")
    known = Format::Mxfp4;
  else if (format != "pack-quantized" && format != "dense")
    fields.wrong("format", "one of pack-quantized, int-quantized, float-quantized, "
                           "naive-quantized, mxfp4-pack-quantized, dense");
  // Changes what is computed; it is in no plain quantised checkpoint.
  if (const json *value = fields.find("transform_config"); value && !value->empty())
    fields.wrong("transform_config", "nothing");
  // Says how zeros came to be, or that they do not stand there.
  if (const json *value = fields.find("sparsity_config"); value && !value->empty())
    if (!value->is_object() || value->value("format", json()) != "dense")
      fields.wrong("sparsity_config", "nothing, or one whose format is dense");
  const json *groups = fields.find("config_groups");
  if (format == "dense") {
    if (groups && !groups->empty())
      fields.wrong("config_groups", "nothing, as the format is dense");
    return fields.takeError();
  }
  if (!groups || !groups->is_object() || groups->empty())
    fields.wrong("config_groups", "an object with a group of linears");
  if (llvm::Error error = fields.takeError())
    return error;
  for (const auto &[name, group] : groups->items())
    if (llvm::Error error = readConfigGroup(name, group, known, quantisation))
      return error;
  return llvm::Error::success();
}

} // namespace

llvm::Expected<Quantisation> Quantisation::fromJson(const json &field) {
  if (!field.is_object())
    return refuse(place + ": expected an object, found " + showJson(field));
  Quantisation quantisation;
  JsonFields fields(field, place.str());
  fields.string("quant_method", quantisation.method);
  if (quantisation.method == "gptq")
    readGptq(fields, quantisation);
  else if (quantisation.method == "awq")
    readAwq(fields, quantisation);
  else if (quantisation.method == "fp8")
    readFp8(fields, quantisation);
  else if (quantisation.method == "compressed-tensors") {
    if (llvm::Error error = readCompressedTensors(fields, quantisation))
      return std::move(error);
  } else if (quantisation.method == "mxfp4")
    quantisation.variants.push_back({Format::Blocks, 4, 32});
  else
    fields.wrong("quant_method", "one of gptq, awq, fp8, mxfp4, compressed-tensors");
  if (llvm::Error error = fields.takeError())
    return std::move(error);
  return quantisation;
}

} // namespace pianola
