// Interpreter.h - runs a module of the transformer dialect, in f32 and by the book.
//
// The oracle of every later stage: it does what the dialect's documentation says, op by op, and
// nothing to be quick. Weights are decoded to f32 when first met and kept (four bytes a parameter).
#ifndef PIANOLA_LIB_REFERENCE_INTERPRETER_H
#define PIANOLA_LIB_REFERENCE_INTERPRETER_H

#include "lib/checkpoint/WeightSource.h"
#include "lib/reference/ExpertMath.h"
#include "lib/reference/StateMath.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <map>
#include <memory>

namespace pianola {

struct ReferenceResult {
  reference::Rows logits;                          // one row per id fed
  std::map<std::string, reference::Rows> observed; // what transformer.observe named
};

/// Hears of each product of activations by a weight, before that is read; `x` are the rows of
/// `input`.
using ProductListener = llvm::function_ref<llvm::Error(mlir::Operation *op, mlir::Value input,
                                                       const reference::Rows &x)>;

/// The weight of transformer.embed, .linear, .routed_linear, .route or .lm_head.
transformer::WeightOp weightOf(mlir::Operation *op);

class Interpreter {
public:
  /// The module and the weights must outlive the interpreter.
  Interpreter(mlir::ModuleOp module, const WeightSource &weights)
      : module(module), weights(weights) {}

  /// Runs @forward on these ids, at the positions after those fed before. Errors: no ids, an id
  /// outside of the vocabulary, more positions than the model has, a weight that cannot be read or
  /// is not of its declared shape, an op without a meaning here. After an error, rewind.
  llvm::Expected<ReferenceResult> feed(llvm::ArrayRef<int32_t> ids);

  /// Runs @forward on sequences of so many ids each, the last perhaps shorter, every one from
  /// position 0: op by op, each for all sequences before the next op, until the head is heard of.
  /// Keeps no weight longer than one op and no value longer than it is read. What was fed is
  /// forgotten.
  llvm::Error walk(llvm::ArrayRef<int32_t> ids, int64_t sequence, ProductListener listener);

  /// Forgets what was fed.
  void rewind();

  /// Another way than the first of equals to choose positions.
  void setChooser(reference::Chooser chooser) { choose = std::move(chooser); }

  /// The number of ids fed.
  int64_t position() const { return base; }

private:
  struct Cache {
    reference::Rows keys, values; // a row per position; a history has no values
  };

  /// The body of @forward, for these ids, if the model has so many positions.
  llvm::Expected<mlir::Block *> begin(llvm::ArrayRef<int32_t> ids, int64_t positions);
  llvm::Error evaluate(mlir::Operation &op);
  llvm::Expected<reference::Rows> multiply(mlir::Operation *op, mlir::Value input,
                                           mlir::FlatSymbolRefAttr weight);
  llvm::Error hear(mlir::Operation *op, mlir::Value input);
  /// A function of the rows of one sequence, for all of them.
  reference::Rows
  eachSequence(llvm::function_ref<reference::Rows(int64_t first, int64_t count)> compute) const;
  void forgetDead(mlir::Operation &op);
  llvm::Error evaluateBlock(mlir::Block &block);
  llvm::Error evaluateRegion(mlir::Operation &op);
  llvm::Expected<reference::Rows> lookUp(transformer::WeightOp table,
                                         llvm::ArrayRef<int32_t> numbers) const;
  llvm::Error embed(transformer::EmbedOp op);
  llvm::Error append(transformer::AppendOp op);
  llvm::Error record(transformer::RecordOp op);
  llvm::Error delta(transformer::DeltaOp op);

  llvm::Expected<const TensorInfo *> tensorOf(transformer::WeightOp op) const;
  /// The weight as rows; a vector is one row.
  llvm::Expected<const reference::Rows *> weight(mlir::Operation *user,
                                                 mlir::FlatSymbolRefAttr name);
  /// The numbers of a vector that may not be there.
  llvm::Expected<llvm::ArrayRef<float>> numbers(mlir::Operation *user,
                                                mlir::FlatSymbolRefAttr name);
  llvm::Error route(transformer::RouteOp op);
  const reference::Rows &rows(mlir::Value value) const { return *values.find(value)->second; }
  void set(mlir::Value value, reference::Rows result);

  mlir::ModuleOp module;
  const WeightSource &weights;
  llvm::StringMap<reference::Rows> decoded;
  llvm::StringMap<Cache> caches;
  llvm::StringMap<std::vector<float>> states; // of transformer.delta
  int64_t base = 0;
  reference::Chooser choose = reference::chooseFirst;

  // Of the call under way.
  llvm::ArrayRef<int32_t> ids;
  int64_t length = 0; // of a sequence; 0: there is one
  ProductListener listener = nullptr;
  llvm::DenseMap<mlir::Value, std::shared_ptr<const reference::Rows>> values;
  llvm::DenseMap<mlir::Value, const Cache *> contexts;
  llvm::DenseMap<mlir::Value, std::shared_ptr<const reference::Routes>> routes;
  llvm::DenseMap<mlir::Value, std::shared_ptr<const reference::Selection>> selections;
  ReferenceResult result;
};

/// Runs @forward once, from position 0.
llvm::Expected<ReferenceResult> interpret(mlir::ModuleOp module, const WeightSource &weights,
                                          llvm::ArrayRef<int32_t> ids);

} // namespace pianola

#endif
