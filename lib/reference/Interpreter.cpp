// Interpreter.cpp - runs a module of the transformer dialect, in f32 and by the book.
#include "lib/reference/Interpreter.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola {

using reference::Rows;

WeightOp weightOf(Operation *op) {
  return SymbolTable::lookupNearestSymbolFrom<WeightOp>(
      op, op->getAttrOfType<FlatSymbolRefAttr>("weight"));
}

llvm::Expected<ReferenceResult> interpret(ModuleOp module, const WeightSource &weights,
                                          llvm::ArrayRef<int32_t> ids) {
  return Interpreter(module, weights).feed(ids);
}

llvm::Expected<Block *> Interpreter::begin(llvm::ArrayRef<int32_t> newIds, int64_t positions) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || !forward.getBody().hasOneBlock() || forward.getNumArguments() != 1 ||
      forward.getNumResults() != 1)
    return refuse("the module has no @forward from ids to logits");
  if (newIds.empty())
    return refuse("no ids to run @forward on");
  if (auto model = module->getAttrOfType<ModelAttr>(modelAttrName))
    if (positions > model.getMaxPositions())
      return refuse(llvm::Twine(positions) + " positions are more than the model's " +
                    llvm::Twine(model.getMaxPositions()));
  ids = newIds;
  result = {};
  return &forward.getBody().front();
}

llvm::Expected<ReferenceResult> Interpreter::feed(llvm::ArrayRef<int32_t> newIds) {
  llvm::Expected<Block *> block = begin(newIds, base + int64_t(newIds.size()));
  if (!block)
    return block.takeError();
  auto forget = llvm::make_scope_exit([&] {
    values.clear();
    contexts.clear();
    routes.clear();
    selections.clear();
  });
  if (llvm::Error error = evaluateBlock(**block))
    return std::move(error);
  result.logits = rows((*block)->getTerminator()->getOperand(0));
  base += int64_t(ids.size());
  return std::move(result);
}

llvm::Error Interpreter::walk(llvm::ArrayRef<int32_t> newIds, int64_t sequence,
                              ProductListener hearer) {
  rewind();
  auto forget = llvm::make_scope_exit([&] {
    rewind();
    values.clear();
    contexts.clear();
    routes.clear();
    selections.clear();
    decoded.clear();
    length = 0;
    listener = nullptr;
  });
  llvm::Expected<Block *> block = begin(newIds, sequence);
  if (!block)
    return block.takeError();
  length = sequence;
  listener = hearer;
  for (Operation &op : (*block)->without_terminator()) {
    if (auto head = dyn_cast<LmHeadOp>(op))
      return hear(head, head.getInput());
    if (llvm::Error error = evaluate(op))
      return error;
    decoded.clear();
    forgetDead(op);
  }
  return llvm::Error::success();
}

// What nobody after the op reads.
void Interpreter::forgetDead(Operation &op) {
  for (Value operand : op.getOperands()) {
    auto isAfter = [&](Operation *user) { return op.isBeforeInBlock(user); };
    if (llvm::any_of(operand.getUsers(), isAfter))
      continue;
    values.erase(operand);
    routes.erase(operand);
    selections.erase(operand);
    if (contexts.erase(operand))
      caches.clear();
  }
}

Rows Interpreter::eachSequence(
    llvm::function_ref<Rows(int64_t first, int64_t count)> compute) const {
  int64_t all = int64_t(ids.size()), size = length ? length : all;
  Rows joined;
  for (int64_t first = 0; first < all; first += size)
    joined.append(compute(first, std::min(size, all - first)));
  return joined;
}

llvm::Expected<Rows> Interpreter::multiply(Operation *op, Value input, FlatSymbolRefAttr name) {
  if (llvm::Error error = hear(op, input))
    return std::move(error);
  llvm::Expected<const Rows *> w = weight(op, name);
  if (!w)
    return w.takeError();
  return reference::linear(rows(input), **w);
}

llvm::Error Interpreter::hear(Operation *op, Value input) {
  if (!listener)
    return llvm::Error::success();
  return listener(op, input, rows(input));
}

void Interpreter::rewind() {
  caches.clear();
  states.clear();
  base = 0;
}

void Interpreter::set(Value value, Rows rows) {
  values[value] = std::make_shared<const Rows>(std::move(rows));
}

llvm::Error Interpreter::evaluateBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = evaluate(op))
      return error;
  return llvm::Error::success();
}

