// Interpreter.cpp - runs a module of the transformer dialect, in f32 and by the book.
#include "lib/reference/Interpreter.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola {

using reference::Rows;

llvm::Expected<ReferenceResult> interpret(ModuleOp module, const WeightSource &weights,
                                          llvm::ArrayRef<int32_t> ids) {
  return Interpreter(module, weights).feed(ids);
}

llvm::Expected<ReferenceResult> Interpreter::feed(llvm::ArrayRef<int32_t> newIds) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || !forward.getBody().hasOneBlock() || forward.getNumArguments() != 1 ||
      forward.getNumResults() != 1)
    return refuse("the module has no @forward from ids to logits");
  if (newIds.empty())
    return refuse("no ids to run @forward on");
  if (auto model = module->getAttrOfType<ModelAttr>(modelAttrName))
    if (base + int64_t(newIds.size()) > model.getMaxPositions())
      return refuse(llvm::Twine(base + int64_t(newIds.size())) +
                    " positions are more than the model's " + llvm::Twine(model.getMaxPositions()));
  auto forget = llvm::make_scope_exit([&] {
    values.clear();
    contexts.clear();
  });
  ids = newIds;
  result = {};
  Block &block = forward.getBody().front();
  if (llvm::Error error = evaluateBlock(block))
    return std::move(error);
  result.logits = rows(block.getTerminator()->getOperand(0));
  base += int64_t(ids.size());
  return std::move(result);
}

void Interpreter::rewind() {
  caches.clear();
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
llvm::Error Interpreter::embed(EmbedOp op) {
  auto table = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, op.getWeightAttr());
  llvm::Expected<const TensorInfo *> tensor = tensorOf(table);
  if (!tensor)
    return tensor.takeError();
  int64_t vocabulary = table.getShape()[0], width = table.getShape()[1];
  Rows y(int64_t(ids.size()), width);
  for (auto [i, id] : llvm::enumerate(ids)) {
    if (id < 0 || id >= vocabulary)
      return refuse("id " + llvm::Twine(i) + ": expected 0 to " + llvm::Twine(vocabulary - 1) +
                    ", found " + llvm::Twine(id));
    if (llvm::Error error =
            weights.readFloats(**tensor, uint64_t(id) * uint64_t(width), y.row(int64_t(i))))
      return error;
  }
  if (op.getScale())
    for (float &value : y.values)
      value *= op.getScale()->convertToFloat();
  set(op.getResult(), std::move(y));
  return llvm::Error::success();
}

llvm::Error Interpreter::append(AppendOp op) {
  Cache &cache = caches[op.getCache()];
  auto join = [](Rows &all, const Rows &more) {
    all.columns = more.columns;
    all.rows += more.rows;
    all.values.insert(all.values.end(), more.values.begin(), more.values.end());
  };
  join(cache.keys, rows(op.getKeys()));
  join(cache.values, rows(op.getValues()));
  if (cache.keys.rows != base + int64_t(ids.size()))
    return refuse("cache @" + op.getCache() + " is appended to more than once");
  contexts[op.getResult()] = &cache;
  return llvm::Error::success();
}

llvm::Error Interpreter::evaluate(Operation &operation) {
  using llvm::Error;
  return llvm::TypeSwitch<Operation *, Error>(&operation)
      .Case([&](EmbedOp op) { return embed(op); })
      .Case([&](NormOp op) -> Error {
        llvm::Expected<const Rows *> w = weight(op, op.getWeightAttr());
        if (!w)
          return w.takeError();
        set(op.getResult(),
            reference::norm(rows(op.getInput()), (*w)->values, int64_t(op.getHeads().value_or(1)),
                            op.getEps().convertToFloat()));
        return Error::success();
      })
      .Case([&](LinearOp op) -> Error {
        llvm::Expected<const Rows *> w = weight(op, op.getWeightAttr());
        if (!w)
          return w.takeError();
        llvm::ArrayRef<float> bias;
        if (op.getBias()) {
          llvm::Expected<const Rows *> b = weight(op, op.getBiasAttr());
          if (!b)
            return b.takeError();
          bias = (*b)->values;
        }
        set(op.getResult(), reference::linear(rows(op.getInput()), **w, bias));
        return Error::success();
      })
      .Case([&](LmHeadOp op) -> Error {
        llvm::Expected<const Rows *> w = weight(op, op.getWeightAttr());
        if (!w)
          return w.takeError();
        set(op.getResult(), reference::linear(rows(op.getInput()), **w, {}));
        return Error::success();
      })
      .Case([&](RopeOp op) {
        auto table = SymbolTable::lookupNearestSymbolFrom<RopeTableOp>(op, op.getTableAttr());
        set(op.getResult(),
            reference::rope(rows(op.getInput()), table.getInvFreq(),
                            table.getScale().convertToFloat(), int64_t(op.getHeads()), base));
        return Error::success();
      })
      .Case([&](AppendOp op) { return append(op); })
      .Case([&](AttentionOp op) {
        const Cache &cache = *contexts.find(op.getContext())->second;
        set(op.getResult(),
            reference::attention(rows(op.getQuery()), cache.keys, cache.values,
                                 int64_t(op.getHeads()), op.getContext().getType().getHeadSize(),
                                 op.getScale().convertToFloat(),
                                 int64_t(op.getWindow().value_or(0)), base));
        return Error::success();
      })
      .Case([&](GluOp op) {
        set(op.getResult(),
            reference::glu(rows(op.getGate()), rows(op.getUp()), op.getActivation()));
        return Error::success();
      })
      .Case([&](AddOp op) {
        set(op.getResult(), reference::add(rows(op.getLhs()), rows(op.getRhs())));
        return Error::success();
      })
      .Case([&](ObserveOp op) {
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
