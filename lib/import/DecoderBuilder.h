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

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringSet.h"

namespace pianola {

/// Where the rows of a linear stand, if not in a tensor of its own, in the order of its results.
struct StoredRows {
  std::string name;          // of the matrix, as families speak of it
  int64_t count = 0;         // of its rows
  std::vector<int64_t> rows; // of them, that of each result
  bool transposed = false;   // they stand as columns; only the matrix is so, not its bias
  /// Of columns, how many numbers each has, and the first that counts; 0: all count.
  int64_t depth = 0, firstOfDepth = 0;
  /// Which matrix of several, and of how many, where tensors have these as their first dimension.
  int64_t slice = 0, slices = 0;
  /// What follows the name of the matrix, and of its bias.
  const char *suffix = ".weight", *biasSuffix = ".bias";

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
  /// So many layers behind the last one, which predict further tokens, are nothing to miss.
  void ignoreLayersBeyond(int64_t count);
  /// Tensors whose names end so are no parameters, and nobody misses them.
  void ignoreBuffers(llvm::StringRef suffix) { buffers.push_back(suffix.str()); }
  /// Tensors with this in their names are for what the module does without.
  void ignoreParts(llvm::StringRef part) { parts.push_back(part.str()); }
  /// Whether the checkpoint has the tensor. Of one whose weights are made up, nobody knows.
  bool has(llvm::StringRef tensor) const { return weights.find(tensor) != nullptr; }
  /// What glu and activate apply, by the name in a field of config.json.
  void setActivation(llvm::StringRef field, llvm::StringRef ifAbsent);
  /// What grows with the position: by 1 + factor ln(1 + floor((position + from) / period)).
  struct Growth {
    double factor;
    int64_t period, from;
  };
  /// GPT-OSS's gated unit, which no name stands for.
  void setClampedSwiglu(double limit) {
    activation = transformer::Activation::SwigluOai;
    gluLimit = limit;
  }
  /// Declares a table for rope over the first lanes of each head.
  void ropeTable(llvm::StringRef symbol, double theta, int64_t lanes, const RopeScaling &scaling,
                 std::optional<Growth> growth = std::nullopt);

  /// A table that does not turn the lanes of each head, and grows.
  void stillTable(llvm::StringRef symbol, int64_t lanes, Growth growth);

  /// A number as the embedding's type has it.
  double roundToEmbedding(double value);

