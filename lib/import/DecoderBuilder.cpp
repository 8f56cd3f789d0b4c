// DecoderBuilder.cpp - emits transformer ops, with the weights that they need.
#include "lib/import/DecoderBuilder.h"

#include "lib/checkpoint/Refusal.h"
#include "lib/encode/EncodingType.h"
#include "lib/import/RopeFrequencies.h"
#include "lib/import/TiedHead.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace mlir;
using namespace pianola::transformer;

namespace pianola {
namespace {

constexpr llvm::StringLiteral ropeSymbol = "rope";

std::optional<Activation> activationNamed(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<Activation>>(name)
      .Cases("silu", "swish", Activation::Silu)
      .Cases("gelu_pytorch_tanh", "gelu_new", Activation::GeluTanh)
      .Case("gelu", Activation::Gelu)
      .Default(std::nullopt);
}

} // namespace

DecoderBuilder::DecoderBuilder(MLIRContext &context, const ModelConfig &config,
                               WeightSource &weights, llvm::StringRef family)
    : model(config), weights(weights), symbols(&context), body(&context) {
  context.loadDialect<func::FuncDialect, TransformerDialect>();
  Location location = NameLoc::get(StringAttr::get(&context, family));
  module = ModuleOp::create(location);
  (*module)->setAttr(modelAttrName,
                     ModelAttr::get(&context, family, config.vocabulary, config.hidden,
                                    config.layers, config.maxPositions));
  auto ids = RankedTensorType::get({ShapedType::kDynamic}, symbols.getI32Type());
  symbols.setInsertionPointToStart(module->getBody());
  forward = symbols.create<func::FuncOp>(location, "forward",
                                         symbols.getFunctionType({ids}, {rows(config.vocabulary)}));
  symbols.setInsertionPoint(forward);
  body.setInsertionPointToStart(forward.addEntryBlock());
  if (std::optional<Activation> known = activationNamed(config.activation))
    activation = *known;
  else
    fail(refuse("config.json: hidden_act: expected one of silu, swish, gelu, gelu_new, "
                "gelu_pytorch_tanh, found " +
                inQuotes(config.activation)));
}

DecoderBuilder::~DecoderBuilder() {
  if (error)
    llvm::consumeError(std::move(*error));
}

void DecoderBuilder::fail(llvm::Error problem) {
  if (error)
    llvm::consumeError(std::move(problem));
  else
    error.emplace(std::move(problem));
}

RankedTensorType DecoderBuilder::rows(int64_t width) {
  return RankedTensorType::get({ShapedType::kDynamic, width}, symbols.getF32Type());
}

Location DecoderBuilder::at(const llvm::Twine &name) {
  return NameLoc::get(symbols.getStringAttr(name));
}

FlatSymbolRefAttr DecoderBuilder::weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                         llvm::ArrayRef<int64_t> shape, TensorRole role) {
  auto name = FlatSymbolRefAttr::get(symbols.getContext(), symbol);
  if (!used.insert(tensor).second)
    return name;
  llvm::Expected<const TensorInfo *> info = weights.require(tensor, shape, role);
  if (!info) {
    fail(info.takeError());
    return name;
  }
  Type encoding = encodingOf(symbols.getContext(), **info);
  if (!encoding) {
    fail(refuse(weights.origin(tensor) + ": tensor " + inQuotes(tensor) +
                ": dtype: expected F32, BF16 or F16, found " + dtypeName((*info)->dtype)));
    return name;
  }
  symbols.create<WeightOp>(at(symbol), symbol, shape, encoding, tensor);
  return name;
}

void DecoderBuilder::ropeTable(double theta) {
  RopeTable table = ropeFrequencies(theta, model.headSize, model.rope);
  symbols.create<RopeTableOp>(at(ropeSymbol), ropeSymbol, table.inverseFrequencies,
                              llvm::APFloat(table.scale));
}

Value DecoderBuilder::embed(llvm::StringRef name) {
  auto symbol = weight(name, ("model." + name + ".weight").str(), {model.vocabulary, model.hidden},
                       TensorRole::Matrix);
  return body.create<EmbedOp>(at(name), rows(model.hidden), forward.getArgument(0), symbol,
                              FloatAttr());
}

