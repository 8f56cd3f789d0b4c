// GgufCheckpoint.cpp - the weights of a GGUF file.
#include "lib/checkpoint/GgufCheckpoint.h"

#include "lib/checkpoint/GgufConfig.h"
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"

#include <cstring>

namespace pianola {
namespace {

/// What "blk.7.attn_q" is called in layer 7; empty for a name that is not known.
llvm::StringRef nameInLayer(llvm::StringRef part, llvm::StringRef architecture) {
  bool isGemma = architecture.starts_with("gemma");
  return llvm::StringSwitch<llvm::StringRef>(part)
      .Case("attn_norm", "input_layernorm")
      .Case("attn_q", "self_attn.q_proj")
      .Case("attn_k", "self_attn.k_proj")
      .Case("attn_v", "self_attn.v_proj")
      .Case("attn_output", "self_attn.o_proj")
      .Case("attn_q_norm", "self_attn.q_norm")
      .Case("attn_k_norm", "self_attn.k_norm")
      .Case("attn_sinks", "self_attn.sinks")
      .Case("post_attention_norm", "post_attention_layernorm")
      // What is before the MLP. That behind attention has the same name where there is only one.
      .Case("ffn_norm", isGemma ? "pre_feedforward_layernorm" : "post_attention_layernorm")
      .Case("post_ffw_norm", "post_feedforward_layernorm")
      .Case("ffn_gate", "mlp.gate_proj")
      .Case("ffn_up", "mlp.up_proj")
      .Case("ffn_down", "mlp.down_proj")
      .Case("ffn_gate_inp", architecture == "gpt-oss" ? "mlp.router" : "mlp.gate")
      .Case("ffn_gate_exps", "mlp.experts.*.gate_proj")
      .Case("ffn_up_exps", "mlp.experts.*.up_proj")
      .Case("ffn_down_exps", "mlp.experts.*.down_proj")
      .Default("");
}

/// The name in a model directory, with a * for the number of an expert; the tensor's own if there
/// is none.
std::string nameOf(llvm::StringRef tensor, llvm::StringRef architecture) {
  auto [before, suffix] = tensor.rsplit('.');
  if (before == "token_embd")
    return "model.embed_tokens." + suffix.str();
  if (before == "output_norm")
    return "model.norm." + suffix.str();
  if (before == "output")
    return "lm_head." + suffix.str();
  llvm::StringRef rest = before;
  unsigned layer = 0;
  if (!rest.consume_front("blk.") || rest.consumeInteger(10, layer) || !rest.consume_front("."))
    return tensor.str();
  llvm::StringRef part = nameInLayer(rest, architecture);
  if (part.empty())
    return tensor.str();
  std::string name = "model.layers." + std::to_string(layer) + "." + part.str();
  return rest == "attn_sinks" ? name : name + "." + suffix.str();
}

} // namespace

llvm::Expected<std::unique_ptr<GgufCheckpoint>> GgufCheckpoint::open(llvm::StringRef path) {
  llvm::Expected<std::unique_ptr<GgufFile>> file = GgufFile::open(path);
  if (!file)
    return file.takeError();
  std::string architecture = ggufArchitecture(**file);
  auto checkpoint = std::make_unique<GgufCheckpoint>();
  checkpoint->file = std::move(*file);
  constexpr int64_t mostExperts = 4096;
  int64_t experts = 0;
  const nlohmann::json &metadata = checkpoint->file->metadata();
  if (auto count = metadata.find(architecture + ".expert_count");
      count != metadata.end() && count->is_number_integer())
    experts = std::clamp<int64_t>(count->get<int64_t>(), 0, mostExperts);
  for (const GgufTensor &stored : checkpoint->file->tensors()) {
    std::string name = nameOf(stored.name, architecture);
    // Matrices of all experts are three-dimensional, their biases two.
    size_t star = name.find('*'), dimensions = llvm::StringRef(name).ends_with(".bias") ? 2 : 3;
    if (star == std::string::npos || name == stored.name || stored.shape.size() != dimensions ||
        stored.shape.front() != experts) {
      if (stored.name != kGgufRopeFactors)
        if (llvm::Error error = checkpoint->add(name, stored, stored.shape, 0))
          return std::move(error);
      continue;
    }
    llvm::ArrayRef<int64_t> shape = llvm::ArrayRef(stored.shape).drop_front();
    uint64_t elements = 1;
    for (int64_t size : shape)
      elements *= uint64_t(size);
    for (int64_t expert = 0; expert < stored.shape.front(); ++expert)
      if (llvm::Error error =
              checkpoint->add(std::string(name).replace(star, 1, std::to_string(expert)), stored,
                              shape, uint64_t(expert) * elements))
        return std::move(error);
  }
  return checkpoint;
}

llvm::Error GgufCheckpoint::add(const std::string &name, const GgufTensor &stored,
                                llvm::ArrayRef<int64_t> shape, uint64_t first) {
  const GgufType &type = *stored.type;
  TensorInfo tensor{name, type.plain.value_or(DType::F32), llvm::SmallVector<int64_t, 2>(shape), 0};
  tensor.gguf = &type;
  if (type.exact && shape.size() > 1) {
    tensor.dtype = DType::U8;
    tensor.scaling = type.exact;
  }
  tensor.bytes = dtypeBytes(tensor.dtype);
  for (int64_t size : shape)
    tensor.bytes *= uint64_t(size);
  constexpr size_t mostPlaces = 1 << 20;
  if (places.size() >= mostPlaces)
    return refuse(file->name() + ": tensor " + inQuotes(stored.name) + ": is one of more than " +
                  llvm::Twine(mostPlaces) + ", those of each expert counted");
  auto [it, isNew] = places.try_emplace(name, Place{std::move(tensor), &stored, first});
  if (!isNew)
    return refuse(file->name() + ": tensor " + inQuotes(stored.name) + ": is what " +
                  inQuotes(it->second.stored->name) + " is, " + inQuotes(name) + " of a directory");
  return llvm::Error::success();
}

const TensorInfo *GgufCheckpoint::find(llvm::StringRef name) const {
  auto it = places.find(name);
  return it == places.end() ? nullptr : &it->second.tensor;
}

llvm::Expected<const TensorInfo *>
GgufCheckpoint::require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, TensorRole) {
  auto it = places.find(name);
  if (it == places.end())
    return refuse(file->name() + ": tensor " + inQuotes(name) +
                  " (as directories call it): " + "missing, expected " + showShape(shape));
  const Place &place = it->second;
  if (llvm::ArrayRef<int64_t>(place.tensor.shape) != shape)
    return refuse(file->name() + ": tensor " + inQuotes(place.stored->name) + ": shape: expected " +
                  showShape(shape) + ", found " + showShape(place.tensor.shape));
  return &place.tensor;
}

