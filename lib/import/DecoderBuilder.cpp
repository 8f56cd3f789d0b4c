// DecoderBuilder.cpp - emits transformer ops, with the weights that they need.
#include "lib/import/DecoderBuilder.h"

#include "lib/checkpoint/GgufBlocks.h"
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
  if (stored.depth)
    return (tensor + "[from " + llvm::Twine(stored.firstOfDepth) + ", turned]").str();
  if (stored.rows.empty())
    return tensor.str();
  auto [least, greatest] = std::minmax_element(stored.rows.begin(), stored.rows.end());
  llvm::StringRef order = !llvm::is_sorted(stored.rows)                       ? ", pairs apart"
                          : *greatest - *least >= int64_t(stored.rows.size()) ? ", some"
                                                                              : "";
  return (tensor + "[" + llvm::Twine(*least) + ":" + llvm::Twine(*greatest + 1) + order + "]")
      .str();
}

FlatSymbolRefAttr
DecoderBuilder::declare(llvm::StringRef symbol, llvm::StringRef tensor,
                        llvm::ArrayRef<int64_t> shape,
                        llvm::function_ref<llvm::Expected<const TensorInfo *>()> take) {
  auto name = FlatSymbolRefAttr::get(symbols.getContext(), symbol);
  if (!used.insert(tensor).second)
    return name;
  llvm::Expected<const TensorInfo *> info = take();
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

FlatSymbolRefAttr DecoderBuilder::weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                         llvm::ArrayRef<int64_t> shape, TensorRole role,
                                         bool plusOne) {
  if (!plusOne)
    return declare(symbol, tensor, shape, [&] { return weights.require(tensor, shape, role); });
  std::string sum = ("1 + " + tensor).str();
  used.insert(tensor);
  return declare(symbol, sum, shape, [&] { return weights.derivePlusOne(sum, tensor, shape); });
}

// A name for what is made of parts: that of the only one, or of the first, with how many more.
static std::string nameOf(llvm::ArrayRef<WeightPart> parts, llvm::ArrayRef<StoredRows> stored) {
  std::string first = nameOf(parts.front().tensor, stored.front());
  return parts.size() == 1 ? first : first + " and " + std::to_string(parts.size() - 1) + " more";
}

FlatSymbolRefAttr DecoderBuilder::weightOf(llvm::StringRef symbol,
                                           llvm::ArrayRef<StoredRows> stored, int64_t out,
                                           int64_t in, TensorRole role) {
  std::vector<WeightPart> parts;
  bool isMatrix = role == TensorRole::Matrix;
  for (const StoredRows &rows : stored) {
    WeightPart &part = parts.emplace_back();
    part.tensor = prefix + rows.name + (isMatrix ? rows.suffix : rows.biasSuffix);
    part.rows = rows.rows;
    used.insert(part.tensor); // of which others may be left
    if (rows.slices)
      part.shape.push_back(rows.slices);
    part.shape.push_back(rows.count);
    if (!isMatrix) {
      // Of slices, elements are counted through.
      for (int64_t &row : part.rows)
        row += rows.slice * rows.count;
      continue;
    }
    part.shape.push_back(rows.depth ? rows.depth : in);
    if (rows.transposed) {
      part.columnsOf = rows.slice;
      part.first = rows.firstOfDepth;
      part.count = in;
      std::swap(part.shape.back(), part.shape[part.shape.size() - 2]);
    } else {
      for (int64_t &row : part.rows)
        row += rows.slice * rows.count;
    }
  }
  llvm::SmallVector<int64_t, 2> shape = {out};
  if (isMatrix)
    shape.push_back(in);
  std::string name = nameOf(parts, stored);
  return declare(symbol, name, shape, [&] { return weights.derive(name, parts, role); });
}

void DecoderBuilder::ropeTable(llvm::StringRef symbol, double theta, int64_t lanes,
                               const RopeScaling &scaling, std::optional<Growth> growth) {
  if (lanes < 2 || lanes % 2)
    return fail(
        refuse("config.json: partial_rotary_factor: expected an even number of lanes, found " +
               llvm::Twine(lanes) + " of head_dim " + llvm::Twine(model.headSize)));
  int64_t positions = this->positions();
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
  createTable(symbol, table.inverseFrequencies, table.scale, growth);
}

void DecoderBuilder::createTable(llvm::StringRef symbol, llvm::ArrayRef<float> frequencies,
                                 float scale, std::optional<Growth> growth) {
  auto op = symbols.create<RopeTableOp>(at(symbol), symbol, frequencies, llvm::APFloat(scale),
                                        FloatAttr(), IntegerAttr(), IntegerAttr());
  if (!growth)
    return;
  op.setGrowth(llvm::APFloat(float(growth->factor)));
  op.setPeriod(growth->period);
  op.setFrom(growth->from);
}

