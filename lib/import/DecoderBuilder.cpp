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
  if (!config.isNested)
    return;
  // As transformers 4 and 5 save it.
  for (llvm::StringRef outer : {"language_model.model.", "model.language_model."})
    if (has((outer + "embed_tokens.weight").str()))
      prefix = outer;
  if (prefix == "language_model.model.")
    headPrefix = "language_model.";
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

void DecoderBuilder::setActivation(llvm::StringRef field, llvm::StringRef ifAbsent) {
  std::optional<std::string> name;
  fields().string(field, name);
  if (std::optional<Activation> known = activationNamed(name ? *name : ifAbsent))
    activation = *known;
  else
    fields().wrong(field, "one of silu, swish, gelu, gelu_new, gelu_pytorch_tanh");
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
  llvm::StringRef order = !llvm::is_sorted(stored.rows)                       ? ", pairs apart"
                          : *greatest - *least >= int64_t(stored.rows.size()) ? ", some"
                                                                              : "";
  return (tensor + "[" + llvm::Twine(*least) + ":" + llvm::Twine(*greatest + 1) + order + "]")
      .str();
}

FlatSymbolRefAttr DecoderBuilder::weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                         llvm::ArrayRef<int64_t> shape, TensorRole role,
                                         const StoredRows *stored, bool plusOne) {
  auto name = FlatSymbolRefAttr::get(symbols.getContext(), symbol);
  std::string part = stored ? nameOf(tensor, *stored) : ((plusOne ? "1 + " : "") + tensor).str();
  if (!used.insert(part).second)
    return name;
  used.insert(tensor); // of which others may be left
  llvm::SmallVector<int64_t, 2> whole(shape);
  bool isTransposed = stored && stored->transposed && role == TensorRole::Matrix;
  if (stored)
    whole.front() = stored->count;
  if (isTransposed)
    std::swap(whole.front(), whole.back());
  llvm::Expected<const TensorInfo *> info =
      stored    ? weights.derive(part, tensor, whole, role, stored->rows, isTransposed)
      : plusOne ? weights.derivePlusOne(part, tensor, shape)
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

void DecoderBuilder::ropeTable(llvm::StringRef symbol, double theta, int64_t lanes,
                               const RopeScaling &scaling, std::optional<Growth> growth) {
  if (lanes < 2 || lanes % 2)
    return fail(
        refuse("config.json: partial_rotary_factor: expected an even number of lanes, found " +
               llvm::Twine(lanes) + " of head_dim " + llvm::Twine(model.headSize)));
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
  auto op = symbols.create<RopeTableOp>(at(symbol), symbol, table.inverseFrequencies,
                                        llvm::APFloat(table.scale), FloatAttr(), IntegerAttr(),
                                        IntegerAttr());
  if (!growth)
    return;
  op.setGrowth(llvm::APFloat(float(growth->factor)));
  op.setPeriod(growth->period);
  op.setFrom(growth->from);
}

double DecoderBuilder::roundToEmbedding(double value) {
  const TensorInfo *tensor = weights.find(prefix + "embed_tokens.weight");
  if (tensor && tensor->dtype == DType::F16)
    return fromF16(toF16(float(value)));
  // Made-up weights are there only once they are wanted; they are bf16.
  return tensor && tensor->dtype == DType::F32 ? value : fromBf16(toBf16(float(value)));
}

Value DecoderBuilder::embed(llvm::StringRef name, std::optional<double> scale,
                            llvm::StringRef positions) {
  auto table = [&](llvm::StringRef called, int64_t count) {
    return weight(called, prefix + (called + ".weight").str(), {count, model.hidden},
                  TensorRole::Matrix);
  };
  FlatSymbolRefAttr symbol = table(name, model.vocabulary), places;
  if (!positions.empty())
    places = table(positions, model.maxPositions);
  return body.create<EmbedOp>(at(name), rows(model.hidden), forward.getArgument(0), symbol, places,
                              scale ? body.getF32FloatAttr(float(*scale)) : FloatAttr());
}

Value DecoderBuilder::norm(Value input, const llvm::Twine &name, bool plusOne,
                           std::optional<int64_t> heads) {
  auto symbol = weight(name.str(), (prefix + name + ".weight").str(),
                       {width(input) / heads.value_or(1)}, TensorRole::Norm, nullptr, plusOne);
  return body.create<NormOp>(at(name), input.getType(), input, symbol, FlatSymbolRefAttr(),
                             heads ? body.getI64IntegerAttr(*heads) : IntegerAttr(),
                             body.getF32FloatAttr(float(model.normEps)), /*centred=*/UnitAttr());
}

Value DecoderBuilder::layerNorm(Value input, const llvm::Twine &name) {
  auto vector = [&](const std::string &symbol, llvm::StringRef suffix, TensorRole role) {
    return weight(symbol, (prefix + name + suffix).str(), {width(input)}, role);
  };
  FlatSymbolRefAttr factors = vector(name.str(), ".weight", TensorRole::Norm);
  FlatSymbolRefAttr bias = vector((name + ".bias").str(), ".bias", TensorRole::Bias);
  return body.create<NormOp>(at(name), input.getType(), input, factors, bias, IntegerAttr(),
                             body.getF32FloatAttr(float(model.normEps)), body.getUnitAttr());
}

Value DecoderBuilder::linear(Value input, const llvm::Twine &name, int64_t out, bool bias,
                             const StoredRows *stored) {
  std::string symbol = name.str(), tensor = prefix + (stored ? stored->name : symbol);
  auto matrix = weight(symbol, tensor + ".weight", {out, width(input)}, TensorRole::Matrix, stored);
  FlatSymbolRefAttr vector;
  if (bias)
    vector = weight(symbol + ".bias", tensor + ".bias", {out}, TensorRole::Bias, stored);
  return body.create<LinearOp>(at(name), rows(out), input, matrix, vector);
}

Value DecoderBuilder::rope(Value input, const llvm::Twine &location, int64_t heads,
                           llvm::StringRef table) {
  return body.create<RopeOp>(at(location), input.getType(), input,
                             FlatSymbolRefAttr::get(body.getContext(), table),
                             body.getI64IntegerAttr(heads));
}

Value DecoderBuilder::attend(Value query, Value key, Value value, int64_t layer,
                             std::optional<int64_t> window, std::optional<double> scale,
                             std::optional<double> cap) {
  std::string cache = "cache." + std::to_string(layer);
  symbols.create<CacheOp>(at(cache), cache, model.kvHeads, model.headSize, mlir::TypeAttr());
  Location location = at("layers." + llvm::Twine(layer) + ".self_attn");
  Value context = body.create<AppendOp>(
      location, ContextType::get(body.getContext(), model.kvHeads, model.headSize), key, value,
      FlatSymbolRefAttr::get(body.getContext(), cache));
  double factor = scale.value_or(1.0 / std::sqrt(double(model.headSize)));
  return body.create<AttentionOp>(
      location, query.getType(), query, context, body.getI64IntegerAttr(model.heads),
      body.getF32FloatAttr(float(factor)), window ? body.getI64IntegerAttr(*window) : IntegerAttr(),
      cap ? body.getF32FloatAttr(float(*cap)) : FloatAttr());
}

Value DecoderBuilder::glu(Value gate, Value up, const llvm::Twine &location) {
  return body.create<GluOp>(at(location), gate.getType(), gate, up, activation);
}

Value DecoderBuilder::activate(Value input, const llvm::Twine &location) {
  return body.create<ActivateOp>(at(location), input.getType(), input, activation);
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

void DecoderBuilder::head(Value input, llvm::StringRef name, llvm::StringRef embedding, bool tied,
                          std::optional<double> scale, std::optional<double> cap) {
  std::string headTensor = headPrefix + (name + ".weight").str();
  std::string embeddingTensor = prefix + (embedding + ".weight").str();
  auto symbol = FlatSymbolRefAttr::get(body.getContext(), embedding);
  if (!tied) {
    symbol = weight(name, headTensor, {model.vocabulary, model.hidden}, TensorRole::Matrix);
  } else if (!failed() && weights.find(headTensor)) {
    if (llvm::Error different = checkTiedHead(weights, headTensor, embeddingTensor))
      fail(std::move(different));
    used.insert(headTensor);
  }
  Value logits = body.create<LmHeadOp>(at(name), rows(model.vocabulary), input, symbol);
  logits = this->scale(logits, scale, name);
  if (cap)
    logits = body.create<SoftcapOp>(at(name), logits.getType(), logits,
                                    body.getF32FloatAttr(float(*cap)));
  body.create<func::ReturnOp>(at(name), logits);
}

llvm::Expected<OwningOpRef<ModuleOp>> DecoderBuilder::finish() {
  if (llvm::Error problem = fields().takeError())
    return std::move(problem);
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
  for (std::string &name : weights.names()) {
    bool isOther = model.isNested && !llvm::StringRef(name).starts_with(prefix);
    bool isBuffer = llvm::any_of(
        buffers, [&](llvm::StringRef end) { return llvm::StringRef(name).ends_with(end); });
    if (!isOther && !isBuffer && !used.contains(name))
      unused.push_back(std::move(name));
  }
  return unused;
}

} // namespace pianola
