// DecoderBuilder.h - emits transformer ops, with the weights that they need.
//
// Families speak in tensor names. A name such as "layers.3.self_attn.q_proj" stands for three
// things: the tensor "model.layers.3.self_attn.q_proj.weight" of the checkpoint ("model." is what
// most put before all names but that of the head), the symbol @layers.3.self_attn.q_proj, and the
// location of the op that uses it.
//
// The first error (a missing tensor, a wrong shape) is remembered; ops are emitted all the same, so
// that a family reads straight through, and finish() reports it.
#ifndef PIANOLA_LIB_IMPORT_DECODERBUILDER_H
#define PIANOLA_LIB_IMPORT_DECODERBUILDER_H

#include "dialects/transformer/Transformer.h"
#include "lib/checkpoint/DerivedWeights.h"
#include "lib/checkpoint/ModelConfig.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/StringSet.h"

namespace pianola {

/// Where the rows of a linear stand, if not in a tensor of its own, in the order of its results.
struct StoredRows {
  std::string name;          // of the matrix, as families speak of it
  int64_t count = 0;         // of its rows
  std::vector<int64_t> rows; // of them, that of each result
  bool transposed = false;   // they stand as columns; only the matrix is so, not its bias

  static StoredRows range(std::string name, int64_t count, int64_t first, int64_t width);
  /// Brings together what rope turns together: lanes 2i and 2i+1 of the first `lanes` of every head
  /// become lanes i and i + lanes/2.
  void separatePairs(int64_t headSize, int64_t lanes);
};

class DecoderBuilder {
public:
  DecoderBuilder(mlir::MLIRContext &context, const ModelConfig &config, DerivedWeights &weights,
                 llvm::StringRef family);
  ~DecoderBuilder();

  const ModelConfig &config() const { return model; }
  /// Of config.json, for what only some families know. Their errors count as the builder's.
  JsonFields &fields() { return *model.fields; }
  /// Whether an error is remembered; what follows is then for nothing.
  bool failed() const { return error.has_value() || model.fields->failed(); }
  void fail(llvm::Error problem);

  /// What stands before the names of tensors, in place of "model." or where a model of more parts
  /// has it.
  void setPrefix(llvm::StringRef before) { prefix = before; }
  /// Tensors whose names end so are no parameters, and nobody misses them.
  void ignoreBuffers(llvm::StringRef suffix) { buffers.push_back(suffix.str()); }
  /// Whether the checkpoint has the tensor. Of one whose weights are made up, nobody knows.
  bool has(llvm::StringRef tensor) const { return weights.find(tensor) != nullptr; }
  /// What glu and activate apply, by the name in a field of config.json.
  void setActivation(llvm::StringRef field, llvm::StringRef ifAbsent);
  /// What grows with the position: by 1 + factor ln(1 + floor((position + from) / period)).
  struct Growth {
    double factor;
    int64_t period, from;
  };
  /// Declares a table for rope over the first lanes of each head.
  void ropeTable(llvm::StringRef symbol, double theta, int64_t lanes, const RopeScaling &scaling,
                 std::optional<Growth> growth = std::nullopt);

  /// A number as the embedding's type has it.
  double roundToEmbedding(double value);

  /// `positions`: of the embedding of positions, if there is one.
  mlir::Value embed(llvm::StringRef name, std::optional<double> scale = std::nullopt,
                    llvm::StringRef positions = "");
  /// `plusOne`: the weights are kept as what they differ from 1 by.
  mlir::Value norm(mlir::Value input, const llvm::Twine &name, bool plusOne,
                   std::optional<int64_t> heads = std::nullopt);
  /// Less the row's mean, with "NAME.bias".
  mlir::Value layerNorm(mlir::Value input, const llvm::Twine &name);
  /// `bias`: whether "NAME.bias" is there and added.
  mlir::Value linear(mlir::Value input, const llvm::Twine &name, int64_t out, bool bias,
                     const StoredRows *stored = nullptr);
  mlir::Value rope(mlir::Value input, const llvm::Twine &location, int64_t heads,
                   llvm::StringRef table);
  /// Appends to @cache.LAYER, which it declares, and attends. `scale`: in place of one over the
  /// root of the head size.
  mlir::Value attend(mlir::Value query, mlir::Value key, mlir::Value value, int64_t layer,
                     std::optional<int64_t> window, std::optional<double> scale,
                     std::optional<double> cap);
  mlir::Value glu(mlir::Value gate, mlir::Value up, const llvm::Twine &location);
  mlir::Value activate(mlir::Value input, const llvm::Twine &location);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs, const llvm::Twine &location);
  /// `value` itself if there is no factor.
  mlir::Value scale(mlir::Value value, std::optional<double> factor, const llvm::Twine &location);
  void observe(mlir::Value value, const llvm::Twine &name);
  /// Emits the head called `name`, which has no prefix, and the return. `tied`: the head is the
  /// embedding called `embedding`. `scale` is on the logits.
  void head(mlir::Value input, llvm::StringRef name, llvm::StringRef embedding, bool tied,
            std::optional<double> scale = std::nullopt, std::optional<double> cap = std::nullopt);

  /// The finished, verified module, or the first error.
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> finish();
  /// The checkpoint's tensors that nothing used.
  std::vector<std::string> unusedTensors() const;
  std::vector<std::string> remarks;

private:
  mlir::FlatSymbolRefAttr weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                 llvm::ArrayRef<int64_t> shape, TensorRole role,
                                 const StoredRows *stored = nullptr, bool plusOne = false);
  mlir::RankedTensorType rows(int64_t width);
  mlir::Location at(const llvm::Twine &name);

  const ModelConfig &model;
  DerivedWeights &weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder symbols; // in the module, before @forward
  mlir::OpBuilder body;    // in @forward
  mlir::func::FuncOp forward;
  transformer::Activation activation = transformer::Activation::Silu;
  std::string prefix = "model.", headPrefix;
  std::vector<std::string> buffers = {"rotary_emb.inv_freq"};
  llvm::StringSet<> used;
  std::optional<llvm::Error> error; // the first
};

} // namespace pianola

#endif
