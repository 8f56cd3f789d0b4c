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
#include "lib/checkpoint/ModelConfig.h"
#include "lib/checkpoint/WeightSource.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/StringSet.h"

namespace pianola {

class DecoderBuilder {
public:
  DecoderBuilder(mlir::MLIRContext &context, const ModelConfig &config, WeightSource &weights,
                 llvm::StringRef family);
  ~DecoderBuilder();

  const ModelConfig &config() const { return model; }
  /// Whether an error is remembered; what follows is then for nothing.
  bool failed() const { return error.has_value(); }
  void fail(llvm::Error problem);

  /// Declares @rope. Layers that use it name it implicitly.
  void ropeTable(double theta);

  mlir::Value embed(llvm::StringRef name);
  mlir::Value norm(mlir::Value input, const llvm::Twine &name,
                   std::optional<int64_t> heads = std::nullopt);
  /// `bias`: whether "NAME.bias" is there and added.
  mlir::Value linear(mlir::Value input, const llvm::Twine &name, int64_t out, bool bias);
  mlir::Value rope(mlir::Value input, const llvm::Twine &location, int64_t heads);
  /// Appends to @cache.LAYER, which it declares, and attends.
  mlir::Value attend(mlir::Value query, mlir::Value key, mlir::Value value, int64_t layer,
                     std::optional<int64_t> window);
  mlir::Value glu(mlir::Value gate, mlir::Value up, const llvm::Twine &location);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs, const llvm::Twine &location);
  void observe(mlir::Value value, const llvm::Twine &name);
  /// Emits the head and the return. `tied`: the head is the embedding called `embedding`.
  void head(mlir::Value input, llvm::StringRef embedding, bool tied);

  /// The finished, verified module, or the first error.
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> finish();
  /// The checkpoint's tensors that nothing used.
  std::vector<std::string> unusedTensors() const;

private:
  mlir::FlatSymbolRefAttr weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                 llvm::ArrayRef<int64_t> shape, TensorRole role);
  mlir::RankedTensorType rows(int64_t width);
  mlir::Location at(const llvm::Twine &name);

  const ModelConfig &model;
  WeightSource &weights;
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