void DecoderBuilder::stillTable(llvm::StringRef symbol, int64_t lanes, Growth growth) {
  createTable(symbol, std::vector<float>(size_t(lanes / 2)), 1, growth);
}

void DecoderBuilder::ignoreLayersBeyond(int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    others.push_back(prefix + "layers." + std::to_string(model.layers + i) + ".");
}

DecoderBuilder::Router DecoderBuilder::readRouter(llvm::StringRef expertsField, int64_t experts,
                                                  int64_t chosen) {
  Router router;
  router.experts = fields().integerOr(expertsField, 1, 4096, experts);
  router.chosen = fields().integerOr("num_experts_per_tok", 1, router.experts,
                                     std::min(chosen, router.experts));
  std::optional<int64_t> groups, keep;
  fields().integer("n_group", 1, router.experts, groups);
  fields().integer("topk_group", 1, groups.value_or(1), keep);
  if (groups.value_or(1) > 1) {
    if (router.experts % *groups)
      fields().wrong("n_group",
                     "a divisor of " + expertsField + ", " + llvm::Twine(router.experts));
    router.groups = *groups;
    router.keep = keep.value_or(*groups);
    if (router.chosen > router.keep * (router.experts / router.groups))
      fields().wrong("num_experts_per_tok",
                     "at most the experts of topk_group groups, " +
                         llvm::Twine(router.keep * (router.experts / router.groups)));
  }
  return router;
}

double DecoderBuilder::roundToEmbedding(double value) {
  const TensorInfo *tensor = weights.find(prefix + "embed_tokens.weight");
  bool isBlocks = tensor && tensor->gguf && !tensor->gguf->plain; // made of a bf16 model
  if (tensor && tensor->dtype == DType::F16)
    return fromF16(toF16(float(value)));
  // Made-up weights are there only once they are wanted; they are bf16.
  bool isExact = tensor && tensor->dtype == DType::F32 && !isBlocks;
  return isExact ? value : fromBf16(toBf16(float(value)));
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
                           std::optional<int64_t> heads, std::optional<double> eps) {
  auto symbol = weight(name.str(), (prefix + name + ".weight").str(),
                       {width(input) / heads.value_or(1)}, TensorRole::Norm, plusOne);
  return body.create<NormOp>(at(name), input.getType(), input, symbol, FlatSymbolRefAttr(),
                             heads ? body.getI64IntegerAttr(*heads) : IntegerAttr(),
                             body.getF32FloatAttr(float(eps.value_or(model.normEps))),
                             /*centred=*/UnitAttr());
}

Value DecoderBuilder::layerNorm(Value input, const llvm::Twine &name, const StoredRows *stored,
                                std::optional<double> eps) {
  auto vector = [&](const std::string &symbol, llvm::StringRef suffix, TensorRole role) {
    if (stored) {
      StoredRows rows = *stored;
      rows.biasSuffix = suffix.data();
      return weightOf(symbol, rows, width(input), 1, role);
    }
    return weight(symbol, (prefix + name + suffix).str(), {width(input)}, role);
  };
  FlatSymbolRefAttr factors = vector(name.str(), ".weight", TensorRole::Norm);
  FlatSymbolRefAttr bias = vector((name + ".bias").str(), ".bias", TensorRole::Bias);
  return body.create<NormOp>(at(name), input.getType(), input, factors, bias, IntegerAttr(),
                             body.getF32FloatAttr(float(eps.value_or(model.normEps))),
                             body.getUnitAttr());
}

Value DecoderBuilder::headNorm(Value input, const llvm::Twine &location, int64_t heads,
                               std::optional<double> eps) {
  return body.create<NormOp>(at(location), input.getType(), input, FlatSymbolRefAttr(),
                             FlatSymbolRefAttr(), body.getI64IntegerAttr(heads),
                             body.getF32FloatAttr(float(eps.value_or(model.normEps))),
                             /*centred=*/UnitAttr());
}

Value DecoderBuilder::linear(Value input, const llvm::Twine &name, int64_t out, bool bias,
                             const StoredRows *stored) {
  std::string symbol = name.str(), tensor = prefix + symbol;
  int64_t in = width(input);
  FlatSymbolRefAttr matrix =
      stored ? weightOf(symbol, *stored, out, in, TensorRole::Matrix)
             : weight(symbol, tensor + ".weight", {out, in}, TensorRole::Matrix);
  FlatSymbolRefAttr vector;
  if (bias)
    vector = stored ? weightOf(symbol + ".bias", *stored, out, 1, TensorRole::Bias)
                    : weight(symbol + ".bias", tensor + ".bias", {out}, TensorRole::Bias);
  return body.create<LinearOp>(at(name), rows(out), input, matrix, vector);
}