/// An op that only groups others: its block's arguments are its operands, and its results are what
/// the block's terminator hands on.
llvm::Error Interpreter::evaluateRegion(Operation &op) {
  Block &block = op.getRegion(0).front();
  auto carry = [&](Value from, Value to) {
    if (auto it = values.find(from); it != values.end())
      values[to] = std::shared_ptr<const Rows>(it->second);
    if (auto it = contexts.find(from); it != contexts.end())
      contexts[to] = static_cast<const Cache *>(it->second);
    if (auto it = routes.find(from); it != routes.end())
      routes[to] = std::shared_ptr<const reference::Routes>(it->second);
    if (auto it = selections.find(from); it != selections.end())
      selections[to] = std::shared_ptr<const reference::Selection>(it->second);
  };
  for (auto [operand, argument] : llvm::zip(op.getOperands(), block.getArguments()))
    carry(operand, argument);
  if (llvm::Error error = evaluateBlock(block))
    return error;
  for (auto [yielded, opResult] : llvm::zip(block.getTerminator()->getOperands(), op.getResults()))
    carry(yielded, opResult);
  return llvm::Error::success();
}

llvm::Expected<const TensorInfo *> Interpreter::tensorOf(WeightOp op) const {
  const TensorInfo *tensor = weights.find(op.getTensor());
  if (!tensor)
    return refuse("weight @" + op.getSymName() + ": there is no tensor " +
                  inQuotes(op.getTensor()));
  if (llvm::ArrayRef<int64_t>(tensor->shape) != op.getShape())
    return refuse("weight @" + op.getSymName() + ": expected " + showShape(op.getShape()) +
                  ", found " + showShape(tensor->shape));
  return tensor;
}

llvm::Expected<const Rows *> Interpreter::weight(Operation *user, FlatSymbolRefAttr name) {
  if (auto known = decoded.find(name.getValue()); known != decoded.end())
    return &known->second;
  auto op = SymbolTable::lookupNearestSymbolFrom<WeightOp>(user, name);
  llvm::Expected<const TensorInfo *> tensor = tensorOf(op);
  if (!tensor)
    return tensor.takeError();
  llvm::ArrayRef<int64_t> shape = op.getShape();
  Rows rows(shape.size() == 2 ? shape[0] : 1, shape.back());
  if (llvm::Error error = weights.readFloats(**tensor, 0, rows.values))
    return std::move(error);
  return &(decoded[name.getValue()] = std::move(rows));
}

/// Reads the rows that it needs and no others: the table may be the largest tensor of the model.
llvm::Expected<Rows> Interpreter::lookUp(WeightOp table, llvm::ArrayRef<int32_t> numbers) const {
  llvm::Expected<const TensorInfo *> tensor = tensorOf(table);
  if (!tensor)
    return tensor.takeError();
  int64_t width = table.getShape()[1];
  Rows y(int64_t(numbers.size()), width);
  for (auto [i, number] : llvm::enumerate(numbers))
    if (llvm::Error error =
            weights.readFloats(**tensor, uint64_t(number) * uint64_t(width), y.row(int64_t(i))))
      return std::move(error);
  return y;
}

llvm::Error Interpreter::embed(EmbedOp op) {
  auto table = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, op.getWeightAttr());
  int64_t vocabulary = table.getShape()[0];
  for (auto [i, id] : llvm::enumerate(ids))
    if (id < 0 || id >= vocabulary)
      return refuse("id " + llvm::Twine(i) + ": expected 0 to " + llvm::Twine(vocabulary - 1) +
                    ", found " + llvm::Twine(id));
  llvm::Expected<Rows> y = lookUp(table, ids);
  if (!y)
    return y.takeError();
  if (op.getScale())
    y = reference::scale(*y, op.getScale()->convertToFloat());
  if (op.getPositions()) {
    auto places = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, op.getPositionsAttr());
    int64_t known = places.getShape()[0], sequence = length ? length : int64_t(ids.size());
    if (base + sequence > known)
      return refuse("position " + llvm::Twine(known) + " has no embedding");
    std::vector<int32_t> positions;
    for (size_t i = 0; i < ids.size(); ++i)
      positions.push_back(int32_t(base + int64_t(i) % sequence));
    llvm::Expected<Rows> added = lookUp(places, positions);
    if (!added)
      return added.takeError();
    y = reference::add(*y, *added);
  }
  set(op.getResult(), std::move(*y));
  return llvm::Error::success();
}

llvm::Expected<llvm::ArrayRef<float>> Interpreter::numbers(Operation *user,
                                                           FlatSymbolRefAttr name) {
  if (!name)
    return llvm::ArrayRef<float>();
  llvm::Expected<const Rows *> vector = weight(user, name);
  if (!vector)
    return vector.takeError();
  return llvm::ArrayRef<float>((*vector)->values);
}

llvm::Error Interpreter::route(RouteOp op) {
  llvm::Expected<Rows> logits = multiply(op, op.getInput(), op.getWeightAttr());
  if (!logits)
    return logits.takeError();
  llvm::Expected<llvm::ArrayRef<float>> bias = numbers(op, op.getBiasAttr());
  if (!bias)
    return bias.takeError();
  if (!bias->empty())
    reference::addToRows(*logits, *bias);
  llvm::Expected<llvm::ArrayRef<float>> correction = numbers(op, op.getCorrectionAttr());
  if (!correction)
    return correction.takeError();
  routes[op.getResult()] =
      std::make_shared<const reference::Routes>(reference::route(*logits, op, *correction));
  return llvm::Error::success();
}

