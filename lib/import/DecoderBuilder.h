// DecoderBuilder.h - emits transformer ops, with the weights that they need.
//
// Families speak in tensor names. A name such as "layers.3.self_attn.q_proj" stands for three
// things: the tensor "model.layers.3.self_attn.q_proj.weight" of the checkpoint, the symbol
// @layers.3.self_attn.q_proj, and the location of the op that uses it.
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
  /// Whether an error is remembered; what follows is then for nothing.
  bool failed() const { return error.has_value(); }
  void fail(llvm::Error problem);

  /// Declares @rope over the first lanes of each head. Layers that use it name it implicitly.
  void ropeTable(double theta, int64_t lanes);

  mlir::Value embed(llvm::StringRef name, std::optional<double> scale = std::nullopt);
  mlir::Value norm(mlir::Value input, const llvm::Twine &name,
                   std::optional<int64_t> heads = std::nullopt);
  /// `bias`: whether "NAME.bias" is there and added.
  mlir::Value linear(mlir::Value input, const llvm::Twine &name, int64_t out, bool bias,
                     const StoredRows *stored = nullptr);
  mlir::Value rope(mlir::Value input, const llvm::Twine &location, int64_t heads);
  /// Appends to @cache.LAYER, which it declares, and attends. `scale`: in place of one over the
  /// root of the head size.
  mlir::Value attend(mlir::Value query, mlir::Value key, mlir::Value value, int64_t layer,
                     std::optional<int64_t> window, std::optional<double> scale);
  mlir::Value glu(mlir::Value gate, mlir::Value up, const llvm::Twine &location);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs, const llvm::Twine &location);
  /// `value` itself if there is no factor.
  mlir::Value scale(mlir::Value value, std::optional<double> factor, const llvm::Twine &location);
  void observe(mlir::Value value, const llvm::Twine &name);
  /// Emits the head and the return. `tied`: the head is the embedding called `embedding`. `scale`
  /// is on the logits.
  void head(mlir::Value input, llvm::StringRef embedding, bool tied, std::optional<double> scale);

  /// The finished, verified module, or the first error.
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> finish();
  /// The checkpoint's tensors that nothing used.
  std::vector<std::string> unusedTensors() const;
  std::vector<std::string> remarks;

private:
  mlir::FlatSymbolRefAttr weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                 llvm::ArrayRef<int64_t> shape, TensorRole role,
                                 const StoredRows *stored = nullptr);
  mlir::RankedTensorType rows(int64_t width);
  mlir::Location at(const llvm::Twine &name);

  const ModelConfig &model;
  DerivedWeights &weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder symbols; // in the module, before @forward
  mlir::OpBuilder body;    // in @forward
  mlir::func::FuncOp forward;
  transformer::Activation activation = transformer::Activation::Silu;
  llvm::StringSet<> used;
  std::optional<llvm::Error> error; // the first
};

} // namespace pianola

#endif