Value DecoderBuilder::linear(Value input, const llvm::Twine &name, int64_t out,
                             llvm::ArrayRef<StoredRows> stored) {
  FlatSymbolRefAttr matrix = weightOf(name.str(), stored, out, width(input), TensorRole::Matrix);
  return body.create<LinearOp>(at(name), rows(out), input, matrix, FlatSymbolRefAttr());
}

Value DecoderBuilder::headLinear(Value input, const llvm::Twine &name, int64_t heads, int64_t in,
                                 int64_t out, llvm::function_ref<StoredRows(int64_t)> stored) {
  std::vector<StoredRows> parts;
  for (int64_t head = 0; head < heads; ++head)
    parts.push_back(stored(head));
  FlatSymbolRefAttr matrix = weightOf(name.str(), parts, heads * out, in, TensorRole::Matrix);
  return body.create<HeadLinearOp>(at(name), rows(heads * out), input, matrix,
                                   body.getI64IntegerAttr(heads));
}

Value DecoderBuilder::join(Value first, Value second, const llvm::Twine &location, int64_t heads) {
  return body.create<JoinOp>(at(location), rows(width(first) + width(second)), first, second,
                             body.getI64IntegerAttr(heads));
}

Value DecoderBuilder::route(Value input, const llvm::Twine &name, const Router &router) {
  auto vector = [&](const std::string &tensor) {
    return tensor.empty() ? FlatSymbolRefAttr()
                          : weight(tensor, prefix + tensor, {router.experts}, TensorRole::Bias);
  };
  FlatSymbolRefAttr matrix = weight(name.str(), (prefix + name + ".weight").str(),
                                    {router.experts, width(input)}, TensorRole::Matrix);
  auto number = [&](int64_t value) {
    return router.groups ? body.getI64IntegerAttr(value) : IntegerAttr();
  };
  MLIRContext *context = body.getContext();
  auto by = router.groups ? GroupScoreAttr::get(context, router.by) : GroupScoreAttr();
  FlatSymbolRefAttr bias = vector(router.bias), correction = vector(router.correction);
  return body.create<RouteOp>(at(name), RoutesType::get(context, router.chosen, router.experts),
                              input, matrix, bias, correction, number(router.groups),
                              number(router.keep), by, ScoreAttr::get(context, router.score),
                              router.normalised ? body.getUnitAttr() : UnitAttr(),
                              body.getF32FloatAttr(float(router.scale)));
}

Value DecoderBuilder::routedLinear(Value input, Value routes, const llvm::Twine &name, int64_t in,
                                   int64_t out, bool bias, bool weighted, bool combined,
                                   llvm::function_ref<StoredRows(int64_t)> stored) {
  auto type = cast<RoutesType>(routes.getType());
  std::vector<StoredRows> parts;
  for (int64_t expert = 0; expert < type.getExperts(); ++expert)
    parts.push_back(stored(expert));
  auto flag = [&](bool isSet) { return isSet ? body.getUnitAttr() : UnitAttr(); };
  int64_t all = type.getExperts() * out;
  FlatSymbolRefAttr matrix = weightOf(name.str(), parts, all, in, TensorRole::Matrix), vector;
  if (bias)
    vector = weightOf((name + ".bias").str(), parts, all, 1, TensorRole::Bias);
  return body.create<RoutedLinearOp>(at(name), rows(combined ? out : out * type.getChosen()), input,
                                     routes, matrix, vector, flag(weighted), flag(combined));
}

Value DecoderBuilder::gate(Value input, Value gates, const llvm::Twine &location) {
  return body.create<GateOp>(at(location), input.getType(), input, gates);
}

Value DecoderBuilder::rope(Value input, const llvm::Twine &location, int64_t heads,
                           llvm::StringRef table) {
  return body.create<RopeOp>(at(location), input.getType(), input,
                             FlatSymbolRefAttr::get(body.getContext(), table),
                             body.getI64IntegerAttr(heads));
}

Value DecoderBuilder::convolve(Value input, const llvm::Twine &name, llvm::StringRef tensor,
                               int64_t channels, int64_t first, int64_t taps) {
  int64_t columns = width(input);
  std::string symbol = name.str(), stored = prefix + tensor.str() + ".weight";
  WeightPart part;
  part.tensor = stored;
  part.shape = {channels, 1, taps};
  part.columnsOf = 0;
  part.first = first;
  part.count = columns;
  used.insert(stored);
  std::string derived =
      stored + "[" + std::to_string(first) + ":" + std::to_string(first + columns) + ", turned]";
  FlatSymbolRefAttr weight = declare(symbol, derived, {taps, columns}, [&] {
    return weights.derive(derived, part, TensorRole::Matrix);
  });
  std::string state = "history." + symbol;
  symbols.create<StateOp>(at(state), state, ArrayRef<int64_t>{taps, columns});
  MLIRContext *context = body.getContext();
  Value history = body.create<RecordOp>(at(name), HistoryType::get(context, columns), input,
                                        FlatSymbolRefAttr::get(context, state));
  return body.create<ConvolveOp>(at(name), input.getType(), history, weight);
}