llvm::Error Interpreter::append(AppendOp op) {
  Cache &cache = caches[op.getCache()];
  auto declared = SymbolTable::lookupNearestSymbolFrom<CacheOp>(op, op.getCacheAttr());
  auto kept = [&](Value fresh) {
    Rows rounded = rows(fresh);
    reference::roundTo(rounded, declared.getElement().value_or(Type()),
                       int64_t(declared.getHeadSize()));
    return rounded;
  };
  cache.keys.append(kept(op.getKeys()));
  cache.values.append(kept(op.getValues()));
  if (cache.keys.rows != base + int64_t(ids.size()))
    return refuse("cache @" + op.getCache() + " is appended to more than once");
  contexts[op.getResult()] = &cache;
  return llvm::Error::success();
}

llvm::Error Interpreter::record(RecordOp op) {
  Cache &history = caches[op.getState()];
  history.keys.append(rows(op.getInput()));
  if (history.keys.rows != base + int64_t(ids.size()))
    return refuse("state @" + op.getState() + " is recorded more than once");
  contexts[op.getResult()] = &history;
  return llvm::Error::success();
}

llvm::Error Interpreter::delta(DeltaOp op) {
  llvm::Expected<llvm::ArrayRef<float>> rate = numbers(op, op.getRateAttr());
  if (!rate)
    return rate.takeError();
  llvm::Expected<llvm::ArrayRef<float>> offset = numbers(op, op.getOffsetAttr());
  if (!offset)
    return offset.takeError();
  auto declared = SymbolTable::lookupNearestSymbolFrom<StateOp>(op, op.getStateAttr());
  llvm::ArrayRef<int64_t> shape = declared.getShape();
  std::vector<float> nothing(size_t(shape[0] * shape[1] * shape[2]));
  std::vector<float> &kept = states[op.getState()];
  if (kept.empty())
    kept = nothing;
  set(op.getResult(), eachSequence([&](int64_t first, int64_t count) {
        auto of = [&](Value value) { return rows(value).slice(first, count); };
        std::vector<float> fresh;
        if (length) // each begins at position 0
          fresh = nothing;
        return reference::delta(of(op.getQueryKey()), of(op.getValue()), of(op.getGates()), *rate,
                                *offset, op, length ? fresh : kept);
      }));
  return llvm::Error::success();
}

