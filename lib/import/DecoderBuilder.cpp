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
                               DerivedWeights &weights, llvm::StringRef family)
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

StoredRows StoredRows::range(std::string name, int64_t count, int64_t first, int64_t width) {
  StoredRows stored{std::move(name), count, {}};
  for (int64_t row = 0; row < width; ++row)
    stored.rows.push_back(first + row);
  return stored;
}

void StoredRows::separatePairs(int64_t headSize, int64_t lanes) {
  std::vector<int64_t> apart = rows;
  for (size_t head = 0; head < rows.size(); head += size_t(headSize))
    for (int64_t lane = 0; lane < lanes; ++lane)
      apart[head + size_t(lane % 2 * (lanes / 2) + lane / 2)] = rows[head + size_t(lane)];
  rows = std::move(apart);
}

// A name for some rows of a tensor, by the first and the last, and by their order if that is
// another.
static std::string nameOf(llvm::StringRef tensor, const StoredRows &stored) {
  auto [least, greatest] = std::minmax_element(stored.rows.begin(), stored.rows.end());
  return (tensor + "[" + llvm::Twine(*least) + ":" + llvm::Twine(*greatest + 1) +
          (llvm::is_sorted(stored.rows) ? "]" : ", pairs apart]"))
      .str();
}

FlatSymbolRefAttr DecoderBuilder::weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                         llvm::ArrayRef<int64_t> shape, TensorRole role,
                                         const StoredRows *stored) {
  auto name = FlatSymbolRefAttr::get(symbols.getContext(), symbol);
  std::string part = stored ? nameOf(tensor, *stored) : tensor.str();
  if (!used.insert(part).second)
    return name;
  used.insert(tensor); // of which others may be left
  llvm::SmallVector<int64_t, 2> whole(shape);
  if (stored)
    whole.front() = stored->count;
  llvm::Expected<const TensorInfo *> info =
      stored ? weights.derive(part, tensor, whole, role, stored->rows)
             : weights.require(tensor, shape, role);
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
  symbols.create<WeightOp>(at(symbol), symbol, shape, encoding, part);
  return name;
}

void DecoderBuilder::ropeTable(double theta, int64_t lanes) {
  if (lanes < 2 || lanes % 2)
    return fail(
        refuse("config.json: partial_rotary_factor: expected an even number of lanes, found " +
               llvm::Twine(lanes) + " of head_dim " + llvm::Twine(model.headSize)));
  const RopeScaling &scaling = model.rope;
  int64_t positions = model.positionsUsed ? model.positionsUsed : model.maxPositions;
  if (scaling.kind == RopeScaling::Kind::LongRope) {
    for (const auto *factors : {&scaling.shortFactors, &scaling.longFactors})
      if (int64_t(factors->size()) != lanes / 2)
        return fail(refuse(
            "config.json: rope_scaling: " +
            llvm::StringRef(factors == &scaling.shortFactors ? "short_factor" : "long_factor") +
            ": expected " + llvm::Twine(lanes / 2) + " numbers, found " +
            llvm::Twine(factors->size())));
    int64_t original = scaling.originalMaxPositions;
    if (positions > original)
      remarks.push_back("rope takes its factors for texts of more than " +
                        std::to_string(original) +
                        " tokens, for shorter ones too; --max-model-len " +
                        std::to_string(original) + " has those for shorter ones");
  }
  RopeTable table = ropeFrequencies(theta, lanes, scaling, positions);
  symbols.create<RopeTableOp>(at(ropeSymbol), ropeSymbol, table.inverseFrequencies,
                              llvm::APFloat(table.scale));
}

Value DecoderBuilder::embed(llvm::StringRef name, std::optional<double> scale) {
  auto symbol = weight(name, ("model." + name + ".weight").str(), {model.vocabulary, model.hidden},
                       TensorRole::Matrix);
  return body.create<EmbedOp>(at(name), rows(model.hidden), forward.getArgument(0), symbol,
                              scale ? body.getF32FloatAttr(float(*scale)) : FloatAttr());
}

Value DecoderBuilder::norm(Value input, const llvm::Twine &name, std::optional<int64_t> heads) {
  auto symbol = weight(name.str(), ("model." + name + ".weight").str(),
                       {width(input) / heads.value_or(1)}, TensorRole::Norm);
  return body.create<NormOp>(at(name), input.getType(), input, symbol,
                             heads ? body.getI64IntegerAttr(*heads) : IntegerAttr(),
                             body.getF32FloatAttr(float(model.normEps)));
}

Value DecoderBuilder::linear(Value input, const llvm::Twine &name, int64_t out, bool bias,
                             const StoredRows *stored) {
  std::string symbol = name.str(), tensor = "model." + (stored ? stored->name : symbol);
  auto matrix = weight(symbol, tensor + ".weight", {out, width(input)}, TensorRole::Matrix, stored);
  FlatSymbolRefAttr vector;
  if (bias)
    vector = weight(symbol + ".bias", tensor + ".bias", {out}, TensorRole::Bias, stored);
  return body.create<LinearOp>(at(name), rows(out), input, matrix, vector);
}

Value DecoderBuilder::rope(Value input, const llvm::Twine &location, int64_t heads) {
  return body.create<RopeOp>(at(location), input.getType(), input,
                             FlatSymbolRefAttr::get(body.getContext(), ropeSymbol),
                             body.getI64IntegerAttr(heads));
}

Value DecoderBuilder::attend(Value query, Value key, Value value, int64_t layer,
                             std::optional<int64_t> window, std::optional<double> scale) {
  std::string cache = "cache." + std::to_string(layer);
  symbols.create<CacheOp>(at(cache), cache, model.kvHeads, model.headSize, mlir::TypeAttr());
  Location location = at("layers." + llvm::Twine(layer) + ".self_attn");
  Value context = body.create<AppendOp>(
      location, ContextType::get(body.getContext(), model.kvHeads, model.headSize), key, value,
      FlatSymbolRefAttr::get(body.getContext(), cache));
  double factor = scale.value_or(1.0 / std::sqrt(double(model.headSize)));
  return body.create<AttentionOp>(location, query.getType(), query, context,
                                  body.getI64IntegerAttr(model.heads),
                                  body.getF32FloatAttr(float(factor)),
                                  window ? body.getI64IntegerAttr(*window) : IntegerAttr());
}

Value DecoderBuilder::glu(Value gate, Value up, const llvm::Twine &location) {
  return body.create<GluOp>(at(location), gate.getType(), gate, up, activation);
}

Value DecoderBuilder::add(Value lhs, Value rhs, const llvm::Twine &location) {
  return body.create<AddOp>(at(location), lhs.getType(), lhs, rhs);
}

Value DecoderBuilder::scale(Value value, std::optional<double> factor,
                            const llvm::Twine &location) {
  if (!factor)
    return value;
  return body.create<ScaleOp>(at(location), value.getType(), value,
                              body.getF32FloatAttr(float(*factor)));
}

void DecoderBuilder::observe(Value value, const llvm::Twine &name) {
  body.create<ObserveOp>(at(name), value, body.getStringAttr(name));
}

void DecoderBuilder::head(Value input, llvm::StringRef embedding, bool tied,
                          std::optional<double> scale) {
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
  logits = this->scale(logits, scale, "lm_head");
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