llvm::Error GgufCheckpoint::read(const TensorInfo &tensor, uint64_t firstByte,
                                 llvm::MutableArrayRef<uint8_t> out) const {
  const Place &place = places.find(tensor.name)->second;
  if (tensor.scaling)
    return refuse(file->name() + ": tensor " + inQuotes(tensor.name) +
                  ": has codes and scales, and no bytes of its own");
  if (firstByte > tensor.bytes || out.size() > tensor.bytes - firstByte)
    return refuse(file->name() + ": tensor " + inQuotes(tensor.name) + ": has " +
                  llvm::Twine(tensor.bytes) + " bytes, asked for " + llvm::Twine(out.size()) +
                  " from " + llvm::Twine(firstByte));
  if (place.stored->type->plain)
    return file->read(place.stored->begin + place.first * dtypeBytes(tensor.dtype) + firstByte,
                      out);
  uint64_t first = firstByte / sizeof(float);
  uint64_t end = (firstByte + out.size() + sizeof(float) - 1) / sizeof(float);
  std::vector<float> values(end - first);
  if (llvm::Error error = file->readFloats(*place.stored, place.first + first, values))
    return error;
  std::memcpy(out.data(),
              reinterpret_cast<const uint8_t *>(values.data()) + firstByte % sizeof(float),
              out.size());
  return llvm::Error::success();
}

llvm::Expected<EncodedRows> GgufCheckpoint::readRows(const TensorInfo &tensor, int64_t first,
                                                     int64_t count) const {
  const Place &place = places.find(tensor.name)->second;
  if (!tensor.scaling)
    return WeightSource::readRows(tensor, first, count);
  // Rows of several dimensions are counted through.
  const GgufType &type = *place.stored->type;
  int64_t columns = tensor.shape.back(), blocks = columns / type.columns;
  int64_t all = int64_t(tensor.elements()) / columns;
  if (first < 0 || count < 0 || count > all || first > all - count)
    return refuse(file->name() + ": tensor " + inQuotes(tensor.name) + ": has no row " +
                  llvm::Twine(first + count));
  EncodedRows rows = emptyRows(tensor, count);
  std::vector<uint8_t> raw(size_t(count * blocks * type.bytes));
  uint64_t firstBlock = place.first / uint64_t(type.columns) + uint64_t(first * blocks);
  if (llvm::Error error = file->read(place.stored->begin + firstBlock * uint64_t(type.bytes), raw))
    return std::move(error);
  for (int64_t block = 0; block < count * blocks; ++block)
    if (!readBlock(type, raw.data() + block * type.bytes, &rows.codes[block * type.columns],
                   rows.scales[block]))
      return file->refuseScale(*place.stored, firstBlock + uint64_t(block));
  return rows;
}

std::vector<std::string> GgufCheckpoint::names() const {
  std::vector<std::string> result;
  for (const auto &entry : places)
    result.push_back(entry.first().str());
  llvm::sort(result);
  return result;
}

} // namespace pianola