llvm::Error Interpreter::evaluate(Operation &operation) {
  using llvm::Error;
  return llvm::TypeSwitch<Operation *, Error>(&operation)
      .Case([&](EmbedOp op) { return embed(op); })
      .Case([&](NormOp op) -> Error {
        llvm::Expected<llvm::ArrayRef<float>> w = numbers(op, op.getWeightAttr());
        if (!w)
          return w.takeError();
        float eps = op.getEps().convertToFloat();
        if (!op.getCentred()) {
          set(op.getResult(),
              reference::norm(rows(op.getInput()), *w, int64_t(op.getHeads().value_or(1)), eps));
          return Error::success();
        }
        llvm::Expected<llvm::ArrayRef<float>> bias = numbers(op, op.getBiasAttr());
        if (!bias)
          return bias.takeError();
        set(op.getResult(), reference::layerNorm(rows(op.getInput()), *w, *bias, eps));
        return Error::success();
      })
      .Case([&](RouteOp op) { return route(op); })
      .Case([&](RoutedLinearOp op) -> Error {
        if (Error error = hear(op, op.getInput()))
          return error;
        llvm::Expected<const Rows *> w = weight(op, op.getWeightAttr());
        if (!w)
          return w.takeError();
        llvm::Expected<llvm::ArrayRef<float>> bias = numbers(op, op.getBiasAttr());
        if (!bias)
          return bias.takeError();
        set(op.getResult(),
            reference::routedLinear(rows(op.getInput()), *routes.find(op.getRoutes())->second, **w,
                                    *bias, op));
        return Error::success();
      })
      .Case([&](GateOp op) {
        set(op.getResult(), reference::gate(rows(op.getInput()), rows(op.getGate())));
        return Error::success();
      })
      .Case([&](LinearOp op) -> Error {
        llvm::Expected<Rows> y = multiply(op, op.getInput(), op.getWeightAttr());
        if (!y)
          return y.takeError();
        if (op.getBias()) {
          llvm::Expected<const Rows *> b = weight(op, op.getBiasAttr());
          if (!b)
            return b.takeError();
          reference::addToRows(*y, (*b)->values);
        }
        set(op.getResult(), std::move(*y));
        return Error::success();
      })
      .Case([&](HeadLinearOp op) -> Error {
        if (Error error = hear(op, op.getInput()))
          return error;
        llvm::Expected<const Rows *> w = weight(op, op.getWeightAttr());
        if (!w)
          return w.takeError();
        set(op.getResult(),
            reference::headLinear(rows(op.getInput()), **w, int64_t(op.getHeads())));
        return Error::success();
      })
      .Case([&](JoinOp op) {
        set(op.getResult(),
            reference::join(rows(op.getFirst()), rows(op.getSecond()), int64_t(op.getHeads())));
        return Error::success();
      })
      .Case([&](LmHeadOp op) -> Error {
        llvm::Expected<Rows> y = multiply(op, op.getInput(), op.getWeightAttr());
        if (!y)
          return y.takeError();
        set(op.getResult(), std::move(*y));
        return Error::success();
      })
      .Case([&](RopeOp op) {
        auto table = SymbolTable::lookupNearestSymbolFrom<RopeTableOp>(op, op.getTableAttr());
        set(op.getResult(), eachSequence([&](int64_t first, int64_t count) {
              return reference::rope(rows(op.getInput()).slice(first, count), table,
                                     int64_t(op.getHeads()), base);
            }));
        return Error::success();
      })
      .Case([&](AppendOp op) { return append(op); })
      .Case([&](AttentionOp op) -> Error {
        llvm::Expected<llvm::ArrayRef<float>> sinks = numbers(op, op.getSinksAttr());
        if (!sinks)
          return sinks.takeError();
        const Cache &cache = *contexts.find(op.getContext())->second;
        set(op.getResult(), eachSequence([&](int64_t first, int64_t count) {
              reference::Selection selection;
              if (op.getSelection()) {
                const auto &all = *selections.find(op.getSelection())->second;
                selection.assign(all.begin() + first, all.begin() + first + count);
              }
              return reference::attention(rows(op.getQuery()).slice(first, count),
                                          cache.keys.slice(first, base + count),
                                          cache.values.slice(first, base + count), op, *sinks, base,
                                          op.getSelection() ? &selection : nullptr);
            }));
        return Error::success();
      })
      .Case([&](RecordOp op) { return record(op); })
      .Case([&](ConvolveOp op) -> Error {
        llvm::Expected<const Rows *> taps = weight(op, op.getWeightAttr());
        if (!taps)
          return taps.takeError();
        const Cache &history = *contexts.find(op.getHistory())->second;
        set(op.getResult(), eachSequence([&](int64_t first, int64_t count) {
              return reference::convolve(history.keys.slice(first, base + count), **taps, base);
            }));
        return Error::success();
      })
      .Case([&](DeltaOp op) { return delta(op); })
      .Case([&](SelectOp op) {
        const Cache &cache = *contexts.find(op.getContext())->second;
        reference::Selection selection;
        eachSequence([&](int64_t first, int64_t count) {
          llvm::append_range(selection, reference::select(rows(op.getQuery()).slice(first, count),
                                                          rows(op.getWeights()).slice(first, count),
                                                          cache.keys.slice(first, base + count), op,
                                                          base, choose));
          return Rows(0, 1);
        });
        selections[op.getResult()] =
            std::make_shared<const reference::Selection>(std::move(selection));
        return Error::success();
      })
      .Case([&](ActivateOp op) {
        set(op.getResult(), reference::activate(rows(op.getInput()), op.getActivation()));
        return Error::success();
      })
      .Case([&](GluOp op) {
        set(op.getResult(), reference::glu(rows(op.getGate()), rows(op.getUp()), op.getActivation(),
                                           op.getLimit() ? op.getLimit()->convertToFloat() : 0));
        return Error::success();
      })
      .Case([&](AddOp op) {
        set(op.getResult(), reference::add(rows(op.getLhs()), rows(op.getRhs())));
        return Error::success();
      })
      .Case([&](SoftcapOp op) {
        set(op.getResult(), reference::softcap(rows(op.getInput()), op.getCap().convertToFloat()));
        return Error::success();
      })
      .Case([&](ScaleOp op) {
        set(op.getResult(), reference::scale(rows(op.getInput()), op.getFactor().convertToFloat()));
        return Error::success();
      })
      .Case([&](ObserveOp op) {
        if (!listener) // who walks keeps nothing
          result.observed[op.getName().str()] = rows(op.getValue());
        return Error::success();
      })
      .Default([&](Operation *op) -> Error {
        if (op->getName().getStringRef() == "transformer.stage" && op->getNumRegions() == 1 &&
            op->getRegion(0).hasOneBlock())
          return evaluateRegion(*op);
        return refuse("the interpreter has no meaning for " + op->getName().getStringRef());
      });
}

} // namespace pianola