Value DecoderBuilder::norm(Value input, const llvm::Twine &name, std::optional<int64_t> heads) {
  auto symbol = weight(name.str(), ("model." + name + ".weight").str(),
                       {width(input) / heads.value_or(1)}, TensorRole::Norm);
  return body.create<NormOp>(at(name), input.getType(), input, symbol,
                             heads ? body.getI64IntegerAttr(*heads) : IntegerAttr(),
                             body.getF32FloatAttr(float(model.normEps)));
}

Value DecoderBuilder::linear(Value input, const llvm::Twine &name, int64_t out, bool bias) {
  std::string symbol = name.str();
  auto matrix =
      weight(symbol, "model." + symbol + ".weight", {out, width(input)}, TensorRole::Matrix);
  FlatSymbolRefAttr vector;
  if (bias)
    vector = weight(symbol + ".bias", "model." + symbol + ".bias", {out}, TensorRole::Bias);
  return body.create<LinearOp>(at(name), rows(out), input, matrix, vector);
}

Value DecoderBuilder::rope(Value input, const llvm::Twine &location, int64_t heads) {
  return body.create<RopeOp>(at(location), input.getType(), input,
                             FlatSymbolRefAttr::get(body.getContext(), ropeSymbol),
                             body.getI64IntegerAttr(heads));
}

Value DecoderBuilder::attend(Value query, Value key, Value value, int64_t layer,
                             std::optional<int64_t> window) {
  std::string cache = "cache." + std::to_string(layer);
  symbols.create<CacheOp>(at(cache), cache, model.kvHeads, model.headSize, mlir::TypeAttr());
  Location location = at("layers." + llvm::Twine(layer) + ".self_attn");
  Value context = body.create<AppendOp>(
      location, ContextType::get(body.getContext(), model.kvHeads, model.headSize), key, value,
      FlatSymbolRefAttr::get(body.getContext(), cache));
  float scale = float(1.0 / std::sqrt(double(model.headSize)));
  return body.create<AttentionOp>(location, query.getType(), query, context,
                                  body.getI64IntegerAttr(model.heads), body.getF32FloatAttr(scale),
                                  window ? body.getI64IntegerAttr(*window) : IntegerAttr());
}

Value DecoderBuilder::glu(Value gate, Value up, const llvm::Twine &location) {
  return body.create<GluOp>(at(location), gate.getType(), gate, up, activation);
}

Value DecoderBuilder::add(Value lhs, Value rhs, const llvm::Twine &location) {
  return body.create<AddOp>(at(location), lhs.getType(), lhs, rhs);
}

void DecoderBuilder::observe(Value value, const llvm::Twine &name) {
  body.create<ObserveOp>(at(name), value, body.getStringAttr(name));
}

void DecoderBuilder::head(Value input, llvm::StringRef embedding, bool tied) {
  constexpr llvm::StringLiteral headTensor = "lm_head.weight";
  std::string embeddingTensor = ("model." + embedding + ".weight").str();
  auto symbol = FlatSymbolRefAttr::get(body.getContext(), embedding);
  if (!tied) {
    symbol = weight("lm_head", headTensor, {model.vocabulary, model.hidden}, TensorRole::Matrix);
  } else if (!failed() && weights.find(headTensor)) {
    if (llvm::Error different = checkTiedHead(weights, headTensor, embeddingTensor))
      fail(std::move(different));
    used.insert(headTensor);
  }
  Value logits = body.create<LmHeadOp>(at("lm_head"), rows(model.vocabulary), input, symbol);
  body.create<func::ReturnOp>(at("lm_head"), logits);
}

llvm::Expected<OwningOpRef<ModuleOp>> DecoderBuilder::finish() {
  if (error)
    return std::move(*error);
  std::string problem;
  ScopedDiagnosticHandler handler(body.getContext(), [&](Diagnostic &diagnostic) {
    problem += (problem.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  if (mlir::failed(verify(*module)))
    return refuse("import wrote a module that does not verify: " + problem);
  return std::move(module);
}

std::vector<std::string> DecoderBuilder::unusedTensors() const {
  std::vector<std::string> unused;
  for (std::string &name : weights.names())
    if (!used.contains(name) && !llvm::StringRef(name).ends_with("rotary_emb.inv_freq"))
      unused.push_back(std::move(name));
  return unused;
}

} // namespace pianola