Value DecoderBuilder::delta(Value queryKey, Value value, Value gates, const llvm::Twine &name,
                            int64_t keyHeads) {
  int64_t heads = width(gates) / 2, keySize = width(queryKey) / (2 * keyHeads);
  std::string state = ("state." + name).str();
  symbols.create<StateOp>(at(state), state,
                          ArrayRef<int64_t>{heads, keySize, width(value) / heads});
  auto vector = [&](const char *called) {
    std::string symbol = (name + "." + called).str();
    return weight(symbol, prefix + symbol, {heads}, TensorRole::Bias);
  };
  FlatSymbolRefAttr rate = vector("A_log"), offset = vector("dt_bias");
  return body.create<DeltaOp>(at(name), value.getType(), queryKey, value, gates, rate, offset,
                              FlatSymbolRefAttr::get(body.getContext(), state),
                              body.getI64IntegerAttr(keyHeads),
                              body.getF32FloatAttr(float(1 / std::sqrt(double(keySize)))));
}

Value DecoderBuilder::attend(Value query, Value key, Value value, int64_t layer,
                             const Attention &how) {
  std::string cache = "cache." + std::to_string(layer);
  int64_t keyHeads = how.keyHeads.value_or(model.kvHeads), size = how.size.value_or(model.headSize);
  symbols.create<CacheOp>(at(cache), cache, keyHeads, size, mlir::TypeAttr());
  Location location = at("layers." + llvm::Twine(layer) + ".self_attn");
  Value context =
      body.create<AppendOp>(location, ContextType::get(body.getContext(), keyHeads, size), key,
                            value, FlatSymbolRefAttr::get(body.getContext(), cache));
  double factor = how.scale.value_or(1.0 / std::sqrt(double(size)));
  auto integer = [&](std::optional<int64_t> value) {
    return value ? body.getI64IntegerAttr(*value) : IntegerAttr();
  };
  FlatSymbolRefAttr sinks;
  if (!how.sinks.empty())
    sinks = weight(how.sinks, prefix + how.sinks, {model.heads}, TensorRole::Bias);
  return body.create<AttentionOp>(
      location, query.getType(), query, context, how.selection, body.getI64IntegerAttr(model.heads),
      body.getF32FloatAttr(float(factor)), integer(how.window), integer(how.chunk),
      how.cap ? body.getF32FloatAttr(float(*how.cap)) : FloatAttr(), sinks);
}

Value DecoderBuilder::select(Value query, Value weights, Value key, int64_t layer, int64_t heads,
                             int64_t top) {
  std::string cache = "index." + std::to_string(layer);
  int64_t size = width(key);
  symbols.create<CacheOp>(at(cache), cache, 1, size, mlir::TypeAttr());
  Location location = at("layers." + llvm::Twine(layer) + ".self_attn.indexer");
  Value context = body.create<AppendOp>(location, ContextType::get(body.getContext(), 1, size), key,
                                        key, FlatSymbolRefAttr::get(body.getContext(), cache));
  double scale = 1 / std::sqrt(double(heads * size));
  return body.create<SelectOp>(location, SelectionType::get(body.getContext(), top, positions()),
                               query, weights, context, body.getI64IntegerAttr(heads),
                               body.getF32FloatAttr(float(scale)));
}

Value DecoderBuilder::glu(Value gate, Value up, const llvm::Twine &location,
                          std::optional<Activation> as) {
  bool isLimited = gluLimit && !as;
  return body.create<GluOp>(at(location), gate.getType(), gate, up, as.value_or(activation),
                            isLimited ? body.getF32FloatAttr(float(*gluLimit)) : FloatAttr());
}

Value DecoderBuilder::activate(Value input, const llvm::Twine &location,
                               std::optional<Activation> as) {
  return body.create<ActivateOp>(at(location), input.getType(), input, as.value_or(activation));
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
    llvm::StringRef tensor = name;
    bool isOther =
        (model.isNested && !tensor.starts_with(prefix)) ||
        llvm::any_of(others, [&](const std::string &begin) { return tensor.starts_with(begin); }) ||
        llvm::any_of(buffers, [&](const std::string &end) { return tensor.ends_with(end); }) ||
        llvm::any_of(parts, [&](const std::string &part) { return tensor.contains(part); });
    if (!isOther && !used.contains(name))
      unused.push_back(std::move(name));
  }
  return unused;
}

} // namespace pianola