  /// `positions`: of the embedding of positions, if there is one.
  mlir::Value embed(llvm::StringRef name, std::optional<double> scale = std::nullopt,
                    llvm::StringRef positions = "");
  /// `plusOne`: the weights are kept as what they differ from 1 by.
  mlir::Value norm(mlir::Value input, const llvm::Twine &name, bool plusOne,
                   std::optional<int64_t> heads = std::nullopt,
                   std::optional<double> eps = std::nullopt);
  /// Of each head, without weights.
  mlir::Value headNorm(mlir::Value input, const llvm::Twine &location, int64_t heads,
                       std::optional<double> eps = std::nullopt);
  /// Less the row's mean, with "NAME.bias".
  mlir::Value layerNorm(mlir::Value input, const llvm::Twine &name,
                        const StoredRows *stored = nullptr,
                        std::optional<double> eps = std::nullopt);
  /// `bias`: whether "NAME.bias" is there and added.
  mlir::Value linear(mlir::Value input, const llvm::Twine &name, int64_t out, bool bias,
                     const StoredRows *stored = nullptr);
  /// Of what stands in several places.
  mlir::Value linear(mlir::Value input, const llvm::Twine &name, int64_t out,
                     llvm::ArrayRef<StoredRows> stored);
  /// Of each head's first `in` numbers; `stored` says where the rows of head i stand.
  mlir::Value headLinear(mlir::Value input, const llvm::Twine &name, int64_t heads, int64_t in,
                         int64_t out, llvm::function_ref<StoredRows(int64_t head)> stored);
  mlir::Value join(mlir::Value first, mlir::Value second, const llvm::Twine &location,
                   int64_t heads);
  /// How a router scores and chooses; see transformer.route.
  struct Router {
    int64_t experts = 0, chosen = 0;
    transformer::Score score = transformer::Score::Softmax;
    bool normalised = false;
    double scale = 1;
    int64_t groups = 0, keep = 0; // 0: none
    transformer::GroupScore by = transformer::GroupScore::Max;
    std::string bias, correction; // names of tensors; empty: none
  };
  /// With as many experts as the field of config.json says, and as many chosen of them.
  Router readRouter(llvm::StringRef expertsField, int64_t experts, int64_t chosen);
  /// `name`: of its matrix.
  mlir::Value route(mlir::Value input, const llvm::Twine &name, const Router &router);
  /// A linear of each chosen expert; `stored` says where that of expert i stands. `name` is that of
  /// all together.
  mlir::Value routedLinear(mlir::Value input, mlir::Value routes, const llvm::Twine &name,
                           int64_t in, int64_t out, bool bias, bool weighted, bool combined,
                           llvm::function_ref<StoredRows(int64_t expert)> stored);
  /// Times the sigmoid of `gates`.
  mlir::Value gate(mlir::Value input, mlir::Value gates, const llvm::Twine &location);
  mlir::Value rope(mlir::Value input, const llvm::Twine &location, int64_t heads,
                   llvm::StringRef table);
  /// Records `input` in a state called `name`, and convolves it by columns `first` on of the
  /// `channels` of the tensor "TENSOR.weight".
  mlir::Value convolve(mlir::Value input, const llvm::Twine &name, llvm::StringRef tensor,
                       int64_t channels, int64_t first, int64_t taps);
  /// The gated delta rule, in a state called `name`, with "NAME.A_log" and "NAME.dt_bias".
  mlir::Value delta(mlir::Value queryKey, mlir::Value value, mlir::Value gates,
                    const llvm::Twine &name, int64_t keyHeads);
  /// How a layer attends.
  struct Attention {
    std::optional<int64_t> window, chunk;
    std::optional<double> scale; // in place of one over the root of the head size
    std::optional<double> cap;
    std::string sinks;                     // name of the tensor; empty: none
    std::optional<int64_t> keyHeads, size; // in place of the config's
    mlir::Value selection;                 // of positions; null: all
  };
  /// The `top` best positions by an index of keys, which joins @index.LAYER.
  mlir::Value select(mlir::Value query, mlir::Value weights, mlir::Value key, int64_t layer,
                     int64_t heads, int64_t top);
  /// Positions that the module is for.
  int64_t positions() const {
    return model.positionsUsed ? model.positionsUsed : model.maxPositions;
  }
  /// Appends to @cache.LAYER, which it declares, and attends.
  mlir::Value attend(mlir::Value query, mlir::Value key, mlir::Value value, int64_t layer,
                     const Attention &how = {});
  /// `as`: in place of what setActivation has said.
  mlir::Value glu(mlir::Value gate, mlir::Value up, const llvm::Twine &location,
                  std::optional<transformer::Activation> as = std::nullopt);
  mlir::Value activate(mlir::Value input, const llvm::Twine &location,
                       std::optional<transformer::Activation> as = std::nullopt);
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
  /// Declares @symbol, which `take` asks the checkpoint for, by the name of the tensor.
  mlir::FlatSymbolRefAttr declare(llvm::StringRef symbol, llvm::StringRef tensor,
                                  llvm::ArrayRef<int64_t> shape,
                                  llvm::function_ref<llvm::Expected<const TensorInfo *>()> take);
  mlir::FlatSymbolRefAttr weight(llvm::StringRef symbol, llvm::StringRef tensor,
                                 llvm::ArrayRef<int64_t> shape, TensorRole role,
                                 bool plusOne = false);
  /// Of parts of tensors: rows of `in` numbers of matrices, or elements of their biases.
  mlir::FlatSymbolRefAttr weightOf(llvm::StringRef symbol, llvm::ArrayRef<StoredRows> parts,
                                   int64_t out, int64_t in, TensorRole role);
  void createTable(llvm::StringRef symbol, llvm::ArrayRef<float> frequencies, float scale,
                   std::optional<Growth> growth);
  mlir::RankedTensorType rows(int64_t width);
  mlir::Location at(const llvm::Twine &name);

  const ModelConfig &model;
  DerivedWeights &weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder symbols; // in the module, before @forward
  mlir::OpBuilder body;    // in @forward
  mlir::func::FuncOp forward;
  transformer::Activation activation = transformer::Activation::Silu;
  std::optional<double> gluLimit;
  std::string prefix = "model.", headPrefix;
  std::vector<std::string> buffers = {"rotary_emb.inv_freq"}; // ends of names
  std::vector<std::string> others;                            // beginnings of names
  std::vector<std::string> parts;                             // of names
  llvm::StringSet<> used;
  std::optional<llvm::Error> error; // the first
};

} // namespace pianola

#endif
